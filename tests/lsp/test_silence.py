"""The comment that silences a finding."""

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Span, Text
from engram_lsp.silence import silenced


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = nope\n", "x = nope  # engram: ignore[undefined-name]\n"),
        ("x = nope", "x = nope  # engram: ignore[undefined-name]"),
        ("x = nope \t\r\ny = 1\r\n", "x = nope  # engram: ignore[undefined-name]\r\ny = 1\r\n"),
        ("x = nope  # engram: ignore[other]\n", "x = nope  # engram: ignore[other, undefined-name]\n"),
        ('x = nope, "# engram: ignore[a]"\n', 'x = nope, "# engram: ignore[a]"  # engram: ignore[undefined-name]\n'),
        ("x = nope + \\\n  1\n", None),
        ('x = nope + """\n"""\n', None),
    ],
)
def test_a_comment_is_added_where_it_is_one(source: str, expected: str | None) -> None:
    text, start = Text.of(source), source.index("nope")
    edit = silenced("main.py", text, Finding("undefined-name", "error", Span(start, start + 4), ""))
    assert (None if edit is None else apply(text, edit.edits["main.py"]).decode()) == expected
