"""How a project wants its imports sorted: what isort is told of the project's settings.

isort would read them itself, but it believes them: it loads plug-ins by the names that they give, follows patterns to
folders anywhere, compiles whatever stands for a module's name as a regular expression, and waits for files that never
end. Here only settings of style are taken, and only such values as cannot make it do anything but sort.
"""

import configparser
import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast

from engram_context import toml
from engram_context.text import read_bytes

_FILES = (
    (".isort.cfg", ("settings", "isort")),
    ("pyproject.toml", ("tool.isort",)),
    ("setup.cfg", ("isort", "tool:isort")),
    ("tox.ini", ("isort", "tool:isort")),
    (".editorconfig", ("*", "*.py", "**.py")),
)
# Sections of an `.editorconfig` for several kinds of files, which isort reads after those.
_KINDS = re.compile(r"\*\.\{(.*)\}", re.DOTALL)
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
_LENGTHS = frozenset(("line_length", "wrap_length"))
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
_COMMENT = re.compile(r"[ \t]*#[^\r\n]*")
_ENDINGS = frozenset(("\n", "\r\n", "\r"))
_LARGEST = 1 << 18
_MOST = 2000
_FOLDERS = 300
_ENTRIES = 5000
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
    from isort.profiles import profiles

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
    # isort sorts nothing where lines are to be wrapped at more than their length.
    profile = profiles.get(found.get("profile", ""), {})
    if found.get("wrap_length", 0) > found.get("line_length", profile.get("line_length", 79)):
        found = {name: value for name, value in found.items() if name not in _LENGTHS}
    return found


def _taken(name: str, value: Any, folder: Path) -> Any:
    """A value as isort expects it, None for what it is not told."""
    from isort.profiles import profiles
    from isort.settings import VALID_PY_TARGETS
    from isort.wrap_modes import WrapModes

    said = str(value)
    text = said.strip()
    if name in _FLAGS:
        return True if text.lower() in _TRUE else False if text.lower() in _FALSE else None
    if name in _NUMBERS:
        return _number(name, value)
    if name == "multi_line_output":
        return next((mode for mode in WrapModes if text in (mode.name, str(mode.value))), None)
    if name == "profile":
        return text if text in profiles else None
    if name == "sort_order":
        return text if text in ("natural", "native") else None
    if name == "py_version":
        return text if text in (*VALID_PY_TARGETS, "auto") else None
    if name == "line_ending":
        return said if said in _ENDINGS else None
    if name == "indent":
        return _indent(said)
    if name == "comment_prefix":
        prefix = said.strip("'").strip('"')
        return prefix if len(prefix) <= _LONGEST and _COMMENT.fullmatch(prefix) else None
    if name == "default_section":
        return text if len(text) <= _LONGEST and text.isprintable() else None
    if name.startswith(("import_heading_", "import_footer_")):
        return said if len(said) <= _LONGEST and said.isprintable() else None
    if name == "src_paths":
        return tuple(_sources(folder, _strings(value))) or None
    if name.startswith("known_"):
        return frozenset(one for one in _strings(value) if _MODULE.fullmatch(one))
    if name in _LISTS:
        strings = [one for one in _strings(value) if len(one) <= _LONGEST and one.isprintable()]
        return tuple(strings) if name in _ORDERED else frozenset(strings)
    return None


def _number(name: str, value: Any) -> int | None:
    """A number as isort takes it, which may be -1, and for `force_grid_wrap` yes or no."""
    text = str(value).strip()
    if re.fullmatch(r"-1|[0-9]{1,8}", text):
        # What is longer than any line is no other limit than the highest.
        number = int(text)
        return min(number, 1000) if name in _LENGTHS else number if number <= _NUMBERS[name] else None
    if name != "force_grid_wrap" or len(text) > _LONGEST:
        return None
    return int(value) if isinstance(value, bool) else 0 if text.lower() == "false" else 2


def _indent(said: str) -> str | None:
    """A number of spaces, `tab`, or the blanks themselves, between quotes or not."""
    if re.fullmatch(r"[0-9]{1,2}", said):
        return " " * int(said)
    blanks = said.strip("'").strip('"')
    if blanks.lower() == "tab":
        return "\t"
    return blanks if re.fullmatch(r"[ \t]{0,99}", blanks) else None


