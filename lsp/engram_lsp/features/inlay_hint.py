"""textDocument/inlayHint"""

from collections.abc import Mapping

from engram_context.text import Location, Text, Unit
from engram_context.views.hints import Hint, Wishes, hints
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Asked, Session

KINDS = {"parameter": types.InlayHintKind.Parameter, "type": types.InlayHintKind.Type}


async def inlay_hint(session: Session, params: types.InlayHintParams) -> list[types.InlayHint] | None:
    settings = session.settings.inlay_hints
    wishes = Wishes(settings.parameter_names, settings.variable_types, settings.return_types)
    asked = await session.asked(params.text_document)
    if asked is None:
        return None
    span = convert.span_of(asked.text, params.range, session.unit)

    def find(cancelled: Cancelled) -> list[tuple[Hint, tuple[str, types.Range] | None]]:
        found = hints(asked.snapshot, asked.path, span, wishes, cancelled)
        paths = {hint.location.path for hint in found if hint.location is not None}
        texts = {path: asked.snapshot.text(path) for path in paths}
        return [(hint, where(hint.location, texts, session.unit)) for hint in found]

    found = await session.in_background(find, decorates=True)
    if not session.is_current(asked):
        raise stale()
    return [to_protocol(session, asked, hint, place) for hint, place in found]


def where(place: Location | None, texts: Mapping[str, Text | None], unit: Unit) -> tuple[str, types.Range] | None:
    """What a hint speaks of, None where it speaks of nothing that is still there."""
    text = None if place is None else texts.get(place.path)
    return None if place is None or text is None else (place.path, convert.range_of(text, place.span, unit))


def to_protocol(session: Session, asked: Asked, hint: Hint, place: tuple[str, types.Range] | None) -> types.InlayHint:
    part = types.InlayHintLabelPart(hint.label)
    if place is not None:
        part.location = types.Location(session.uri_of(asked.folder, place[0]), place[1])
    return types.InlayHint(
        position=convert.position(asked.text, hint.offset, session.unit),
        label=[part],
        kind=KINDS[hint.kind],
        text_edits=convert.text_edits(asked.text, [hint.edit], session.unit) if hint.edit is not None else None,
    )
