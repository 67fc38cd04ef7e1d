"""Members that do not exist, and what is done to what can only be None."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from engram_context.checks.check import Check, Code
from engram_context.checks.facts import file_facts, given_refs
from engram_context.checks.guards import is_guarded
from engram_context.checks.lacking import Lacking, is_partial
from engram_context.checks.proven import Proven, proven_of
from engram_context.checks.subject import Found, Subject
from engram_context.checks.whole import of_record
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix, Severity
from engram_context.imports import Module
from engram_context.inference.inferred import ClassType, Function, Instance, Nothing, Type, TypeOf, Unknown
from engram_context.outside.library import is_outside
from engram_context.records import ABSTRACT, NO_REF, ROLE, FileRecord, rows_with
from engram_context.text import Location, Span

_ATTRIBUTE = ROLE["attribute"]
_FEW = 3
"""In so many files a name that is misspelt may be found."""
_NEAR, _LETTERS = 0.8, 2
"""How like another name it then is, and by how many letters it may be longer or shorter."""


def unknown_attributes(subject: Subject) -> Found:
    """Members that nothing that the expression before the dot can be has."""
    record, path = subject.record, subject.path
    proven = proven_of(subject.whole, subject.resolver)
    lacking = Lacking(proven, subject.module_names, subject.environment)
    facts = proven.facts
    occurrences = record.occurrences
    found: list[tuple[int, str, list[Type]]] = []
    for index in rows_with(occurrences.role, _ATTRIBUTE):
        name = record.names[occurrences.name[index]]
        if _is_special(name) or occurrences.link[index] == NO_REF:
            continue
        receivers = proven.of_ref(path, occurrences.link[index]) or ()
        known = _without_none(receivers)
        if receivers and not known:
            continue  # `nothing` has its say
        is_sure = bool(known) and all(lacking.lacks(one, name) for one in known)
        if not is_sure and not _is_rare(subject, name):
            continue
        if name in facts.written or name in facts.written_in_tests or name in facts.probed:
            continue
        if any(_is_completed_elsewhere(proven, one) for one in known):
            continue
        if not is_sure or _may_be_filled(subject, proven, index, known):
            known = known or _inferred(proven, path, occurrences.link[index])
            if not known or not _is_slip(lacking, known, name):
                continue
        found.append((index, name, known))
    mixins = _mixins(proven, found)
    for index, name, known in found:
        span = occurrences.span(index)
        around = subject.surroundings
        if not mixins.isdisjoint(known) or is_guarded(around, span, b"AttributeError"):
            continue
        if all(_is_outside(one) for one in known) and around.handles(span, b"AttributeError"):
            continue
        yield _finding(subject, proven, lacking, known, name, span), span


def _mixins(proven: Proven, found: Iterable[tuple[int, str, list[Type]]]) -> frozenset[Type]:
    """Objects that lack several members, of classes without a base: these are there to be inherited from beside others,
    elsewhere."""
    lost: dict[Type, set[str]] = {}
    for _, name, known in found:
        for one in known:
            if isinstance(one, Instance | TypeOf):
                lost.setdefault(one, set()).add(name)
    mixins: set[Type] = set()
    for one, names in lost.items():
        plain = proven.plain(one)
        if len(names) > 1 and isinstance(plain, Instance | ClassType):
            of = ClassType(plain.path, plain.scope)
            if len(proven.reach(of)) == 1:
                mixins.add(one)
    return frozenset(mixins)


def _without_none(types: Iterable[Type]) -> list[Type]:
    return [one for one in types if not isinstance(one, Nothing)]


def _inferred(proven: Proven, path: str, link: int) -> list[Type]:
    """What an expression is taken to be, where nothing says that it may be something else."""
    found = proven.types.of_ref(path, link)
    record = proven.resolver.record(path)
    if (
        record is not None
        and link >= 0
        and any(test.kind == "instance" for test in proven.types.flow(path, record).tests(link, ()))
    ):
        return []  # what is tested for may be what no annotation says
    return [] if any(isinstance(one, Unknown) for one in found) else _without_none(found)


def _is_rare(subject: Subject, name: str) -> bool:
    """Whether a name is no one's own, and hardly used: so is one that is misspelt."""
    snapshot = subject.snapshot
    return len(snapshot.files_naming(name)) <= _FEW and not snapshot.definers[name]


