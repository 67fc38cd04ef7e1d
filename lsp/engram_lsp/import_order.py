"""How a project wants its imports sorted: what isort is told of the project's settings.

isort would read them itself, but it believes them: it loads plug-ins by the names that they give, follows patterns to
folders anywhere, compiles whatever stands for a module's name as a regular expression, and waits for files that never
end. Here only settings of style are taken, and only such values as cannot make it do anything but sort.
"""

import configparser
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from engram_context import toml
from engram_context.text import read_bytes

_FILES = (
    (".isort.cfg", ("settings", "isort")),
    ("pyproject.toml", ("tool.isort",)),
    ("setup.cfg", ("isort", "tool:isort")),
    ("tox.ini", ("isort", "tool:isort")),
    (".editorconfig", ("*", "*.py", "**.py", "*.{py}")),
)
# isort's own name for what ruff calls otherwise, or the same.
_RUFF = {
    "known-first-party": "known_first_party",
    "known-third-party": "known_third_party",
    "force-single-line": "force_single_line",
    "force-sort-within-sections": "force_sort_within_sections",
    "combine-as-imports": "combine_as_imports",
    "split-on-trailing-comma": "split_on_trailing_comma",
    "lines-after-imports": "lines_after_imports",
}
_FLAG_NAMES = """
    no_sections length_sort length_sort_straight reverse_relative force_single_line balanced_wrapping use_parentheses
    order_by_type combine_as_imports combine_star include_trailing_comma from_first force_adds
    force_alphabetical_sort_within_sections force_alphabetical_sort force_sort_within_sections lexicographical
    group_by_package ignore_whitespace no_inline_sort ignore_comments case_sensitive ensure_newline_before_comments
    honor_noqa remove_redundant_aliases float_to_top treat_all_comments_as_code dedup_headings only_sections
    only_modified combine_straight_imports indented_import_headings honor_case_in_force_sorted_sections
    sort_relative_in_force_sorted_sections reverse_sort star_first sort_reexports split_on_trailing_comma"""
_FLAGS = frozenset(_FLAG_NAMES.split())
_NUMBERS = {
    "line_length": 1000,
    "wrap_length": 1000,
    "force_grid_wrap": 1000,
    "lines_before_imports": 20,
    "lines_after_imports": 20,
    "lines_between_sections": 20,
    "lines_between_types": 20,
}
_LIST_NAMES = """
    force_to_top extra_standard_library forced_separate length_sort_sections add_imports remove_imports
    single_line_exclusions separate_packages no_lines_before treat_comments_as_code constants classes variables
    namespace_packages sections"""
_LISTS = frozenset(_LIST_NAMES.split())
_SECTIONS = frozenset(("FUTURE", "STDLIB", "THIRDPARTY", "FIRSTPARTY", "LOCALFOLDER"))
_ORDERED = frozenset(("forced_separate", "single_line_exclusions", "sections"))
_TRUE, _FALSE = frozenset(("y", "yes", "t", "true", "on", "1")), frozenset(("n", "no", "f", "false", "off", "0"))
# A module's name, with a few wildcards: isort makes a regular expression of it.
_MODULE = re.compile(r"(?!(?:[^*?]*[*?]){4})[\w.*?-]{1,200}")
_LARGEST = 1 << 18
_MOST = 2000
_LONGEST = 200
_HIGHEST = 25


def settings_of(root: Path) -> dict[str, Any] | None:
    """Keyword arguments for isort's configuration, from the nearest file with any: in the folder, or above it as far
    as its repository goes. None where there is none."""
    for folder in _folders(root):
        for name, sections in _FILES:
            found = _read(folder / name, sections)
            if found:
                return {**valid(found, folder), "directory": str(folder), "quiet": True}
    return None


def of_ruff(root: Path) -> dict[str, Any]:
    """The same, from ruff's settings: what both know."""
    for name, keys in (("ruff.toml", ()), (".ruff.toml", ()), ("pyproject.toml", ("tool", "ruff"))):
        ruff = _inner(_toml(root / name), *keys)
        if ruff:
            sorting = _inner(ruff, "lint", "isort")
            found = {ours: sorting[theirs] for theirs, ours in _RUFF.items() if theirs in sorting}
            return valid({"line_length": ruff.get("line-length"), **found}, root)
    return {}


