"""Problems, pushed to clients that cannot ask for them and answered to those that can; never both."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

from engram_context.findings import Finding
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from engram_lsp import convert
from engram_lsp.documents import Document
from engram_lsp.features import locations
from engram_lsp.folder import Folder
from engram_lsp.guard import answered, stale
from engram_lsp.hinting import beside
from engram_lsp.project_settings import as_set, severities
from engram_lsp.session import Asked, Session
from engram_lsp.settings import Level

SEVERITIES: dict[str, types.DiagnosticSeverity] = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "information": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}
TAGS: dict[str, types.DiagnosticTag] = {
    "unnecessary": types.DiagnosticTag.Unnecessary,
    "deprecated": types.DiagnosticTag.Deprecated,
}


# Other open documents may be affected by an edit, and so is every one by a change on disk: these can wait a little
# longer than the document in hand, in seconds.
_OTHERS = 0.5
# How long a client that does not ask again waits for a project to be read, in seconds.
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class File:
    """A file to check, in one snapshot; an `Asked` is one too."""

    folder: Folder
    path: str
    snapshot: Snapshot
    text: Text


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; `identity` is equal for equal answers."""

    findings: tuple[Finding, ...]
    identity: str


def schedule(session: Session, document: Document | None) -> None:
    """Sees to it that the client learns of new problems: the text of `document` changed, or (None) something else."""
    settings = session.settings.diagnostics
    if not session.client.pulls_diagnostics:
        for other in session.documents:
            own = document is not None and other.uri == document.uri
            wait = settings.debounce_ms / 1000 + (0 if own else _OTHERS)
            session.rest.after(wait, ("push", other.uri), partial(start_push, session, other.uri))
    elif session.client.refreshes_diagnostics and (document is None or len(session.documents) > 1):
        # The client asks again for the text it changed, but not for the others.
        session.rest.after(_OTHERS, "refresh", partial(start_refresh, session))


def withdraw(session: Session, document: Document) -> None:
    """A closed document shows no problems any more."""
    session.rest.forget(("push", document.uri))
    if not session.client.pulls_diagnostics:
        publish(session, document.uri, [])


def start_push(session: Session, uri: str) -> None:
    session.tasks.start("diagnostics", push(session, uri))


def start_refresh(session: Session) -> None:
    session.tasks.start("diagnostic refresh", answered(session.server.workspace_diagnostic_refresh_async(None)))


async def pull(session: Session, params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
    """textDocument/diagnostic"""
    asked = await session.asked(params.text_document)
    if asked is not None and not asked.folder.loaded and not session.client.refreshes_diagnostics:
        # Nothing would make this client ask again once more is known, before the next edit.
        with suppress(TimeoutError):
            await asyncio.wait_for(asked.folder.settled(), _PATIENCE)
        asked = await session.asked(params.text_document)
    if asked is None or not session.settings.diagnostics.enable:
        return types.RelatedFullDocumentDiagnosticReport(items=[])
    report = await session.in_background(lambda _: check(session, asked))
    if not session.is_current(asked):
        raise stale()
    if report.identity == params.previous_result_id:
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id=report.identity)
    return types.RelatedFullDocumentDiagnosticReport(
        items=diagnostics(session, asked, report), result_id=report.identity
    )


async def push(session: Session, uri: str) -> None:
    """Publishes the problems of a document, unless it has changed again before they are known."""
    try:
        asked = await session.asked(types.TextDocumentIdentifier(uri))
    except JsonRpcException:
        return  # the newer text has its own turn
    if asked is None:
        return
    enabled = session.settings.diagnostics.enable
    report = await session.in_background(lambda _: check(session, asked)) if enabled else Report((), "")
    if session.is_current(asked):
        publish(session, uri, diagnostics(session, asked, report), asked.document.version)


def publish(session: Session, uri: str, items: list[types.Diagnostic], version: int | None = None) -> None:
    items = [*items, *session.traced.of(uri)]  # what is published replaces all that was
    session.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, items, version))


def check(session: Session, file: File | Asked) -> Report:
    """What the checks say of a file in its snapshot. Slow; any thread.

    Until the folder is read, and for documents outside all folders, nothing is known about what they import.
    """
    found = file.folder.holder.checked.findings(file.snapshot, file.path)
    if file.folder.project is None or not file.folder.loaded:
        from engram_context.checks.catalogue import CODES  # asked for findings, it is imported already

        found = tuple(finding for finding in found if not CODES[finding.code].needs_project)
    if session.settings.diagnostics.model:
        found = beside(found, session.hints.findings(file.snapshot, file.path))
    shown = repr((found, sorted(levels_in(session, file.folder).items())))
    identity = blake2b(file.text.digest + shown.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return Report(found, identity)


def diagnostics(session: Session, file: File | Asked, report: Report) -> list[types.Diagnostic]:
    shown = as_set(report.findings, levels_in(session, file.folder))
    return [to_protocol(session, file, finding) for finding in shown]


def levels_in(session: Session, folder: Folder) -> Mapping[str, Level]:
    """How bad the user finds codes, or else the project. Looks at a file of the project, so ask once for many."""
    return {**severities(folder.root), **session.settings.diagnostics.severity}


def to_protocol(session: Session, file: File | Asked, finding: Finding) -> types.Diagnostic:
    related: list[types.DiagnosticRelatedInformation] = []
    if session.client.related_information:
        for location, message in finding.related:
            where = locations.ranges(file.snapshot, [location], session.unit)
            related += [
                types.DiagnosticRelatedInformation(place, message)
                for place in locations.to_protocol(session, file.folder, where)
            ]
    return types.Diagnostic(
        range=convert.range_of(file.text, finding.span, session.unit),
        message=finding.message,
        severity=SEVERITIES[finding.severity],
        code=finding.code,
        code_description=_page(finding.code) if session.client.code_descriptions else None,
        source="engram",
        tags=[TAGS[tag] for tag in sorted(finding.tags)] or None,
        related_information=related or None,
    )


@cache
def _page(code: str) -> types.CodeDescription | None:
    """Where a person can read about a code: a file of this package, since nothing here needs a network."""
    page = files("engram_context.checks").joinpath("pages", f"{code}.md")
    return types.CodeDescription(convert.uri_of(page)) if isinstance(page, Path) and page.is_file() else None
