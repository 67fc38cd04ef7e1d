"""Suggestions that were made, kept for as long as they are right: while exactly their text is being typed.

An offer is valid for a text or it is not, by comparing what it was made for, plus what of it is written, with that
text: no history of edits can make a stale one look fresh. Whatever else is edited ends it.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from engram_context.text import Span, Text

from engram_lsp.schedule import Cancelled, Newest
from engram_lsp.suggestion import Suggestion

_MOST = 8  # offers kept: what is shown, what was made ahead, and some that other cursors wait with
_WORD = re.compile(r"\w*\Z")
_PAIRED = frozenset(b")]}\"'")  # what editors write behind the cursor when its partner is typed
_MOST_PAIRED = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """What was suggested at `offset` of a text, perhaps nothing: then that is what is known of the place."""

    uri: str
    text: Text
    offset: int
    suggestions: tuple[Suggestion, ...]

    def at(self, text: Text, offset: int) -> tuple[Suggestion, ...] | None:
        """What is left to suggest at `offset` of `text`, where some of it may have been written since; None where
        something else was."""
        if offset == self.offset and text == self.text:
            return self.suggestions
        left = (self._left(suggestion, text, offset) for suggestion in self.suggestions)
        return tuple(suggestion for suggestion in left if suggestion is not None) or None

    def lives(self, text: Text) -> bool:
        """Whether there is a cursor in `text` at which something is left to suggest."""
        behind = len(self.text) - self.offset
        return any(self.at(text, len(text) - behind - paired) for paired in range(_MOST_PAIRED + 1))

    def accepted(self, text: Text) -> int | None:
        """Where a suggestion ends that stands in `text` as a whole."""
        for suggestion in self.suggestions:
            written, start = suggestion.text.encode("utf-8", "surrogatepass"), suggestion.span.start
            if text.data == self.text.data[:start] + written + self.text.data[self.offset :]:
                return start + len(written)
        return None

    def _left(self, suggestion: Suggestion, text: Text, offset: int) -> Suggestion | None:
        start, whole = suggestion.span.start, suggestion.text.encode("utf-8", "surrogatepass")
        typed, behind = text.data[start:offset], self.text.data[self.offset :]
        paired = len(text) - offset - len(behind)
        if offset < self.offset or not 0 <= paired <= _MOST_PAIRED or not whole.startswith(typed):
            return None
        left = whole[len(typed) :]
        closers = text.data[offset : offset + paired]
        if paired and (b"\n" in left or not _PAIRED.issuperset(closers) or not left.endswith(closers)):
            return None
        if text.data[:start] != self.text.data[:start] or text.data[offset + paired :] != behind:
            return None
        left = left[: len(left) - paired].decode("utf-8", "surrogatepass")
        if not left.strip():
            return None
        found = _WORD.search(typed.decode("utf-8", "surrogatepass"))
        word = found[0] if found is not None else ""
        span = Span(offset - len(word.encode("utf-8", "surrogatepass")), offset)
        return replace(suggestion, text=word + left, span=span)


@dataclass(slots=True)
class Tally:
    """How ghost text was answered: by asking the model (or memory), from what was kept; and made ahead."""

    computed: int = 0
    kept: int = 0
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class _Coming:
    """An offer that is being made ahead."""

    uri: str
    text: Text
    offset: int
    task: "asyncio.Task[tuple[Suggestion, ...] | None]"


@dataclass(slots=True)
class Offers:
    """Every offer that still holds. Owned by the event loop."""

    tally: Tally = field(default_factory=Tally)
    _kept: list[Offer] = field(default_factory=list[Offer])
    _coming: list[_Coming] = field(default_factory=list[_Coming])
    _newest: Newest = field(default_factory=Newest)

    def keep(self, offer: Offer) -> None:
        self._kept = [offer, *self._kept[: _MOST - 1]]

    def find(self, uri: str, text: Text, offset: int) -> tuple[Suggestion, ...] | None:
        """What is known to be suggested there; None where nobody knows."""
        for offer in self._kept:
            if offer.uri == uri and (found := offer.at(text, offset)) is not None:
                return found
        return None

    async def known(self, uri: str, text: Text, offset: int) -> tuple[Suggestion, ...] | None:
        """As `find`; waits for what is just being made for the very place."""
        found = self.find(uri, text, offset)
        for coming in self._coming:
            if found is None and (coming.uri, coming.offset, coming.text) == (uri, offset, text):
                # Who stops waiting does not stop the work.
                await asyncio.wait([coming.task])
                found = self.find(uri, text, offset)
        return found

    def edited(self, uri: str, text: Text) -> int | None:
        """Drops what an edit of a document made wrong, and stops what is being made for another text. Where a
        suggestion was accepted, or typed to its end, says where it ends."""
        ends = [end for offer in self._kept if offer.uri == uri and (end := offer.accepted(text)) is not None]
        self._kept = [offer for offer in self._kept if offer.uri == uri and (offer.text == text or offer.lives(text))]
        if not any(coming.uri == uri and coming.text == text for coming in self._coming):
            self.stop()
        return ends[0] if ends else None

    def clear(self) -> None:
        """Forgets everything: a document was closed, or somebody else will answer from now on."""
        self._kept.clear()
        self.stop()

    def stop(self) -> None:
        """Ends what is being made ahead: somebody waits for something else."""
        self._newest.ticket()
        self._coming.clear()

    def ahead(
        self,
        uri: str,
        places: list[tuple[Text, int]],
        suggest: Callable[[Text, int, Cancelled], Coroutine[Any, Any, tuple[Suggestion, ...] | None]],
        start: Callable[[Coroutine[Any, Any, tuple[Suggestion, ...] | None]], "asyncio.Task[Any]"],
    ) -> None:
        """Makes offers for `places`, one after the other, until one has something to suggest or something else is
        wanted.

        `suggest` answers None when it was cancelled.
        """
        outdated = self._newest.ticket()
        self._coming.clear()
        before: list[asyncio.Task[tuple[Suggestion, ...] | None]] = []

        async def make(text: Text, offset: int, earlier: "asyncio.Task[Any] | None") -> tuple[Suggestion, ...] | None:
            if earlier is not None:
                await asyncio.wait([earlier])
                if earlier.cancelled() or earlier.exception() is not None or earlier.result():
                    return None
            if outdated():
                return None
            found = await suggest(text, offset, outdated)
            if found is None or outdated():
                return None
            self.tally.ahead += 1
            self.keep(Offer(uri, text, offset, found))
            return found

        for text, offset in places:
            task = start(make(text, offset, before[-1] if before else None))
            before.append(task)
            self._coming.append(_Coming(uri, text, offset, task))
