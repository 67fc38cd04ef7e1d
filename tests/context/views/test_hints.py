"""Parameter names and types between the lines."""

from __future__ import annotations

from engram_context.edits import apply
from engram_context.text import Place, Span, Text
from engram_context.views.hints import Hint, Wishes, hints
from fixture import Fixture, parse_fixture


def hints_of(fixture: Fixture, wishes: Wishes, span: Span | None = None) -> tuple[Hint, ...]:
    path = next(iter(fixture.files))
    return hints(fixture.snapshot(), path, span or Span(0, len(fixture.files[path].encode())), wishes)


def check(source: str, *labels: str, wishes: Wishes | None = None) -> None:
    """The hints stand at `$1`, `$2`, ... and have these labels."""
    fixture = parse_fixture(source)
    path = next(iter(fixture.files))
    found = hints_of(fixture, wishes or Wishes())
    assert [(hint.label, Place(path, hint.offset)) for hint in found] == list(zip(labels, fixture.answers, strict=True))


def test_literal_arguments_say_what_they_are_for() -> None:
    check(
        """
        def connect(host, port, *more, timeout=1): ...
        connect($1"a.example", $2[80], 3, timeout=4)
        connect(name, 80 + 1)
        class A:
            def move(self, left: int, top: int): ...
        A().move($3None, $4...)
        """,
        "host=", "port=", "left=", "top=",
    )  # fmt: skip


def test_all_arguments_say_so_when_that_is_wanted() -> None:
    source = "def connect(host, port): ...\nconnect($1name, $2a.b)\nconnect(host, self.port)\n"
    check(source, "host=", "port=", wishes=Wishes(parameters="all"))
    check(source.replace("$1", "").replace("$2", ""), wishes=Wishes(parameters="none"))


def test_what_says_nothing_new_is_left_out() -> None:
    check("def f(name, x, _y): ...\nf('name', 1, 2)")
    check("def sleep(seconds): ...\nsleep(1)")
    check("def f(a, /, bb): ...\nf(1, bb=2)")
    check("def f(aa, bb): ...\nf(*x, 1)")
    check("unknown(1, 2)")


def test_data_classes_say_their_fields() -> None:
    source = """
        from dataclasses import dataclass
        @dataclass
        class Point:
            left: int
            top: int = 0
        Point($1None, $2[])
    """
    check(source, "left=", "top=")


def test_callees_that_differ_say_nothing() -> None:
    check("def f(aa, bb): ...\ndef g(cc, dd): ...\n(f if x else g)(1, 2)")


def test_variables_show_types_that_are_declared_elsewhere() -> None:
    check(
        """
        class A: ...
        def make() -> A: ...
        def guess(): return A()
        plain = A()
        known$1 = make()
        unknown = guess()
        async def go(a: A):
            also$2 = a
            declared: A = make()
        """,
        ": A", ": A",
    )  # fmt: skip


def test_types_of_the_standard_library_and_unions_are_shown() -> None:
    check(
        """
        def f(text: str, table: dict[str, int], other):
            parts$1 = text.split(",")
            found$2 = table.get("a")
            count = other.count(text)
            for word$3 in parts:
                size$4 = len(word)
            nothing = print()
            file$5 = open(text, "rb")
            other = open(text, other)
            total = sum(each for each in other)
            whole$6 = sum([1, 2])
        """,
        ": list[str]", ": int | None", ": str", ": int", ": BufferedReader", ": int",
    )  # fmt: skip


def test_what_is_to_be_seen_or_only_in_passing_has_no_type() -> None:
    check(
        """
        class A:
            def __enter__(self) -> "A": ...
            def __exit__(self, *_): ...
        def make() -> A: ...
        with A() as plain, make() as known$1: ...
        try: ...
        except ValueError as error: ...
        print([word for word in "a b".split()])
        """,
        ": A",
    )  # fmt: skip


def test_a_type_can_be_written_where_its_name_is_in_sight() -> None:
    fixture = parse_fixture("""
        -- app.py --
        from util import make
        x = make()
        -- util.py --
        class A: ...
        def make() -> A: ...
        y = make()
        a = b = make()
        z = make()
        z = None
        def f():
            A = 1
            w = make()
        """)
    (hint,) = hints_of(fixture, Wishes())
    assert (hint.label, hint.edit) == (": A", None)
    assert hint.location is not None and hint.location.path == "util.py"
    snapshot = fixture.snapshot()
    found = hints(snapshot, "util.py", Span(0, 200), Wishes())
    edits = [hint.edit for hint in found if hint.edit is not None]
    assert apply(Text.of(fixture.files["util.py"]), edits).decode() == (
        "class A: ...\ndef make() -> A: ...\ny: A = make()\na = b = make()\nz = make()\nz = None\n"
        "def f():\n    A = 1\n    w = make()\n"
    )


def test_what_a_def_returns_is_shown_when_it_cannot_be_anything_else() -> None:
    check(
        """
        class A: ...
        def one(a: A)$1:
            if a: return a
            return a
        def two(a: A):
            if a: return a
        def three(a: A, b):
            if b: return b
            return a
        def four(a: A) -> A: return a
        def five(a: A):
            yield a
        """,
        " -> A",
        wishes=Wishes(variables=False, returns=True),
    )


def test_only_hints_in_the_span_are_given() -> None:
    fixture = parse_fixture("def f(aa, bb): ...\nf(1, 2)\nf(3, 4)\n")
    assert [hint.offset for hint in hints_of(fixture, Wishes(), Span(19, 25))] == [21, 24]


def test_a_record_that_lags_behind_its_text_has_no_hints() -> None:
    fixture = parse_fixture("def f(aa, bb): ...\nf(1, 2)\n")
    snapshot = fixture.snapshot()
    lagging = type(snapshot)(1, snapshot.records, lambda _: Text.of("x"))
    assert hints(lagging, "main.py", Span(0, 100), Wishes()) == ()
