"""Fixes of a stack trace tried with the user's own test command, once they agreed to its being run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lsprotocol import types

from engram_lsp.progress import Progress
from engram_lsp.schedule import Cancelled, in_worker

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot
    from engram_context.trace.reports import TraceReport

    from engram_lsp.folder import Folder
    from engram_lsp.session import Session

_YES, _NO = "Run it", "No"


async def agreed(session: Session) -> str:
    """The test command of the settings, if its user lets it be run; "" otherwise. Asked once for each command."""
    command = session.settings.trace.test_command.strip()
    if not command or session.traced.agreed.get(command) is not None:
        return command if session.traced.agreed.get(command, False) else ""
    asked = types.ShowMessageRequestParams(
        types.MessageType.Info,
        f"Try fixes by running “{command}” in a throw-away copy of the project?",
        [types.MessageActionItem(_YES), types.MessageActionItem(_NO)],
    )
    try:
        answer = await session.server.window_show_message_request_async(asked)
    except Exception:
        return ""  # a client that cannot ask has not agreed
    session.traced.agreed[command] = answer is not None and answer.title == _YES
    return command if session.traced.agreed[command] else ""


async def _judged(session: Session, snapshot: Snapshot, found: Sequence[TraceReport]) -> Sequence[TraceReport]:
    """The reports with their fixes in the order in which model and memory together would try them."""
    from engram_lsp.repair import judged

    predictor = session.predictor
    if predictor is None:
        return found
    return await session.in_model_thread(
        lambda cancelled: [
            replace(one, proposals=judged(predictor, snapshot, one.proposals, cancelled=cancelled)) for one in found
        ]
    )


async def tried(
    session: Session, folder: Folder, found: Sequence[TraceReport], command: str
) -> tuple[TraceReport, ...]:
    """The reports with only those fixes that the tests verified; where nothing can be run, with those that are sure
    enough without."""
    from engram_lsp.verify import VerifyError, sure
    from engram_lsp.verify import tried as tried_one

    snapshot, root = folder.snapshot, folder.root
    found = await _judged(session, snapshot, found)
    open_texts = {path: text for path in folder.holder.documents if (text := snapshot.text(path)) is not None}
    progress = Progress(session.server, "Trying fixes", session.client.progress)

    def work(cancelled: Cancelled) -> tuple[TraceReport, ...]:
        made: list[TraceReport] = []
        for report in found:
            try:
                if report.proposals:
                    report = tried_one(
                        report,
                        command,
                        root,
                        snapshot.text,
                        unsaved=open_texts,
                        cancelled=lambda: cancelled() or progress.cancelled() or session.leaving.is_set(),
                        progress=progress.report,
                    )
            except VerifyError as problem:
                problems.append(str(problem))
                report = sure(report)
            made.append(report)
        return tuple(made)

    problems: list[str] = []
    beginning = asyncio.create_task(progress.begin())
    try:
        # A thread of its own: tests may run for minutes, and no question waits behind them.
        after = await in_worker(session.testing, work)
    finally:
        beginning.cancel()
        progress.end()
    for problem in dict.fromkeys(problems):
        session.tell(f"No fix was tried: {problem}", types.MessageType.Warning)
    return after
