"""What holds in every language, on one small program each."""

import re
import subprocess
import sys

import pytest
from engram_context.edits import ProjectEdit, Refusal
from engram_context.languages import language_of
from engram_context.reader import parse, read_record
from engram_context.records import FileRecord
from engram_context.renames.rename import rename
from engram_context.resolve import Resolver
from engram_context.text import Place, Text
from fixture import snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

PROGRAMS: dict[str, dict[str, str]] = {
    "typescript": {
        "lib.ts": "export interface Shape { area(): number }\nexport class Square implements Shape {\n  constructor(private side: number) {}\n  area() { return this.side ** 2 }\n}\nexport const make = (n: number): Shape => new Square(n);\nexport default make;\n",
        "app.tsx": "import make, { Square as S, type Shape } from './lib';\nimport * as lib from './lib';\nconst { side, ...rest } = read<{ side: number }>();\nfunction total(shapes: Shape[]) {\n  let sum = 0;\n  for (const shape of shapes) sum += shape.area();\n  return { sum, rest, lib: lib.make(side), s: <S n={sum}/> };\n}\n",
    },
    "javascript": {
        "util.js": "function greet(name) { return `hi ${name}`; }\nclass A { #x = 1; get x() { return this.#x } }\nmodule.exports = { greet, A: A };\n",
        "main.cjs": "const { greet, A } = require('./util');\nconst a = new A();\nvar out = greet(a.x);\nlabel: for (var i = 0; i < 2; i++) { if (out) continue label; }\n",
    },
    "go": {
        "go.mod": "module example.com/m\n",
        "shape/shape.go": "package shape\n\n// Shape has an area.\ntype Shape interface{ Area() int }\ntype Square struct{ Side int }\n\nfunc (s *Square) Area() int { return s.Side * s.Side }\nfunc New(side int) (*Square, error) { return &Square{Side: side}, nil }\n",
        "main.go": 'package main\n\nimport (\n\t"fmt"\n\n\tsh "example.com/m/shape"\n)\n\nfunc main() {\n\tx, err := sh.New(2)\n\tif y, err := sh.New(3); err == nil {\n\t\tfmt.Println(y.Area(), x.Side)\n\t}\n\tswitch v := any(x).(type) {\n\tcase sh.Shape:\n\t\t_ = v.Area()\n\t}\n\t_ = err\n}\n',
    },
    "rust": {
        "src/lib.rs": 'pub mod shape;\nuse shape::{Shape, Square as S};\npub fn total(all: &[S]) -> u32 {\n    let mut sum = 0;\n    for one in all { let sum2 = sum + one.area(); sum = sum2; }\n    println!("{sum} {}", all.len());\n    if let Some(first) = all.first() { first.area() } else { sum }\n}\n',
        "src/shape.rs": "pub trait Shape { fn area(&self) -> u32; }\npub struct Square { pub side: u32 }\nimpl Shape for Square { fn area(&self) -> u32 { self.side * self.side } }\nimpl Square { pub fn new(side: u32) -> Self { Self { side } } }\n",
    },
    "java": {
        "p/Shape.java": "package p;\npublic interface Shape { int area(); }\n",
        "p/Square.java": "package p;\nimport java.util.List;\npublic class Square<T extends Shape> implements Shape {\n  private final int side;\n  public Square(int side) { this.side = side; }\n  @Override public int area() { int area = side * side; return area; }\n  static int total(List<Shape> all) { int sum = 0; for (Shape one : all) { sum += one.area(); } return sum; }\n}\n",
    },
    "cpp": {
        "shape.h": "#define TWICE(x) ((x) + (x))\nnamespace geo {\nclass Shape { public: virtual int area() const = 0; };\nclass Square : public Shape {\n public:\n  explicit Square(int side);\n  int area() const override;\n private:\n  int side_;\n};\n}\n",
        "shape.cpp": '#include "shape.h"\nnamespace geo {\nSquare::Square(int side) : side_(side) {}\nint Square::area() const { return side_ * side_; }\n}\nint total() { geo::Square s(2); auto *p = &s; return TWICE(s.area()) + p->area(); }\n',
    },
    "c": {
        "list.h": "struct node { int value; struct node *next; };\ntypedef struct node node_t;\nint length(const node_t *first);\n",
        "list.c": '#include "list.h"\nstatic int one = 1;\nint length(const node_t *first) {\n  int n = 0;\n  for (; first; first = first->next) n += one;\n  return n;\n}\n',
    },
}
FILES = [(language, path) for language, files in PROGRAMS.items() for path in files]


