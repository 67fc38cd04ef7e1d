"""textDocument/codeAction: the fixes of the findings that a selection touches."""

from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import diagnostics
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.guard import stale
from engram_lsp.session import Session


async def code_action(session: Session, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    asked = await session.asked(params.text_document, params.range.start)
    wanted = params.context.only
    if asked is None or not session.client.literal_code_actions:
        return None
    if wanted is not None and not any(kind == "" or kind == types.CodeActionKind.QuickFix for kind in wanted):
        return None
    span = convert.span_of(asked.text, params.range, session.unit)
    report = await session.in_background(lambda _: diagnostics.check(session, asked))
    if not session.is_current(asked):
        raise stale()
    actions: list[types.CodeAction] = []
    for finding in report.findings:
        if finding.span.end < span.start or finding.span.start > span.end:
            continue
        problem = diagnostics.to_protocol(session, asked, finding)
        if problem is None:
            continue
        for number, fix in enumerate(finding.fixes):
            edit, left_out = for_client(fix.edit, session.client)
            if left_out or (edit.moves and not session.client.renames_files):
                continue
            actions.append(
                types.CodeAction(
                    title=fix.title,
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[problem],
                    is_preferred=number == 0 or None,
                    edit=workspace_edit(session, asked.folder, edit),
                )
            )
    return actions
