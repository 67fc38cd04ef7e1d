"""Writes the settings of the server, and those of the extension itself, into package.json.

Run as `python scripts/settings.py`, with engram-ls installed; `--check` writes nothing and fails where something would
change.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from engram_lsp.settings import table

PACKAGE = Path(__file__).parents[1] / "package.json"

TITLES = {
    "server": "Server",
    "completion": "Completion",
    "inline": "Ghost Text",
    "diagnostics": "Problems",
    "semanticTokens": "Colours",
    "inlayHints": "Hints Between the Lines",
    "codeLens": "References Above Definitions",
    "model": "Model",
    "remote": "Remote Model",
    "index": "Project Memory",
    "python": "Python",
    "trace": "Stack Traces",
}

# The extension's own; they are not sent to the server.
OWN: dict[str, dict[str, Any]] = {
    "engram.server.path": {
        "type": "string",
        "default": "",
        "scope": "machine-overridable",
        "markdownDescription": "Path of the program `engram-ls`, or its name on the PATH; `~` and `${workspaceFolder}` "
        "are understood. Empty: the one that this extension installed, else the one on the PATH or where pipx and uv "
        "put programs.",
    },
    "engram.server.arguments": {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "scope": "machine-overridable",
        "markdownDescription": 'Further arguments of `engram-ls serve`, like `["--verbose"]`.',
    },
    "engram.trace.server": {
        "type": "string",
        "enum": ["off", "messages", "verbose"],
        "default": "off",
        "scope": "window",
        "markdownDescription": "Whether messages between VS Code and the server are shown in the log. "
        "With `verbose` they include the text of files.",
    },
}

# Of the machine, not of a project; what a project may say otherwise counts only where it is trusted.
OF_MACHINE = {
    "engram.model.path": "machine-overridable",
    "engram.model.providers": "machine-overridable",
    "engram.model.threads": "machine-overridable",
    "engram.model.cacheMb": "machine-overridable",
    "engram.index.cacheFolder": "machine-overridable",
    "engram.index.workers": "machine-overridable",
    "engram.python.interpreter": "machine-overridable",
    "engram.trace.testCommand": "machine-overridable",
}

# What VS Code has that the server's table cannot say.
BETTER: dict[str, dict[str, Any]] = {
    "engram.codeLens.command": {"default": "engram-ls.showReferences"},
    "engram.inline.quietHours": {
        "items": {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"},
    },
}


def schema(name: str, kind: str, default: Any, about: str) -> dict[str, Any]:
    """One setting as VS Code wants it, from a line of the server's table."""
    choices = re.findall(r'"([^"]+)"', kind)
    types: dict[str, dict[str, Any]] = {
        "true or false": {"type": "boolean"},
        "a number from 0": {"type": "integer", "minimum": 0},
        "a string": {"type": "string"},
        "an object of severities": {
            "type": "object",
            "additionalProperties": {"enum": ["error", "warning", "information", "hint", "off"]},
        },
    }
    if choices:
        shape: dict[str, Any] = {"type": "string", "enum": choices}
    else:
        shape = types.get(kind, {"type": "array", "items": {"type": "string"}})
    value = list(default) if isinstance(default, tuple) else dict(default) if shape["type"] == "object" else default
    scope = OF_MACHINE.get(name, "machine" if name.startswith("engram.remote.") else "window")
    described = about[0].upper() + about[1:] + "."
    return {**shape, "default": value, "scope": scope, "markdownDescription": described} | BETTER.get(name, {})


def configuration() -> list[dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {group: {} for group in TITLES}
    for name, kind, default, about in table():
        groups.setdefault(name.split(".")[1], {})[name] = schema(name, kind, default, about)
    for name, own in OWN.items():
        groups[name.split(".")[1]][name] = own
    return [
        {"title": TITLES.get(group, group.capitalize()), "properties": properties}
        for group, properties in groups.items()
        if properties
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something would change")
    check: bool = parser.parse_args().check
    before = PACKAGE.read_text("utf-8")
    package = json.loads(before)
    package["contributes"]["configuration"] = configuration()
    after = json.dumps(package, indent=2, ensure_ascii=False) + "\n"
    if before == after:
        return 0
    if check:
        print("package.json does not say what the server's settings are: run editors/vscode/scripts/settings.py")
        return 1
    PACKAGE.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
