"""textDocument/codeAction: the fixes of the findings that a selection touches, all safe ones at once, imports in order,
and better names for what it names."""

from collections import Counter
from collections.abc import Iterable

from engram_context.edits import ProjectEdit, project_edit, together
from engram_context.findings import Finding
from engram_context.text import Span
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import diagnostics, rename
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.guard import stale
from engram_lsp.project_settings import as_set
from engram_lsp.session import Asked, Session
from engram_lsp.silence import silenced

# What VS Code and others list under "refactor".
RENAME = "refactor.rename"
FIX_ALL = "source.fixAll.engram"
ORGANIZE = "source.organizeImports.engram"
KINDS = [types.CodeActionKind.QuickFix, RENAME, FIX_ALL, ORGANIZE]


async def code_action(session: Session, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    if not session.client.literal_code_actions:
        return None
    actions: list[types.CodeAction] = []
    wanted = [kind for kind in (types.CodeActionKind.QuickFix.value, FIX_ALL, ORGANIZE) if wants(params, kind)]
    if wanted:
        actions += await of_findings(session, params, wanted)
    # Names are the model's work, which nobody asked for who only moved the cursor.
    is_invoked = params.context.trigger_kind == types.CodeActionTriggerKind.Invoked
    if is_invoked and wants(params, RENAME):
        actions += await names_of(session, params)
    return actions


def wants(params: types.CodeActionParams, kind: str) -> bool:
    """Whether actions of a kind were asked for: it, or one of the kinds that it belongs to. What changes a whole
    document must be asked for by name."""
    only = params.context.only
    if only is None:
        return not kind.startswith("source.")
    return any(at in ("", kind) or kind.startswith(f"{at}.") for at in map(str_of, only))


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


async def of_findings(session: Session, params: types.CodeActionParams, kinds: list[str]) -> list[types.CodeAction]:
    asked = await session.asked(params.text_document, params.range.start)
    if asked is None:
        return []
    report = await session.in_background(lambda _: diagnostics.check(session, asked))
    shown = as_set(report.findings, diagnostics.levels_in(session, asked.folder))
    actions: list[types.CodeAction] = []
    if types.CodeActionKind.QuickFix.value in kinds:
        span = convert.span_of(asked.text, params.range, session.unit)
        actions += quick_fixes(session, asked, shown, [one for one in shown if meet(one.span, span)])
    if FIX_ALL in kinds and (edit := safe_fixes(asked, shown)) is not None:
        actions.append(whole(session, asked, "Fix all that is safe to fix", FIX_ALL, edit))
    if ORGANIZE in kinds:
        from engram_lsp.organize import organized

        root, snapshot = asked.folder.root, asked.snapshot
        edit = await session.in_background(lambda _: organized(asked.path, asked.text, snapshot, root, shown))
        if edit is not None:
            actions.append(whole(session, asked, "Organise imports", ORGANIZE, edit))
    if not session.is_current(asked):
        raise stale()
    return actions


def meet(one: Span, other: Span) -> bool:
    """Whether two spans have a place in common, their edges included: a cursor behind a name is on it."""
    return one.start <= other.end and other.start <= one.end


def quick_fixes(session: Session, asked: Asked, shown: list[Finding], touched: list[Finding]) -> list[types.CodeAction]:
    """What mends the findings that a selection touches, the likeliest of each first; at last what silences them."""
    actions: list[types.CodeAction] = []
    problems = [(one, diagnostics.to_protocol(session, asked, one)) for one in touched]
    for finding, problem in problems:
        for number, fix in enumerate(finding.fixes):
            edit, left_out = for_client(fix.edit, session.client)
            if left_out or (edit.moves and not session.client.renames_files):
                continue
            actions.append(quick_fix(session, asked, fix.title, [problem], edit, is_preferred=number == 0))
    safe = Counter(one.code for one in shown if any(fix.is_safe for fix in one.fixes))
    for code in dict.fromkeys(finding.code for finding, _ in problems):
        if safe[code] > 1 and (edit := safe_fixes(asked, (one for one in shown if one.code == code))) is not None:
            of_code = [problem for finding, problem in problems if finding.code == code]
            actions.append(quick_fix(session, asked, f"Fix all {safe[code]} '{code}' in this file", of_code, edit))
    for finding, problem in problems:
        edit = silenced(asked.path, asked.text, finding)
        if edit is not None:
            actions.append(quick_fix(session, asked, f"Silence '{finding.code}' on this line", [problem], edit))
    return actions


def safe_fixes(asked: Asked, findings: Iterable[Finding]) -> ProjectEdit | None:
    """Those fixes that change nothing about what the code does, as far as they fit together; None without any."""
    edits = [edit for finding in findings if (edit := finding.safe_edit(asked.path)) is not None]
    if not edits:
        return None
    return project_edit({asked.path: together(asked.path, edits)}, {asked.path: asked.text})


def quick_fix(
    session: Session,
    asked: Asked,
    title: str,
    problems: list[types.Diagnostic],
    edit: ProjectEdit,
    *,
    is_preferred: bool = False,
) -> types.CodeAction:
    return types.CodeAction(
        title=title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=problems,
        is_preferred=is_preferred or None,
        edit=workspace_edit(session, asked.folder, edit),
    )


def whole(session: Session, asked: Asked, title: str, kind: str, edit: ProjectEdit) -> types.CodeAction:
    return types.CodeAction(title=title, kind=kind, edit=workspace_edit(session, asked.folder, edit))
