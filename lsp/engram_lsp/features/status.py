"""engram/status, a notification of ours: how the server is, whenever that changes, for clients that show it.

They say so in their capabilities: `experimental: {"engram": {"status": true}}`.
"""

from typing import Any

from engram_lsp.health import health
from engram_lsp.session import Session

METHOD = "engram/status"
# What changes quickly is told so often, in seconds.
_EVERY = 0.25


def schedule(session: Session) -> None:
    """Tells it soon: what changes meanwhile is told along with it."""
    if session.client.shows_status and not session.rest.waits("status"):
        session.rest.after(_EVERY, "status", lambda: tell(session))


def tell(session: Session) -> None:
    now = status_of(session)
    if now != session.told_status and not session.closed:
        session.told_status = now
        session.server.protocol.notify(METHOD, now)


def status_of(session: Session) -> dict[str, Any]:
    found = health(session)
    return {
        **found.as_json(),
        "model": found.model,
        "provider": found.provider,
        "files": found.files,
        "version": session.server.version,
    }