def _is_slip(lacking: Lacking, known: Sequence[Type], name: str) -> bool:
    """Whether a name that something seems to lack is nearly one that it has."""
    if not all(lacking.seems_to_lack(one, name) for one in known):
        return False
    names = {near for one in known for near in lacking.names(one) if abs(len(near) - len(name)) <= _LETTERS}
    return bool(difflib.get_close_matches(name, names, n=1, cutoff=_NEAR))


def _is_outside(one: Type) -> bool:
    return not isinstance(one, Module | Instance | ClassType | Function) or is_outside(one.path)


def _is_special(name: str) -> bool:
    """Names that Python makes, or that are private to another class."""
    return (name.startswith("__") and name.endswith("__")) or (name[:1] == "_" != name[1:2] and "__" in name[1:])


def _is_completed_elsewhere(proven: Proven, one: Type) -> bool:
    """Whether a class is there to be inherited from beside others, which may have what it lacks."""
    plain = proven.plain(one)
    if not isinstance(one, Instance | TypeOf) or not isinstance(plain, Instance | ClassType) or is_outside(plain.path):
        return False
    of = ClassType(plain.path, plain.scope)
    if is_partial(proven.types.name_of(of)):
        return True
    for owner in proven.reach(of):
        record = proven.resolver.record(owner.path)
        if record is None or any(record.symbols.flags[row] & ABSTRACT for row in record.symbols_in(owner.scope)):
            return True
    return False


def _may_be_filled(subject: Subject, proven: Proven, index: int, known: Sequence[Type]) -> bool:
    """Whether an object is given to something, in a project that sets members by computed names."""
    if not proven.facts.filled:
        return False
    objects = [one for one in known if isinstance(one, Instance) and not is_outside(one.path)]
    if not objects:
        return False
    record = subject.record
    link = record.occurrences.link[index]
    if link >= 0 and record.names[record.occurrences.name[link]] in of_record(record, file_facts).handed:
        return True
    for one in objects:
        for owner in proven.reach(one.of):
            home = proven.resolver.record(owner.path)
            if home is None or (not is_outside(owner.path) and _hands_itself(home, owner.scope)):
                return True
    return False


def _hands_itself(record: FileRecord, scope: int) -> bool:
    """Whether methods of a class give its object to calls."""
    low, high = record.scopes.start[scope], record.scopes.end[scope]
    occurrences = record.occurrences
    return any(
        low <= occurrences.start[ref] < high
        for ref in given_refs(record)
        if record.names[occurrences.name[ref]] == "self"
    )


def _finding(
    subject: Subject, proven: Proven, lacking: Lacking, known: Sequence[Type], name: str, span: Span
) -> Finding:
    one = known[0]
    what, where = _described(proven, one)
    severity: Severity = "warning" if where is None or is_outside(where.path) else "error"
    names = {near for each in known for near in lacking.names(each)}
    fixes = [
        Fix(f"Change to '{near}'", project_edit({subject.path: [Edit(span, near)]}, {subject.path: subject.text}))
        for near in difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.75)
    ]
    related = () if where is None else ((where, f"{what} is defined here"),)
    return Finding("unknown-attribute", severity, span, f"{what} has no '{name}'", related, tuple(fixes))


def _described(proven: Proven, one: Type) -> tuple[str, Location | None]:
    """What something is called, and where it is defined."""
    one = proven.plain(one)
    resolver = proven.resolver
    if isinstance(one, Module):
        return f"module '{resolver.dotted(one.path)}'", Location(one.path, Span(0, 0))
    if isinstance(one, Function):
        record = resolver.record(one.path)
        assert record is not None
        span = record.symbols.span(one.symbol)
        return f"function '{record.names[record.symbols.name[one.symbol]]}'", Location(one.path, span)
    if isinstance(one, Instance | ClassType):
        record = resolver.record(one.path)
        symbol = -1 if record is None else record.scopes.symbol[one.scope]
        where = Location(one.path, record.symbols.span(symbol)) if record is not None and symbol >= 0 else None
        return f"class '{proven.types.name_of(ClassType(one.path, one.scope))}'", where
    return "this", None


CHECK = Check(
    unknown_attributes,
    (
        Code(
            "unknown-attribute",
            "error",
            frozenset(
                {"no-member", "E1101", "attr-defined", "reportAttributeAccessIssue", "union-attr", "missing-attribute"}
                | {"unresolved-attribute", "possibly-missing-attribute"}
            ),
            of_types=True,
            needs_project=True,
        ),
    ),
)
