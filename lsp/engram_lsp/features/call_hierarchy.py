"""textDocument/prepareCallHierarchy, callHierarchy/incomingCalls and callHierarchy/outgoingCalls"""

from engram_context.text import Span
from engram_context.views import call_hierarchy as calls
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import hierarchy
from engram_lsp.session import Session


async def prepare(session: Session, params: types.CallHierarchyPrepareParams) -> list[types.CallHierarchyItem] | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None
    found = calls.definitions_at(asked.snapshot, asked.place)
    make = types.CallHierarchyItem
    items = [hierarchy.shown(session, asked.folder, asked.snapshot, one, make) for one in found]
    return [item for item in items if item is not None] or None


async def incoming(
    session: Session, params: types.CallHierarchyIncomingCallsParams
) -> list[types.CallHierarchyIncomingCall] | None:
    """Reads the whole project's occurrences, so it runs on a worker."""
    found = await hierarchy.find(session, params.item)
    if found is None:
        return None
    callers = await session.in_background(lambda cancelled: calls.incoming(found.snapshot, found.definition, cancelled))
    return [
        types.CallHierarchyIncomingCall(item, ranges(session, found, one.definition.path, one.spans))
        for one in callers
        if (item := shown(session, found, one.definition)) is not None
    ]


async def outgoing(
    session: Session, params: types.CallHierarchyOutgoingCallsParams
) -> list[types.CallHierarchyOutgoingCall] | None:
    found = await hierarchy.find(session, params.item)
    if found is None:
        return None
    callees = await session.in_background(lambda _: calls.outgoing(found.snapshot, found.definition))
    return [
        types.CallHierarchyOutgoingCall(item, ranges(session, found, found.definition.path, one.spans))
        for one in callees
        if (item := shown(session, found, one.definition)) is not None
    ]


def shown(session: Session, found: hierarchy.Found, one: calls.Definition) -> types.CallHierarchyItem | None:
    return hierarchy.shown(session, found.folder, found.snapshot, one, types.CallHierarchyItem)


def ranges(session: Session, found: hierarchy.Found, path: str, spans: tuple[Span, ...]) -> list[types.Range]:
    text = found.snapshot.text(path)
    return [] if text is None else convert.ranges_of(text, spans, session.unit)