def valid(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings that isort may be told, in the types that it expects; `src_paths` are below the folder."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        taken = _taken(name, value, folder)
        if taken is not None:
            found[name] = taken
    own = {name.removeprefix("known_").upper() for name in found if name.startswith("known_")}
    if "sections" in found:
        found["sections"] = tuple(one for one in found["sections"] if one in _SECTIONS or one in own)
    if found.get("default_section") not in (*found.get("sections", _SECTIONS), None):
        del found["default_section"]
    return found


def _taken(name: str, value: Any, folder: Path) -> Any:
    """A value as isort expects it, None for what it is not told."""
    from isort.profiles import profiles
    from isort.wrap_modes import WrapModes

    text = str(value).strip()
    if name in _FLAGS:
        return True if text.lower() in _TRUE else False if text.lower() in _FALSE else None
    if name in _NUMBERS:
        return int(text) if text.isdecimal() and len(text) < 9 and int(text) <= _NUMBERS[name] else None
    if name == "multi_line_output":
        return next((mode for mode in WrapModes if text in (mode.name, str(mode.value))), None)
    if name == "profile":
        return text if text in profiles else None
    if name == "sort_order":
        return text if text in ("natural", "native") else None
    if name == "py_version":
        return text if re.fullmatch(r"all|\d{1,4}", text) else None
    if name == "indent":
        return text if re.fullmatch(r"\d{1,2}|tab|[\"']?[ \t]{1,20}[\"']?", text, re.IGNORECASE) else None
    if name in ("comment_prefix", "default_section") or name.startswith(("import_heading_", "import_footer_")):
        return text if len(text) <= _LONGEST and text.isprintable() else None
    if name == "src_paths":
        inside = [folder / one for one in _strings(value) if not _leaves(one)]
        return tuple(inside[:20]) or None
    if name.startswith("known_"):
        return frozenset(one for one in _strings(value) if _MODULE.fullmatch(one))
    if name in _LISTS:
        strings = [one for one in _strings(value) if len(one) <= _LONGEST and one.isprintable()]
        return tuple(strings) if name in _ORDERED else frozenset(strings)
    return None


def _leaves(place: str) -> bool:
    """Whether a path in the settings may lead out of the folder, or to many places."""
    parts = re.split(r"[/\\]", place)
    return ".." in parts or "*" in place or Path(place).is_absolute() or not place.isprintable() or parts[0] == ""


def _strings(value: Any) -> list[str]:
    items = cast("list[Any]", value) if isinstance(value, list) else re.split(r"[,\n]", str(value)[:_LARGEST])
    return [item.strip() for item in items if isinstance(item, str) and item.strip()][:_MOST]


# --- files -----------------------------------------------------------------------------------------------------------


def _folders(root: Path) -> Iterator[Path]:
    """The folder and those above it, up to the top of its repository; the folder alone where it is in none."""
    above = (root, *root.parents)[:_HIGHEST]
    tops = [number for number, folder in enumerate(above) if _exists(folder / ".git")]
    yield from above[: tops[0] + 1 if tops else 1]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _read(file: Path, sections: tuple[str, ...]) -> dict[str, Any]:
    if file.suffix == ".toml":
        return _inner(_toml(file), *sections[0].split("."))
    # Without interpolation, by which a few lines can stand for gigabytes.
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(f"[DEFAULT]\n{_text(file)}" if file.name == ".editorconfig" else _text(file))
        found = [parser.items(section) for section in sections if parser.has_section(section)]
    except (configparser.Error, ValueError):
        return {}
    return {name: value for items in found for name, value in items if name in _KNOWN or file.name != ".editorconfig"}


_KNOWN = _FLAGS | _LISTS | _NUMBERS.keys() | {"profile", "multi_line_output", "known_first_party", "known_third_party"}


def _toml(file: Path) -> dict[str, Any]:
    try:
        return toml.parsed(_text(file))
    except (ValueError, RecursionError):
        return {}


def _text(file: Path) -> str:
    try:
        data = read_bytes(file, _LARGEST + 1)
    except (OSError, ValueError):
        return ""
    return data.decode("utf-8", "replace") if len(data) <= _LARGEST else ""


def _inner(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table inside a table, empty where there is none."""
    for key in keys:
        value = table.get(key)
        table = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return table
