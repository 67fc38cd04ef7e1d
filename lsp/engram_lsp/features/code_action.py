"""textDocument/codeAction: the fixes of the findings that a selection touches, and better names for what it names."""

from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import diagnostics, rename
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.guard import stale
from engram_lsp.session import Session

# What VS Code and others list under "refactor".
RENAME = "refactor.rename"


async def code_action(session: Session, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    if not session.client.literal_code_actions:
        return None
    fixes = await fixes_of(session, params) if wants(params, types.CodeActionKind.QuickFix) else []
    # Names are the model's work, which nobody asked for who only moved the cursor.
    is_invoked = params.context.trigger_kind == types.CodeActionTriggerKind.Invoked
    names = await names_of(session, params) if is_invoked and wants(params, RENAME) else []
    return [*fixes, *names]


def wants(params: types.CodeActionParams, kind: str) -> bool:
    """Whether actions of a kind were asked for: it, or one of the kinds that it belongs to."""
    only = params.context.only
    return only is None or any(at in ("", kind) or kind.startswith(f"{at}.") for at in map(str_of, only))


def str_of(kind: types.CodeActionKind | str) -> str:
    return kind.value if isinstance(kind, types.CodeActionKind) else kind


async def names_of(session: Session, params: types.CodeActionParams) -> list[types.CodeAction]:
    uri, position = params.text_document.uri, params.range.start
    suggested = await rename.names_at(session, params.text_document, position)
    return [
        types.CodeAction(
            title=f"Rename to '{one.name}' ({one.why})",
            kind=RENAME,
            command=types.Command(f"Rename to '{one.name}'", "engram.renameTo", arguments=[uri, position, one.name]),
        )
        for one in suggested
    ]


async def fixes_of(session: Session, params: types.CodeActionParams) -> list[types.CodeAction]:
    asked = await session.asked(params.text_document, params.range.start)
    if asked is None:
        return []
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
