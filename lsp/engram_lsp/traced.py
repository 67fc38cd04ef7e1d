"""What a client shows of stack traces."""

from dataclasses import dataclass, field

from lsprotocol import types

from engram_lsp.folder import Folder


@dataclass(slots=True)
class Traced:
    """The diagnostics of traces by URI, and of which text of which file they are; and which test commands the user lets
    be run. Owned by the event loop."""

    items: dict[str, list[types.Diagnostic]] = field(default_factory=dict[str, list[types.Diagnostic]])
    texts: dict[str, tuple[Folder, str, bytes]] = field(default_factory=dict[str, tuple[Folder, str, bytes]])
    agreed: dict[str, bool] = field(default_factory=dict[str, bool])

    def of(self, uri: str) -> list[types.Diagnostic]:
        return self.items.get(uri, [])

    def add(self, uri: str, folder: Folder, path: str, digest: bytes, item: types.Diagnostic) -> None:
        self.items.setdefault(uri, []).append(item)
        self.texts[uri] = (folder, path, digest)

    def take(self, uri: str) -> None:
        self.items.pop(uri, None)
        self.texts.pop(uri, None)
