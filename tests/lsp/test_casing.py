"""One file has one document and one path, however its client spells it."""

from pathlib import Path

import pytest
from engram_context.disk.casing import Casing
from engram_lsp import convert
from engram_lsp.documents import Documents
from engram_lsp.folder import Folder, Loose
from lsprotocol import types


def test_a_folder_knows_a_file_by_its_spelling_on_disk(tmp_path: Path) -> None:
    folder = Folder.of(tmp_path, Loose(tmp_path, None))
    names = {tmp_path: ["Shop"], tmp_path / "Shop": ["Prices.py"]}
    folder.casing = Casing(tmp_path, names_in=names.__getitem__)
    spellings = [tmp_path / "shop" / "prices.py", tmp_path / "SHOP" / "Prices.PY", tmp_path / "Shop" / "Prices.py"]
    assert {folder.path_of(file) for file in spellings} == {"Shop/Prices.py"}
    assert folder.paths_of(spellings) == frozenset({"Shop/Prices.py"})
    assert folder.path_of(tmp_path.parent / "elsewhere.py") is None


def test_two_spellings_are_one_document_where_case_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "MAC", True)
    monkeypatch.setattr(convert, "_ignores_case", lambda _: True)
    documents = Documents()
    one, other = (convert.uri_of(tmp_path / name) for name in ("Caf\u00e9.py", "CAFE\u0301.py"))
    documents.open(types.TextDocumentItem(one, "python", 1, "x = 1\n"))
    found = documents.get(other)
    assert found is not None and found.uri == one
    monkeypatch.setattr(convert, "_ignores_case", lambda _: False)
    documents = Documents()
    documents.open(types.TextDocumentItem(one, "python", 1, "x = 1\n"))
    assert documents.get(other) is None


def test_a_name_that_tells_of_secrets_is_no_document_to_answer_about(tmp_path: Path) -> None:
    documents = Documents()
    for name, read in [(".env", False), ("id_rsa", False), ("server.key", False), ("a.py", True), ("x", True)]:
        item = types.TextDocumentItem(convert.uri_of(tmp_path / name), "python", 1, "x = 1\n")
        assert documents.open(item).is_read is read, name
