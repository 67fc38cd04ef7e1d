"""What the documents say about commands, settings and files is what the code has. `UPDATE_DOCS=1` rewrites tables."""

import os
import re
from pathlib import Path

import pytest
from engram_context.checks.catalogue import CODES
from engram_lsp.cli import COMMANDS
from engram_lsp.cli.explain import summary
from engram_lsp.settings import table

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CODES_TABLE = re.compile(r"(<!-- codes: .*? -->\n).*?(<!-- /codes -->)", re.DOTALL)
SETTINGS = re.compile(r"(<!-- settings: .*? -->\n).*?(<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    def default(value: object) -> str:
        return {"True": "true", "False": "false", "": "empty", "()": "empty"}.get(str(value), str(value))

    rows = [f"| `{name}` | {kind} | {default(value)} | {about} |" for name, kind, value, about in table()]
    return "\n".join(["| setting | value | default | what it does |", "|---|---|---|---|", *rows]) + "\n"


def codes_table() -> str:
    rows = [f"| `{name}` | {code.severity} | {summary(name)} |" for name, code in sorted(CODES.items())]
    return "\n".join(["| code | usually | what it says |", "|---|---|---|", *rows]) + "\n"


def test_the_readme_lists_every_code() -> None:
    text = README.read_text(encoding="utf-8")
    current = CODES_TABLE.sub(lambda match: match[1] + codes_table() + match[2], text)
    if os.environ.get("UPDATE_DOCS"):
        README.write_text(current, encoding="utf-8")
    assert text == current, "run UPDATE_DOCS=1 pytest tests/test_docs.py"


def test_the_readme_lists_every_setting_with_its_default() -> None:
    text = README.read_text(encoding="utf-8")
    current = SETTINGS.sub(lambda match: match[1] + settings_table() + match[2], text)
    if os.environ.get("UPDATE_DOCS"):
        README.write_text(current, encoding="utf-8")
    assert text == current, "run UPDATE_DOCS=1 pytest tests/test_docs.py"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_readme_names_every_command(command: str) -> None:
    assert re.search(rf"`(engram-ls )?{command}\b", README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_documents_name_exist(document: str) -> None:
    """Full paths, and names of modules that ARCHITECTURE.md lists by folder."""
    text = CODES_TABLE.sub("", (ROOT / document).read_text(encoding="utf-8"))
    named = set(re.findall(r"`((?:lsp|context|runtime|tests|editors)/[\w./-]+\w)`", text))
    assert {name for name in named if "..." not in name and not (ROOT / name).exists()} == set()
    modules = {path.stem for package in ("lsp", "context", "runtime") for path in (ROOT / package).rglob("*.py")}
    named = set(re.findall(r"`(\w+)\.py`", text))
    assert named <= modules | {"fixture"}
