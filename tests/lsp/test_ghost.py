"""How far suggestions go on, how they begin, and which of them are shown."""

import math

import pytest
from engram_lsp.predictor import Predictor, Style
from engram_lsp.shown import SIGNS, Learned, Signs, Threshold, filter_for, load, name_of
from scripted import TOKENIZER, Script, ask, remembering

STORY = (
    "def area(width, height):\n    total = (\n        width\n        * height\n    )\n    print(total)\n"
    "    return total\n\n\ndef other():\n    pass\n"
)


def texts(story: str, before: str, after: str = "", *, invoked: bool = False, sure: float = 0.9, **style: float):
    predictor = Predictor(TOKENIZER, Script(story, sure=sure), Style(**{"shown": 0.0, **style}))  # type: ignore[arg-type]
    return [suggestion.text for suggestion in predictor.inline(ask(before, after, invoked=invoked))]


def cut(story: str, at: str) -> str:
    return story[: story.index(at)]


def test_an_unasked_suggestion_is_the_line_when_more_is_not_likely() -> None:
    assert texts(STORY, cut(STORY, "print"), sure=0.7) == ["print(total)"]


def test_it_goes_on_to_the_end_of_the_statement_and_then_of_the_block_where_that_is_likely() -> None:
    whole = STORY[STORY.index("total = (") : STORY.index("\n\n\ndef other")]
    statement = whole[: whole.index("\n    print")]
    assert texts(STORY, cut(STORY, "total = ("), sure=0.999) == [whole]
    assert texts(STORY, cut(STORY, "total = ("), sure=0.999, further=2.0) == [statement]
    assert texts(STORY, cut(STORY, "total = ("), sure=0.999, further=2.0, within=2.0) == ["total = ("]


def test_a_line_that_became_unlikely_is_left_out_as_a_whole() -> None:
    story = "def f():\n    a(1)\n    b(2)\n    c(3, 4, 5, 6, 7, 8, 9)\n    d()\n"
    assert texts(story, cut(story, "a(1)"), sure=0.95, further=0.5) == ["a(1)\n    b(2)"]


def test_further_lines_stand_only_where_nothing_follows_the_cursor() -> None:
    assert texts(STORY, cut(STORY, "print"), "  # why\n", sure=0.999) == ["print(total)"]
    assert texts(STORY, cut(STORY, "    return"), sure=0.999) == []
    assert texts(STORY, cut(STORY, "\n    total"), sure=0.999)[0].startswith("\n    total = (")


def test_a_line_below_is_not_written_again() -> None:
    assert texts(STORY, cut(STORY, "print"), "\n    return total\n", sure=0.999) == ["print(total)"]


def test_one_that_was_asked_for_is_the_rest_of_the_block() -> None:
    asked = texts(STORY, cut(STORY, "print"), invoked=True, sure=0.7)
    assert asked[0] == "print(total)\n    return total"


def test_candidates_begin_differently_and_the_likeliest_line_comes_first() -> None:
    before = "value = "
    script = Script("value = compute(1)\n", ("value = other()\n", "value = 12\n", "value = None\n"))
    predictor = Predictor(TOKENIZER, script, Style())
    found = predictor.inline(ask(before, invoked=True))
    assert [suggestion.text for suggestion in found] == ["compute(1)", "other()", "12", "None"]
    assert [suggestion.probability for suggestion in found] == sorted((s.probability for s in found), reverse=True)


def test_candidates_keep_what_is_typed_of_a_word() -> None:
    script = Script("value = compute(1)\n", ("value = compare()\n", "value = 12\n"))
    found = Predictor(TOKENIZER, script, Style()).inline(ask("value = com", invoked=True))
    assert [suggestion.text for suggestion in found[:2]] == ["compute(1)", "compare()"]
    assert all(suggestion.text.startswith("com") for suggestion in found)


def test_the_memory_alone_has_several_candidates() -> None:
    memory = remembering("x = pool.get(1)\n" * 3, "x = pool.put(2)\n" * 2, "x = pool.close()\n")
    found = Predictor(TOKENIZER, None).inline(ask("x = pool.", invoked=True, memory=memory.view("new.py")))
    assert {suggestion.text for suggestion in found} >= {"get(1)", "put(2)", "close()"}


def test_what_will_not_be_shown_is_not_finished() -> None:
    script = Script("value = compute(" + ", ".join(str(n) for n in range(20)) + ")\n", sure=0.8)
    predictor = Predictor(TOKENIZER, script, Style(shown=0.5))
    assert predictor.inline(ask("value = ")) == ()
    assert script.decoded <= 4


def signs(text: str, *log_probs: float, match: int = 0) -> Signs:
    return Signs(text, log_probs, match, "    x = ", "", "", 0.0, False)


def test_a_threshold_shows_what_is_probable_enough() -> None:
    assert Threshold(0.4).shows(signs("a", math.log(0.5)))
    assert not Threshold(0.4).shows(signs("a", math.log(0.5), math.log(0.5)))


def test_a_learned_filter_weighs_the_signs() -> None:
    weights = dict.fromkeys(SIGNS, 0.0) | {"joint": 1.0, "match": 2.0}
    learned = Learned.of({"weights": weights, "bias": -1.0, "least": 0.5, "floor": 0.01})
    assert not learned.shows(signs("a", math.log(0.5)))
    assert learned.shows(signs("a", math.log(0.5), match=5))
    assert not learned.shows(signs("a", math.log(0.005), match=500)), "what is below the floor was not finished"
    assert 0 < learned.chance(signs("a", -1e9)) < 0.01


def test_a_filter_of_other_signs_is_refused() -> None:
    with pytest.raises(ValueError, match="fit_shown"):
        Learned.of({"weights": {"joint": 1.0}, "bias": 0.0, "least": 0.5, "floor": 0.1})


def test_of_a_model_that_nothing_was_learned_for_the_probability_decides() -> None:
    assert isinstance(filter_for("another model", "both"), Threshold)
    assert name_of({"a": 1, "b": 2}) == name_of({"b": 2, "a": 1}) != name_of({"a": 1})


def test_the_filters_in_the_package_can_be_read_and_abstain() -> None:
    data = load()
    for source in data["filters"]:
        learned = filter_for(data["model"], source)
        assert isinstance(learned, Learned)
        assert not learned.shows(signs("something improbable()", *[math.log(0.3)] * 8))
