"""What the documentation shows of the code: tables that tests/test_docs.py writes into pages, and what pages consist of."""

import argparse
import ast
import importlib
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engram_context.checks.catalogue import CODES, page_of
from engram_context.disk import builtin_rules
from engram_lsp import announced, server
from engram_lsp.cli import COMMANDS
from engram_lsp.cli.explain import summary
from engram_lsp.settings import table

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "editors/docs"
CLIENTS = ROOT / "editors"
SHIPPED = tuple(ROOT / name for name in ("lsp", "context", "runtime"))
# A part of a page that is made from the code: between these two comments.
_MADE = re.compile(r"(<!-- (\w[\w-]*): made by tests/test_docs\.py -->\n).*?(<!-- /\2 -->)", re.DOTALL)
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<mark>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=mark)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, what else stands behind that, its text."""

    language: str
    about: str
    text: str


def pages() -> list[Path]:
    """Every page of ours in Markdown."""
    found = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    found += (page for page in CLIENTS.rglob("*.md") if "node_modules" not in page.parts)
    return sorted(found)


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        language, _, about = match["info"].strip().partition(" ")
        found.append(Block(language, about, textwrap.dedent(match["body"])))
    return found


def prose(text: str) -> str:
    """A page without its fenced and indented blocks."""
    return re.sub(r"(?m)^(?: {4}|\t).*$", "", _FENCE.sub("", text))


def current(text: str) -> str:
    """A page with its made parts as they would be made now."""
    return _MADE.sub(lambda match: match[1] + MADE[match[2]]() + match[3], text)


def without_made(text: str) -> str:
    return _MADE.sub("", text)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"(?m)^#{1,6} (.+)$", _FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = next(n for n in range(len(found) + 1) if (f"{name}-{n}" if n else name) not in found)
        found.add(f"{name}-{number}" if number else name)
    return found


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    cells = (" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)


def settings() -> str:
    def default(value: object) -> str:
        return {"True": "true", "False": "false", "": "empty", "()": "empty"}.get(str(value), str(value))

    groups: dict[str, list[tuple[str, ...]]] = {}
    for name, kind, value, about in table():
        groups.setdefault(name.split(".")[1], []).append((f"`{name}`", kind, default(value), about))
    heads = ("setting", "value", "default", "what it does")
    return "".join(f"\n## engram.{group}\n\n{_table(heads, rows)}" for group, rows in groups.items())


def codes() -> str:
    rows = [(f"[`{name}`](#{name})", code.severity, summary(name)) for name, code in sorted(CODES.items())]
    return _table(("code", "usually", "what it says"), rows)


def code_pages() -> str:
    """What `engram-ls explain` says of each code, as a section."""
    found: list[str] = []
    for name, _ in sorted(CODES.items()):
        page = page_of(name) or ""
        found.append(re.sub(r"(?m)^(#+ )", r"#\1", page).strip() + "\n")
    # "Found" and "Not found" of each code need no anchor of their own.
    return "\n" + re.sub(r"(?m)^### (.+)$", r"*\1*", "\n".join(found)) + "\n"


def commands() -> str:
    """What can be executed by workspace/executeCommand, from the docstrings of who answers."""
    rows: list[tuple[str, ...]] = []
    for name, handler in server.COMMANDS:
        about = " ".join((handler.__doc__ or "").split())
        rows.append((f"[`{name}`](#{name.lower().replace('.', '')})", re.sub(rf"^The command {name}: ", "", about)))
    return _table(("command", "what it does"), rows)


def methods() -> str:
    rows = {method: "always" for method, _, _ in server.ROUTES}
    rows["textDocument/diagnostic"] = "to clients that have `textDocument.diagnostic`; the others are pushed"
    rows["workspace/diagnostic"] = "with `engram.diagnostics.scope` `workspace`"
    rows["workspace/executeCommand"] = "always"
    for field, method, _, _ in announced.ROUTES:
        head, *rest = field.split("_")
        rows[method] = f"to clients that have `textDocument.{head}{''.join(map(str.capitalize, rest))}`"
    return _table(("method", "advertised"), [(f"`{name}`", when) for name, when in sorted(rows.items())])


def parser_of(command: str) -> argparse.ArgumentParser:
    module, _ = COMMANDS[command]
    parser = argparse.ArgumentParser(prog=f"engram-ls {command}")
    importlib.import_module(f"engram_lsp.cli.{module}").add_arguments(parser)
    return parser


def cli() -> str:
    found: list[str] = []
    for name, (_, line) in COMMANDS.items():
        parser = parser_of(name)
        formatter = parser._get_formatter()
        rows: list[tuple[str, ...]] = []
        for action in parser._actions:
            if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
                continue
            value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
            if action.option_strings:
                shown = ", ".join(f"`{option} {value}`" if value else f"`{option}`" for option in action.option_strings)
            else:
                shown = f"`{formatter._format_args(action, formatter._get_default_metavar_for_positional(action))}`"
            rows.append((shown, formatter._expand_help(action) if action.help else ""))
        found.append(
            f"\n## engram-ls {name}\n\n{line[0].upper() + line[1:]}.\n\n" + _table(("argument", "meaning"), rows)
        )
    return "".join(found)


def built_in_rules() -> str:
    folders: dict[str, list[str]] = {}
    for name, kind in builtin_rules._FOLDERS.items():
        folders.setdefault(kind, []).append(f"`{name}`")
    rows = [(f"folders: {kind}", ", ".join(names)) for kind, names in folders.items()]
    rows.append(("folders: package metadata", "`*.egg-info`, `*.dist-info`"))
    rows.append(("folders with this file", "`pyvenv.cfg` (a virtual environment)"))
    rows.append(("files: secrets", ", ".join(f"`{name}`" for name in builtin_rules._SECRETS)))
    rows.append(("files that are no source code", ", ".join(f"`{name}`" for name in builtin_rules._TELLING)))
    rows.append(("what counts as source code there", ", ".join(f"`{name}`" for name in builtin_rules._CODE)))
    return _table(("what", "names"), rows)


# --- the clients ------------------------------------------------------------------------------------------------------


@cache
def vscode_manifest() -> dict[str, Any]:
    return json.loads((CLIENTS / "vscode/package.json").read_text(encoding="utf-8"))["contributes"]


def vscode_settings() -> dict[str, dict[str, Any]]:
    """Settings that only the extension has."""
    known = {name for name, *_ in table()}
    groups = vscode_manifest()["configuration"]
    found = {name: about for group in groups for name, about in group["properties"].items()}
    return {name: about for name, about in found.items() if name not in known}


def vscode() -> str:
    manifest = vscode_manifest()
    rows = [(f"{one['category']}: {one['title']}", f"`{one['command']}`") for one in manifest["commands"]]
    keys = [
        (f"`{one['key']}`" + (f" (macOS: `{one['mac']}`)" if "mac" in one else ""), f"`{one['command']}`")
        for one in manifest["keybindings"]
    ]
    own = [
        (f"`{name}`", f"`{json.dumps(about.get('default'))}`", about.get("markdownDescription", ""))
        for name, about in vscode_settings().items()
    ]
    return (
        f"\n{_table(('command', 'id'), rows)}\n{_table(('key', 'command'), keys)}\n"
        f"{_table(('setting of the extension itself', 'default', 'what it does'), own)}"
    )


def neovim_commands() -> dict[str, str]:
    """The subcommands of `:Engram`, and what each does."""
    text = (CLIENTS / "neovim/lua/engram/commands.lua").read_text(encoding="utf-8")
    known = text.partition("M.all = {")[2].partition("\n}\n")[0]
    found = re.findall(r'^  (?:\["([\w-]+)"\]|(\w+)) = \{\s*does = "([^"]+)"', known, re.MULTILINE)
    return {quoted or plain: does for quoted, plain, does in found}


def neovim() -> str:
    init = (CLIENTS / "neovim/lua/engram/init.lua").read_text(encoding="utf-8")
    rows = [(f"`:Engram {name}`", does) for name, does in neovim_commands().items()]
    keys = re.findall(r'^  (\w+) = "(.+)",$', init.partition("M.keys = {")[2].partition("\n}")[0], re.MULTILINE)
    shown = [
        (f"`{key.replace(chr(92) * 2, chr(92))}`", f"`<Plug>(engram-{name.replace('_', '-')})`") for name, key in keys
    ]
    options = re.findall(
        r"^---@field (\w+)\? (\S+) ?(.*)$",
        init.partition("@class engram.Options")[2].partition("\n\n")[0],
        re.MULTILINE,
    )
    return (
        f"\n{_table(('command', 'what it does'), rows)}\n{_table(('key with `keys = true`', 'mapping'), shown)}\n"
        f"{_table(('option of `setup`', 'type', 'meaning'), [(f'`{name}`', f'`{kind}`', about) for name, kind, about in options])}"
    )


def _emacs_source() -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted((CLIENTS / "emacs").glob("engram*.el")))


def _quoted(text: str) -> str:
    """Emacs' way to quote a name, as Markdown has it."""
    return re.sub(r"`([^`']+)'", r"`\1`", text)


