"""Workspace folders: reading them at the start, and workspace/didChangeWorkspaceFolders."""

import logging
from collections.abc import Iterable
from pathlib import Path

from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import trace
from engram_lsp.session import Session

log = logging.getLogger(__name__)


def roots_of(params: types.InitializeParams) -> list[Path]:
    """The folders of the workspace; for clients that know only one, that one."""
    if params.workspace_folders:
        uris = [folder.uri for folder in params.workspace_folders]
    elif params.root_uri:
        uris = [params.root_uri]
    elif params.root_path:
        return [Path(params.root_path)]
    else:
        uris = []
    return paths(uris)


def paths(uris: Iterable[str]) -> list[Path]:
    found = [path for uri in uris if (path := convert.path_of(uri)) is not None]
    return [path for path in dict.fromkeys(found) if is_project(path)]


def is_project(path: Path) -> bool:
    """A whole disk or home folder is no project: reading all of it would help nobody."""
    if path.parent == path or path == Path.home():
        log.warning("the workspace folder %s is too wide to be read as one project; open a folder inside it", path)
        return False
    return True


def did_change_workspace_folders(session: Session, params: types.DidChangeWorkspaceFoldersParams) -> None:
    for folder in params.event.removed:
        if (path := convert.path_of(folder.uri)) is not None:
            session.remove_folder(path)
    trace.recheck(session)
    for path in paths(folder.uri for folder in params.event.added):
        session.add_folder(path)
