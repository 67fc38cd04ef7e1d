"""Members that are named as keys: `movie["name"]` of a TypedDict, `Color["RED"]` of an enum."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engram_context.inference.members import ClassType, Instance
from engram_context.records import SCOPE_KIND, FileRecord
from engram_context.resolve import Resolver
from engram_context.targets import Slot
from engram_context.text import Span

_CLASS = SCOPE_KIND["class"]
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})
_BY_KEY = ("get", "pop", "setdefault")


def is_key(resolver: Resolver, slot: Slot, of: frozenset[str] = _ENUMS | {"TypedDict"}) -> bool:
    """Whether a slot is a member of a class whose members are also named as keys."""
    record = resolver.snapshot.records.get(slot.path)
    if record is None or record.scopes.kind[slot.scope] != _CLASS:
        return False
    for owner in resolver.types.order(ClassType(slot.path, slot.scope)):
        home = resolver.record(owner.path)
        if home is not None and not of.isdisjoint((home.scopes[owner.scope].name, *_bases(home, owner.scope))):
            return True
    return False


def is_of_dictionary(resolver: Resolver, slot: Slot) -> bool:
    """Whether it is a key of a TypedDict, which any dictionary with it will do for."""
    return is_key(resolver, slot, frozenset({"TypedDict"}))


def _bases(record: FileRecord, scope: int) -> Iterator[str]:
    return (record.names[record.occurrences.name[ref]] for ref in record.scopes[scope].refs if ref >= 0)


def keys(resolver: Resolver, slots: Iterable[Slot], name: str) -> Iterator[tuple[str, Span]]:
    """Where a key in brackets, or in `.get("name")`, is known to name one of the slots."""
    slots = frozenset(slot for slot in slots if is_key(resolver, slot))
    if not slots:
        return
    key = re.compile(
        rb"""(?:\[|\.(?:%s)\()\s*(["'])(?P<name>%s)\1\s*[\]),]""" % ("|".join(_BY_KEY).encode(), name.encode())
    )
    snapshot = resolver.snapshot
    classes = {snapshot.records[slot.path].scopes[slot.scope].name for slot in slots}
    for path in sorted({path for word in (name, *classes) for path in snapshot.files_naming(word)}):
        record, text = snapshot.records[path], snapshot.text(path)
        if text is None or text.digest != record.digest:
            continue
        for match in key.finditer(text.data):
            at = record.occurrence_at(match.start())
            if at is None or record.occurrences.span(at).end != match.start():
                continue
            found = {
                origin
                for one in resolver.types.of_ref(path, at)
                if isinstance(one, ClassType | Instance)
                for target in resolver.types.slots(one, name)
                for origin in resolver.origins(target, aliases=False)
            }
            if found & slots:
                yield path, Span(*match.span("name"))
