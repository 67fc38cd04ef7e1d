"""textDocument/prepareRename and textDocument/rename"""

from engram_context import rename as renaming
from engram_context.edits import ProjectEdit, Refusal
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.guard import refused, stale
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
    if not asked.folder.loaded:
        raise refused("the project is still being read; rename again in a moment")

    environment = asked.folder.holder.environment

    def compute(_: Cancelled) -> ProjectEdit | Refusal:
        return renaming.rename(asked.snapshot, asked.place, params.new_name, environment)

    found = await session.in_background(compute)
    if isinstance(found, Refusal):
        raise refused(found.reason)
    if not session.is_current(asked):
        raise stale()
    edit, left_out = for_client(found, session.client)
    answer = workspace_edit(session, asked.folder, edit)
    if left_out:
        session.tell(f"{left_out} more places may mean the same thing, but that is not certain: they were left alone")
    return answer
