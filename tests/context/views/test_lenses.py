"""Where it is said how often a definition is mentioned."""

from __future__ import annotations

from engram_context.text import Place
from engram_context.views.lenses import lenses, mentions
from fixture import parse_fixture, starts


def test_definitions_have_lenses_where_other_code_can_see_them() -> None:
    fixture = parse_fixture("""
        def $1f():
            def inner(): ...
        class $2A:
            def $3run(self): ...
            x = 1
        if True:
            def f(): ...
        """)
    assert [Place("main.py", span.start) for span in lenses(fixture.snapshot(), "main.py")] == list(fixture.answers)
    assert lenses(fixture.snapshot(), "gone.py") == ()


def test_a_lens_counts_mentions_without_definitions() -> None:
    fixture = parse_fixture("""
        -- app.py --
        from util import $1greet
        $2greet()
        -- util.py --
        def $0greet(): ...
        """)
    assert starts(mentions(fixture.snapshot(), fixture.cursor)) == fixture.answers
