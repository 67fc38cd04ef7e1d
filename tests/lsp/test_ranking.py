"""What speaks for a name besides its tokens."""

import numpy as np
import pytest
from engram_context.completion.candidates import Candidate
from engram_context.text import Text
from engram_lsp.predictor import Predictor, Query, Style
from engram_lsp.ranking import FEATURES, ORIGINS, PLACES, TYPED, Weights, learned
from scripted import TOKENIZER, Script, ask

PREDICTOR = Predictor(TOKENIZER, Script("nothing of this kind\n"), Style())


def named(name: str, origin: str = "local") -> Candidate:
    return Candidate(name, "variable", "", origin)  # type: ignore[arg-type]


def order(query: Query, *names: str, known: tuple[str, ...] = ()) -> list[str]:
    found = PREDICTOR.rank(query, [named(name) for name in names], spread=known.count if known else None)
    return [candidate.name for candidate, _ in found]


def considered(before: str, *candidates: Candidate, known: tuple[str, ...] = ()) -> dict[str, dict[str, float]]:
    """By name, the features that are not 0."""
    query = Query("app.py", Text.of(before), len(before.encode()), 0)
    found = PREDICTOR.ranker.consider(query, candidates, spread=known.count)
    assert found is not None
    rows = (dict(zip(FEATURES, row.tolist(), strict=True)) for row in found.features)
    return {
        candidate.name: {name: value for name, value in row.items() if value}
        for candidate, row in zip(found.candidates, rows, strict=True)
    }


def test_the_probabilities_of_all_that_is_considered_sum_to_one() -> None:
    ranked = PREDICTOR.rank(ask("x = "), [named("alpha"), named("beta"), named("gamma_ray")])
    assert np.exp([score for _, score in ranked]).sum() == pytest.approx(1.0)
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)


def test_of_two_names_the_one_that_stood_here_comes_first() -> None:
    for used, unused in (("zebra", "apple"), ("apple", "zebra")):
        assert order(ask(f"{used} = 1\nprint({used})\nx = "), "zebra", "apple") == [used, unused]


def test_a_name_in_the_typed_case_comes_before_one_in_another() -> None:
    assert order(ask("x = v"), "Value", "value")[0] == "value"
    assert order(ask("x = V"), "value", "Value")[0] == "Value"


def test_names_of_the_file_are_added_only_where_the_project_has_them_and_with_what_was_typed() -> None:
    before = "thing.size = 1\nthing.shape = 2\n# sizes\nother.s"
    assert set(order(ask(before), known=("size", "shape", "thing"))) == {"size", "shape"}
    assert set(order(ask(before))) == set()


def test_what_was_typed_already_is_no_name_to_add() -> None:
    assert "size" not in order(ask("thing.size = 1\nother.size"), known=("size",))


@pytest.mark.parametrize(
    ("before", "place"),
    [
        ("old = 1\ndef ol", "recalled definition"),
        ("old = 1\nfrom x import ol", "recalled import"),
        ("old = 1\nol", "recalled start"),
        ("old = 1\nf(1, ol", "recalled argument"),
        ("old = 1\nx = ol", None),
    ],
)
def test_where_a_name_is_recalled_is_told_apart(before: str, place: str | None) -> None:
    row = considered(before, known=("old",))["old"]
    assert [name for name in row if name.startswith("recalled ")] == ([place] if place else [])
    assert row["recalled"] == 1.0


def test_a_recalled_name_among_known_members_is_told_apart() -> None:
    found = considered("old = 1\nx.o", named("other", "member"), known=("old",))
    assert found["old"]["recalled member"] == 1.0
    assert "recalled member" not in found["other"]


def test_every_candidate_is_of_one_origin_and_keywords_of_none() -> None:
    found = considered("x = ", *(named(f"a_{number}", origin) for number, origin in enumerate(ORIGINS)))
    for number, origin in enumerate(ORIGINS):
        assert [name for name in ORIGINS if name in found[f"a_{number}"]] == [origin]
    assert not any(name in ORIGINS for name in considered("x = ", named("not", "keyword"))["not"])


def test_weights_are_of_the_features_that_this_version_has() -> None:
    assert learned().of.shape == (TYPED, len(FEATURES))
    assert len(set(FEATURES)) == len(FEATURES)
    assert all(f"recalled {place}" in FEATURES for place in PLACES)
    with pytest.raises(ValueError, match="fit_ranking"):
        Weights.parse('{"features": ["expected"], "weights": [[1], [1], [1]]}')
