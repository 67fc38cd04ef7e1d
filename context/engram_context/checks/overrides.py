"""Methods that cannot be called as the one they override is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engram_context.checks.calls import gives_of
from engram_context.checks.check import Check, Code
from engram_context.checks.proven import Proven, proven_of
from engram_context.checks.signatures import Misfit, Signatures, Takes, misfit, signatures_of
from engram_context.checks.subject import Found, Subject
from engram_context.checks.whole import of_record
from engram_context.findings import Finding, Severity
from engram_context.inference.inferred import ClassType, Function, Instance
from engram_context.outside.library import is_outside
from engram_context.records import (
    ABSTRACT,
    ASYNC,
    CLASS_METHOD,
    GENERATOR,
    KIND,
    OVERLOAD,
    PROPERTY,
    ROLE,
    SCOPE_KIND,
    SETTER,
    STATIC_METHOD,
    FileRecord,
    rows_with,
)
from engram_context.scopes import class_around
from engram_context.text import Location

_METHOD, _ATTRIBUTE, _CLASS_SCOPE = KIND["method"], ROLE["attribute"], SCOPE_KIND["class"]
_FREE = frozenset(("__init__", "__new__", "__init_subclass__", "__post_init__", "__call__", "__class_getitem__"))
"""Methods that each class may have in its own way."""
_FORMS = ((STATIC_METHOD, "a static method"), (CLASS_METHOD, "a class method"), (PROPERTY, "a property"))
SelfCalls = Mapping[tuple[int, str], tuple[int, ...]]


def incompatible_overrides(subject: Subject) -> Found:
    record, path = subject.record, subject.path
    if path.endswith(".pyi"):
        return
    proven = proven_of(subject.whole, subject.resolver)
    signatures = signatures_of(proven)
    for row in rows_with(record.symbols.kind, _METHOD):
        name = record.names[record.symbols.name[row]]
        scope = record.symbols.scope[row]
        if name in _FREE or (name.startswith("__") and not name.endswith("__")):
            continue
        if not record.scopes[scope].refs:
            continue
        own = ClassType(path, scope)
        base = _overridden(proven, own, name)
        if base is None or not _is_alone(proven, path, record, row, name):
            continue
        finding = _compared(proven, signatures, own, Function(path, row), base, name)
        if finding is not None:
            yield finding, record.symbols.span(row)


def _overridden(proven: Proven, own: ClassType, name: str) -> Function | None:
    """The method that one overrides, where that is known and is one alone."""
    reach = proven.reach(own)
    owner = next((one for one in reach[1:] if proven.defines(one, name)), None)
    record = None if owner is None else proven.resolver.record(owner.path)
    if owner is None or record is None:
        return None
    rows = [row for row in record.bindings(owner.scope, name) if not record.symbols.flags[row] & SETTER]
    if len(rows) != 1 or not _is_alone(proven, owner.path, record, rows[0], name):
        return None
    return Function(owner.path, rows[0])


def _is_alone(proven: Proven, path: str, record: FileRecord, row: int, name: str) -> bool:
    symbols = record.symbols
    rows = [at for at in record.bindings(symbols.scope[row], name) if not symbols.flags[at] & SETTER]
    plain = symbols.kind[row] == _METHOD and not symbols.flags[row] & OVERLOAD
    return rows == [row] and plain and proven.keeps_parameters(path, record, row)


def _compared(
    proven: Proven, signatures: Signatures, own: ClassType, ours: Function, base: Function, name: str
) -> Finding | None:
    record, home = proven.resolver.record(ours.path), proven.resolver.record(base.path)
    if record is None or home is None:
        return None
    owner = ClassType(base.path, home.symbols.scope[base.symbol])
    where = Location(base.path, home.symbols.span(base.symbol))
    of = proven.types.name_of(owner)
    span = record.symbols.span(ours.symbol)
    related = [(where, f"'{of}.{name}' is defined here")]
    flags, others = record.symbols.flags[ours.symbol], home.symbols.flags[base.symbol]
    changed = _changed_form(flags, others, is_outside(base.path) or bool(others & ABSTRACT))
    severity: Severity = "hint"
    if changed is not None:
        return Finding("incompatible-override", severity, span, f"'{name}' is {changed} in '{of}'", tuple(related))
    if (flags | others) & PROPERTY:
        return None
    receiver = Instance(own.path, own.scope)
    takes = signatures.of_function(Function(ours.path, ours.symbol, receiver))
    theirs = signatures.of_function(Function(base.path, base.symbol, receiver))
    if takes is None or theirs is None:
        return None
    called = _misfitting_call(proven, own, takes, name)
    if called is not None:
        call, found = called
        message = f"'{name}' is called in a way that it does not take: {_in_words(found)}"
        return Finding("incompatible-override", "warning", span, message, ((call, "the call"), *related))
    why = _refused(takes, theirs)
    if why is None:
        return None
    if others & ABSTRACT and not is_outside(base.path):
        severity = "warning"
    return Finding("incompatible-override", severity, span, f"'{name}' {why}, unlike '{of}.{name}'", tuple(related))


def _changed_form(ours: int, theirs: int, is_loose: bool) -> str | None:
    """What the overridden method is that this is not. `is_loose`: it says nothing about being asynchronous."""
    for flag, what in _FORMS:
        if (ours ^ theirs) & flag:
            return what if theirs & flag else f"not {what}"
    if not is_loose and (ours ^ theirs) & ASYNC and not (ours | theirs) & GENERATOR:
        return "asynchronous" if theirs & ASYNC else "not asynchronous"
    return None


def _refused(ours: Takes, theirs: Takes) -> str | None:
    """Why a call by place that the overridden method takes is refused."""
    if ours.variadic and ours.keywords:
        return None
    known = {one.name for one in (*theirs.positional, *theirs.named)}
    most = len(theirs.positional)
    if not ours.variadic and len(ours.positional) < most:
        by_name = {one.name for one in ours.named}
        lost = [one.name for one in theirs.positional[len(ours.positional) :] if one.name not in by_name]
        if lost and not ours.keywords:
            return f"takes no '{lost[0]}'"
    if not theirs.variadic and not theirs.keywords:
        for at, one in enumerate(ours.positional):
            if one.is_needed and at >= most and one.name not in known:
                return f"needs '{one.name}'"
        for one in ours.named:
            if one.is_needed and one.name not in known:
                return f"needs '{one.name}'"
    return None


def _misfitting_call(proven: Proven, own: ClassType, takes: Takes, name: str) -> tuple[Location, Misfit] | None:
    """A call of the method in what the class inherits that the method does not take."""
    reach = proven.reach(own)
    for at, owner in enumerate(reach[1:], 1):
        record = None if is_outside(owner.path) else proven.resolver.record(owner.path)
        if record is None:
            continue
        for row in of_record(record, self_calls).get((owner.scope, name), ()):
            if not _is_inherited(proven, record, row, reach[:at]):
                continue
            found = misfit(takes, gives_of(record, row))
            if found is not None:
                return Location(owner.path, record.calls[row].span), found
    return None


def self_calls(record: FileRecord) -> SelfCalls:
    """The calls of methods of `self`, by the scope of the class they stand in and the method's name."""
    found: dict[tuple[int, str], list[int]] = {}
    occurrences = record.occurrences
    number = record.name_index("self")
    for row, callee in enumerate(record.calls.callee) if number is not None else ():
        if callee < 0 or occurrences.role[callee] != _ATTRIBUTE:
            continue
        link = occurrences.link[callee]
        if link < 0 or occurrences.name[link] != number:
            continue
        scope = class_around(record, record.calls.scope[row])
        if scope is not None:
            found.setdefault((scope, record.names[occurrences.name[callee]]), []).append(row)
    return {key: tuple(rows) for key, rows in found.items()}


