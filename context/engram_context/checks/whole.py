"""What checks know of a whole snapshot and not of one file: made when first asked for, and shared by all files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from engram_context.outside.environment import Environment
from engram_context.records import FileRecord

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

T = TypeVar("T")

_lock = threading.Lock()


class Whole:
    """The answers about one snapshot. Any thread."""

    def __init__(self, snapshot: Snapshot, environment: Environment) -> None:
        self.snapshot = snapshot
        self.environment = environment
        self._kept: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def of(self, make: Callable[[Whole], T]) -> T:
        """What `make` (a function of a module, which is the key) says of this snapshot, made once."""
        with self._lock:
            if make not in self._kept:
                self._kept[make] = make(self)
            return self._kept[make]


def whole_of(snapshot: Snapshot, environment: Environment) -> Whole:
    """The one `Whole` of a snapshot. It is kept with that, for it refers to it: in a dict with weak keys, neither would
    ever go."""
    with _lock:
        found: Whole | None = vars(snapshot).get("_whole")
        if found is None or found.environment is not environment:
            found = vars(snapshot)["_whole"] = Whole(snapshot, environment)
        return found


def of_record(record: FileRecord, make: Callable[[FileRecord], T]) -> T:
    """What `make` (a function of a module, which is the key) says of a record alone. It is kept with the record, so
    that after an edit only the edited file is looked at anew."""
    kept = record.__dict__.setdefault("_kept", {})
    if make not in kept:
        kept[make] = make(record)
    return kept[make]
