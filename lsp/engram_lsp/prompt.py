"""What the model is shown of a document: a window around the cursor that stays put while the user types.

The engine reuses the cache of the longest prefix that two prompts share. A window that began a fixed number of lines
before the cursor would move with every new line and share nothing, so it begins at a multiple of `step` lines, and
the text after the cursor comes first in the prompt (suffix-prefix-middle), where typing does not change it.

Before all that may come excerpts of other files, written as the samples of training are: each with the line that names
its file. They stay the same, in the same order, as long as the window does.
"""

import re
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from engram_context.memory.excerpts import Excerpt
from engram_context.text import Span, Text
from engram_runtime import fim
from engram_runtime.tokenizer import Tokenizer

# The word that is being typed, with the one space before it: byte-level BPE learns " name" as one token, so both are
# taken off the prompt's end and the model is held to spell them again ("token healing").
UNFINISHED = re.compile(r"(?:(?<=\S) )?\w*\Z")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the document the prompt may hold; bytes bound what long lines would make of the line counts.

    About 12 to 18 lines before the cursor: more cost more and told the default model nothing, neither of the same file
    nor excerpts of others (tests/bench/RESULTS.md, "what the prompt should hold"); a better model may want more.
    """

    lines_before: int = 12
    step: int = 6
    lines_after: int = 6
    bytes_before: int = 2048
    bytes_after: int = 512
    bytes_excerpts: int = 0


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
    start = beginning(text, offset, limits)
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


def finished(text: Text, offset: int) -> tuple[Text, int]:
    """The text without the word that is being typed, and where that stood: what a memory is shown of a document.
    It would else expect half a word wherever it has just seen one."""
    found = UNFINISHED.search(text.data[max(0, offset - 256) : offset].decode("utf-8", errors="ignore"))
    begin = offset - (len(found[0].encode()) if found is not None else 0)
    return text.splice(begin, offset, b""), begin


def beginning(text: Text, offset: int, limits: Limits) -> int:
    """Where the window around `offset` begins, in bytes: the same for a good while of typing."""
    first = max(0, (text.line_of(offset) - limits.lines_before) // limits.step * limits.step)
    start = text.line_start(first)
    if offset - start > limits.bytes_before:
        start = (offset - limits.bytes_before // 2) // (limits.bytes_before // 2) * (limits.bytes_before // 2)
    return start


class Prompts:
    """Writes prompts in the form that the model was trained on: excerpts, the best one last, then the window."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._excerpts: dict[tuple[str, str], tuple[int, ...]] = {}

    def of(self, path: str, around: Window, excerpts: Sequence[Excerpt] = ()) -> tuple[int, ...]:
        """The ids of a prompt for `path`."""
        encode = self._tokenizer.encode
        header = encode(fim.path_header(path))
        own = fim.prompt(self._tokenizer, encode(around.before), encode(around.after), header)
        return (*(token for excerpt in excerpts for token in self._excerpt(excerpt)), *own)

    def _excerpt(self, excerpt: Excerpt) -> tuple[int, ...]:
        key = excerpt.path, excerpt.text
        if key not in self._excerpts:
            if len(self._excerpts) > 256:
                self._excerpts.clear()
            encode = self._tokenizer.encode
            ids = (self._tokenizer.begin, *encode(fim.path_header(excerpt.path)), *encode(excerpt.text))
            self._excerpts[key] = ids
        return self._excerpts[key]


@dataclass(slots=True, eq=False)
class _Held:
    """What one document's prompts show of other files while its window begins at `start`, and what they will."""

    start: int
    shown: tuple[Excerpt, ...]
    coming: tuple[Excerpt, ...] | None = None


class Pieces:
    """Which excerpts the prompts of each document show. They are looked for in the background, and change only when the
    window moves: then the prompt has to be read anew in any case. Any thread."""

    def __init__(self, later: Callable[[Callable[[], None]], object]) -> None:
        """`later` does something on another thread."""
        self._later = later
        self._lock = threading.Lock()
        self._held: dict[Hashable, _Held] = {}

    def of(
        self, document: Hashable, start: int, budget: int, find: Callable[[], Sequence[Excerpt]]
    ) -> tuple[Excerpt, ...]:
        """The excerpts for a window that begins at `start`, of at most `budget` bytes, the best one last; none while
        the first are being looked for. `find` gives candidates for the window, best first, of any size together."""
        if budget <= 0:
            return ()
        with self._lock:
            held = self._held.get(document)
            if held is not None and held.start == start and (held.shown or not held.coming):
                return held.shown
            now = _Held(start, ())
            if held is not None:
                now.shown = held.shown if held.coming is None else held.coming
            self._held[document] = now
        self._later(lambda: self._look(now, budget, find))
        return now.shown

    def forget(self, document: Hashable) -> None:
        """Nothing needs to be known of a document any more."""
        with self._lock:
            self._held.pop(document, None)

    def _look(self, held: _Held, budget: int, find: Callable[[], Sequence[Excerpt]]) -> None:
        coming = chosen(held.shown, find(), budget)
        with self._lock:
            held.coming = coming


def chosen(shown: Sequence[Excerpt], found: Sequence[Excerpt], budget: int) -> tuple[Excerpt, ...]:
    """Of what was `found`, best first, as much as `budget` bytes hold, the best one last; but what is `shown` and still
    among what was found stays, in its order and first, since what stands first need not be read again."""
    kept = [excerpt for excerpt in shown if excerpt in found]
    left = budget - sum(_size(excerpt) for excerpt in kept)
    added: list[Excerpt] = []
    for excerpt in found:
        if excerpt not in kept and _size(excerpt) <= left:
            left -= _size(excerpt)
            added.append(excerpt)
    return (*kept, *reversed(added))


def _size(excerpt: Excerpt) -> int:
    return len(excerpt.text.encode("utf-8", "surrogatepass"))
