"""workspace/diagnostic: every file of every folder, told as it is known, and then again only when something changed."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from engram_context.checks.manifests import is_checked
from engram_context.languages import language_of
from engram_context.snapshot import Snapshot
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import diagnostics
from engram_lsp.features.diagnostics import File, Report
from engram_lsp.folder import Folder
from engram_lsp.progress import Progress
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session

# Files per turn of a worker.
_BATCH = 16
# Fewer files than this are checked before anybody would look at a progress bar.
_SHOWN = 50
# How long a workspace rests before it is checked again, in seconds.
_REST = 0.5
_GONE = "gone"
"""The result of a file that is there no more."""

Item = types.WorkspaceDocumentDiagnosticReport


async def pull(session: Session, params: types.WorkspaceDiagnosticParams) -> types.WorkspaceDiagnosticReport:
    """Clients ask again as soon as they are answered. So when all is as they know it, the answer waits for a change."""
    known = {convert.key_of(item.uri): item.value for item in params.previous_result_ids}
    is_first, session.asks_for_workspace = not session.asks_for_workspace, True
    while True:
        changed = session.change
        items = await look(session, known, params.partial_result_token)
        items += gone(session, params.previous_result_ids, params.partial_result_token)
        if items or is_first:
            told = params.partial_result_token is not None
            return types.WorkspaceDiagnosticReport([] if told else items)
        await changed.wait()
        await rest(session)


async def rest(session: Session) -> None:
    """Waits until nothing has changed for a while."""
    while True:
        changed = session.change
        try:
            await asyncio.wait_for(changed.wait(), _REST)
        except TimeoutError:
            return


async def look(session: Session, known: Mapping[str, str], token: types.ProgressToken | None) -> list[Item]:
    """What differs from what the client knows, by the identities of reports; told at once where there is a token."""
    items: list[Item] = []
    for folder in tuple(session.folders.values()) if session.settings.diagnostics.enable else ():
        await session.until_read(folder)
        snapshot = folder.snapshot
        paths = [path for path in snapshot.paths if is_checked(path, language_of(path))]
        work = Progress(session.server, f"engram: checking {folder.name}", session.client.progress)
        if len(paths) >= _SHOWN and not known:
            session.tasks.start("showing progress", work.begin())
        try:
            for start in range(0, len(paths), _BATCH):
                batch = paths[start : start + _BATCH]
                work.report(start, len(paths), batch[0])
                reports = await session.in_background(partial(check_files, session, folder, snapshot, batch))
                found = [
                    item for file, report in reports if (item := item_of(session, file, report, known)) is not None
                ]
                if token is not None and found:
                    tell(session, token, found)
                items += found
        finally:
            work.end()
    return items


def gone(
    session: Session, known: Sequence[types.PreviousResultId], token: types.ProgressToken | None
) -> list[types.WorkspaceDocumentDiagnosticReport]:
    """Empty reports of files that the client knows problems of and that are there no more, or are not asked about."""
    items: list[Item] = [
        types.WorkspaceFullDocumentDiagnosticReport(uri=item.uri, items=[], result_id=_GONE)
        for item in known
        if item.value != _GONE and not is_there(session, item.uri)
    ]
    if token is not None and items:
        tell(session, token, items)
    return items


def is_there(session: Session, uri: str) -> bool:
    """Whether a document is open, or a file of the workspace that is checked."""
    if session.documents.get(uri) is not None:
        return True
    file = convert.path_of(uri)
    found = None if file is None or not session.settings.diagnostics.enable else session.find_folder(file)
    return found is not None and found[1] in found[0].snapshot.records


def tell(session: Session, token: types.ProgressToken, items: list[Item]) -> None:
    part = types.WorkspaceDiagnosticReportPartialResult(items)
    session.server.progress(types.ProgressParams(token, part))


def check_files(
    session: Session, folder: Folder, snapshot: Snapshot, paths: Sequence[str], cancelled: Cancelled
) -> list[tuple[File, Report]]:
    reports: list[tuple[File, Report]] = []
    for path in paths:
        text = snapshot.text(path)
        if text is not None and not cancelled():
            file = File(folder, path, snapshot, text)
            reports.append((file, diagnostics.check(session, file)))
    return reports


def item_of(session: Session, file: File, report: Report, known: Mapping[str, str]) -> Item | None:
    """None where the client knows it already; of a file without problems it is not told unless it knows of some."""
    document = session.document_at(file.folder, file.path)
    version, uri = document.version if document is not None else None, session.uri_of(file.folder, file.path)
    before = known.get(convert.key_of(uri))
    if before == report.identity or (before is None and not report.findings):
        return None
    shown = diagnostics.diagnostics(session, file, report)
    return types.WorkspaceFullDocumentDiagnosticReport(uri=uri, items=shown, version=version, result_id=report.identity)
