"""workspace/executeCommand"""

import asyncio
from collections.abc import Sequence
from typing import Any

from engram_lsp.session import Session


async def status(session: Session, arguments: Sequence[Any]) -> dict[str, Any]:
    """What the server knows and runs on. With the argument true it first waits until everything is read."""
    if arguments and arguments[0] is True:
        await session.until_ready()
    return session.status()


async def rebuild_memory(session: Session, _: Sequence[Any]) -> dict[str, Any]:
    """Forgets what is on disk about every folder and reads it again; answers when that is done."""
    await asyncio.gather(*(session.rebuild(folder) for folder in tuple(session.folders.values())))
    return session.status()


async def pause_reading(session: Session, _: Sequence[Any]) -> dict[str, Any]:
    """Stops reading projects until it is told to go on."""
    session.pause(True)
    return session.status()


async def resume_reading(session: Session, _: Sequence[Any]) -> dict[str, Any]:
    """Goes on reading where it was stopped; what changed meanwhile is read too."""
    session.pause(False)
    return session.status()
