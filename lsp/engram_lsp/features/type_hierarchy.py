"""textDocument/prepareTypeHierarchy, typeHierarchy/supertypes and typeHierarchy/subtypes"""

from collections.abc import Iterable

from engram_context.views import type_hierarchy as classes
from engram_context.views.call_hierarchy import Definition
from lsprotocol import types

from engram_lsp.features import hierarchy
from engram_lsp.session import Session


async def prepare(session: Session, params: types.TypeHierarchyPrepareParams) -> list[types.TypeHierarchyItem] | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None
    found = classes.classes_at(asked.snapshot, asked.place)
    make = types.TypeHierarchyItem
    items = [hierarchy.shown(session, asked.folder, asked.snapshot, one, make) for one in found]
    return [item for item in items if item is not None] or None


async def supertypes(
    session: Session, params: types.TypeHierarchySupertypesParams
) -> list[types.TypeHierarchyItem] | None:
    found = await hierarchy.find(session, params.item)
    if found is None:
        return None
    return items(session, found, classes.supertypes(found.snapshot, found.definition))


async def subtypes(session: Session, params: types.TypeHierarchySubtypesParams) -> list[types.TypeHierarchyItem] | None:
    """Looks for classes in the whole project, so it runs on a worker."""
    found = await hierarchy.find(session, params.item)
    if found is None:
        return None
    environment = found.folder.holder.environment
    below = await session.in_background(lambda _: classes.subtypes(found.snapshot, found.definition, environment))
    return items(session, found, below)


def items(session: Session, found: hierarchy.Found, definitions: Iterable[Definition]) -> list[types.TypeHierarchyItem]:
    make = types.TypeHierarchyItem
    made = (hierarchy.shown(session, found.folder, found.snapshot, one, make) for one in definitions)
    return [item for item in made if item is not None]
