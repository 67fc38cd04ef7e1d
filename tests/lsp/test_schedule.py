"""Work that leaves the event loop."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from engram_lsp.schedule import Cancelled, Desk, Newest, Rest, Tasks, in_worker


def test_cancelling_the_caller_tells_the_work() -> None:
    begun, told = threading.Event(), threading.Event()

    def work(cancelled: Cancelled) -> None:
        begun.set()
        while not cancelled():
            threading.Event().wait(0.001)
        told.set()

    async def main(executor: ThreadPoolExecutor) -> None:
        task = asyncio.create_task(in_worker(executor, work))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main(executor))
        assert told.wait(5)


def test_work_that_waits_for_the_thread_never_starts_once_cancelled() -> None:
    release, started = threading.Event(), threading.Event()

    async def main(executor: ThreadPoolExecutor) -> None:
        busy = asyncio.create_task(in_worker(executor, lambda _: release.wait()))
        waiting = asyncio.create_task(in_worker(executor, lambda _: started.set()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        release.set()
        await busy

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main(executor))
    assert not started.is_set()


def test_urgent_work_is_done_between_the_steps_of_other_work_and_before_what_waits() -> None:
    done: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(cancelled: Cancelled) -> None:
        begun.set()
        go_on.wait()
        assert not cancelled()
        done.append("slow")

    async def main(executor: ThreadPoolExecutor) -> None:
        desk = Desk(executor)
        busy = asyncio.create_task(desk.do(slow))
        await asyncio.to_thread(begun.wait)
        waiting = asyncio.create_task(desk.do(lambda _: done.append("waiting")))
        urgent = asyncio.create_task(desk.do_soon(lambda _: done.append("urgent")))
        await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(busy, waiting, urgent)
        await desk.do_soon(lambda _: done.append("idle"))

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main(executor))
    assert done == ["urgent", "slow", "waiting", "idle"]


def test_urgent_work_that_fails_tells_its_caller_and_nobody_else() -> None:
    def fails(_: Cancelled) -> None:
        raise ValueError

    async def main(executor: ThreadPoolExecutor) -> bool:
        desk = Desk(executor)
        with pytest.raises(ValueError):
            await desk.do_soon(fails)
        return await desk.do(lambda cancelled: not cancelled())

    with ThreadPoolExecutor(1) as executor:
        assert asyncio.run(main(executor))


def test_cancelling_the_caller_tells_urgent_work_or_keeps_it_from_starting() -> None:
    begun, told = threading.Event(), threading.Event()
    started: list[str] = []

    def work(cancelled: Cancelled) -> None:
        begun.set()
        while not cancelled():
            threading.Event().wait(0.001)
        told.set()

    async def main(executor: ThreadPoolExecutor) -> None:
        desk = Desk(executor)
        running = asyncio.create_task(desk.do_soon(work))
        await asyncio.to_thread(begun.wait)
        waiting = asyncio.create_task(desk.do_soon(lambda _: started.append("waiting")))
        await asyncio.sleep(0.01)
        for task in (waiting, running):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main(executor))
    assert told.is_set()
    assert started == []


def test_a_new_ticket_ends_the_one_before() -> None:
    newest = Newest()
    first, second = newest.ticket(), newest.ticket()
    assert first() and not second()
    third = newest.ticket()
    assert first() and second() and not third()


def test_only_the_last_of_many_touches_acts_and_each_key_for_itself() -> None:
    done: list[str] = []

    async def main() -> None:
        rest = Rest()
        for number in range(5):
            rest.after(0.01, "a", lambda number=number: done.append(f"a{number}"))
        rest.after(0.01, "b", lambda: done.append("b"))
        rest.after(0.01, "c", lambda: done.append("c"))
        rest.forget("c")
        await asyncio.sleep(0.05)
        rest.after(0.01, "a", lambda: done.append("again"))
        rest.after(0.01, "broken", lambda: 1 / 0)
        await asyncio.sleep(0.05)
        rest.after(0.01, "a", lambda: done.append("never"))
        rest.clear()
        await asyncio.sleep(0.03)

    asyncio.run(main())
    assert done == ["a4", "b", "again"]


def test_a_failing_task_is_one_log_line_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("the user's text")

    async def main() -> None:
        tasks = Tasks()
        tasks.start("some work", fails())
        endless = tasks.start("endless", asyncio.sleep(1000))
        await asyncio.sleep(0.01)
        tasks.cancel()
        await asyncio.gather(endless, return_exceptions=True)

    asyncio.run(main())
    (line,) = caplog.messages
    assert line.startswith("some work failed: ValueError at test_schedule.py")
    assert "user" not in line
