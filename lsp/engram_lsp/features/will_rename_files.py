"""workspace/willRenameFiles: what imports must say once the editor has renamed files or folders"""

from collections.abc import Iterable

from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames import moves
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.folder import Folder
from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session

# Folders may be Python packages; of files only sources are ever imported.
FILTERS = types.FileOperationRegistrationOptions(
    [
        types.FileOperationFilter(
            types.FileOperationPattern("**/*.{py,pyi}", types.FileOperationPatternKind.File), "file"
        ),
        types.FileOperationFilter(types.FileOperationPattern("**", types.FileOperationPatternKind.Folder), "file"),
    ]
)


async def will_rename_files(session: Session, params: types.RenameFilesParams) -> types.WorkspaceEdit | None:
    """None where nothing has to change. What cannot be kept right is said to the person: the editor renames anyway."""
    by_folder = list(_by_folder(session, params.files))
    if not by_folder:
        return None
    folder, pairs = max(by_folder, key=lambda found: len(found[1]))
    await session.until_read(folder)
    snapshot = folder.snapshot

    def compute(_: Cancelled) -> ProjectEdit | Refusal:
        return moves.move(snapshot, pairs)

    found = await session.in_background(compute)
    if isinstance(found, Refusal):
        session.tell(f"imports were left as they are: {found.reason}", types.MessageType.Warning)
        return None
    if folder.snapshot is not snapshot:
        raise stale()
    edit, _ = for_client(found, session.client)
    edit = ProjectEdit(edit.edits, (), edit.digests)  # the moves are the editor's
    return workspace_edit(session, folder, edit) if edit.edits else None


def _by_folder(session: Session, files: Iterable[types.FileRename]) -> Iterable[tuple[Folder, list[tuple[str, str]]]]:
    """The moves inside each workspace folder, as project paths."""
    found: dict[Folder, list[tuple[str, str]]] = {}
    for file in files:
        old, new = convert.path_of(file.old_uri), convert.path_of(file.new_uri)
        source = session.find_folder(old) if old is not None else None
        target = session.find_folder(new) if new is not None else None
        if source is not None and target is not None and source[0] is target[0]:
            found.setdefault(source[0], []).append((source[1], target[1]))
    return found.items()
