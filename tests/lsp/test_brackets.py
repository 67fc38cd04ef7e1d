"""Which brackets and strings are open at a place."""

import ast

import pytest
from engram_lsp.brackets import Standing, closed_later, scan, standing_at
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("before", "open"),
    [
        ("foo(bar[", (")", "]")),
        ("foo(bar[0])", ()),
        ("x = 'it\\'s (", ("'",)),
        ("x = ''", ()),
        ('"""don\'t (', ('"""',)),
        ("x = '''a''' + \"b", ('"',)),
        ("foo(f'{x", (")", "f'", "}")),
        ("foo(f'{x!r:>{w}} {{", (")", "f'")),
        ("foo(f'{x} ' ", (")",)),
        ('f"{a["', ()),
        ("foo(  # not ( here\n", (")",)),
        ("x = 'never ended\nfoo(", (")",)),
        ("broken(\ndef f(", (")",)),
        ("foo(a\n    for a in (", (")", ")")),
        ("x = 'a\\\nb", ("'",)),
        ("x = (a\n    @ b", (")",)),
        ("x = (\n@property\ndef f(self", (")",)),
        ("a = {'b': [1, (2", ("}", "]", ")")),
        ("foo(]", (")",)),
    ],
)
def test_what_is_open_is_known_outermost_first(before: str, open: tuple[str, ...]) -> None:
    assert standing_at(before).open == open


def test_comments_and_joined_lines_are_told() -> None:
    assert standing_at("x = 1  # foo(") == Standing(comment=True)
    assert standing_at("# foo(\n") == Standing()
    assert standing_at("x = 1 + \\\n").joined
    assert not standing_at("x = 1 + \\\n    2").joined


@pytest.mark.parametrize(
    ("before", "unfinished"),
    [("foo(a,", True), ("foo(a)", False), ("x = \\\n", True), ('"""Says', True), ("x = 'a", False), ("x = [1", True)],
)
def test_a_statement_goes_on_where_something_is_open_that_may_span_lines(before: str, unfinished: bool) -> None:
    assert standing_at(before).unfinished is unfinished


@pytest.mark.parametrize(
    ("before", "after", "later"),
    [
        ("foo(bar(", ")", {0}),
        ("foo(bar(", "))", {0, 1}),
        ("x[foo(", "]", {0}),
        ("foo(\n    a,\n    ", "\n    b,\n)\n", {0}),
        ("foo(", "\nreturn (x))", set[int]()),
        ('foo("ab', '")', {0, 1}),
        ('foo("ab', ")", {0}),
        ('x = ["a', ', "b"]', {0}),
        ('x = ["a', '", "b"]', {0, 1}),
        ('"""doc', '\n"""\nx = 1\n', {0}),
        ('def f():\n    """d', '\n\ndef g():\n    """e"""\n', set[int]()),
        ("foo(f'{x", "}')", {0, 1, 2}),
    ],
)
def test_what_follows_the_cursor_closes_what_it_can(before: str, after: str, later: set[int]) -> None:
    assert closed_later(after, standing_at(before)) == later


CODE = st.text(alphabet="ab(){'\"f#\\\n, ", max_size=40)


@settings(deadline=None)
@given(CODE, CODE)
def test_reading_on_is_reading_at_once(first: str, second: str) -> None:
    """Cut anywhere but in a quote of three, behind a backslash or a prefix, where half a sign says something else.

    Brackets have to be paired: a wrong one closes nothing within a text, and may close what was open before it.
    """
    if first[-1:] in ("'", '"', "\\", "f") or second[:1] in ("'", '"'):
        return
    if any(closing.entry < 0 for closing in scan(first + second).closed):
        return
    assert scan(second, scan(first).standing).standing == scan(first + second).standing


@settings(deadline=None)
@given(st.recursive(st.just("a"), lambda inner: st.builds("({}, [{}], f'{{b}}')".format, inner, inner), max_leaves=4))
def test_nothing_is_open_behind_an_expression_and_something_within_it_always_is(expression: str) -> None:
    ast.parse(expression)
    assert standing_at(expression) == Standing()
    for cut in range(1, len(expression)):
        later = closed_later(expression[cut:], standing := standing_at(expression[:cut]))
        assert later == set(range(len(standing.open)))


def test_a_long_text_is_read_from_a_definition_at_its_margin() -> None:
    line = "value = other(1)\n"
    assert standing_at("broken(\n" + line * 2000 + "def f():\n    return (" + "1 +\n" * 5000).open == (")",)


def test_a_bracket_that_does_not_fit_the_ones_behind_it_closes_what_is_being_written():
    assert closed_later(")]", standing_at("f(f(a, [")) == {2}
    assert closed_later("])", standing_at("f(f(a, [")) == {2, 0}
