"""textDocument/prepareRename and textDocument/rename; and names for what is renamed, for which LSP has no request"""

from collections.abc import Sequence
from typing import Any

from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames import rename as renaming
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from engram_lsp import convert
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.guard import refused, stale
from engram_lsp.renaming import Suggested, judged, suggest_names
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session


async def prepare_rename(session: Session, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None
    target = renaming.rename_target(asked.snapshot, asked.place)
    if isinstance(target, Refusal):
        raise refused(target.reason)
    return types.PrepareRenamePlaceholder(convert.range_of(asked.text, target.span, session.unit), target.name)


async def rename(session: Session, params: types.RenameParams) -> types.WorkspaceEdit | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None

    environment = asked.folder.holder.environment

    def compute(_: Cancelled) -> ProjectEdit | Refusal:
        return renaming.rename(asked.snapshot, asked.place, params.new_name, environment)

    found = await session.in_background(compute)
    if isinstance(found, Refusal):
        raise refused(found.reason)
    if not session.is_current(asked):
        raise stale()
    edit, left_out = for_client(found, session.client)
    if left_out and not edit.edits:
        # All of it should be looked at first, and this client would not ask.
        reason = next(one.annotation for edits in found.edits.values() for one in edits if one.annotation is not None)
        raise refused(f"this rename is not certain: {reason}")
    edit = await judged(session, asked, edit)
    if not session.is_current(asked):
        raise stale()
    answer = workspace_edit(session, asked.folder, edit)
    if left_out:
        session.tell(f"{left_out} more places may mean the same thing, but that is not certain: they were left alone")
    return answer


async def suggest(session: Session, arguments: Sequence[Any]) -> list[dict[str, str]]:
    """The command engram.suggestNames: URI and position of a symbol; names for it, the best first, each with why."""
    document, position = place_of(arguments)
    return [{"name": one.name, "why": one.why} for one in await names_at(session, document, position)]


async def names_at(
    session: Session, document: types.TextDocumentIdentifier, position: types.Position
) -> list[Suggested]:
    """Names for what a rename at a place would rename; none where it would be refused."""
    asked = await session.asked(document, position)
    target = None if asked is None else renaming.rename_target(asked.snapshot, asked.place)
    if asked is None or target is None or isinstance(target, Refusal):
        return []
    return await suggest_names(session, asked, target)


async def rename_to(session: Session, arguments: Sequence[Any]) -> bool:
    """The command engram.renameTo: URI, position and the new name; asks the client to apply the rename."""
    document, position = place_of(arguments)
    edit = await rename(session, types.RenameParams(document, position, str(arguments[2])))
    if edit is None:
        return False
    label = f"Rename to {arguments[2]}"
    try:
        answer = await session.server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, label))
    except JsonRpcException:
        return False  # it would not, or said nothing that makes sense
    return answer.applied


def place_of(arguments: Sequence[Any]) -> tuple[types.TextDocumentIdentifier, types.Position]:
    """The place that a command's first two arguments name. Raises a refusal when they name none."""
    try:
        uri, position = str(arguments[0]), arguments[1]
        at = position if isinstance(position, dict) else vars(position)
        return types.TextDocumentIdentifier(uri), types.Position(int(at["line"]), int(at["character"]))
    except (IndexError, KeyError, TypeError, ValueError):
        raise refused("this command wants a document's URI and a position in it") from None
