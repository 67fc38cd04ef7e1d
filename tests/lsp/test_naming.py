"""Names by their tokens: what the search finds is what going through every spelling gives."""

import math

import numpy as np
import pytest
from engram_lsp.naming import Letters, Names
from engram_lsp.spelling import Spellings
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer

TOKENIZER = Tokenizer.read(default_model() / "tokenizer.json")
LETTERS = Letters(TOKENIZER, Spellings(TOKENIZER))
STORY = (" shipping_address", " shipping_cost", " ship", " price", " get_size2")


class Judge:
    """Expects the names of a story, each as much as the others, `after` what comes behind a name; counts questions."""

    def __init__(self, after: str = ".") -> None:
        self.asked: list[tuple[int, ...]] = []
        self.paths = [(*LETTERS.spell(name), *TOKENIZER.encode(after)) for name in STORY]

    def __call__(self, path: tuple[int, ...]) -> np.ndarray:
        self.asked.append(path)
        p = np.full(TOKENIZER.vocab_size, 1e-7)
        for story in self.paths:
            if story[: len(path)] == path and len(story) > len(path):
                p[story[len(path)]] += 1.0
        return np.log(p / p.sum())


def plainly(name: str) -> float:
    """The log probability of a whole name, from every token's and from that of no further letter."""
    judge, path = Judge(), LETTERS.spell(name)
    total = sum(float(judge(path[:at])[path[at]]) for at in range(len(path)))
    return total + math.log(1 - float(np.exp(judge(path)[LETTERS.goes_on]).sum()))


def explored(typed: str, names: tuple[str, ...] = (), looks: int = 40, free: bool = True) -> Names:
    found = Names(LETTERS, Judge(), typed)
    assert found.explore([LETTERS.spell(name) for name in names], looks, free)
    return found


@pytest.mark.parametrize("free", [True, False])
def test_a_name_is_as_likely_as_its_tokens_and_its_end(free: bool) -> None:
    names = explored(" ", STORY, free=free)
    for name in STORY:
        judged = names.of(LETTERS.spell(name))
        assert judged.whole
        assert judged.log_probability == pytest.approx(plainly(name), abs=1e-4)
        assert math.exp(judged.log_probability) == pytest.approx(1 / len(STORY), abs=0.01)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (" ", {"shipping_address", "shipping_cost", "ship", "price", "get_size2"}),
        (" s", {"shipping_address", "shipping_cost", "ship"}),
        (" shi", {"shipping_address", "shipping_cost", "ship"}),
        (" shipping_a", {"shipping_address"}),
        (" get_size", {"get_size2"}),
        (" q", set()),
    ],
)
def test_expected_names_are_found_wherever_the_typed_letters_cut_their_tokens(typed: str, expected: set[str]) -> None:
    names = explored(typed)
    likely = {name for name, path in names.found() if names.of(path).whole and names.of(path).log_probability > -3}
    assert likely == expected
    assert all(name.startswith(typed.lstrip()) for name, _ in names.found())


def test_a_beginning_that_was_not_looked_behind_is_known_so_far() -> None:
    names = explored(" ", STORY, looks=0)
    judged = names.of(LETTERS.spell(" get_size2"))
    assert (judged.known, judged.whole) == (1, False)
    assert math.exp(judged.log_probability) == pytest.approx(1 / len(STORY), abs=0.01)


def test_the_likeliest_beginnings_are_looked_behind_and_no_more_than_was_said() -> None:
    judge = Judge()
    names = Names(LETTERS, judge, " ")
    names.explore([LETTERS.spell(" zebra"), LETTERS.spell(" price")], looks=2)
    assert len(judge.asked) == 3
    assert LETTERS.spell(" zebra")[:1] not in judge.asked


def test_an_argument_is_a_name_with_a_sign_behind() -> None:
    for after, better in (("=", True), (".", False)):
        names = Names(LETTERS, Judge(after), " ")
        names.explore([LETTERS.spell(" price")])
        as_argument, as_name = (names.of(LETTERS.spell(" price"), argument) for argument in (True, False))
        assert (as_argument.log_probability > as_name.log_probability - 0.1) is better


def test_without_an_answer_nothing_is_known() -> None:
    assert not Names(LETTERS, lambda _: None, "").explore([LETTERS.spell("price")])
