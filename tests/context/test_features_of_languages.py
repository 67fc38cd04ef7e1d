"""What is not only Python's: signatures, calls, tokens, folds and selections of other languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import parse
from engram_context.text import Place, Span
from engram_context.views.call_hierarchy import definitions_at, incoming, outgoing, show
from engram_context.views.folding import folds
from engram_context.views.highlight import highlights
from engram_context.views.lenses import lenses
from engram_context.views.selection import selections
from engram_context.views.semantic import TOKEN_TYPES, semantic_tokens
from engram_context.views.signatures import signature_help
from engram_context.views.type_hierarchy import classes_at, implementations, subtypes, supertypes
from fixture import Fixture, parse_fixture, starts

TYPESCRIPT = """
    -- a.ts --
    import { greet, Shape } from "./b";
    // one
    // two
    class Square extends Shape {
      side: number;
      constructor(side: number) { super(side); this.side = side; }
      draw(times: number, label: string): void {
        for (let i = 0; i < times; i++) {
          greet(label, $0 3);
        }
      }
    }
    const s = new Square(3);
    s.draw(2, "a");
    -- b.ts --
    export function greet(name: string, count: number): void { }
    export class Shape { constructor(n: number) {} }
"""
GO = """
    -- m.go --
    package main

    func Add(left int, right int) int {
        return left + right
    }

    type Point struct {
        X int
    }

    func (p *Point) Move(dx int) {
        p.X += Add(dx, $0 2)
    }
"""
RUST = """
    -- m.rs --
    struct P<'a> { x: &'a i32 }
    impl<'a> P<'a> {
        fn go(&self, by: i32) -> i32 { add(by, $0 2) }
    }
    fn add(left: i32, right: i32) -> i32 {
        left + right
    }
"""
JAVA = """
    -- A.java --
    public class A {
        private int size = 1;
        public int add(int left, int right) {
            return left + right + this.size;
        }
        void go() {
            add(1, $0 2);
        }
    }
"""
ALL = pytest.mark.parametrize("source", [TYPESCRIPT, GO, RUST, JAVA], ids=["ts", "go", "rust", "java"])


def place_of(fixture: Fixture, word: str, after: str = "") -> Place:
    path, source = fixture.cursor.path, fixture.files[fixture.cursor.path]
    return Place(path, len(source[: source.index(word, source.index(after))].encode()))


@ALL
def test_the_second_argument_is_for_the_second_parameter(source: str) -> None:
    fixture = parse_fixture(source)
    found = signature_help(fixture.snapshot(), fixture.cursor)
    assert found is not None
    (signature,) = found.signatures
    assert signature.active == 1
    assert signature.parameters[1].name in ("count", "right")


@ALL
def test_calls_lead_from_caller_to_callee_and_back(source: str) -> None:
    fixture = parse_fixture(source)
    snapshot = fixture.snapshot()
    before = fixture.files[fixture.cursor.path].encode()[: fixture.cursor.offset].decode()
    name = next(name for name in ("greet", "Add", "add") if f"{name}(" in before.splitlines()[-1])
    (callee,) = definitions_at(snapshot, Place(fixture.cursor.path, len(before[: before.rindex(name)].encode())))
    (calls,) = [call for call in incoming(snapshot, callee) if show(snapshot, call.definition)]
    caller = show(snapshot, calls.definition)
    assert caller is not None and caller.name in ("draw", "Move", "go")
    assert callee in [call.definition for call in outgoing(snapshot, calls.definition)]


@ALL
def test_every_token_is_a_name_and_the_defined_ones_have_their_kinds(source: str) -> None:
    fixture = parse_fixture(source)
    path = fixture.cursor.path
    tokens, text = semantic_tokens(fixture.snapshot(), path), fixture.text(path)
    assert tokens is not None and text is not None
    rows = zip(tokens.start.tolist(), tokens.end.tolist(), tokens.type.tolist(), strict=True)
    kinds = {(text.slice(Span(start, end)), TOKEN_TYPES[kind]) for start, end, kind in rows}
    expected = {
        "a.ts": {
            ("Square", "class"),
            ("side", "property"),
            ("side", "parameter"),
            ("draw", "method"),
            ("i", "variable"),
        },
        "m.go": {
            ("Add", "function"),
            ("Point", "struct"),
            ("X", "property"),
            ("Move", "method"),
            ("left", "parameter"),
        },
        "m.rs": {("P", "struct"), ("x", "property"), ("go", "method"), ("add", "function"), ("left", "parameter")},
        "A.java": {("A", "class"), ("size", "property"), ("add", "method"), ("left", "parameter")},
    }
    assert expected[path] <= kinds


@ALL
def test_bodies_fold_up_to_their_closing_brackets(source: str) -> None:
    fixture = parse_fixture(source)
    path = fixture.cursor.path
    text = fixture.text(path)
    assert text is not None
    tree = parse(text, language_of(path) or "")
    assert tree is not None
    lines = text.decode().splitlines()
    found = folds(tree, text)
    assert len(found) >= 2
    for fold in found:
        if fold.kind is None:
            assert lines[fold.start].rstrip().endswith("{")
            assert lines[fold.end + 1].strip().startswith("}")
    spans = selections(tree, text, fixture.cursor.offset)
    assert spans[-1] == Span(0, len(text)) and len(spans) > 4


def test_lenses_and_highlights_know_members() -> None:
    fixture = parse_fixture(JAVA)
    text = fixture.text("A.java")
    assert text is not None
    assert [text.slice(span) for span in lenses(fixture.snapshot(), "A.java")] == ["A", "add", "go"]
    found = highlights(fixture.snapshot(), place_of(fixture, "size"))
    assert [one.access for one in found] == ["write", "read"]


@pytest.mark.parametrize(
    "source",
    [
        """
        -- a.ts --
        import { Shape, Named } from "./b";
        export class $1Square extends Shape implements Named { $2draw() {} }
        -- b.ts --
        export interface $3$0Named { draw(): void }
        export class Shape { draw() {} }
        export interface $4More extends Named {}
        """,
        """
        -- p/A.java --
        package p;
        public class $1A extends B implements I { void $2go() {} }
        -- p/B.java --
        package p;
        public class B { void go() {} }
        -- p/I.java --
        package p;
        public interface $3$0I { void go(); }
        """,
    ],
    ids=["ts", "java"],
)
def test_what_implements_an_interface_lies_below_it(source: str, tmp_path: Path) -> None:
    fixture = parse_fixture(source)
    snapshot, environment = fixture.snapshot(), Environment.discover(tmp_path)
    (interface,) = classes_at(snapshot, fixture.cursor)
    below = subtypes(snapshot, interface, environment)
    classes = {place for number, place in fixture.marks.items() if number not in (0, 2)}
    found = implementations(snapshot, fixture.cursor, environment)
    assert set(starts(found)) == classes
    assert len(below) == len(classes) - 1
    assert all(interface in supertypes(snapshot, one) for one in below)