def _sources(folder: Path, places: list[str]) -> list[Path]:
    """The folders, below this one, of places that may be patterns: no more than some, and none by a link out."""
    top = os.path.realpath(folder)
    listed = [_FOLDERS]
    found: dict[Path, None] = {}
    for place in places:
        if _leaves(place):
            continue
        matched = _matching(folder, place, listed) if "*" in place else [folder / place]
        # In a name that is taken as it is, isort would see a pattern.
        inside = (path for path in matched if "*" not in str(path) and _is_inside(path, top))
        found.update(dict.fromkeys(islice(inside, _FOLDERS - len(found))))
    return list(found)


def _is_inside(path: Path, top: str) -> bool:
    real = os.path.realpath(path)
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)


def _matching(folder: Path, pattern: str, listed: list[int]) -> list[Path]:
    """The folders that a pattern names. `listed`: how many more folders may be listed."""
    found, top = [folder], os.path.realpath(folder)
    for part in Path(pattern).parts:
        if part == "**":
            found = list(dict.fromkeys(below for path in found for below in _below(path, listed)))
        elif re.search(r"[*?\[]", part):
            found = [inner for path in found for inner in _inside(path, listed) if fnmatch.fnmatch(inner.name, part)]
        else:
            found = [path / part for path in found if _is_inside(path / part, top)]
    return [path for path in found if _exists(path)]


def _below(folder: Path, listed: list[int]) -> list[Path]:
    """A folder and all below it, those higher up first."""
    found = [folder]
    for path in found:
        found += _inside(path, listed)
    return found


def _inside(folder: Path, listed: list[int]) -> list[Path]:
    """The folders in a folder, without links."""
    if listed[0] <= 0:
        return []
    listed[0] -= 1
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(one.path) for one in islice(entries, _ENTRIES) if one.is_dir(follow_symlinks=False))
    except (OSError, ValueError):
        return []


def _leaves(place: str) -> bool:
    """Whether a path in the settings may lead out of the folder, or costs too much to look for."""
    parts = re.split(r"[/\\]", place)
    outside = ".." in parts or Path(place).is_absolute() or not place.isprintable() or parts[0] == ""
    return outside or len(place) > _LONGEST or place.count("*") > 8 or parts.count("**") > 1


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
    of_editors = file.name == ".editorconfig"
    try:
        parser.read_string(_SECTIONED.sub("", _text(file), count=1) if of_editors else _text(file))
        kinds = [name for name in parser.sections() if of_editors and _is_of_python(name)]
        found = [parser.items(section) for section in (*sections, *kinds) if parser.has_section(section)]
    except (configparser.Error, ValueError):
        return {}
    settings = {name: value for items in found for name, value in items}
    return _of_editors(settings) if of_editors else settings


# What is before the first section.
_SECTIONED = re.compile(r"\A(?:(?!\s*\[)[^\n]*\n)*")


def _is_of_python(section: str) -> bool:
    kinds = _KINDS.fullmatch(section)
    return kinds is not None and "py" in [kind.strip() for kind in kinds[1].split(",")]


def _of_editors(settings: dict[str, str]) -> dict[str, Any]:
    """What isort makes of an `.editorconfig`: its own settings, and those of every editor that mean the same."""
    found: dict[str, Any] = {
        name: value for name, value in settings.items() if name in _OWN or name.startswith("known_")
    }
    size = settings.get("indent_size", "").strip()
    if size == "tab":
        size = settings.get("tab_width", "").strip()
    number = int(size) if re.fullmatch(r"[0-9]{1,2}", size) else 0
    style = settings.get("indent_style", "").strip()
    if style in ("space", "tab"):
        found["indent"] = " " * (number or 4) if style == "space" else "\t" * (number or 1)
    length = settings.get("max_line_length", "").strip()
    if length == "off" or length.isdecimal():
        found["line_length"] = _NUMBERS["line_length"] if length == "off" else length
    return found


_OWN = (
    _FLAGS
    | _LISTS
    | _NUMBERS.keys()
    | {
        "profile", "multi_line_output", "sort_order", "py_version", "line_ending", "indent", "comment_prefix",
        "default_section", "src_paths",
    }
)  # fmt: skip


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
