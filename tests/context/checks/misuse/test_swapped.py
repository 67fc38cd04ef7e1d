"""Arguments that stand the other way round than elsewhere in the project."""

from engram_context.checks.misuse.arguments import COLUMNS, least_odds
from engram_context.checks.misuse.hinted import swapped_hints
from engram_context.checks.misuse.nearby import swaps_in
from engram_context.edits import apply
from fixture import parse_fixture

USED = "".join(f"def use{i}(db, key, value):\n    db.put(key, value)\n" for i in range(6))


def test_what_is_given_the_other_way_round_everywhere_else_is_hinted_at() -> None:
    fixture = parse_fixture(f"-- main.py --\ndef f(db, key, value):\n    db.put(value, key)\n-- other.py --\n{USED}")
    (hint,) = swapped_hints(fixture.snapshot(), "main.py")
    text = fixture.text("main.py")
    assert text is not None
    assert (hint.code, hint.severity, text.slice(hint.span)) == ("swapped-arguments", "hint", "value, key")
    assert apply(text, hint.fixes[0].edit.edits["main.py"]).data.endswith(b"db.put(key, value)\n")
    assert 0.5 < hint.confidence < 1
    assert swapped_hints(fixture.snapshot(), "other.py") == ()


def test_names_that_nobody_has_given_to_it_before_say_nothing() -> None:
    fixture = parse_fixture(f"-- main.py --\ndef f(db, one, two):\n    db.put(two, one)\n-- other.py --\n{USED}")
    assert swapped_hints(fixture.snapshot(), "main.py") == ()


def test_arguments_that_are_just_where_their_names_say_are_not_looked_at() -> None:
    right = "def move(source, target): ...\ndef f(source, target):\n    move(source, target)\n"
    wrong = right.replace("    move(source, target)", "    move(target, source)")
    assert list(swaps_in(parse_fixture(right).snapshot(), "main.py")) == []
    (swap,) = swaps_in(parse_fixture(wrong).snapshot(), "main.py")
    assert swap.signs[:3] == (2.0, 0.0, 1.0)
    assert len(swap.row()) == len(COLUMNS)
    assert swap.odds >= least_odds()


def test_nothing_is_said_of_files_that_are_not_there_or_do_not_parse() -> None:
    snapshot = parse_fixture("-- main.py --\ndef f(a, b:\n    g(b, a)\n").snapshot()
    assert swapped_hints(snapshot, "main.py") == swapped_hints(snapshot, "absent.py") == ()
