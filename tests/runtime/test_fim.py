from typing import Any

import pytest
from engram_runtime import fim
from engram_runtime.train.vocabulary import learn_tokenizer
from hypothesis import given
from hypothesis import strategies as st

TOKENIZER = learn_tokenizer(["pass\n"], size=300)
T = TOKENIZER
ids = st.lists(st.integers(6, 299), max_size=5)
orders = st.sampled_from(["spm", "psm"])


@given(prefix=ids, suffix=ids, header=ids)
def test_suffix_first_is_prefix_first_with_an_empty_prefix_and_the_prefix_behind(
    prefix: list[int], suffix: list[int], header: list[int]
) -> None:
    assert fim.prompt(T, prefix, suffix, header) == fim.prompt(T, [], suffix, header, order="psm") + prefix


@given(prefix=ids, typed=ids, suffix=ids, header=ids)
def test_typing_only_extends_the_end_of_a_suffix_first_prompt(
    prefix: list[int], typed: list[int], suffix: list[int], header: list[int]
) -> None:
    before = fim.prompt(T, prefix, suffix, header)
    assert fim.prompt(T, prefix + typed, suffix, header) == before + typed


def test_prefix_first_is_written_as_deepseek_does() -> None:
    assert fim.prompt(T, [10, 11], [12], [13], order="psm") == [
        T.begin,
        13,
        T.fim_begin,
        10,
        11,
        T.fim_hole,
        12,
        T.fim_end,
    ]


@given(prefix=ids, middle=ids, suffix=ids, header=ids, order=orders)
def test_an_example_is_its_prompt_the_middle_and_the_end(
    prefix: list[int], middle: list[int], suffix: list[int], header: list[int], order: Any
) -> None:
    prompt = fim.prompt(T, prefix, suffix, header, order)
    example = fim.example(T, prefix, middle, suffix, header, order)
    assert example == [*prompt, *middle, T.end]
    specials = [token for token in example if token < 6]
    assert specials == [T.begin, T.fim_begin, T.fim_hole, T.fim_end, T.end]


def test_an_unknown_order_is_refused() -> None:
    wrong: Any = "middle"
    with pytest.raises(ValueError, match="'spm' or 'psm'"):
        fim.prompt(T, [], [], order=wrong)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(before=texts, after=texts, header=texts, written=texts, order=orders)
def test_the_parts_of_a_prompt_are_read_back(before: str, after: str, header: str, written: str, order: Any) -> None:
    """With what was generated since then at the end of the prefix; specials in the text are text."""
    encode = T.encode
    prompt = fim.prompt(T, encode(before), encode(after), encode(header), order)
    assert fim.parts(T, [*prompt, *encode(written)]) == fim.Parts(header, before + written, after)


def test_a_prompt_without_the_form_is_all_prefix() -> None:
    assert fim.parts(T, [T.begin, *T.encode("x = ")]) == fim.Parts("", "x = ", None)
    assert fim.parts(T, []) == fim.Parts("", "", None)


def test_a_form_that_does_not_add_up_is_refused() -> None:
    begin, hole, end = T.fim_begin, T.fim_hole, T.fim_end
    for wrong in ([begin], [hole, end], [begin, end, hole], [begin, hole, hole, end], [begin, hole, end, end]):
        with pytest.raises(ValueError, match="fill-in-the-middle"):
            fim.parts(T, wrong)
