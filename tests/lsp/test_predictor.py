"""Model and memory together."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from engram_context.completion.candidates import Candidate
from engram_context.text import Text
from engram_lsp.predictor import Predictor, Style
from engram_lsp.prompt import Limits, finished, window
from engram_lsp.ranking import matches
from engram_lsp.spelling import Spellings
from engram_runtime import fim
from hypothesis import given
from hypothesis import strategies as st
from scripted import TOKENIZER, Script, ask, remembering

SPELLINGS = Spellings(TOKENIZER)


def named(name: str) -> Candidate:
    return Candidate(name, "variable", "", "local")


@pytest.mark.parametrize("cut", range(29, 50))
def test_the_rest_of_the_line_is_suggested_wherever_it_is_cut(cut: int) -> None:
    """Token healing: also in the middle of a name, where the typed half is no token of the model's."""
    story = "def area(width, height):\n    return width * height\n"
    before = story[:cut]
    predictor = Predictor(TOKENIZER, Script(story), Style(shown=0.0))
    (suggestion,) = predictor.inline(ask(before))
    start = suggestion.span.start
    assert before[:start] + suggestion.text == story[:-1]
    assert suggestion.span.end == len(before)
    assert suggestion.revision == 7


def test_a_suggestion_that_is_not_probable_enough_is_shown_only_when_asked_for() -> None:
    story = "value = compute_everything(one, two, three, four, five)\n"
    predictor = Predictor(TOKENIZER, Script(story), Style(shown=0.9))
    assert predictor.inline(ask("value = ")) == ()
    shown = predictor.inline(ask("value = ", invoked=True))
    assert shown[0].text == "compute_everything(one, two, three, four, five)"
    assert 0 < shown[0].probability < 0.9


def test_nothing_is_suggested_inside_a_word() -> None:
    predictor = Predictor(TOKENIZER, Script("value = compute\n"), Style(shown=0.0))
    assert predictor.inline(ask("value = com", "pute\n")) == ()


def test_a_cancelled_question_has_no_answer() -> None:
    predictor = Predictor(TOKENIZER, Script("value = compute\n"), Style(shown=0.0))
    assert predictor.inline(ask("value = "), lambda: True) == ()


def test_what_was_typed_is_never_taken_back() -> None:
    """The model would write something else: then it says nothing rather than change the typed text."""
    predictor = Predictor(TOKENIZER, Script("value = compute\n"), Style(shown=0.0))
    for suggestion in predictor.inline(ask("value = zq", invoked=True)):
        assert suggestion.text.startswith("zq")


def test_names_are_ranked_by_what_the_model_expects() -> None:
    predictor = Predictor(TOKENIZER, Script("for item in items:\n"), Style())
    ranked = predictor.rank(ask("for item in "), [named("apples"), named("items"), named("zebra")])
    assert ranked[0][0].name == "items"
    assert {name.name for name, _ in ranked} == {"apples", "items", "zebra"}


def test_names_are_ranked_by_the_memory_where_there_is_no_model() -> None:
    memory = remembering("total = basket.price\n" * 3, "print(basket.price)\n")
    predictor = Predictor(TOKENIZER, None)
    names = [named("amount"), named("price"), named("weight")]
    ranked = predictor.rank(ask("x = basket.", memory=memory.view("new.py")), names)
    assert ranked[0][0].name == "price"


def test_the_memory_recalls_attributes_that_nobody_can_resolve() -> None:
    memory = remembering("total = basket.shipping_address\n" * 2, "print(basket.shipping_address.city)\n")
    predictor = Predictor(TOKENIZER, None)
    for before in ("x = basket.", "x = basket.ship", "x = basket.shipping_a"):
        query = ask(before, memory=memory.view("new.py"))
        names = [candidate.name for candidate, _ in predictor.rank(query, (), spread=["shipping_address"].count)]
        assert names == ["shipping_address"], before


def test_the_memory_alone_completes_a_line_it_has_seen() -> None:
    memory = remembering("def close(self):\n    self.connection.close()\n    self.pool.release(self)\n" * 2)
    predictor = Predictor(TOKENIZER, None, Style(shown=0.0))
    query = ask("def stop(self):\n    self.connection.close()\n    self.pool.", memory=memory.view("new.py"))
    assert [suggestion.text for suggestion in predictor.inline(query)] == ["release(self)"]
    assert predictor.inline(query)[0].source == "memory"


def test_without_model_and_memory_there_is_silence() -> None:
    predictor = Predictor(TOKENIZER, None)
    assert predictor.inline(ask("x = ")) == ()
    assert [name.name for name, _ in predictor.rank(ask("x = "), [named("b"), named("a")])] == ["b", "a"]


