"""Who may name a slot where nobody sees it: classes that keep to a protocol without saying so, calls that unpack their
arguments, a function that asks for its own variables.

None of it shows in what names mean, so a rename that meets one of these is asked about as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engram_context.inference.members import ClassType
from engram_context.records import KIND, NO_REF, ROLE, SCOPE_KIND, FileRecord, rows_with
from engram_context.renames.families import Hierarchy
from engram_context.renames.prose import is_distinctive, quoted
from engram_context.renames.reach import is_local
from engram_context.renames.unproven import called_as
from engram_context.resolve import Resolver
from engram_context.targets import Slot

_CLASS, _FUNCTION, _LAMBDA = SCOPE_KIND["class"], SCOPE_KIND["function"], SCOPE_KIND["lambda"]
_KEYWORD, _READ, _PARAMETER = ROLE["keyword"], ROLE["read"], KIND["parameter"]
_DEFINITIONS = frozenset({KIND["function"], KIND["method"], KIND["class"]})
_OWN_NAMES = ("locals", "vars", "eval", "exec")  # what sees the variables of the function that calls it
_MAKING_CLASSES = ("__init_subclass__", "__new__", "__init__", "__prepare__", "__call__")


def unseen(hierarchy: Hierarchy, slots: Iterable[Slot]) -> str | None:
    """Why something may name one of the slots where it is not seen; None when nothing is known to."""
    resolver = hierarchy.resolver
    for slot in sorted(slots, key=lambda slot: (slot.path, slot.scope)):
        record = resolver.snapshot.records[slot.path]
        kind = record.scopes.kind[slot.scope]
        if kind == _CLASS:
            reason = _by_structure(hierarchy, slot) or _by_unpacked_fields(resolver, record, slot)
        elif kind == _LAMBDA:
            reason = _by_whoever_calls(resolver, record, slot)
        elif kind == _FUNCTION:
            reason = _by_itself(record, slot) or _by_unpacking(resolver, record, slot)
        else:
            reason = _by_source(resolver, record, slot)
        if reason is not None:
            return reason
    return None


# --- protocols ----------------------------------------------------------------------------------------


def _by_structure(hierarchy: Hierarchy, slot: Slot) -> str | None:
    """A protocol and a class that has all its members go together, though the class does not name it."""
    snapshot = hierarchy.resolver.snapshot
    protocols = set(snapshot.files_naming("Protocol"))
    if not protocols:
        return None
    own = ClassType(slot.path, slot.scope)
    for path in snapshot.files_naming(slot.name):
        record = snapshot.records[path]
        if record.language != "python":
            continue
        for scope in record.bound(slot.name):
            other = ClassType(path, scope)
            if record.scopes.kind[scope] != _CLASS or other == own:
                continue
            for protocol, one in ((own, other), (other, own)):
                if (
                    protocol.path in protocols
                    and _is_protocol(hierarchy, protocol)
                    and _keeps(hierarchy, one, protocol)
                ):
                    return (
                        f"{hierarchy.name(one)} may have '{slot.name}' because {hierarchy.name(protocol)} asks for it"
                    )
    return None


def _is_protocol(hierarchy: Hierarchy, of: ClassType) -> bool:
    record = hierarchy.resolver.snapshot.records[of.path]
    refs = record.scopes[of.scope].refs
    names = (record.names[record.occurrences.name[ref]] for ref in refs if ref >= 0)
    return "Protocol" in names or any(
        record.values[-2 - ref].first >= 0
        and record.names[record.occurrences.name[record.values[-2 - ref].first]] == "Protocol"
        for ref in refs
        if ref < NO_REF
    )


def _keeps(hierarchy: Hierarchy, one: ClassType, protocol: ClassType) -> bool:
    """Whether a class that does not name a protocol has all of its members."""
    order = hierarchy.order(one)
    if protocol in order:
        return False
    record = hierarchy.resolver.snapshot.records[protocol.path]
    members = {record.names[record.symbols.name[row]] for row in record.symbols_in(protocol.scope)}
    return all(any(hierarchy.has(base, name) for base in order) for name in members if not name.startswith("__"))


# --- functions ----------------------------------------------------------------------------------------


def _by_itself(record: FileRecord, slot: Slot) -> str | None:
    """A function that asks for its own variables by their names."""
    for called in _OWN_NAMES:
        for index in record.occurrences_of(called):
            for row in rows_with(record.calls.callee, index):
                has_arguments = len(record.calls[row].arguments) > 0
                if record.calls.scope[row] == slot.scope and (called not in ("locals", "vars") or not has_arguments):
                    return f"{called}() may name '{slot.name}' in {record.scopes[slot.scope].name}"
    return None


def _by_source(resolver: Resolver, record: FileRecord, slot: Slot) -> str | None:
    """Code in a string that names a module's name."""
    text = resolver.snapshot.text(slot.path)
    word = re.compile(rb"\b%s\b" % slot.name.encode())
    for called in ("eval", "exec"):
        for index in record.occurrences_of(called):
            for row in rows_with(record.calls.callee, index):
                inside = record.calls[row].inside
                if text is not None and word.search(text.data, inside.start, inside.end):
                    return f"{called}() at {slot.path}:{text.line_of(inside.start) + 1} may name '{slot.name}'"
    return None


