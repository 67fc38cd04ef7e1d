"""A failing handler answers "nothing", writes one log line, and never takes the server down.

Log lines name what failed and where in our own code, never the message of an exception: it may quote the user's text.
"""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from pygls.exceptions import JsonRpcException

log = logging.getLogger("engram_lsp")

Handler = TypeVar("Handler", bound=Callable[..., Any])

CONTENT_MODIFIED = -32801
SERVER_CANCELLED = -32802
REQUEST_FAILED = -32803

# How long a client has for an answer that nothing depends on, in seconds.
_PATIENCE = 60.0


def stale() -> JsonRpcException:
    """The text changed while the answer was being made: the client asks again if it still cares."""
    return JsonRpcException("the text changed under the computation", CONTENT_MODIFIED)


def refused(reason: str) -> JsonRpcException:
    """A request that was understood and will not be done; the reason is for the person who asked."""
    return JsonRpcException(reason, REQUEST_FAILED)


def place(error: BaseException) -> str:
    """Where an exception comes from: its type and the innermost frames, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {where}" if where else type(error).__name__


def report(what: str, error: BaseException) -> None:
    log.error("%s failed: %s", what, place(error))


def guarded(what: str, handler: Handler, nothing: Any = None) -> Handler:
    """`handler`, answering `nothing` where it would raise. Refusals and cancellations pass through."""
    if inspect.iscoroutinefunction(handler):
        waiting = cast("Callable[..., Awaitable[Any]]", handler)

        async def guarded_async(*arguments: Any) -> Any:
            try:
                return await waiting(*arguments)
            except JsonRpcException:
                raise
            except Exception as error:
                report(what, error)
                return nothing

        return cast("Handler", guarded_async)

    def guarded_sync(*arguments: Any) -> Any:
        try:
            return handler(*arguments)
        except JsonRpcException:
            raise
        except Exception as error:
            report(what, error)
            return nothing

    return cast("Handler", guarded_sync)


async def answered(question: Awaitable[Any]) -> bool:
    """Asks the client for something that it may well refuse, or never answer: then it is not waited for for ever."""
    try:
        await asyncio.wait_for(question, _PATIENCE)
    except (JsonRpcException, TimeoutError) as refusal:
        log.info("the client did not do what it was asked for: %s", type(refusal).__name__)
        return False
    return True


# Answers that pygls takes for failures: they are nobody's fault.
_ANSWERS = frozenset({CONTENT_MODIFIED, SERVER_CANCELLED, REQUEST_FAILED})


def is_failure(record: logging.LogRecord) -> bool:
    """Whether a record of pygls is worth a line. Refusals are answers, and a cancel may come after its answer left."""
    error = record.exc_info[1] if record.exc_info else None
    late_cancel = str(record.msg).startswith("Cancel notification for unknown")
    return not late_cancel and not (isinstance(error, JsonRpcException) and error.code in _ANSWERS)


class WithoutArguments(logging.Formatter):
    """Formats records of libraries by their template alone: their arguments may hold message bodies."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname.lower()} {record.name}: {str(record.msg).replace('%s', '…').replace('%r', '…')}"
        error = record.exc_info[1] if record.exc_info else None
        return f"{line} ({place(error)})" if error is not None else line
