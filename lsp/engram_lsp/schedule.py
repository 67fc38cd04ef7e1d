"""How work leaves the event loop and comes back: cancellable, newest only, or after a rest."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from engram_lsp import guard

Result = TypeVar("Result")

# Asked between any two steps of long work.
Cancelled = Callable[[], bool]


async def in_worker(executor: Executor, work: Callable[[Cancelled], Result]) -> Result:
    """`work` on a thread of `executor`. When the caller is cancelled, work that waits never starts and work that runs
    sees its `cancelled` become true."""
    flag = threading.Event()
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, work, flag.is_set)
    except asyncio.CancelledError:
        flag.set()
        raise


class Desk:
    """One worker thread, at which urgent work is also done between the steps of other work: whenever that asks whether
    it was cancelled."""

    def __init__(self, executor: Executor) -> None:
        """`executor` has one thread."""
        self._executor = executor
        self._urgent: deque[Callable[[], None]] = deque()
        self._wanted = 0  # work that somebody waits for

    async def do(self, work: Callable[[Cancelled], Result]) -> Result:
        """`work` when its turn comes; cancelled as by `in_worker`."""

        def in_turn(cancelled: Cancelled) -> Result:
            def asked() -> bool:
                self._serve()
                return cancelled()

            return work(asked)

        self._wanted += 1
        try:
            return await in_worker(self._executor, in_turn)
        finally:
            self._wanted -= 1

    async def do_idle(self, work: Callable[[Cancelled], Result]) -> Result | None:
        """`work` that gives way to all other: it is cancelled as soon as anything else is wanted. None where it never
        began."""
        if self._wanted:
            return None
        return await in_worker(self._executor, lambda cancelled: work(lambda: cancelled() or self._is_wanted()))

    def _is_wanted(self) -> bool:
        self._serve()
        return self._wanted > 0

    async def do_soon(self, work: Callable[[Cancelled], Result]) -> Result:
        """`work` before all that waits, and in the midst of what is being done."""
        flag = threading.Event()
        answer: Future[Result] = Future()

        def now() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(work(flag.is_set))
            except BaseException as error:
                answer.set_exception(error)

        self._urgent.append(now)
        # Where the thread has nothing to do, nobody would ask.
        self._executor.submit(self._serve)
        try:
            return await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            flag.set()
            raise

    def _serve(self) -> None:
        while self._urgent:
            self._urgent.popleft()()


class Newest:
    """Lets only the newest of a kind of work go on: each ticket ends the one before."""

    def __init__(self) -> None:
        self._current = threading.Event()

    def ticket(self) -> Cancelled:
        """A flag that becomes true once somebody takes the next ticket."""
        self._current.set()
        self._current = threading.Event()
        return self._current.is_set


class Rest:
    """Does things on the loop once they have not been asked for anew for a while."""

    def __init__(self) -> None:
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}

    def after(self, delay: float, key: Hashable, action: Callable[[], object]) -> None:
        """Calls `action` in `delay` seconds, in place of what waits under the same key."""
        self.forget(key)
        self._timers[key] = asyncio.get_running_loop().call_later(delay, self._fire, key, action)

    def waits(self, key: Hashable) -> bool:
        return key in self._timers

    def forget(self, key: Hashable) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def clear(self) -> None:
        for key in tuple(self._timers):
            self.forget(key)

    def _fire(self, key: Hashable, action: Callable[[], object]) -> None:
        self._timers.pop(key, None)
        try:
            action()
        except Exception as error:
            guard.report("background work", error)


class Tasks:
    """Background coroutines: kept alive while they run, reported in one line when they fail."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, what: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=what)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        for task in tuple(self._running):
            task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            guard.report(task.get_name(), error)
