"""Copies in which one place was forgotten."""

import pytest
from engram_context.checks.misuse.hinted import uneven_hints
from engram_context.edits import apply
from fixture import parse_fixture


def found_in(source: str) -> list[str]:
    fixture = parse_fixture(source)
    text = fixture.text("main.py")
    assert text is not None
    return [text.slice(one.span) for one in uneven_hints(fixture.snapshot(), "main.py")]


UNEVEN = """
    def limits(left, right, scale):
        if left.value is None or left.value < left.least:
            left.value = scale * left.least
        if right.value is None or right.value < {right}.least:
            {other}.value = scale * right.least
"""


@pytest.mark.parametrize(
    ("right", "other", "is_found"), [("right", "left", 1), ("left", "right", 1), ("right", "right", 0)]
)
def test_the_one_place_that_was_not_changed_is_found(right: str, other: str, is_found: int):
    source = UNEVEN.format(right=right, other=other)
    assert found_in(source) == ["left"] * is_found
    for finding in uneven_hints(parse_fixture(source).snapshot(), "main.py"):
        text = parse_fixture(source).text("main.py")
        assert text is not None
        mended = apply(text, finding.fixes[0].edit.edits["main.py"])
        assert mended.data.decode() == parse_fixture(UNEVEN.format(right="right", other="right")).files["main.py"]


@pytest.mark.parametrize(
    "source",
    [
        # Two places were not changed: that is how it is meant.
        """
        def f(left, right):
            left.a = left.b + left.c + left.d + left.e
            right.a = right.b + right.c + left.d + left.e
        """,
        # The first speaks of both.
        """
        def f(left, right):
            left.a = left.b + left.c + left.d + right.e
            right.a = right.b + right.c + left.d + right.e
        """,
        # Not of one shape.
        """
        def f(left, right):
            left.a = left.b + left.c + left.d
            right.a = right.b + right.c - left.d(1)
        """,
        # The name that would be expected exists nowhere.
        """
        def f(a_left, a_right, b_left):
            print(a_left, a_left, a_left, b_left)
            print(a_right, a_right, a_right, b_left)
        """,
    ],
)
def test_what_may_be_meant_is_no_uneven_copy(source: str):
    assert found_in(source) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (
            "first.ok = first.value < first.low and first.on\nsecond.ok = second.value <= second.low and second.on\n",
            ["<="],
        ),
        (
            "first.ok = first.value < first.low and first.on\nsecond.ok = second.value < second.low or second.on\n",
            ["or"],
        ),
        # The other side of a range.
        ("first.ok = first.value < first.low and first.on\nsecond.ok = second.value > second.low and second.on\n", []),
        # Not the same but for names.
        (
            "first.ok = first.value < first.low and first.on\nsecond.ok = second.value <= second.high and first.off\n",
            [],
        ),
        ("a = f(a.x, a.y, 2)\nb = f(b.x, b.y, 2)\nc = f(c.x, c.y, 3)\n", ["3"]),
        ("a = f(a.x, a.y, 2)\nb = f(b.x, b.y, 3)\nc = f(c.x, c.y, 4)\n", []),
        ("a = f(a.x, a.y, 2)\nb = f(b.x, b.y, 3)\n", []),
    ],
)
def test_the_operator_or_number_that_its_neighbours_do_not_have_is_found(source: str, found: list[str]):
    assert found_in(source) == found


def test_types_that_stand_as_in_the_line_before_are_no_uneven_copy():
    source = "class A:\n    def __str__(self) -> str:\n        return self.str()\n"
    source += "    def __repr__(self) -> str:\n        return self.repr()\n"
    assert found_in(source) == []
