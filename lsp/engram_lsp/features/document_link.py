"""textDocument/documentLink: looks for files on disk, so it runs on a worker."""

from pathlib import Path

from engram_context.views.links import Link, links
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session


async def document_link(session: Session, params: types.DocumentLinkParams) -> list[types.DocumentLink] | None:
    asked = await session.asked(params.text_document, behind=True)  # the tree is read here
    if asked is None:
        return None
    file = asked.document.path
    folders = () if file is None else tuple(dict.fromkeys((file.parent, asked.folder.root)))

    def find(cancelled: Cancelled) -> tuple[Link, ...]:
        return links(asked.folder.holder.tree(asked.path, asked.text), asked.text, folders, cancelled)

    found = await session.in_background(find, decorates=True)
    if not session.is_current(asked):
        raise stale()
    ranges = convert.ranges_of(asked.text, [link.span for link in found], session.unit)
    return [
        types.DocumentLink(range, convert.uri_of(link.target) if isinstance(link.target, Path) else link.target)
        for link, range in zip(found, ranges, strict=True)
    ]