def emacs_commands() -> dict[str, str]:
    """Commands of engram.el, with the first line of their documentation."""
    found = re.findall(
        r'^\((?:defun|define-minor-mode) ([\w-]+)(?: \([^)]*\))?\n  "([^"\n]+)(?:[^"]|\\")*"\n(?:  :|  \(interactive)',
        _emacs_source(), re.MULTILINE,
    )  # fmt: skip
    return {name: _quoted(about) for name, about in found if "--" not in name}


def emacs() -> str:
    source = _emacs_source()
    rows = [(f"`M-x {name}`", about) for name, about in sorted(emacs_commands().items())]
    keys = source.partition("(defvar-keymap engram-suggestion-map")[2].partition("\n\n")[0]
    shown = [(f"`{key}`", f"`{name}`") for key, name in re.findall(r"\"([^\"]+)\" #'([\w-]+)", keys)]
    options = re.findall(r'^\(defcustom ([\w-]+).*?^  "([^"\n]+)', source, re.MULTILINE | re.DOTALL)
    return (
        f"\n{_table(('command', 'what it does'), rows)}\n{_table(('key while ghost text is shown', 'command'), shown)}\n"
        f"{_table(('option', 'meaning'), [(f'`{name}`', _quoted(about)) for name, about in options])}"
    )


MADE: dict[str, Callable[[], str]] = {
    "settings": settings,
    "codes": codes,
    "code-pages": code_pages,
    "commands": commands,
    "methods": methods,
    "cli": cli,
    "built-in-rules": built_in_rules,
    "vscode": vscode,
    "neovim": neovim,
    "emacs": emacs,
}

# --- what the code says -----------------------------------------------------------------------------------------------


def sources() -> Iterator[Path]:
    """The modules that run at a user's: no training, no evaluation."""
    for folder in SHIPPED:
        yield from (file for file in folder.rglob("*.py") if not {"train", "evaluation"} & set(file.parts))


@cache
def constants() -> str:
    """Every string in them, a line each; parts of f-strings too."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in sources())
    nodes = (node for tree in trees for node in ast.walk(tree))
    strings = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return "\n".join(text.replace("\n", " ") for text in strings)


def environment_variables() -> set[str]:
    """Those that the code looks at by name."""
    found: set[str] = set()
    for file in sources():
        for line in file.read_text(encoding="utf-8").splitlines():
            if "environ" in line or "for variable in" in line:
                found |= set(re.findall(r'"([A-Z][A-Z_]{3,})"', line))
    return found
