"""What expressions mean that are names, as far as the project says: nothing is inferred, nothing outside is read."""

from __future__ import annotations

from engram_context.imports import Module
from engram_context.outside.library import is_outside
from engram_context.records import SCOPE_KIND, value_row
from engram_context.resolve import MEMBER_ROLES, Resolver
from engram_context.targets import Slot, Target

_CLASS_SCOPE = SCOPE_KIND["class"]
_DEPTH = 8


def members_of(resolver: Resolver, owner: Target, name: str, depth: int = _DEPTH) -> tuple[Target, ...]:
    """What a member of a module or class is, imports followed; nothing for what is not the project's."""
    if isinstance(owner, Module):
        found = () if is_outside(owner.path) else resolver.member(owner, name)
        return tuple(end for one in found for end in resolver.origins(one))
    record = resolver.record(owner.path) if isinstance(owner, Slot) and not is_outside(owner.path) else None
    if record is None or not isinstance(owner, Slot) or depth <= 0:
        return ()
    for row in resolver.symbols_of(owner):
        inner = record.symbols.inner[row]
        if inner < 0 or record.scopes.kind[inner] != _CLASS_SCOPE:
            continue
        if record.bindings(inner, name):
            return (Slot(owner.path, inner, name),)
        for ref in record.scopes[inner].refs:
            for base in named(resolver, owner.path, ref, depth - 1):
                found = members_of(resolver, base, name, depth - 1)
                if found:
                    return found
    return ()


def named(resolver: Resolver, path: str, ref: int, depth: int = _DEPTH) -> tuple[Target, ...]:
    """What an expression means that is a name, perhaps behind others and dots, or with type arguments."""
    record = resolver.record(path)
    row = value_row(ref)
    if record is None or depth <= 0:
        return ()
    if row is not None:
        value = record.values[row]
        return named(resolver, path, value.first, depth - 1) if value.kind == "subscript" else ()
    if ref < 0:
        return ()
    if record.occurrences.role[ref] in MEMBER_ROLES:
        name = record.names[record.occurrences.name[ref]]
        owners = named(resolver, path, record.occurrences.link[ref], depth - 1)
        return tuple(end for owner in owners for end in members_of(resolver, owner, name, depth - 1))
    return tuple(end for target in resolver.of_occurrence(path, ref) for end in resolver.origins(target))
