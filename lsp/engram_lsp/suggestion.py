"""From what the model said to what fits the buffer.

A prediction is a run of text; a suggestion is that text made right for the place where it will stand: it ends where
the line or block ends, closes only the brackets that are still open, and never repeats what already stands on the
right of the cursor. Everything here is a pure function of strings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engram_context.text import Span

Source = Literal["memory", "model", "both"]

OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = frozenset(OPENING.values())
QUOTES = "\"'"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text that may replace `span` of one revision of a document.

    `span` lies on one line and covers the typed word up to the cursor, so `text` begins with what was typed.
    `probability` is the product of the probabilities of its tokens: what a perfect judge would call the chance that
    the user types exactly this.
    """

    text: str
    span: Span
    probability: float
    source: Source
    revision: int


def unmatched_closers(text: str) -> str:
    """The closing brackets in `text` that no opening bracket before them answers, in order; strings are skipped."""
    expected: list[str] = []
    unmatched: list[str] = []
    quote = ""
    escaped = False
    for char in text:
        if quote:
            quote = quote if escaped or char != quote else ""
            escaped = char == "\\" and not escaped
        elif char in QUOTES:
            quote = char
        elif char == "#":
            break
        elif char in OPENING:
            expected.append(OPENING[char])
        elif char in CLOSING:
            if expected and expected[-1] == char:
                expected.pop()
            else:
                unmatched.append(char)
    return "".join(unmatched)


def cut_at_newline(text: str) -> str:
    """The first line of `text`, without trailing white space."""
    return text.split("\n", 1)[0].rstrip()


def cut_at_dedent(text: str, indentation: int) -> str:
    """The lines of `text` that belong to a block indented by at least `indentation` columns.

    The first line continues the line of the cursor and always belongs; one blank line inside the block is kept, a
    blank line at its end is not.
    """
    first, *rest = text.split("\n")
    kept = [first]
    for line in rest:
        if line.strip() and len(line) - len(line.lstrip()) < indentation:
            break
        kept.append(line)
    return "\n".join(kept).rstrip()


def without_repeated_suffix(text: str, suffix: str) -> str:
    """`text` less the end of it that the rest of the cursor's line (`suffix`) says again.

    Before `, b)` the text `a, b` becomes `a`. A single closing bracket is left for `balanced` to judge, and a name is
    never cut in its middle. Multi-line texts are left alone: the rest of the line moves to their last line.
    """
    suffix = suffix.rstrip()
    if "\n" in text or (suffix and suffix in CLOSING):
        return text
    for size in range(min(len(text), len(suffix)), 0, -1):
        whole_names = size == len(suffix) or not (suffix[size - 1].isalnum() and suffix[size].isalnum())
        if whole_names and (size > 2 or size == len(suffix)) and text.endswith(suffix[:size]):
            return text[:-size]
    return text


def balanced(text: str, suffix: str, open_before: str) -> str:
    """`text` cut before the first closing bracket that would close nothing.

    `open_before` are the closers that the text on the left of the cursor still waits for, innermost first; those that
    the suffix provides are not ours to write.
    """
    provided = unmatched_closers(suffix)
    waiting = list(open_before[: len(open_before) - len(provided)] if provided else open_before)
    expected: list[str] = []
    quote = ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[index - 1] != "\\" else quote
        elif char in QUOTES:
            quote = char
        elif char in OPENING:
            expected.append(OPENING[char])
        elif char in CLOSING:
            if expected:
                if expected.pop() != char:
                    return text[:index]
            elif waiting and waiting[0] == char:
                waiting.pop(0)
            else:
                return text[:index]
    return text


def open_brackets(before: str) -> str:
    """The closers that `before` still waits for, innermost first."""
    expected: list[str] = []
    quote = ""
    escaped = False
    for char in before:
        if quote:
            quote = quote if escaped or (char != quote and char != "\n") else ""
            escaped = char == "\\" and not escaped
        elif char in QUOTES:
            quote = char
        elif char in OPENING:
            expected.append(OPENING[char])
        elif char in CLOSING and expected and expected[-1] == char:
            expected.pop()
    return "".join(reversed(expected))


def fit(text: str, before: str, after: str, *, multiline: bool) -> str:
    """What of a predicted `text` is worth showing between `before` and `after`; empty when nothing is.

    `before` is the document up to the cursor (as much of it as brackets may span), `after` what follows the cursor.
    """
    line_before = before.rsplit("\n", 1)[-1]
    indentation = len(line_before) - len(line_before.lstrip())
    text = cut_at_dedent(text, max(indentation, 1)) if multiline else cut_at_newline(text)
    suffix, _, following = after.partition("\n")
    text = without_repeated_suffix(text, suffix)
    text = balanced(text, suffix, open_brackets(before))
    if not text.strip() or repeats_next_line(line_before + text, following):
        return ""
    return text.rstrip() if not suffix.strip() else text


def repeats_next_line(line: str, following: str) -> bool:
    """Whether accepting would write the next written line a second time."""
    last = line.rsplit("\n", 1)[-1].strip()
    return len(last) > 3 and last == next((text.strip() for text in following.split("\n") if text.strip()), "")


def best_first(suggestions: Sequence[Suggestion]) -> tuple[Suggestion, ...]:
    """Most probable first, each text once."""
    seen: set[str] = set()
    ranked = sorted(suggestions, key=lambda suggestion: -suggestion.probability)
    return tuple(s for s in ranked if not (s.text in seen or seen.add(s.text)))
