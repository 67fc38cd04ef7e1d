"""Predictions made right for the place where they will stand."""

import ast

import pytest
from engram_context.text import Span
from engram_lsp.brackets import closed_later, scan, standing_at
from engram_lsp.suggestion import Suggestion, Surroundings, balanced, best_first, first_line, fit
from hypothesis import given, settings
from hypothesis import strategies as st


def shown(predicted: str, before: str, after: str = "", *, multiline: bool = False) -> str:
    return fit(predicted, Surroundings.of(before, after), multiline=multiline)


@pytest.mark.parametrize(
    ("predicted", "before", "after", "kept"),
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
        ("x:", "def f(", ": int) -> None:", "x"),
        ("x ", "y = ", " + 1", "x"),
        ("x, ", "f(", "y)", "x, "),
        ("f(a)", "x = ", ")", "f(a"),
        ("a, b) -> None:", "def f(", ") -> None:", "a, b"),
    ],
)
def test_a_prediction_is_cut_to_what_the_line_still_needs(predicted: str, before: str, after: str, kept: str) -> None:
    assert shown(predicted, before, after) == kept


@pytest.mark.parametrize(
    ("predicted", "before", "after", "kept"),
    [
        ('name")', 'open("', '")', "name"),
        ('name", "r")', 'open("', '")', "name"),
        ('name")', 'open("', "", 'name")'),
        ('b"]', 'x = ["a", "', ', "c"]', 'b"'),
        ("x}')", "f(f'{", "", "x}')"),
        ("x}')", "f(f'{", "}')", "x"),
        ("name, 'never ended", "f(", "", "name,"),
        ("it's (fine", "x = 1  # ", "", "it's (fine"),
        ('Says (a] lot."""', '    """', "", 'Says (a] lot."""'),
        ('Says a lot."""', '    """', '"""\n', "Says a lot."),
        ("'''Begun", "x = ", "", "'''Begun"),
        ("b)", "f(\n    a,\n    ", "\n    c,\n)\n", "b"),
        ("b,", "f(\n    a,\n    ", "\n    c,\n)\n", "b,"),
    ],
)
def test_strings_and_brackets_are_ended_once(predicted: str, before: str, after: str, kept: str) -> None:
    assert shown(predicted, before, after) == kept


def test_the_next_line_is_not_suggested_a_second_time() -> None:
    assert shown("return total", "    ", "\n    return total\n") == ""
    assert shown("return total", "    ", "\n\n    return total\n") == ""


def test_a_name_is_never_cut_in_its_middle() -> None:
    assert shown("name_of", "x = ", "of_this") == "name_of"
    assert shown("in", "x = ", "in_this") == "in"


def test_a_block_ends_where_its_indentation_ends_and_at_a_blank_line() -> None:
    predicted = "pass\n        done()\n    outside()\n"
    assert shown(predicted, "def f():\n        ", multiline=True) == "pass\n        done()"
    assert shown("pass\n        done()\n\n        more()\n", "        ", multiline=True) == "pass\n        done()"
    assert shown("if x:\n        y()\n    else:\n        z()\n", "    ", multiline=True).endswith("z()")
    assert shown("import os\nimport re\n", "", multiline=True) == "import os"


def test_the_lines_of_a_statement_may_stand_further_left() -> None:
    before = "def f():\n    return g("
    assert shown("\n        a,\n    )\nx = 1", before, multiline=True) == "\n        a,\n    )"
    assert shown("b,\n)\nmore()", "f(\n    a,\n    ", multiline=True) == "b,\n)"
    assert shown("a + \\\n  b\n", "    x = ", multiline=True) == "a + \\\n  b"


def test_lines_end_before_one_that_is_written_already() -> None:
    assert shown("a()\n    b()\n    c()", "    ", "\n    b()\n", multiline=True) == "a()"
    assert shown("a()\n    other(b)\n    c()", "    ", "\n    x()\n    other(b)\n", multiline=True) == "a()"
    assert shown("a()\n    pass\n    c()", "    ", "\n    x()\n    pass\n", multiline=True).endswith("c()")