def test_typing_only_extends_the_prompt() -> None:
    """What the engine cached for one keystroke is a prefix of the next one's prompt, healed word aside."""
    predictor = Predictor(TOKENIZER, None)
    before = "import os\n\n\ndef size(path):\n    return os.path.getsize(path)\n\n\n"
    typed = "def age(path):\n    return "
    prompts = []
    for end in range(0, len(typed), 5):
        query = ask(before + typed[:end], "\n\nprint(size('a'))\n")
        prompts.append(predictor._prompt(query, window(query.text, query.offset, Limits())))
    for earlier, later in pairwise(prompts):
        shared = next((i for i, (a, b) in enumerate(zip(earlier, later, strict=False)) if a != b), len(earlier))
        assert shared >= len(earlier) - 2


def test_the_prompt_is_in_the_order_that_training_used() -> None:
    predictor = Predictor(TOKENIZER, None)
    query = ask("a = 1\nb = ", "\nc = 3\n")
    encode = TOKENIZER.encode
    expected = fim.prompt(TOKENIZER, encode("a = 1\nb ="), encode("\nc = 3\n"), encode("# app.py\n"), "spm")
    assert list(predictor._prompt(query, window(query.text, query.offset, Limits()))) == expected


@pytest.mark.parametrize(
    ("typed", "name", "answer"),
    [
        ("", "x", True),
        ("gs", "get_size", True),
        ("sg", "get_size", False),
        ("GS", "get_size", True),
        ("p", "_private", True),
    ],
)
def test_typed_letters_match_names_in_order(typed: str, name: str, answer: bool) -> None:
    assert matches(typed, name) is answer


@given(st.text(max_size=300), st.integers(0, 1200), st.builds(Limits, bytes_before=st.integers(8, 64)))
def test_a_window_is_always_text_around_the_cursor(content: str, at: int, limits: Limits) -> None:
    text = Text.of(content)
    at = min(at, len(text.data))
    while at < len(text.data) and text.data[at] & 0xC0 == 0x80:  # offsets lie between characters
        at += 1
    around = window(text, at, limits)
    assert text.data[:at].endswith((around.before + around.typed).encode("utf-8", "surrogatepass"))
    assert text.data[at:].startswith(around.after.encode("utf-8", "surrogatepass"))
    assert around.word.end == at
    assert around.typed.endswith(text.slice(around.word))


@pytest.mark.parametrize(
    ("written", "known"), [("x = Fa", "x ="), ("x = ", "x ="), ("    re", "    "), ("x.", "x."), ("é = né", "é =")]
)
def test_a_memory_is_shown_no_half_words(written: str, known: str) -> None:
    text, at = finished(Text.of(written + "\ny = 1\n"), len(written.encode()))
    assert (text.decode(), at) == (known + "\ny = 1\n", len(known.encode()))


@given(st.one_of(st.binary(min_size=1, max_size=6), st.sampled_from([" self", "def", "\n    ", "é"]).map(str.encode)))
def test_the_index_of_spellings_finds_what_a_scan_of_the_vocabulary_finds(typed: bytes) -> None:
    scanned = [t for t, s in enumerate(SPELLINGS.of) if s and (s.startswith(typed) or typed.startswith(s))]
    assert sorted(SPELLINGS.agreeing(typed).tolist()) == scanned


class Forking(Script):
    """A script that tries continuations of a prompt, and counts them."""

    tried = 0

    def fork(
        self, prompt: Sequence[int], cancelled: Callable[[], bool] = lambda: False
    ) -> Callable[[Sequence[int]], np.ndarray]:
        def after(path: Sequence[int]) -> np.ndarray:
            self.tried += 1
            found = self.next_log_probs((*prompt, *path))
            assert found is not None
            return found

        return after


def test_while_a_word_grows_the_model_is_asked_once_and_the_list_is_as_by_one_who_was_not() -> None:
    story = "order = open_order(cart)\nother = operator(order)\n"
    names = [named(name) for name in ("open_order", "operator", "order", "other", "cart", "print")]
    engine = Forking(story)
    predictor = Predictor(TOKENIZER, engine)
    tried: list[int] = []
    for word in ("", "o", "op", "ope", "o", "or"):
        query = ask(f"order = open_order(cart)\nother = {word}")
        fresh = Predictor(TOKENIZER, Forking(story))
        assert predictor.rank(query, names) == fresh.rank(query, names)
        tried.append(engine.tried)
    assert tried[0] > 0
    assert tried[-1] - tried[0] < 3 * tried[0]
    before = engine.tried
    predictor.rank(ask("order = open_order(cart)\nother = op"), names)
    assert engine.tried == before
    predictor.rank(ask("order = open_order(cart)\nfurther = op"), names)
    assert engine.tried > before
