"""Predictions made right for the place where they will stand."""

import ast

import pytest
from engram_context.text import Span
from engram_lsp.suggestion import Suggestion, balanced, best_first, fit, open_brackets, unmatched_closers
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("predicted", "before", "after", "shown"),
    [
        ("value)\nreturn", "print(", "", "value)"),
        ("value)", "print(", ")", "value"),
        ("foo(a)", "print(", ")", "foo(a)"),
        ("a, b)", "f(", ", b)", "a"),
        ("a))", "f(", "", "a)"),
        ("x]", "f(", "", "x"),
        ("'a)b')", "f(", "", "'a)b')"),
        ("items", "for item in ", ":", "items"),
        ("items:", "for item in ", ":", "items"),
        ("   ", "x = ", "", ""),
    ],
)
def test_a_prediction_is_cut_to_what_the_line_still_needs(predicted: str, before: str, after: str, shown: str) -> None:
    assert fit(predicted, before, after, multiline=False) == shown


def test_the_next_line_is_not_suggested_a_second_time() -> None:
    assert fit("return total", "    ", "\n    return total\n", multiline=False) == ""


def test_a_name_is_never_cut_in_its_middle() -> None:
    assert fit("name_of", "x = ", "of_this", multiline=False) == "name_of"


def test_a_block_ends_where_its_indentation_ends() -> None:
    predicted = "pass\n        done()\n\n        more()\n    outside()\n"
    assert fit(predicted, "def f():\n        ", "", multiline=True) == "pass\n        done()\n\n        more()"


def test_each_text_is_suggested_once_most_probable_first() -> None:
    def make(text: str, probability: float) -> Suggestion:
        return Suggestion(text, Span(0, 0), probability, "model", 1)

    ranked = best_first([make("a", 0.2), make("b", 0.5), make("a", 0.4)])
    assert [(s.text, s.probability) for s in ranked] == [("b", 0.5), ("a", 0.4)]


CODE = st.text(alphabet="ab()[]{}, ", max_size=12)


@given(CODE, CODE)
def test_balanced_text_closes_nothing_that_is_not_open(before: str, text: str) -> None:
    """What is kept never has a closer that neither it nor the text before it opened, and is a prefix of what came."""
    waiting = open_brackets(before)
    kept = balanced(text, "", waiting)
    assert text.startswith(kept)
    assert waiting.startswith(unmatched_closers(kept))


@given(st.recursive(st.just("a"), lambda inner: st.builds("({}, [{}])".format, inner, inner), max_leaves=6), st.data())
def test_any_split_of_an_expression_is_completed_as_it_was(expression: str, data: st.DataObject) -> None:
    """An oracle's prediction survives the fitting: prefix + shown + suffix is the expression that was split."""
    start = data.draw(st.integers(0, len(expression)))
    before, rest = expression[:start], expression[start:]
    shown = fit(rest, before, "", multiline=False)
    assert before + shown == expression if rest.strip() else shown == ""
    ast.parse(before + (shown or rest))
