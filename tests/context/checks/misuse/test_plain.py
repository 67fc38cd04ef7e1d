"""Arguments that stand crosswise, words that are spelled in two ways."""

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