@pytest.mark.parametrize(("language", "path"), FILES)
def test_a_record_survives_the_store(language: str, path: str):
    text = Text.of(PROGRAMS[language][path])
    record = read_record(text, language_of(path) or "")
    assert FileRecord.from_bytes(record.to_bytes()) == record
    assert not record.errors
    for occurrence in record.occurrences:
        assert text.slice(occurrence.span) == occurrence.name


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_snapshot_reached_by_edits_answers_as_one_made_from_scratch(language: str):
    files = dict(PROGRAMS[language])
    snapshot = snapshot_of(files)
    for path in files:
        if language_of(path) in ("go-module", None):
            continue
        old = Text.of(files[path])
        new = old.splice(0, 0, b"\n\n")
        tree = parse(new, language_of(path) or "", (parse(old, language_of(path) or ""), old), (0, 0, 2))  # type: ignore[arg-type]
        files[path] = new.decode()
        snapshot = snapshot.after({path: read_record(new, language_of(path) or "", tree)})
    scratch = snapshot_of(files)
    for path, record in scratch.records.items():
        assert snapshot.records[path] == record
        one, other = Resolver(snapshot), Resolver(scratch)
        for index in range(len(record.occurrences)):
            assert one.meanings(path, index, aliases=True) == other.meanings(path, index, aliases=True)


@pytest.mark.parametrize(("language", "path"), FILES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_broken_code_is_read_and_asked_about(language: str, path: str, data: st.DataObject):
    source = PROGRAMS[language][path].encode()
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, min(start + 30, len(source))))
    junk = data.draw(
        st.sampled_from([b"", b"(", b"}", b"'", b"<", b"::", b"\xed\xa0\x80", "é".encode(), b"/*", b"if (", b"."])
    )
    broken = source[:start] + junk + source[end:]
    text = Text.of(broken)
    record = read_record(text, language_of(path) or "")
    assert FileRecord.from_bytes(record.to_bytes()) == record
    files = {**PROGRAMS[language], path: text.decode()}
    snapshot = snapshot_of(files)
    for index in range(len(snapshot.records[path].occurrences)):
        offset = snapshot.records[path].occurrences.start[index]
        snapshot.definitions(Place(path, offset))
    snapshot.hover(Place(path, start))
    snapshot.document_symbols(path)
    snapshot.candidates(Place(path, min(start, len(text))))


@pytest.mark.parametrize(("language", "path"), FILES)
def test_every_mention_can_be_asked_about_and_renamed_or_refused(language: str, path: str):
    snapshot = snapshot_of(PROGRAMS[language])
    record = snapshot.records[path]
    for occurrence in record.occurrences:
        place = Place(path, occurrence.span.start)
        mentions = snapshot.references(place)
        if mentions and not occurrence.name.startswith("."):
            here = [at for at in mentions if at.path == path and at.span.start == place.offset]
            assert here, occurrence
        result = rename(snapshot, place, "other_name" if occurrence.name[0].islower() else "OtherName")
        assert isinstance(result, ProjectEdit | Refusal)
        if isinstance(result, ProjectEdit):
            assert any(edit.span.start == place.offset for edit in result.edits.get(path, ())), occurrence


@pytest.mark.parametrize(("language", "path"), FILES)
def test_a_rename_and_back_is_the_text_as_it_was(language: str, path: str):
    files = PROGRAMS[language]
    snapshot = snapshot_of(files)
    for occurrence in snapshot.records[path].occurrences:
        new_name = "OtherName" if occurrence.name[0].isupper() else "otherName"
        result = rename(snapshot, Place(path, occurrence.span.start), new_name)
        if (
            isinstance(result, Refusal)
            or result.moves
            or any(re.search(r"\W", e.new_text) for es in result.edits.values() for e in es)
        ):
            continue
        texts = {name: Text.of(source) for name, source in files.items()}
        after = {**texts, **result.texts_after(texts)}
        edited = snapshot_of({name: text.decode() for name, text in after.items()})
        moved = next(edit for edit in result.edits[path] if edit.span.start == occurrence.span.start)
        shift = sum(len(e.new_text) - len(e.span) for e in result.edits[path] if e.span.start < moved.span.start)
        back = rename(edited, Place(path, moved.span.start + shift), occurrence.name)
        assert isinstance(back, ProjectEdit), (occurrence, back)
        assert {**after, **back.texts_after(after)} == texts, occurrence


def test_a_python_project_loads_no_other_grammar():
    code = (
        "import sys; from engram_context.project import Project; from engram_context.reader import read_record;"
        "from engram_context.text import Text; read_record(Text.of('x = 1'), 'python');"
        "print({name.partition('.')[0] for name in sys.modules if name.startswith('tree_sitter_')})"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "{'tree_sitter_python'}"
