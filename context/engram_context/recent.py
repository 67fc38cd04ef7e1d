"""One resolver for the small questions about one snapshot: what a first question found out, the next need not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from engram_context.resolve import Resolver

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_recent = threading.local()


def resolver_of(snapshot: Snapshot) -> Resolver:
    """The resolver that this thread asked about the snapshot last, or a new one. Each thread has its own, for a
    resolver is no thing to share; it keeps the snapshot until the thread is asked about another one.

    For questions about one place or one file: whoever looks through a whole project makes a resolver to throw away.
    """
    found: Resolver | None = getattr(_recent, "resolver", None)
    if found is None or found.snapshot is not snapshot:
        found = _recent.resolver = Resolver(snapshot)
    return found
