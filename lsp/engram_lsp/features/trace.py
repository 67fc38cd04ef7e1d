"""The commands engram.trace and engram.trace.clear: what a stack trace says about the open folders.

The suspects stand as diagnostics in their files, until they are cleared or the file has another text. Fixes leave as
edits that a person has to confirm; a client that would apply them without asking is given none.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engram_context.text import Text

from engram_lsp import convert
from engram_lsp.features import diagnostics
from engram_lsp.folder import Folder
from engram_lsp.session import Session
from engram_lsp.trying import agreed, tried

if TYPE_CHECKING:
    from engram_context.trace.reports import TraceReport

# Suspects of one trace that are shown in the editor; the answer names more.
_SHOWN = 5
_LONGEST = 4 << 20


async def trace(session: Session, arguments: Sequence[Any]) -> dict[str, Any]:
    """Arguments: a text with traces in it; perhaps the URI of the folder that is meant; and {"preview": true} from a
    client that shows edits to its user and asks before it applies them. Answers what was read, who is suspected and
    what would fix it, for the folder that has most to do with it."""
    text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
    wanted = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], str) else None
    asks = len(arguments) > 2 and isinstance(arguments[2], dict) and arguments[2].get("preview") is True
    await session.until_listed()
    command = await agreed(session)
    best: tuple[float, Folder, tuple[TraceReport, ...]] | None = None
    for folder in tuple(session.folders.values()):
        if wanted is not None and convert.key_of(convert.uri_of(folder.root)) != convert.key_of(wanted):
            continue
        found = await reports_of(session, folder, text[:_LONGEST], tested=bool(command))
        score = sum(one.score for report in found for one in report.suspects[:3])
        if best is None or score > best[0]:
            best = (score, folder, found)
    if best is None:
        return {"traces": []}
    from engram_lsp.tracing import as_json

    _, folder, found = best
    if command:
        found = await tried(session, folder, found, command)
    publish(session, folder, found)
    return {"traces": [as_json(session, folder, report, asks=asks) for report in found]}


async def clear(session: Session, _: Sequence[Any]) -> None:
    """Takes back what engram.trace shows."""
    withdraw(session, list(session.traced.items))


def recheck(session: Session) -> None:
    """Takes back what is shown in files that have another text by now."""
    texts = session.traced.texts
    if texts:
        withdraw(
            session, [uri for uri, (folder, path, digest) in texts.items() if not is_of(session, folder, path, digest)]
        )


async def reports_of(session: Session, folder: Folder, text: str, *, tested: bool = False) -> "tuple[TraceReport, ...]":
    from engram_context.disk.history import History
    from engram_context.trace.reports import reports

    # How often names are mentioned counts, which costs little only once all files are read.
    await session.until_read(folder)
    snapshot, environment = folder.snapshot, folder.holder.environment
    root = folder.root if folder.project is not None else None
    return await session.in_background(
        lambda cancelled: reports(
            snapshot, text, environment, None if root is None else History.of(root), tested=tested, cancelled=cancelled
        )
    )


def publish(session: Session, folder: Folder, found: "Sequence[TraceReport]") -> None:
    """Shows the suspects of these traces instead of those of earlier ones."""
    from engram_lsp.tracing import diagnostic

    before = list(session.traced.items)
    for uri in before:
        session.traced.take(uri)
    for report in found:
        for rank, suspect in enumerate(report.suspects[:_SHOWN]):
            text, record = text_of(session, folder, suspect.path), folder.snapshot.record(suspect.path)
            if text is not None and record is not None and text.digest == record.digest:  # else it changed meanwhile
                uri = session.uri_of(folder, suspect.path)
                item = diagnostic(session, folder, report, suspect, text, rank)
                session.traced.add(uri, folder, suspect.path, text.digest, item)
    for uri in dict.fromkeys([*before, *session.traced.items]):
        show(session, uri)


def withdraw(session: Session, uris: Sequence[str]) -> None:
    for uri in uris:
        session.traced.take(uri)
        show(session, uri)


def show(session: Session, uri: str) -> None:
    """A client that asks for the other problems is pushed these alone, another one those of a document besides."""
    if session.client.pulls_diagnostics or session.documents.get(uri) is None:
        diagnostics.publish(session, uri, [])
    else:
        diagnostics.start_push(session, uri)


def is_of(session: Session, folder: Folder, path: str, digest: bytes) -> bool:
    text = text_of(session, folder, path) if session.folders.get(folder.root) is folder else None
    return text is not None and text.digest == digest


def text_of(session: Session, folder: Folder, path: str) -> Text | None:
    document = session.document_at(folder, path)
    return document.text if document is not None else folder.snapshot.text(path)
