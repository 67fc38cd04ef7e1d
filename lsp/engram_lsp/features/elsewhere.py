"""Problems that a change made in files that are not open: pushed to every client, and withdrawn once they are gone.

`diagnostics.scope` says which files count: "affected" tells what was broken since the folder was read, "workspace" all
there is (a client that asks about the whole workspace is not told besides).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from engram_context.checks.manifests import is_checked
from engram_context.findings import Finding, new_ones
from engram_context.languages import language_of
from engram_context.snapshot import Snapshot

from engram_lsp.documents import Document
from engram_lsp.features import diagnostics
from engram_lsp.folder import Folder
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session

# So many files are told about after one change; what broke more than that is seen soon enough.
_MOST = 300
_TOLD = {"affected": ("error", "warning"), "workspace": ("error", "warning", "information"), "open": ()}
# Files per turn of a worker, between which what waits gets its turn.
_BATCH = 2


@dataclass(slots=True)
class Told:
    """What a client was told of one folder. Owned by the event loop.

    `scope`: the setting by which that was chosen. `last`: the snapshot of which it is. `before`: what files had been
    found to have before a change affected them, which is not told. `shown`: the files with problems that a client
    shows now. `left`: files that are still to be looked at, in that order.
    """

    scope: str = ""
    last: Snapshot | None = None
    before: dict[str, tuple[Finding, ...]] = field(default_factory=dict[str, tuple[Finding, ...]])
    shown: set[str] = field(default_factory=set[str])
    left: dict[str, None] = field(default_factory=dict[str, None])
    telling: bool = False


def schedule(session: Session, document: Document | None) -> None:
    """Something changed: the text of `document`, or (None) anything else."""
    if document is not None:
        _withdraw_opened(session, document)
    for folder in [folder for folder in session.told if session.folders.get(folder.root) is not folder]:
        _withdraw(session, folder, session.told[folder], session.told.pop(folder).shown)
    wait = session.settings.diagnostics.debounce_ms / 1000
    for folder in session.folders.values():
        if folder.project is not None:
            session.rest.after(wait, ("elsewhere", folder.root), partial(_start, session, folder))


def closed(session: Session, document: Document) -> None:
    """A closed document takes its own report along: what is told of its file is told again."""
    folder, path = session.folder_of(document)
    told = session.told.get(folder)
    if told is not None and told.scope in ("affected", "workspace") and is_checked(path, language_of(path)):
        told.left = {path: None, **told.left}


def _withdraw_opened(session: Session, document: Document) -> None:
    """From now on the document has its own report."""
    folder, path = session.folder_of(document)
    told = session.told.get(folder)
    if told is not None and path in told.shown:
        told.shown.discard(path)
        diagnostics.publish(session, document.uri, [])


def _start(session: Session, folder: Folder) -> None:
    if session.folders.get(folder.root) is not folder:
        return  # it left
    told = session.told.setdefault(folder, Told())
    if told.telling:
        schedule(session, None)
    else:
        told.telling = True
        session.tasks.start("problems elsewhere", _tell(session, folder, told))


async def _tell(session: Session, folder: Folder, told: Told) -> None:
    try:
        await session.until_read(folder)
        scope, last, now = _scope(session), told.last, folder.snapshot
        paths = await _affected(session, folder, scope, last, now) if scope == told.scope else None
        told.last, told.scope = now, scope
        _withdraw(session, folder, told, told.shown if paths is None else told.shown - now.records.keys())
        if paths is None:
            # Another branch, or the first look: what is there now is what was there before.
            told.before.clear()
            told.left.clear()
            paths = now.paths if scope == "workspace" else ()
            last = None
        checked = (path for path in paths if is_checked(path, language_of(path)))
        wanted = [path for path in checked if not _is_open(session, folder, path)]
        told.left = dict.fromkeys([*wanted, *told.left] if scope == "workspace" else [*wanted, *told.left][:_MOST])
        # What is left when something changes again is looked at then; of a folder that left, nothing is told.
        while told.left and folder.snapshot is now and session.told.get(folder) is told:
            batch = list(islice(told.left, _BATCH))
            found = await session.in_background(partial(_compare, folder, told, last, now, batch))
            for path, new in found.items():
                _publish(session, folder, told, now, path, new)
            for path in batch:
                told.left.pop(path, None)
    finally:
        told.telling = False


def _scope(session: Session) -> str:
    settings = session.settings.diagnostics
    if not settings.enable or (settings.scope == "workspace" and session.asks_for_workspace):
        return "open"
    return settings.scope


async def _affected(
    session: Session, folder: Folder, scope: str, last: Snapshot | None, now: Snapshot
) -> tuple[str, ...] | None:
    if last is None:
        return None
    if scope == "open":
        return ()
    return await session.in_background(lambda _: folder.holder.checked.differing(last, now))


def _compare(
    folder: Folder,
    told: Told,
    last: Snapshot | None,
    now: Snapshot,
    paths: Sequence[str],
    cancelled: Cancelled,
) -> Mapping[str, tuple[Finding, ...]]:
    """The problems of files that they did not have before. What those were is only asked where there are any."""
    checked, before = folder.holder.checked, told.before
    here = {path: _loud(told, checked.findings(now, path)) for path in paths if not cancelled()}
    for path in [path for path, found in here.items() if found and path not in before]:
        if last is None or told.scope == "workspace":
            before[path] = ()
        elif last.record(path) is now.record(path):
            before[path] = _loud(told, checked.anew(last, path))
        else:  # whoever changed it on disk knows what is in it
            before[path] = here[path]
    return {path: new_ones(before.get(path, ()), found) for path, found in here.items()}


def _loud(told: Told, found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in found if one.severity in _TOLD[told.scope])


def _publish(session: Session, folder: Folder, told: Told, now: Snapshot, path: str, new: tuple[Finding, ...]) -> None:
    text = now.text(path)
    if _is_open(session, folder, path) or text is None or not (new or path in told.shown):
        return
    if session.told.get(folder) is not told:
        return  # the folder left meanwhile
    file = diagnostics.File(folder, path, now, text)
    shown = diagnostics.diagnostics(session, file, diagnostics.Report(new, ""))
    (told.shown.add if shown else told.shown.discard)(path)
    diagnostics.publish(session, session.uri_of(folder, path), shown)


def _withdraw(session: Session, folder: Folder, told: Told, paths: set[str]) -> None:
    for path in tuple(paths):
        told.shown.discard(path)
        diagnostics.publish(session, session.uri_of(folder, path), [])


def _is_open(session: Session, folder: Folder, path: str) -> bool:
    return session.document_at(folder, path) is not None
