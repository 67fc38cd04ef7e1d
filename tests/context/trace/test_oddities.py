"""Code that contradicts itself, and code that is written otherwise wherever else it is."""

import pytest
from engram_context.text import Span, Text
from engram_context.trace.oddities import oddities
from engram_context.trace.syntax import Syntax
from engram_context.trace.written import Written


def odd_in(source: str) -> list[str]:
    """The places of the one def of a source that are odd."""
    text = Text.of(source.encode())
    node = Syntax(text).definition(Span(0, len(text.data)))
    assert node is not None
    return [text.slice(span) for span in sorted(oddities(node), key=lambda one: one.start)]


def body(*lines: str, name: str = "f") -> str:
    return f"def {name}(self, x, y):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("return x[0:]",), "0:"),
        (("return x[:0]",), ":0"),
        (("return x[len(y) - 1 :]",), "len(y) - 1 :"),
        (("return x[len(x)]",), "x[len(x)]"),
        (("for at in range(len(x) + 1):", "    print(at)"), "range(len(x) + 1)"),
        (("return max(x[1], x[1])",), "(x[1], x[1])"),
        (("return x[-1], x[1:]",), "return x[-1], x[1:]"),
        (("return x[2:-1]",), "return x[2:-1]"),
        (("if x in y:", "    raise KeyError(x)"), "if x in y:\n        raise KeyError(x)"),
        (("if x in y:", "    y[x] = []"), "if x in y:\n        y[x] = []"),
        (("if x not in y:", "    return y[x]"), "if x not in y:\n        return y[x]"),
        (("if isinstance(x, int):", "    raise TypeError"), "if isinstance(x, int):\n        raise TypeError"),
        (("if not x:", "    return x.name"), "x"),
        (("if x is None:", "    return x[0]"), "x"),
        (("if x is not None:", "    return 1", "y += 1", "return x.name"), "x"),
        (("if x is not None:", "    x = []"), "x"),
        (("return x.name if not x else y",), "x"),
        (("return y if x is not None else x()",), "x"),
    ],
)
def test_what_contradicts_itself_is_odd(lines: tuple[str, ...], expected: str) -> None:
    assert odd_in(body(*lines)) == [expected]


@pytest.mark.parametrize(
    "lines",
    [
        ("return x[1:], x[:-1], x[1:-1]",),
        ("return x[0], x[1:]",),
        ("return x[:-1], x[-1]",),
        ("return x[-1], x[0], x[1:]",),
        ("return x[len(y) :]",),
        ("return x[len(x) - 1]",),
        ("for at in range(len(x)):", "    print(at + 1)"),
        ("return max(x[1], x[2])",),
        ("if x not in y:", "    raise KeyError(x)"),
        ("if x not in y:", "    y[x] = []"),
        ("if x in y:", "    return y[x]"),
        ("if not isinstance(x, int):", "    raise TypeError"),
        ("if x:", "    return x.name"),
        ("if x is None:", "    x = []", "return x[0]"),
        ("if x is None:", "    return 1", "return x.name"),
        ("if x is not None:", "    x = list(x)"),
        ("if not x:", "    return len(x)"),
        ("return x.name if x else y",),
    ],
)
def test_what_goes_together_is_not_odd(lines: tuple[str, ...]) -> None:
    assert odd_in(body(*lines)) == []


@pytest.mark.parametrize(
    ("name", "operator", "is_odd"),
    [
        ("__le__", "<", True),
        ("__le__", "<=", False),
        ("__eq__", "!=", True),
        ("__lt__", "<", False),
        ("f", "!=", False),
    ],
)
def test_a_method_of_an_operator_compares_by_it(name: str, operator: str, is_odd: bool) -> None:
    assert odd_in(body(f"return x {operator} y", name=name)) == ([f"x {operator} y"] if is_odd else [])


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_half_written_code_makes_nothing_fail(cut: int) -> None:
    source = body("if x is not None:", "    return x[0:], x[len(x)]", "return x.name if not x else (y[2:-1], y[-1])")
    text = Text.of(source[: len(source) - cut].encode())
    node = Syntax(text).definition(Span(0, len(text.data)))
    assert node is None or list(oddities(node)) is not None


USUAL = b"""
def one(node):
    if node.parent is not None and node.depth < limit:
        return node.children[0]
def two(node):
    if node.parent is not None and node.depth < limit:
        return node.children[0]
"""
OTHER = b"""
def three(node):
    if node.parent is None and node.depth < limit:
        return node.children[-0]
"""


def test_what_is_written_otherwise_elsewhere_is_odd() -> None:
    written = Written({"usual.py": USUAL, "other.py": OTHER})
    found = list(written.odd("other.py", Span(0, len(OTHER))))
    assert [OTHER[one.span.start : one.span.end] for one in found if one.amount > 0.3] == [b"is"]
    assert all(0 < one.amount <= 1 for one in found)


def test_the_usual_way_is_not_odd_and_neither_is_what_nothing_is_like() -> None:
    written = Written({"usual.py": USUAL, "other.py": OTHER, "alone.py": b"def f(a):\n    return a.b[3] < a.c\n"})
    assert not list(written.odd("usual.py", Span(0, len(USUAL))))
    assert not list(written.odd("alone.py", Span(0, 100)))
    assert not list(written.odd("missing.py", Span(0, 100)))


def test_a_negation_that_all_others_have_is_missed() -> None:
    usual = b"if not context.ready:\n    wait(context)\n" * 3
    other = b"if context.ready:\n    wait(context)\n"
    (odd,) = Written({"usual.py": usual, "other.py": other}).odd("other.py", Span(0, len(other)))
    assert other[odd.span.start : odd.span.end] == b"if"


def test_only_the_places_in_the_span_are_asked_about() -> None:
    written = Written({"usual.py": USUAL, "other.py": OTHER})
    end = OTHER.index(b"is None")
    assert not list(written.odd("other.py", Span(0, end)))
    assert list(written.odd("other.py", Span(end, end + 1)))
