"""Reading one file: what is in a record, and that nothing keeps a record from being made."""

from __future__ import annotations

import ast
import os
import random
from dataclasses import MISSING
from pathlib import Path

import pytest
from engram_context import reader
from engram_context.codec import mentions, names_of
from engram_context.reader import parse, read_record
from engram_context.records import CONDITIONAL, PROPERTY, FileRecord, LazyRecord, Symbol, digest_if_known, value_row
from engram_context.text import Text
from engram_context.views.symbols import defined_names
from hypothesis import given, settings
from hypothesis import strategies as st

STDLIB = Path(os.__file__).parent
FILES = ("contextlib.py", "dataclasses.py", "typing.py", "asyncio/tasks.py", "enum.py", "socket.py")


def record_of(source: str) -> FileRecord:
    return read_record(Text.of(source), "python")


def symbol(record: FileRecord, name: str) -> Symbol:
    (found,) = (one for one in record.symbols if one.name == name)
    return found


def check_sound(text: Text, record: FileRecord) -> None:
    """What holds for every record of whatever text."""
    before = -1
    for occurrence in record.occurrences:
        assert text.slice(occurrence.span) == occurrence.name
        assert occurrence.span.start > before, "occurrences are in order and none stands twice"
        before = occurrence.span.start
        assert 0 <= occurrence.scope < len(record.scopes)
    for found in record.symbols:
        assert text.slice(found.span) == found.name
        assert found.occurrence < 0 or record.occurrences[found.occurrence].span == found.span
        assert found.body.start <= found.span.start or found.body.contains(found.span)
        for ref in (found.value, found.annotation, *found.decorators):
            assert -2 - len(record.values) < ref < len(record.occurrences)
    for scope in record.scopes:
        assert scope.parent is None if scope.index == 0 else 0 <= (scope.parent or 0) < scope.index
    for value in record.values:
        if value.kind in ("list", "tuple"):
            assert 0 <= value.first <= value.second <= len(record.values.pool)
        elif value.kind == "call":
            assert 0 <= value.second < len(record.calls)
    for call in record.calls:
        assert call.arguments.stop <= len(record.arguments)
    for problem in record.errors:
        assert 0 <= problem.span.start <= problem.span.end <= len(text)
        assert problem.message
    assert FileRecord.from_bytes(record.to_bytes()) == record


TOKENS = st.lists(
    st.sampled_from(
        [
            "def",
            "class",
            "lambda",
            "if",
            "else",
            "for",
            "in",
            "while",
            "with",
            "as",
            "try",
            "except",
            "import",
            "from",
            "return",
            "yield",
            "match",
            "case",
            "global",
            "nonlocal",
            "del",
            "async",
            "await",
            "a",
            "b",
            "Cé",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ":",
            ",",
            ".",
            "=",
            ":=",
            "->",
            "@",
            "*",
            "**",
            "+",
            "|",
            "1",
            "1.5",
            "'x'",
            "f'{a}'",
            '"""',
            "#",
            "\\",
            "\n",
            "\n",
            "",
            "\n\t",
            "type",
            "print",
            "...",
            "x:",
            "not",
            "is",
            "_",
            "__all__",
            "+=",
            ";",
        ]
    ),
    max_size=40,
)


@given(TOKENS)
@settings(max_examples=300, deadline=None)
def test_any_sequence_of_tokens_gives_a_sound_record(tokens: list[str]) -> None:
    text = Text.of(" ".join(tokens))
    check_sound(text, read_record(text, "python"))


@given(st.text(max_size=80))
@settings(deadline=None)
def test_any_text_gives_a_sound_record(source: str) -> None:
    text = Text.of(source)
    check_sound(text, read_record(text, "python"))


