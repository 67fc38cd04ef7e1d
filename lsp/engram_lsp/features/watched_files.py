"""workspace/didChangeWatchedFiles: changes on disk as the client sees them, besides our own watcher's.

Both may tell of one change, and clients tell of some twice: contents decide what really changed.
"""

from lsprotocol import types

from engram_lsp import convert
from engram_lsp.guard import answered
from engram_lsp.session import Session

# Never a bare `**`: clients would watch every file of every dependency.
PATTERNS = (
    "**/*.py",
    "**/*.pyi",
    "**/*.{js,jsx,mjs,cjs,ts,mts,cts,tsx,go,rs,java,c,h,cc,cpp,cxx,hh,hpp,hxx}",
    "**/{.gitignore,.engramignore,pyvenv.cfg,pyproject.toml,package.json,go.mod,Cargo.toml}",
)


def did_change_watched_files(session: Session, params: types.DidChangeWatchedFilesParams) -> None:
    changed = (convert.path_of(event.uri) for event in params.changes)
    session.files_changed([path for path in changed if path is not None])


async def register(session: Session) -> None:
    if session.client.registers_watchers:
        watchers = [types.FileSystemWatcher(pattern) for pattern in PATTERNS]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registered = session.server.client_register_capability_async(
            types.RegistrationParams(
                [types.Registration("engram.files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)]
            )
        )
        await answered(registered)
