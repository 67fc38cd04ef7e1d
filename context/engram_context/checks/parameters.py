"""Parameters of functions that only the file itself calls, and which do not read them."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from engram_context.checks.check import Check, Code
from engram_context.checks.facts import facts_of
from engram_context.checks.subject import Found, Subject
from engram_context.checks.unused import scopes_read_as_a_whole
from engram_context.checks.whole import of_record
from engram_context.findings import Finding
from engram_context.inference.inferred import ClassType
from engram_context.outside.library import is_outside
from engram_context.records import (
    ABSTRACT,
    CLASS_METHOD,
    DECORATED,
    KEYWORDS,
    KIND,
    OVERLOAD,
    ROLE,
    SCOPE_KIND,
    STATIC_METHOD,
    VARIADIC,
    FileRecord,
    rows_with,
)
from engram_context.renames.families import Hierarchy
from engram_context.targets import Slot
from engram_context.text import Location

_PARAMETER, _FUNCTION, _METHOD = KIND["parameter"], KIND["function"], KIND["method"]
_FUNCTION_SCOPE, _CLASS_SCOPE = SCOPE_KIND["function"], SCOPE_KIND["class"]
_IMPORT = ROLE["import"]
_NO_READS = frozenset((ROLE["definition"], ROLE["keyword"], ROLE["declaration"]))
_TRIVIAL = frozenset(("pass_statement", "raise_statement", "global_statement", "assert_statement", "comment"))
_VALUES = frozenset(
    ("string", "concatenated_string", "ellipsis", "none", "true", "false", "integer", "float", "identifier")
)


def unused_parameters(subject: Subject) -> Found:
    """Parameters that nothing reads, of functions whose every mention is a call in this file: of these it is known
    that nobody else decides what they take."""
    if subject.path.endswith(".pyi"):
        return
    record, usage = subject.record, subject.usage
    symbols, scopes = record.symbols, record.scopes
    whole: set[int] | None = None
    called: dict[int, bool] = {}
    for row in rows_with(symbols.kind, _PARAMETER):
        scope = symbols.scope[row]
        binding = (scope, symbols.name[row])
        if binding in usage.uses or binding in usage.declared or scopes.kind[scope] != _FUNCTION_SCOPE:
            continue
        name = record.names[symbols.name[row]]
        function = scopes.symbol[scope]
        if name.startswith("_") or function < 0 or symbols.flags[row] & (VARIADIC | KEYWORDS):
            continue
        if symbols.kind[function] == _METHOD and _is_receiver(record, row, function):
            continue
        if whole is None:
            whole = scopes_read_as_a_whole(record, usage)
        if scope in whole:
            continue
        if function not in called:
            called[function] = not _is_trivial(subject, function) and _is_only_called(subject, function)
        if called[function]:
            span = symbols.span(row)
            owner = symbols.span(function)
            message = f"parameter '{name}' of '{record.names[symbols.name[function]]}' is never read"
            related = ((Location(subject.path, owner), "the function"),)
            yield Finding("unused-parameter", "hint", span, message, related, tags=frozenset(("unnecessary",))), span


def _is_receiver(record: FileRecord, row: int, function: int) -> bool:
    symbols = record.symbols
    if symbols.flags[function] & STATIC_METHOD:
        return False
    first = symbols.inner[function]
    return row == min(other for other in record.symbols_in(first) if symbols.kind[other] == _PARAMETER)


def _is_only_called(subject: Subject, function: int) -> bool:
    """Whether a function is private (by its name, or for it stands in another function), and every mention of it
    calls it."""
    record = subject.record
    symbols = record.symbols
    flags, kind, scope = symbols.flags[function], symbols.kind[function], symbols.scope[function]
    name = record.names[symbols.name[function]]
    if flags & (OVERLOAD | ABSTRACT) or name.startswith("__"):
        return False
    if flags & DECORATED and not (kind == _METHOD and flags & (STATIC_METHOD | CLASS_METHOD)):
        return False
    outer = record.scopes.kind[scope]
    if kind == _FUNCTION and outer == _FUNCTION_SCOPE:
        binding = (scope, symbols.name[function])
        uses, calls = subject.usage.uses.get(binding, ()), of_record(record, _callees)
        is_alone = len(subject.usage.symbols[binding]) == 1 and binding not in subject.usage.declared
        return is_alone and bool(uses) and all(use in calls for use in uses)
    if not name.startswith("_") or len(record.bindings(scope, name)) != 1:
        return False
    if kind == _METHOD and outer == _CLASS_SCOPE:
        if not _has_known_bases(subject, scope) or _is_in_a_family(subject, scope, name):
            return False
    elif kind != _FUNCTION or scope != 0:
        return False
    return name not in subject.whole.of(facts_of).probed and _is_called_alone(subject, Slot(subject.path, scope, name))


def _is_called_alone(subject: Subject, slot: Slot) -> bool:
    """Whether every mention in the project that may mean a function calls it, and there is one."""
    resolver = subject.resolver
    is_called = False
    for path in subject.snapshot.files_naming(slot.name):
        record = subject.snapshot.records[path]
        calls = of_record(record, _callees)
        for index in record.occurrences_of(slot.name):
            role = record.occurrences.role[index]
            if index in calls:
                is_called = True
            elif role == _IMPORT:
                imported = record.imports[record.occurrences.link[index]]
                if imported.alias is not None and slot in resolver.imported(path, imported):
                    return False
            elif role not in _NO_READS:
                targets = resolver.of_occurrence(path, index)
                if not targets or any(slot in resolver.origins(target) for target in targets):
                    return False
    return is_called


def _callees(record: FileRecord) -> frozenset[int]:
    """The occurrences that are what a call calls."""
    return frozenset(callee for callee in record.calls.callee if callee >= 0)


def _is_in_a_family(subject: Subject, scope: int, name: str) -> bool:
    """Whether a method overrides another one, or is overridden."""
    snapshot = subject.snapshot
    others = any(
        len(snapshot.records[path].bound(name)) > (path == subject.path) for path in snapshot.files_naming(name)
    )
    if not others:
        return False
    hierarchy = Hierarchy(subject.resolver, subject.environment)
    related = hierarchy.relatives(ClassType(subject.path, scope), name)
    return sum(hierarchy.has(one, name) for one in related) > 1


def _has_known_bases(subject: Subject, scope: int) -> bool:
    """Whether all bases of a class are known, so that no class from outside calls its methods. A base from the project
    that had the method would name it."""
    types = subject.resolver.types
    for base in types.order(ClassType(subject.path, scope)):
        if is_outside(base.path):
            return types.name_of(base) in ("object", "Enum", "ABC", "Generic")
        record = subject.resolver.record(base.path)
        if record is None or any(not types.of_ref(base.path, ref) for ref in record.scopes[base.scope].refs):
            return False
    return True


def _is_trivial(subject: Subject, function: int) -> bool:
    """Whether a body does nothing but give a constant or raise: somebody wants the function, and not what it does."""
    record = subject.record
    definition = subject.surroundings.node(record.symbols.span(function)).parent
    body = None if definition is None else definition.child_by_field_name("body")
    return body is None or all(map(_does_nothing, _statements(body)))


def _statements(body: Node) -> Iterator[Node]:
    return (statement for statement in body.named_children if statement.type != "comment")


def _does_nothing(statement: Node) -> bool:
    if statement.type in ("expression_statement", "return_statement"):
        return all(child.type in _VALUES for child in statement.named_children)
    return statement.type in _TRIVIAL


CHECK = Check(
    unused_parameters,
    (Code("unused-parameter", "hint", frozenset(("ARG001", "ARG002", "unused-argument", "W0613"))),),
)
