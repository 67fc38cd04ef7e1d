"""What the model is shown of a document: a window around the cursor that stays put while the user types.

The engine reuses the cache of the longest prefix that two prompts share. A window that began a fixed number of lines
before the cursor would move with every new line and share nothing, so it begins at a multiple of `step` lines, and
the text after the cursor comes first in the prompt (suffix-prefix-middle), where typing does not change it.
"""

import re
from dataclasses import dataclass

from engram_context.text import Span, Text

# The word that is being typed, with the one space before it: byte-level BPE learns " name" as one token, so both are
# taken off the prompt's end and the model is held to spell them again ("token healing").
UNFINISHED = re.compile(r"(?:(?<=\S) )?\w*\Z")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the document the prompt may hold; bytes bound what long lines would make of the line counts.

    About 24 to 36 lines before the cursor: twice as many cost twice as much and completed no more lines exactly
    (tests/bench/RESULTS.md, "prompt length"); the default model is trained on windows of 512 tokens.
    """

    lines_before: int = 24
    step: int = 12
    lines_after: int = 8
    bytes_before: int = 2048
    bytes_after: int = 512


@dataclass(frozen=True, slots=True)
class Window:
    """The prompt's parts as text: `before` + `typed` end at the cursor, `after` begins there.

    `typed` is the beginning that a suggestion has to keep: the unfinished word and perhaps the space before it.
    `word` is the span of the unfinished word alone.
    """

    before: str
    typed: str
    after: str
    word: Span


def window(text: Text, offset: int, limits: Limits) -> Window:
    """The window around `offset` (UTF-8 bytes). Characters cut in half by a byte limit are left out."""
    line = text.line_of(offset)
    first = max(0, (line - limits.lines_before) // limits.step * limits.step)
    start = text.line_start(first)
    if offset - start > limits.bytes_before:
        start = (offset - limits.bytes_before // 2) // (limits.bytes_before // 2) * (limits.bytes_before // 2)
    last = min(text.line_count - 1, line + limits.lines_after)
    end = min(text.line_span(last).end, offset + limits.bytes_after)
    before = text.data[start:offset].decode("utf-8", errors="ignore")
    after = text.data[offset:end].decode("utf-8", errors="ignore")
    unfinished = UNFINISHED.search(before)
    typed = unfinished[0] if unfinished else ""
    word = typed.lstrip(" ")
    return Window(
        before=before.removesuffix(typed),
        typed=typed,
        after=after,
        word=Span(offset - len(word.encode()), offset),
    )
