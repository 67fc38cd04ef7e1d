"""Work-done progress: shown where the client can, and ended when its user cancels it."""

import asyncio
import threading
import uuid
from time import monotonic

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from engram_lsp import guard

# Reports per second that reach the client: more would only fill the pipe.
_RATE = 10.0


class Progress:
    """One piece of work. `report` and `cancelled` may be called from the thread that does it."""

    def __init__(self, server: LanguageServer, title: str, wanted: bool) -> None:
        """`wanted`: the client shows progress."""
        self.title = title
        self._progress = server.work_done_progress
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()
        self._token = str(uuid.uuid4())
        self._shown = False
        self._ended = False
        self._last = 0.0
        self._cancel = threading.Event()

    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def report(self, done: int, total: int, what: str = "") -> None:
        now = monotonic()
        if not self._shown or now - self._last < 1 / _RATE:
            return
        self._last = now
        self._loop.call_soon_threadsafe(self._report, done, total, what)

    async def begin(self) -> None:
        """Asks the client for a place to show it. The work does not wait for that."""
        if not self._wanted:
            return
        if not await guard.answered(self._progress.create_async(self._token)):
            return  # the client would not have it
        if self._ended:
            self._progress.tokens.pop(self._token, None)
            return
        self._progress.tokens[self._token].add_done_callback(self._when_cancelled)
        self._progress.begin(self._token, types.WorkDoneProgressBegin(title=self.title, cancellable=True, percentage=0))
        self._shown = True

    def end(self, message: str | None = None) -> None:
        self._ended = True
        if self._shown:
            self._shown = False
            self._progress.end(self._token, types.WorkDoneProgressEnd(message=message))
            self._progress.tokens.pop(self._token, None)

    def _when_cancelled(self, _: object) -> None:
        self._cancel.set()

    def _report(self, done: int, total: int, what: str) -> None:
        if self._shown:
            message = f"{done:,}/{total:,} {what}" if total else what
            percentage = min(100, 100 * done // total) if total else None
            self._progress.report(
                self._token, types.WorkDoneProgressReport(message=message, percentage=percentage, cancellable=True)
            )