def _is_inherited(proven: Proven, record: FileRecord, row: int, before: Sequence[ClassType]) -> bool:
    """Whether the method that a call stands in runs for a class: none of those before its own has one of the name."""
    scope = record.calls.scope[row]
    while scope > 0 and record.scopes.kind[record.scopes.parent[scope]] != _CLASS_SCOPE:
        scope = record.scopes.parent[scope]
    symbol = record.scopes.symbol[scope]
    if symbol < 0:
        return False
    name = record.names[record.symbols.name[symbol]]
    return not any(proven.defines(one, name) for one in before)


def _in_words(found: Misfit) -> str:
    return ", ".join(_parts(found))


def _parts(found: Misfit) -> Iterator[str]:
    if found.too_many:
        yield "too many positional arguments"
    for name in found.unexpected:
        yield f"no parameter '{name}'"
    for name in found.duplicate:
        yield f"'{name}' is given twice"
    for name in found.missing:
        yield f"nothing for '{name}'"


CHECK = Check(
    incompatible_overrides,
    (
        Code(
            "incompatible-override",
            "hint",
            frozenset(
                {"override", "arguments-differ", "W0221", "reportIncompatibleMethodOverride", "bad-override"}
                | {"invalid-method-override", "signature-differs", "W0222", "arguments-renamed", "W0237"}
            ),
            of_types=True,
            needs_project=True,
        ),
    ),
)
