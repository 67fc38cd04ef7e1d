"""Definitions as items of call and type hierarchies, and back: what those requests have in common."""

from dataclasses import dataclass
from typing import Any, TypeVar

from engram_context.snapshot import Snapshot
from engram_context.text import Place
from engram_context.views.call_hierarchy import Definition, definitions_at, show
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features.symbols import KINDS
from engram_lsp.folder import Folder
from engram_lsp.session import Session

Item = TypeVar("Item", types.CallHierarchyItem, types.TypeHierarchyItem)


@dataclass(frozen=True, slots=True)
class Found:
    """A definition that a client asks about, in the project as it is now."""

    folder: Folder
    snapshot: Snapshot
    definition: Definition


async def find(session: Session, item: types.CallHierarchyItem | types.TypeHierarchyItem) -> Found | None:
    """What an item stands for by now; its file need not be open, nor be the project's. None when nothing is defined
    there any more."""
    data: dict[str, Any] = item.data if isinstance(item.data, dict) else {}
    folder = session.folder_at(str(data.get("folder", "")))
    path = data.get("path")
    if folder is None or not isinstance(path, str):
        return None
    while folder.holder.behind:
        await session.caught_up(folder)
    snapshot = folder.snapshot
    text = snapshot.text(path)
    if text is None:
        return None
    if data.get("module"):
        return Found(folder, snapshot, Definition(path, -1))
    place = Place(path, convert.offset(text, item.selection_range.start, session.unit))
    definitions = definitions_at(snapshot, place)
    return Found(folder, snapshot, definitions[0]) if definitions else None


def shown(
    session: Session, folder: Folder, snapshot: Snapshot, definition: Definition, kind: type[Item]
) -> Item | None:
    """None where the definition's file has gone."""
    what = show(snapshot, definition)
    text = None if what is None else snapshot.text(what.path)
    if what is None or text is None:
        return None
    return kind(
        name=what.name,
        kind=KINDS[what.kind],
        uri=session.uri_of(folder, what.path),
        range=convert.range_of(text, what.body, session.unit),
        selection_range=convert.range_of(text, what.span, session.unit),
        detail=what.detail or None,
        data={"folder": str(folder.root), "path": what.path, "module": definition.row < 0},
    )
