"""Arguments that stand crosswise, copies in which one place was forgotten, words that are spelled in two ways."""

from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from fixture import parse_fixture

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]

MOVE = """\
-- files.py --
def move(source, target, mode=0):
    return source, target, mode
class Mover:
    def __init__(self, source, target): ...
    def move(self, source, target): ...
-- main.py --
"""


@pytest.mark.parametrize(
    ("call", "is_found"),
    [
        ("move(target, source)", True),
        ("move(source, target)", False),
        ("move(target, source, 1)", True),
        ("move(self.target, self.source)", True),
        ("move(self._target, source)", True),
        ("move(target, mode)", False),
        ("move(target, target)", False),
        ("move(target, source=source)", False),
        ("move(*target, source)", False),
        ("move(target(), source)", False),
        ("Mover(target, source)", True),
        ("Mover(source, target).move(target, source)", True),
        ("unknown(target, source)", False),
    ],
)
def test_arguments_with_each_others_names_are_found(check: Check, call: str, is_found: bool):
    source = f"{MOVE}from files import Mover, move\ndef run(self, source, target, mode):\n    {call}\n"
    found = check(source, "swapped-arguments")
    assert bool(found) == is_found


@pytest.mark.parametrize("name", ["move_back", "reversed_move", "swap", "move"])
def test_a_function_that_turns_things_by_its_name_is_left_alone(check: Check, name: str):
    source = f"{MOVE}import files\ndef {name}(source, target):\n    files.move(target, source)\n"
    assert check(source, "swapped-arguments") == []


def test_swapping_the_arguments_mends_the_call(all_findings: AllFindings):
    source = f"{MOVE}from files import move\ndef run(source, a):\n    move(a.target,  source)\n"
    (finding,) = (one for one in all_findings(source)["main.py"] if one.code == "swapped-arguments")
    text = parse_fixture(source).text("main.py")
    assert text is not None
    assert apply(text, finding.fixes[0].edit.edits["main.py"]).data.endswith(b"move(source,  a.target)\n")


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
def test_the_one_place_that_was_not_changed_is_found(
    check: Check, all_findings: AllFindings, right: str, other: str, is_found: int
):
    source = UNEVEN.format(right=right, other=other)
    found = check(source, "uneven-copy")
    assert found == [("main.py", "uneven-copy", "left")] * is_found
    for finding in all_findings(source)["main.py"]:
        if finding.code == "uneven-copy":
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
def test_what_may_be_meant_is_no_uneven_copy(check: Check, source: str):
    assert check(source, "uneven-copy") == []


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
def test_the_operator_or_number_that_its_neighbours_do_not_have_is_found(check: Check, source: str, found: list[str]):
    assert [text for _, _, text in check(source, "uneven-copy")] == found


def test_types_that_stand_as_in_the_line_before_are_no_uneven_copy(check: Check):
    source = "class A:\n    def __str__(self) -> str:\n        return self.str()\n"
    source += "    def __repr__(self) -> str:\n        return self.repr()\n"
    assert check(source, "uneven-copy") == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(user_id):\n    userId = 1\n    return userId\n", ["userId"]),
        ("def f(user_id):\n    userid = 1\n    return userid\n", ["userid"]),
        ("def f(user_id):\n    _user_id = 1\n    return _user_id\n", []),
        ("def f(node):\n    Node = 1\n    return Node\n", []),
        ("def f(user_id): ...\ndef g(userId): ...\n", []),
        ("class A:\n    user_id = 1\n    userId = 2\n", []),
    ],
)
def test_one_name_in_two_spellings_is_found_within_a_function(check: Check, source: str, found: list[str]):
    assert [text for _, _, text in check(source, "inconsistent-name")] == found


def test_comments_silence_them(check: Check):
    assert check("def f(user_id):\n    userId = 1  # engram: ignore[inconsistent-name]\n    return userId\n") == []
