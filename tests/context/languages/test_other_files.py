"""Languages whose grammar happens to be installed, and files that are no code at all."""

from pathlib import Path

import pytest
from engram_context.disk.indexing import Coding
from engram_context.edits import Refusal
from engram_context.languages import language_of
from engram_context.project import Project
from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.renames.rename import rename
from engram_context.text import Text
from fixture import parse_fixture


def by_bytes(_: str):
    return lambda text: [1 + byte for byte in text.encode()]


CODING = Coding(by_bytes, "", 257, "bytes")


def test_an_installed_grammar_gives_symbols():
    pytest.importorskip("tree_sitter_ruby")
    fixture = parse_fixture(
        "-- a.rb --\nmodule M\n  class Box\n    def $0grow(by)\n      grow(1)\n    end\n  end\nend\n"
    )
    snapshot = fixture.snapshot()
    (module,) = snapshot.document_symbols("a.rb")
    (box,) = module.children
    assert [(node.symbol.kind, node.symbol.name) for node in (module, box, *box.children)] == [
        ("namespace", "M"),
        ("class", "Box"),
        ("method", "grow"),
    ]
    assert [symbol.name for _, symbol in snapshot.workspace_symbols("Box")] == ["Box"]
    assert isinstance(rename(snapshot, fixture.cursor, "shrink"), Refusal)
    record = snapshot.records["a.rb"]
    assert FileRecord.from_bytes(record.to_bytes()) == record


def test_a_grammar_without_a_query_for_tags_gives_what_looks_like_a_definition():
    pytest.importorskip("tree_sitter_bash")
    record = read_record(Text.of("greet() {\n  echo hi\n}\n"), "bash")
    assert [(symbol.kind, symbol.name) for symbol in record.symbols] == [("function", "greet")]


def test_without_a_grammar_the_text_alone_is_known():
    record = read_record(Text.of("program x\nend program\n"), "fortran")
    assert (len(record.symbols), record.language) == (0, "fortran")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("README.md", True),
        ("Makefile", True),
        ("a/b/Dockerfile", True),
        ("conf.yaml", True),
        ("package-lock.json", False),
        ("yarn.lock", False),
        ("app.min.js", False),
        ("logo.png", False),
        ("data.csv", False),
        ("LICENSE", False),
        ("noext", False),
    ],
)
def test_which_files_are_read(name: str, read: bool):
    assert (language_of(name) is not None) == read


def test_text_is_learned_from_within_limits(tmp_path: Path):
    (tmp_path / "notes.md").write_text("remember the milk\n")
    (tmp_path / "long.txt").write_text("word\n" * 40_000)
    (tmp_path / "mini.js").write_text("var a=1;" * 2_000)
    (tmp_path / "table.c").write_text("int t[] = {\n" + "1234, 5678, 9012,\n" * 1_000 + "};\n")
    (tmp_path / "code.ts").write_text("export const x = 1;\n")
    project = Project(tmp_path, CODING, cache_folder=tmp_path / ".cache", workers=0)
    project.apply(project.load())
    assert set(project.snapshot.records) == {"notes.md", "table.c", "code.ts"}
    assert project.memory.text("notes.md") is not None and len(project.memory.text("notes.md")) > 10
    assert not len(project.memory.text("table.c"))
    assert "minified" in (project.why_not("mini.js") or "")
    project.close_project()