def test_a_model_that_goes_round_in_circles_is_stopped() -> None:
    assert shown("self.x = x\n    self.y = y\n    self.x = x\n", "    ", multiline=True) == "self.x = x\n    self.y = y"
    assert shown("name = a\n    self.name = a", "    self.", multiline=True) == "name = a"


def test_only_one_line_stands_before_other_text() -> None:
    assert shown("a()\n    b()", "    ", "  # why\n", multiline=True) == "a()"


def test_lines_are_indented_as_the_document_is() -> None:
    assert shown("if x:\n        y()\n", "def f():\n\t", multiline=True) == "if x:\n\t\ty()"
    assert shown("def f():\n    return (\n      1)\n", "class A:\n\tx = 1\n\n", multiline=True) == (
        "def f():\n\treturn (\n\t  1)"
    )
    assert shown("if x:\n\t\ty()\n", "def f():\n    ", multiline=True) == "if x:\n        y()"


def test_line_ends_are_those_of_the_document() -> None:
    assert shown("a()\n    b()", "def f():\r\n    ", multiline=True) == "a()\r\n    b()"
    assert shown("a()\r\n    b()", "def f():\r\n    ", multiline=True) == "a()\r\n    b()"
    assert shown("a()\r\n    b()", "def f():\n    ", multiline=True) == "a()\n    b()"
    assert shown("return total", "x\r\n    ", "\r\n    return total\r\n") == ""


def test_where_only_a_line_has_room_it_is_the_first_one() -> None:
    def line_of(text: str) -> str | None:
        line = first_line(Suggestion(text, Span(0, 0), 0.5, "model", 1))
        return line and line.text

    assert line_of("if a:\r\n    b()") == "if a:"
    assert line_of("a(") == "a("
    assert line_of("\n    b()") is None


def test_each_text_is_suggested_once_most_probable_first() -> None:
    def make(text: str, probability: float) -> Suggestion:
        return Suggestion(text, Span(0, 0), probability, "model", 1)

    ranked = best_first([make("a", 0.2), make("b", 0.5), make("a", 0.4)])
    assert [(s.text, s.probability) for s in ranked] == [("b", 0.5), ("a", 0.4)]


CODE = st.text(alphabet="ab()[]{}'\", ", max_size=12)


@settings(deadline=None)
@given(CODE, CODE, CODE)
def test_what_is_kept_closes_nothing_that_is_not_open(before: str, text: str, after: str) -> None:
    around = Surroundings.of(before, after)
    kept = balanced(text, around)
    assert text.startswith(kept)
    closed = scan(kept, standing_at(before)).closed
    assert all(closing.entry >= 0 and closing.entry not in around.later for closing in closed)


@settings(deadline=None)
@given(
    st.recursive(st.just("a"), lambda inner: st.builds("({}, ['{}'])".format, inner, inner), max_leaves=6), st.data()
)
def test_any_split_of_an_expression_is_completed_as_it_was(expression: str, data: st.DataObject) -> None:
    """An oracle's prediction survives the fitting: prefix + shown + suffix is the expression that was split."""
    try:
        ast.parse(expression)
    except SyntaxError:  # quotes within quotes
        return
    start = data.draw(st.integers(0, len(expression)))
    before, rest = expression[:start], expression[start:]
    kept = shown(rest, before)
    assert before + kept == expression if rest.strip() else kept == ""


@settings(deadline=None)
@given(st.recursive(st.just("a"), lambda inner: st.builds("f({}, [{}])".format, inner, inner), max_leaves=6), st.data())
def test_a_hole_is_filled_though_the_prediction_goes_on_to_the_end_of_the_line(
    expression: str, data: st.DataObject
) -> None:
    """What follows the cursor is never said twice: the line with the suggestion in it has its brackets in pairs."""
    start = data.draw(st.integers(0, len(expression)))
    end = data.draw(st.integers(start, len(expression)))
    before, after = expression[:start], expression[end:]
    if set(after) - set(")]") or len(closed_later(after, standing_at(before))) < len(after):
        return
    kept = shown(expression[start:], before, after)
    assert expression[start:].startswith(kept)
    if kept:
        assert not scan(before + kept + after).closed
