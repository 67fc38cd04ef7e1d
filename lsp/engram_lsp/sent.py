"""What the client was sent last, for the requests that come back to it."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from engram_context.completion.candidates import Candidate
from engram_context.snapshot import Snapshot
from numpy.typing import NDArray

from engram_lsp import convert

Numbers = NDArray[np.int64]

# For no more documents than this it is kept what was sent last.
_DOCUMENTS = 16


class SentTokens:
    """The semantic tokens of each document, as the protocol encodes them. Owned by the event loop."""

    def __init__(self) -> None:
        self._sent: OrderedDict[str, tuple[str, Numbers]] = OrderedDict()
        self._ids = itertools.count(1)

    def __len__(self) -> int:
        return len(self._sent)

    def keep(self, uri: str, numbers: Numbers) -> str:
        """The name of an answer that is about to be sent."""
        key, id = convert.key_of(uri), str(next(self._ids))
        self._sent[key] = (id, numbers)
        self._sent.move_to_end(key)
        while len(self._sent) > _DOCUMENTS:
            self._sent.popitem(last=False)
        return id

    def find(self, uri: str, id: str) -> Numbers | None:
        """The numbers of an answer, None when it is not the last one of its document."""
        known, numbers = self._sent.get(convert.key_of(uri), ("", None))
        return numbers if known == id else None


class SentList:
    """The newest completion list. Owned by the event loop."""

    def __init__(self) -> None:
        self._number = 0
        self._candidates: Sequence[Candidate] = ()
        self._snapshot: Snapshot | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The project that the list was made of, None before the first one."""
        return self._snapshot

    def keep(self, candidates: Sequence[Candidate], snapshot: Snapshot) -> int:
        """The number of a list that is about to be sent."""
        self._number += 1
        self._candidates, self._snapshot = candidates, snapshot
        return self._number

    def find(self, data: Any) -> Candidate | None:
        """The candidate of an item by the data it was sent with, [list, place in it]; None for older lists' items."""
        if not isinstance(data, list) or len(data) != 2 or data[0] != self._number:  # pyright: ignore[reportUnknownArgumentType]
            return None
        place: Any = data[1]
        return self._candidates[place] if isinstance(place, int) and 0 <= place < len(self._candidates) else None
