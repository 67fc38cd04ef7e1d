"""Who is suspected where a test's claim does not hold: the programs run, fail, and are asked about."""

from pathlib import Path

import pytest
from failing import Failing, names, reasons

GAME = """
    -- game/__init__.py --
    -- game/board.py --
    class Board:
        def __init__(self, size):
            self.size = size
            self.marks = {}

        def put(self, row, column, mark):
            if (row, column) in self.marks:
                raise KeyError((row, column))
            self.marks[row, column] = mark

        def move(self, row, column):
            if row > self.size:
                raise IndexError(row)
            return row * self.size + column

        def __len__(self):
            return len(self.marks)

    class Small(Board):
        def __len__(self):
            return len(self.marks) + 1
    -- game/moves.py --
    def move_up(row):
        return row - 1

    def move_down(row):
        return row

    class Shift:
        def __init__(self, by):
            self.by = by

        def __call__(self, row):
            return row + self.by + 1

    def shifted(rows, by):
        return list(map(Shift(by), rows))

    def title(words):
        return ", ".join(words[0:])

    def headline(words):
        return title(words).upper()
    -- test_game.py --
    import unittest

    import pytest
    from game import moves
    from game.board import Board, Small

    @pytest.mark.parametrize(("move", "expected"), [(moves.move_up, 0), (moves.move_down, 2)])
    def test_moves(move, expected):
        assert move(1) == expected

    def test_outside():
        with pytest.raises(IndexError):
            Board(3).move(3, 0)

    def test_shifted():
        assert moves.shifted([1, 2], 1) == [2, 3]

    def test_headline():
        assert moves.headline(["ignored", "news", "today"]) == "NEWS, TODAY"

    class Sizes:
        Kind = Board

        def test_length(self):
            self.assertEqual(len(self.Kind(3)), 0)

    class SmallSizes(Sizes, unittest.TestCase):
        Kind = Small
"""


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Failing:
    return Failing(tmp_path_factory.mktemp("game"), GAME)


def test_the_function_in_the_id_of_a_parametrized_test_is_suspected(game: Failing) -> None:
    (trace,) = [one for one in game.traces if "::test_moves[" in one.test or one.test.startswith("test_moves[")]
    found = game.of(trace)
    assert "move_down" in names(found)[:2]
    assert names(found).index("move_down") < len(found) and "test_moves" not in names(found)


def test_who_raises_the_error_that_was_waited_for_is_suspected(game: Failing) -> None:
    found = game.suspects("test_outside")
    assert found[0].function == "Board.move" and "not-raised" in reasons(found[0])
    assert all("not-raised" not in reasons(one) for one in found[1:])


def test_an_object_that_is_handed_on_to_be_called_is_suspected(game: Failing) -> None:
    assert "Shift.__call__" in names(game.suspects("test_shifted"))


def test_what_contradicts_itself_is_suspected_before_its_caller(game: Failing) -> None:
    found = game.suspects("test_headline")
    assert "misshapen" in reasons(next(one for one in found if one.function == "title"))
    assert "misshapen" not in reasons(next(one for one in found if one.function == "headline"))


def test_what_speaks_of_the_same_as_the_test_is_suspected_the_more(game: Failing) -> None:
    found = {one.function: one for one in game.suspects("test_headline")}
    assert "speaks" in reasons(found["headline"]) and "speaks" not in reasons(found["title"])


def test_the_classes_that_a_test_class_names_are_there(game: Failing) -> None:
    (trace,) = [one for one in game.traces if one.test.endswith("test_length")]
    assert "Small.__len__" in names(game.of(trace))


def test_an_error_in_the_code_itself_has_none_of_these_reasons(tmp_path: Path) -> None:
    source = GAME.replace("return row * self.size", "return self.width * self.size").replace("(3, 0)", "(2, 0)")
    failing = Failing(tmp_path, source)
    for one in failing.suspects("test_outside"):
        assert reasons(one).isdisjoint({"misshapen", "speaks", "not-raised", "odd", "steps"})