def _by_unpacking(resolver: Resolver, record: FileRecord, slot: Slot) -> str | None:
    """Somebody passes a parameter by a name that stands elsewhere: a class statement, `f(**options)`."""
    if not record.symbols_in(slot.scope) or is_local(resolver, slot):
        return None
    name, owner = slot.name, record.scopes.symbol[slot.scope]
    if all(record.symbols.kind[row] != _PARAMETER for row in record.bindings(slot.scope, name)):
        return None
    snapshot = resolver.snapshot
    is_of_class = owner >= 0 and record.symbols[owner].name in _MAKING_CLASSES
    for path in snapshot.files_naming(name) if is_of_class else ():
        other = snapshot.records[path]
        if any(other.occurrences.link[index] < 0 for index in other.occurrences_of(name, frozenset({_KEYWORD}))):
            return f"a class statement in {path} passes '{name}'"
    for called in called_as(resolver, slot):
        reason = _unpacked(resolver, called, slot) or _passed(resolver, called, name)
        if reason is not None:
            return reason
    return None


def _by_unpacked_fields(resolver: Resolver, record: FileRecord, slot: Slot) -> str | None:
    """A class that a decorator makes, such as a dataclass, is given its fields as arguments."""
    symbol = record.scopes[slot.scope].symbol
    if symbol is None or not record.symbols[symbol].decorators:
        return None
    if record.symbols.kind[record.bindings(slot.scope, slot.name)[0]] in _DEFINITIONS:
        return None
    called = (*called_as(resolver, slot), "replace")
    return next((reason for name in called if (reason := _unpacked(resolver, name, slot)) is not None), None)


def _by_whoever_calls(resolver: Resolver, record: FileRecord, slot: Slot) -> str | None:
    """A lambda has no name by which its calls could be found."""
    for index in record.occurrences_of(slot.name, frozenset({_KEYWORD})):
        if not resolver.is_decided(slot.path, index):
            return f"a call in {slot.path} passes '{slot.name}', perhaps to this lambda"
    return None


def _unpacked(resolver: Resolver, called: str, slot: Slot) -> str | None:
    """A call of what has a name that unpacks a dictionary, where something in the file is called like the parameter."""
    for path in resolver.snapshot.files_naming(called):
        callees = _unpacking(resolver.snapshot.records[path], called)
        if any(_may_call(resolver, path, index, slot) for index in callees) and _is_named(resolver, path, slot.name):
            return f"{path} calls {called} with unpacked arguments, which may name '{slot.name}'"
    return None


def _passed(resolver: Resolver, called: str, name: str) -> str | None:
    """A call that is given a function, and names its parameter in a text: `Thread(target=f, kwargs={"name": 1})`."""
    spelled = re.compile(rb"""(["'])%s\1|\b%s\s*=""" % (name.encode(), name.encode()))
    for path in resolver.snapshot.files_naming(called, name):
        record, text = resolver.snapshot.records[path], resolver.snapshot.text(path)
        if text is None or name.encode() not in text.data:
            continue
        given = {at for index in record.occurrences_of(called) for at in rows_with(record.arguments.value, index)}
        for row in range(len(record.calls)) if given else ():
            call = record.calls[row]
            if not given.isdisjoint(call.arguments) and spelled.search(text.data, call.inside.start, call.inside.end):
                return f"{path} passes {called} on, together with '{name}'"
    return None


def _may_call(resolver: Resolver, path: str, index: int, slot: Slot) -> bool:
    """Whether a call may give a slot its value: what is known to be called must be its function, or its class."""
    record, there = resolver.snapshot.records[path], resolver.snapshot.records[slot.path]
    targets = resolver.meanings(path, index)
    name = record.names[record.occurrences.name[index]]
    if not targets:
        return record.occurrences.role[index] == _READ or is_distinctive(name)
    owners = {(target.path, target.scope) for target in targets if isinstance(target, Slot)}
    scope, chain = slot.scope, set[tuple[str, int]]()
    while scope > 0:
        scope = there.scopes.parent[scope]
        chain.add((slot.path, scope))
    return not owners.isdisjoint(chain) or name in ("cls", "replace")


def _unpacking(record: FileRecord, called: str) -> Iterator[int]:
    """The callees, by a name, of the calls that unpack a dictionary."""
    if 2 not in record.arguments.stars:
        return
    for index in record.occurrences_of(called):
        for row in rows_with(record.calls.callee, index):
            if any(record.arguments.stars[at] == 2 for at in record.calls[row].arguments):
                yield index


def _is_named(resolver: Resolver, path: str, name: str) -> bool:
    """Whether a file has a name as a string, or as an argument of what is not known to take it."""
    record, text = resolver.snapshot.records[path], resolver.snapshot.text(path)
    if any(not resolver.is_decided(path, index) for index in record.occurrences_of(name, frozenset({_KEYWORD}))):
        return True
    return text is not None and quoted(name).search(text.data) is not None
