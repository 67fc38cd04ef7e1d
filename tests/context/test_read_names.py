"""Of source whose name tells of secrets all names are known, and nothing of what its literals and comments say."""

from __future__ import annotations

from pathlib import Path

import pytest
from engram_context.checks.catalogue import findings
from engram_context.edits import ProjectEdit
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import read_names, read_record
from engram_context.records import FileRecord
from engram_context.renames.rename import rename
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text

VALID = '''"""Canary of the module.

Canary again.
"""
from dataclasses import dataclass, field
from typing import Final, Optional

from vaults import Vault

__all__ = ["LIMITS", "Account", "opened"]

LIMITS: Final = {"canary_key": ["canary", "canary_b"], "c": {"canary_d", "canary_e"}, 87654: b"canary", 12: 34.5}
PIN = 987  # canary
WORD, MORE = "canary_word", f"canary {PIN} {'canary'!r}" "canary" r'canary\\d'


@dataclass
class Account:
    """Canary of a class."""

    vaults: list["Vault"] = field(default_factory=list)
    key: str = "canary"
    mark: str = f"{'canary'} {'canary_mark'}"


def opened(account: Account, key: str = "canary_default", times=987, *, other: Optional["Vault"] = None) -> "Vault":
    """Canary of a function."""
    if key == "canary" or getattr(account, "canary_name", None) or other:
        raise ValueError("canary", WORD, MORE)
    return account.vaults[times]
'''
FOREIGN = {
    "credentials.c": '#include "vaults.h"\n#define KEY "canary"\n// canary\nchar *key = "canary";\n',
    "credentials.js": (
        'import {Vault} from "./vaults.js"\n/** canary */\nexport function opened(key = "canary") { return `canary ${Vault}`'
        '}\nexport const key = ["canary", "canary_b"], mark = /canary/\n'
    ),
    "credentials.go": 'package a\n\nimport "example.com/vaults"\n\n// canary\nconst Key = "canary"\nvar v = vaults.New(987)\n',
}


def snapshot_of(files: dict[str, str]) -> Snapshot:
    texts = {path: Text.of(source) for path, source in files.items()}
    records = {
        path: (read_names if path.startswith("credentials") else read_record)(text, language_of(path) or "text")
        for path, text in texts.items()
    }
    return Snapshot.empty(texts.get).after(records)


def names_in(record: FileRecord) -> list[tuple[int, str, str]]:
    return [(one.span.start, one.name, one.role) for one in record.occurrences]


@pytest.mark.parametrize(("path", "source"), [("credentials.py", VALID), *FOREIGN.items()])
def test_names_are_as_in_any_file_and_values_are_absent(path: str, source: str) -> None:
    language = language_of(path) or ""
    text = Text.of(source)
    whole, record = read_record(text, language), read_names(text, language)
    assert (record.digest, record.size, record.errors) == (whole.digest, whole.size, whole.errors)
    assert names_in(record) == names_in(whole)
    assert (record.exports, list(record.imports)) == (whole.exports, list(whole.imports))
    assert list(record.imports)
    assert b"canary" in whole.to_bytes().lower()
    assert b"canary" not in record.to_bytes().lower()
    assert FileRecord.from_bytes(record.to_bytes()) == record


def test_numbers_are_absent() -> None:
    record = read_names(Text.of(VALID), "python")
    assert {(value.first, value.second) for value in record.values if value.kind in ("str", "bytes", "int")} == {(0, 0)}
    assert not any("9" in symbol.detail or "1" in symbol.detail or symbol.doc for symbol in record.symbols)


def test_a_signature_has_dots_for_what_its_literals_say() -> None:
    details = {symbol.name: symbol.detail for symbol in read_names(Text.of(VALID), "python").symbols}
    assert details["opened"].startswith(
        "def opened(account: Account, key: str = ..., times=..., *, other: Optional[...]"
    )
    assert details["mark"] == ""


def test_nothing_is_found_in_a_valid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(variable, raising=False)
    environment = Environment.discover(tmp_path / "no-project")
    files = {"credentials.py": VALID, "vaults.py": "class Vault:\n    pass\n\n\nLAST = Vault()\n"}
    assert findings(snapshot_of(files), "credentials.py", environment) == ()


def test_a_class_is_renamed_in_types_that_are_strings_and_in_exports() -> None:
    files = {
        "vaults.py": "class Vault:\n    pass\n",
        "credentials.py": 'from vaults import Vault\n\n__all__ = ["Vault"]\nKEY = "Vault"\nALL: list["Vault"] = []\n',
    }
    result = rename(snapshot_of(files), Place("vaults.py", len("class ")), "Safe")
    assert isinstance(result, ProjectEdit)
    texts = {path: Text.of(source) for path, source in files.items()}
    after = result.certain.texts_after(texts)["credentials.py"]
    assert after.data.decode() == files["credentials.py"].replace("Vault", "Safe").replace(
        'KEY = "Safe"', 'KEY = "Vault"'
    )


def test_a_broken_file_has_the_errors_that_it_has() -> None:
    source = 'KEY = "canary"\nOTHER = ["canary", (\ndef opened():\n    return KEY\n'
    whole, record = read_record(Text.of(source), "python"), read_names(Text.of(source), "python")
    assert record.errors == whole.errors != ()
    assert b"canary" not in record.to_bytes()


def test_a_broken_file_has_no_signature_that_a_string_could_be_in() -> None:
    source = 'def opened(key="a"canary"):\n    pass\n\nKEY = "" canary-b c"\n'
    record = read_names(Text.of(source), "python")
    assert record.errors
    assert not any(symbol.detail for symbol in record.symbols)
