"""What is known of a stack trace as the protocol spells it: suspects as diagnostics, fixes as edits to be confirmed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engram_context.edits import ProjectEdit
from engram_context.text import Location, Text
from engram_context.trace.fixes import Proposal
from engram_context.trace.locating import code_span
from engram_context.trace.reports import TraceReport
from engram_context.trace.values import Suspect
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import locations
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.folder import Folder
from engram_lsp.session import Session

SOURCE = "engram trace"


def diagnostic(
    session: Session, folder: Folder, report: TraceReport, suspect: Suspect, text: Text, rank: int
) -> types.Diagnostic:
    span = code_span(text, suspect.lines[0] - 1) if suspect.lines else code_span(text, text.line_of(suspect.span.start))
    words = "; ".join(_words(suspect))
    trace = report.trace
    said = f"{trace.error}: {trace.message}" if trace.message else trace.error
    related: list[types.DiagnosticRelatedInformation] = []
    if session.client.related_information:
        for frame in report.frames:
            if frame.path is not None:
                where = locations.ranges(folder.snapshot, [Location(frame.path, frame.span)], session.unit)
                name = frame.frame.function or "the module's own code"
                related += [
                    types.DiagnosticRelatedInformation(place, f"in {name}")
                    for place in locations.to_protocol(session, folder, where)
                ]
    return types.Diagnostic(
        range=convert.range_of(text, span, session.unit),
        message=f"suspect {rank + 1} of {said}\n{suspect.function or 'module'}: {words}",
        severity=types.DiagnosticSeverity.Hint if rank else types.DiagnosticSeverity.Information,
        code="suspect",
        source=SOURCE,
        related_information=related or None,
    )


def _words(suspect: Suspect) -> list[str]:
    return [one.words for one in suspect.reasons if one.weight > 0.3 and one.kind not in ("size", "common")]


# --- the answer -------------------------------------------------------------------------------------------------------


def as_json(session: Session, folder: Folder, report: TraceReport, *, asks: bool = False) -> dict[str, Any]:
    """`asks`: the client shows edits and asks before it applies them, whatever they carry."""
    trace = report.trace
    return {
        "language": trace.language,
        "error": trace.error,
        "message": trace.message,
        "test": trace.test,
        "frames": [
            {
                "file": frame.frame.file,
                "line": frame.frame.line,
                "function": frame.frame.function,
                "uri": None if frame.path is None else session.uri_of(folder, frame.path),
                "hereLine": None if frame.path is None else frame.line,
                "sureness": frame.sureness,
            }
            for frame in report.frames
        ],
        "suspects": [
            {
                "uri": session.uri_of(folder, one.path),
                "function": one.function,
                "lines": list(one.lines),
                "score": one.score,
                "reasons": _words(one),
            }
            for one in report.suspects
        ],
        "proposals": [_proposal(session, folder, one, asks) for one in report.proposals],
    }


def _proposal(session: Session, folder: Folder, proposal: Proposal, asks: bool) -> dict[str, Any]:
    annotated = not asks or session.client.change_annotations
    edit, left_out = for_client(_asking(proposal.edit, proposal) if annotated else proposal.edit, session.client)
    shown: Mapping[str, Any] = {"why": proposal.why, "confidence": proposal.confidence, "verified": proposal.verified}
    return {**shown, "edit": None if left_out else workspace_edit(session, folder, edit)}


def _asking(edit: ProjectEdit, proposal: Proposal) -> ProjectEdit:
    """The same edit, every part of it to be confirmed."""
    edits = {
        path: tuple(replace(one, annotation=proposal.why, likelihood=proposal.confidence) for one in some)
        for path, some in edit.edits.items()
    }
    return ProjectEdit(edits, edit.moves, edit.digests)
