"""What a session may still hold once nobody waits for anything."""

import time
from collections.abc import Callable
from typing import Any

from engram_lsp.session import Session

# They live as long as the session, or wait for a client that may never answer.
LASTING = frozenset({"watching the parent"})
TIMERS = frozenset({"save", "hints", "tidy"})


def check_nothing_left(session: Session, documents: set[str], seconds: float = 10) -> None:
    """Raises AssertionError for tasks, timers and documents that nothing needs any more."""
    eventually(lambda: left(session, documents), seconds)


def left(session: Session, documents: set[str]) -> dict[str, Any]:
    protocol = session.server.protocol
    tasks = [task.get_name() for task in tuple(session.tasks._running)]
    timers = [key if isinstance(key, str) else key[0] for key in tuple(session.rest._timers)]
    held = {
        session.uri_of(folder, path)
        for folder in (*session.folders.values(), *session.loose.values())
        for path in folder.holder.documents
    }
    found = {
        "tasks": [name for name in tasks if name not in LASTING],
        "timers": [name for name in timers if name not in TIMERS],
        "documents": held - documents,
        "behind": [path for folder in session.folders.values() for path in folder.holder.behind],
        "loose folders": [] if documents else list(session.loose),
        "told": [folder.root for folder in session.told if session.folders.get(folder.root) is not folder],
        "requests": list(protocol._request_futures),
        "types of results": list(protocol._result_types),
        "progress": list(protocol.progress.tokens),
    }
    return {what: which for what, which in found.items() if which}


def eventually(question: Callable[[], dict[str, Any]], seconds: float) -> None:
    until = time.monotonic() + seconds
    while faults := question():
        if time.monotonic() > until:
            raise AssertionError(f"left behind: {faults}")
        time.sleep(0.02)