@pytest.mark.parametrize("name", FILES)
def test_a_library_file_cut_anywhere_gives_a_sound_record(name: str) -> None:
    data = (STDLIB / name).read_bytes()
    chance = random.Random(name)
    for _ in range(8):
        start, end = sorted(chance.randrange(len(data)) for _ in range(2))
        text = Text.of(data[: min(end - start, 20_000)].decode("utf-8", "ignore"))
        check_sound(text, read_record(text, "python"))
        text = Text.of(data[start : start + 5_000].decode("utf-8", "ignore"))
        check_sound(text, read_record(text, "python"))


@pytest.mark.parametrize("name", FILES)
def test_the_names_of_a_library_file_are_those_that_its_syntax_tree_has(name: str) -> None:
    source = (STDLIB / name).read_text(encoding="utf-8")
    record = record_of(source)
    text = Text.of(source)
    offset = {
        (node.lineno, node.col_offset): node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)
    }
    expected = {(text.line_start(line - 1) + column, name) for (line, column), name in offset.items()}
    found = {(one.span.start, one.name) for one in record.occurrences}
    assert expected <= found
    attributes = [node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    # String annotations may add some.
    mine = [one.name for one in record.occurrences if one.role in ("attribute", "attribute-write")]
    assert len(attributes) <= len(mine) <= len(attributes) + 10
    assert record.errors == ()


def test_deep_and_wide_sources_are_read() -> None:
    for source in (
        "(" * 5_000 + "x" + ")" * 5_000,
        "x" + ".y" * 20_000,
        "f" + "()" * 5_000,
        "x = " + " + ".join(["y"] * 20_000),
        "x = " + "[" * 3_000,
        "-" * 20_000 + "x",
        "a = " * 3_000 + "1",
        "\n".join(" " * at + "if x:" for at in range(300)) + "\n" + " " * 300 + "y",
        "lambda: " * 3_000 + "z",
        "x = [" + "1, " * 50_000 + "]",
        "def f():\n return " + "not " * 10_000 + "q",
        "x: " + "A[" * 2_000 + "B" + "]" * 2_000,
    ):
        text = Text.of(source)
        check_sound(text, read_record(text, "python"))


def test_the_same_bytes_give_the_same_record() -> None:
    data = (STDLIB / "contextlib.py").read_bytes()
    assert read_record(Text.of(data), "python") == read_record(Text.of(data), "python")
    assert read_record(Text.of(data), "python") != read_record(Text.of(data + b"x"), "python")


def test_a_damaged_record_is_a_value_error() -> None:
    data = record_of("def f(a): return a.b\n").to_bytes()
    for cut in range(0, len(data), 7):
        with pytest.raises(ValueError):
            FileRecord.from_bytes(data[:cut])
    with pytest.raises(ValueError):
        FileRecord.from_bytes(data + b"\0")
    with pytest.raises(ValueError):
        FileRecord.from_bytes(b"something else")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_parsing_again_after_an_edit_gives_the_record_of_the_new_text(data: st.DataObject) -> None:
    source = "import os\n\nclass A:\n    def f(self, x=1):\n        return [y for y in x]\n\nf = 'é😀'\n"
    text = Text.of(source)
    tree = parse(text, "python")
    assert tree is not None
    for _ in range(3):
        size = len(text)
        start = data.draw(st.integers(0, size))
        end = data.draw(st.integers(start, min(start + 12, size)))
        new = data.draw(st.sampled_from(["", "x", "\n", "    ", "(", ")", ":", "def g():\n", "\r\n", "'", "é"]))
        after = text.splice(start, end, new.encode())
        try:
            after.decode().encode()
            after.data.decode()
        except UnicodeError:
            continue
        tree = parse(after, "python", (tree, text), (start, end, start + len(new.encode())))
        assert tree is not None
        text = after
        assert read_record(text, "python", tree) == read_record(text, "python")


# --- what a record says -------------------------------------------------------------------------------


def test_signatures_are_one_line_and_docs_one_paragraph() -> None:
    record = record_of(
        'class A(B,\n        metaclass=M):\n    """What A is.\n\n    More."""\n'
        "    async def f(\n        self,  # who\n        x: int = 1,\n    ) -> str:\n"
        '        """Do f\n        slowly.\n\n        Details."""\n'
    )
    assert symbol(record, "A").detail == "class A(B, metaclass=M)"
    assert symbol(record, "A").doc == "What A is."
    assert symbol(record, "f").detail == "async def f(self, x: int = 1) -> str"
    assert symbol(record, "f").doc == "Do f\nslowly."
    assert symbol(record, "f").kind == "method"


def test_a_module_has_its_docstring() -> None:
    assert record_of('#!/bin/sh\n# a comment\n"""What it is.\n\nMore."""\nx = 1\n').doc == "What it is."
    assert record_of("x = 1\n").doc == ""


def test_decorators_are_known() -> None:
    record = record_of(
        "class A:\n    @property\n    def p(self): ...\n    @functools.cached_property\n    def q(self): ...\n"
    )
    assert symbol(record, "p").flags & PROPERTY
    assert symbol(record, "q").flags & PROPERTY
    assert symbol(record, "p").body.start < symbol(record, "p").span.start


def test_exports_are_collected_from_every_literal_form() -> None:
    record = record_of(
        "__all__ = ['a', \"b\"] + sub.__all__\n__all__ += ('c',)\n__all__.extend(['d'])\n__all__.append('e')\n"
        "if x:\n    __all__ += ['f']\n"
    )
    assert record.exports == ("a", "b", "sub.*", "c", "d", "e", "f")
    assert [one.name for one in record.occurrences if one.role == "string"] == list("abcdef")
    assert record_of("x = ['a']").exports is None
    assert record_of("__all__ = []").exports == ()


def test_imports_say_under_what_condition_they_run() -> None:
    record = record_of(
        "import a\nif TYPE_CHECKING:\n    import b\ntry:\n    import c\nexcept ImportError:\n    c = None\n"
        "def f():\n    import d\n    if x:\n        from e import g as h\nfrom ..p import *\nimport typing as t\n"
        "if t.TYPE_CHECKING:\n    from q import r\nelse:\n    r = None\n"
    )
    found = {one.bound_name: one for one in record.imports}
    assert [name for name, one in found.items() if one.conditional] == ["b", "c", "h", "r"]
    assert [name for name, one in found.items() if one.type_checking] == ["b", "r"]
    star = found["*"]
    assert (star.module, star.level, star.bound) == ("p", 2, None)
    assert (found["h"].module, found["h"].name, found["h"].alias) == ("e", "g", "h")
    assert symbol(record, "b").flags & CONDITIONAL
    assert not symbol(record, "d").flags & CONDITIONAL


def test_calls_have_their_arguments() -> None:
    record = record_of("f(a, *b, k=c.d, **e)(1)\n")
    outer, inner = record.calls
    shapes = [(one.keyword, one.stars) for one in (record.arguments[at] for at in inner.arguments)]
    assert shapes == [(None, 0), (None, 1), ("k", 0), (None, 2)]
    assert len(outer.arguments) == 1
    assert record.occurrences[inner.callee].name == "f"


BROKEN = {
    "x = (\n": "was never closed",
    "def f(:\n    pass\n": "invalid syntax",
    "class A\n    x = 1\n": "expected ':'",
    "print 'x'\n": "Missing parentheses",
    "x = 'abc\n": "unterminated string literal",
    "for x in range(3) print(x)\n": "invalid syntax",
    "if x = 1:\n    pass\n": "invalid syntax",
    "return x +\n": "invalid syntax",
    "foo.\n": "invalid syntax",
    "from a import\n": "invalid syntax",
    "def\n": "invalid syntax",
    "@\n": "invalid syntax",
    "a = b c\n": "invalid syntax",
}
AROUND = "class Before:\n    def first(self): ...\n\n{}\n\ndef after(x):\n    return x\n\nclass Last:\n    y = 1\n"


@pytest.mark.parametrize("line", BROKEN)
def test_one_broken_line_hides_nothing_around_it(line: str) -> None:
    source = AROUND.format(line)
    record = record_of(source)
    names = {one.name for one in record.symbols}
    assert {"Before", "first", "after", "x", "Last", "y"} <= names
    after = symbol(record, "after")
    assert (after.kind, after.scope) == ("function", 0)
    assert symbol(record, "Last").scope == 0
    with pytest.raises(SyntaxError):
        ast.parse(source)
    (problem, *_) = record.errors
    assert "\n" not in problem.message
    broken = Text.of(source).line_of(source.index(line))
    assert broken <= Text.of(source).line_of(problem.span.start) <= broken + 2


def test_two_broken_lines_are_two_problems() -> None:
    record = record_of("def f():\n    x = = 1\n\ndef g():\n    return )\n\ndef h(): ...\n")
    assert len(record.errors) == 2
    assert {"f", "g", "h"} <= {one.name for one in record.symbols}


def test_a_language_without_a_reader_gives_an_empty_record() -> None:
    record = read_record(Text.of("anything"), "nonsense")
    assert len(record.scopes) == 1
    assert not record.names
    assert FileRecord.from_bytes(record.to_bytes()) == record


def test_what_the_interpreter_accepts_is_no_problem_though_the_grammar_thinks_so() -> None:
    assert record_of("import sys\nprint >> sys.stderr, 'x'\nprint -1\n").errors == ()


def test_names_can_be_read_off_the_bytes_of_a_record() -> None:
    for source in ("", "import os\nclass A:\n    b = os.c\n    def d(self): self.e = été\n", "x"):
        record = record_of(source)
        data = record.to_bytes()
        names, defined = names_of(data)
        assert names == record.names
        assert set(defined) == defined_names(record)
        assert all(mentions(data, name.encode()) for name in names)
        assert not any(mentions(data, name) for name in (b"o", b"s", b"nowhere", b"Doc"))


def test_a_stored_record_says_what_is_known_of_its_file_before_it_is_decoded() -> None:
    record = record_of("def f(a): return a.b\n")
    stored = FileRecord.from_bytes(record.to_bytes())
    assert isinstance(stored, LazyRecord)
    assert digest_if_known(stored) == stored.digest == record.digest
    assert (stored.size, stored.line_count, stored.is_made) == (record.size, record.line_count, False)
    assert stored.names == record.names
    assert stored.is_made


def test_a_record_has_nothing_by_default() -> None:
    """A lazy record would take the default for the answer."""
    fields = FileRecord.__dataclass_fields__.values()
    assert all(field.default is MISSING and field.default_factory is MISSING for field in fields)


def test_the_interpreter_need_not_be_shown_what_comes_before_the_first_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are the same when it is shown everything."""
    random_ = random.Random(11)
    shown: list[int] = []
    broken: list[tuple[Text, tuple[object, ...]]] = []
    for file in FILES:
        lines = (STDLIB / file).read_text(encoding="utf-8").split("\n")
        for _ in range(12):
            at = random_.randrange(len(lines))
            changed = random_.choice(
                (lines[at][: len(lines[at]) // 2], lines[at] + " (", "    " + lines[at], "a " + lines[at])
            )
            text = Text.of("\n".join((*lines[:at], changed, *lines[at + 1 :])))
            broken.append((text, read_record(text, "python").errors))
    before = reader._line_before_errors
    monkeypatch.setattr(reader, "_line_before_errors", lambda tree: shown.append(before(tree)) or 0)
    for text, errors in broken:
        assert read_record(text, "python").errors == errors
    assert sum(line > 100 for line in shown) > 20


@pytest.mark.parametrize(
    ("source", "kind"),
    [("x = 'B{}'", "str"), ('x = "b - c"', "str"), ("x = f'b{y}'", "str"), ("x = b'a'", "bytes"), ("x = Rb'a{}'", "bytes")],
)  # fmt: skip
def test_a_text_is_bytes_by_its_prefix_alone(source: str, kind: str) -> None:
    record = record_of(source + "\n")
    row = value_row(record.symbols.value[record.bindings(0, "x")[0]])
    assert row is not None
    assert record.values[row].kind == kind
