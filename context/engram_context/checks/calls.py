"""Calls that do not fit the signature of what they call."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

import tree_sitter

from engram_context.checks.check import Check, Code
from engram_context.checks.guards import is_guarded
from engram_context.checks.proven import Proven, proven_of
from engram_context.checks.signatures import Gives, Misfit, Signatures, Takes, misfit, signatures_of
from engram_context.checks.subject import Found, Subject
from engram_context.checks.surroundings import Surroundings
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix, Severity
from engram_context.inference.inferred import ClassType, Function, Instance, Type
from engram_context.outside.library import is_outside
from engram_context.records import KIND, ROLE, FileRecord
from engram_context.scopes import visible_scopes
from engram_context.text import Span

_ATTRIBUTE, _METHOD = ROLE["attribute"], KIND["method"]
_NAMED = 3
"""So many missing parameters are named."""


def misfitting_calls(subject: Subject) -> Found:
    """Calls that raise a TypeError before the function runs, whichever of the possible ones is called."""
    record, path = subject.record, subject.path
    proven = proven_of(subject.whole, subject.resolver)
    signatures = signatures_of(proven)
    for row, callee in enumerate(record.calls.callee):
        callees = proven.of_ref(path, callee)
        gives = gives_of(record, row)
        partial = callees is not None and _is_partial(proven, callees)
        if partial:
            first = record.calls.first_argument[row]
            inner = proven.of_ref(path, record.arguments.value[first]) if gives.positional else None
            ways = None if inner is None else signatures.of(inner)
            gives = replace(gives, positional=gives.positional - 1)
        else:
            ways = signatures.of(callees) if callees else None
            ways = ways or _likely_ways(subject, proven, signatures, callee)
        if not ways:
            continue
        misfits = [misfit(takes, gives, partial=partial) for takes in ways]
        if None in misfits:
            continue
        takes, found = min(
            zip(ways, (one for one in misfits if one is not None), strict=True), key=lambda pair: _size(pair[1])
        )
        span = record.calls[row].span
        around = subject.surroundings
        if is_guarded(around, span, b"TypeError") or _is_of_other_platform(proven, takes, found):
            continue
        yield from _report(subject, row, takes, found, partial=partial)


def _likely_ways(subject: Subject, proven: Proven, signatures: Signatures, callee: int) -> list[Takes] | None:
    """How a member can be called that is taken to be one of the project's: as it and those that override it, where
    nothing says that it may be another one, and else as all those of its name."""
    record = subject.record
    if callee < 0 or record.occurrences.role[callee] != _ATTRIBUTE:
        return None
    name = record.names[record.occurrences.name[callee]]
    if name in proven.facts.written:
        return None
    by_name = signatures.of_member(name)
    if by_name is not None and not by_name:
        return None
    meant = proven.types.of_ref(subject.path, callee)
    if not meant or not all(_is_as_written(proven, one) for one in meant):
        return None
    if proven.types.is_certain(subject.path, record.occurrences.link[callee]):
        return signatures.of(meant) or by_name
    return by_name


def _is_as_written(proven: Proven, one: Type) -> bool:
    """Whether something is a def of the project that is called as it is written, where it was taken from."""
    if not isinstance(one, Function) or is_outside(one.path):
        return False
    record = proven.resolver.record(one.path)
    if isinstance(one.receiver, Instance) and one.receiver.above:
        return False  # what stands beside the class may come before
    if one.receiver is not None and proven.types.classes.is_protocol(ClassType(one.receiver.path, one.receiver.scope)):
        return False
    if isinstance(one.receiver, ClassType) and record is not None:
        owner = record.symbols.scope[one.symbol]
        if proven.is_metaclass(ClassType(one.path, owner)):
            return False  # a metaclass's method is given the class
    # A function that is kept in an object is not given the object.
    is_method = record is not None and record.symbols.kind[one.symbol] == _METHOD
    return record is not None and is_method == (one.receiver is not None) and proven.keeps_parameters(
        one.path, record, one.symbol
    )  # fmt: skip


def _is_of_other_platform(proven: Proven, takes: Takes, found: Misfit) -> bool:
    """Whether the stub of what is called knows the argument, for a platform or version that is not this one."""
    path = takes.definition.path
    text = proven.resolver.library.text(path) if found.unexpected and path.endswith(".pyi") else None
    return text is not None and any(
        re.search(rb"\b" + name.encode() + rb"\b", text.data) is not None for name in found.unexpected
    )


def gives_of(record: FileRecord, row: int) -> Gives:
    arguments, calls = record.arguments, record.calls
    rows = range(calls.first_argument[row], calls.last_argument[row])
    stars = [arguments.stars[at] for at in rows]
    keywords = tuple(record.names[arguments.keyword[at]] for at in rows if arguments.keyword[at] >= 0)
    positional = sum(1 for at in rows if arguments.keyword[at] < 0 and not arguments.stars[at])
    return Gives(positional, keywords, 1 in stars, 2 in stars)


def _is_partial(proven: Proven, callees: tuple[object, ...]) -> bool:
    return len(callees) == 1 and isinstance(callees[0], ClassType) and proven.types.is_library(
        callees[0], "functools", "partial"
    )  # fmt: skip


def _size(found: Misfit) -> int:
    return found.too_many + len(found.unexpected) + len(found.duplicate) + len(found.missing)


def _report(subject: Subject, row: int, takes: Takes, found: Misfit, *, partial: bool) -> Found:
    record, path = subject.record, subject.path
    call = record.calls[row]
    severity: Severity = "warning" if is_outside(takes.definition.path) else "error"
    related = ((takes.definition, f"'{takes.name}' is defined here"),)
    node = _call_node(subject.surroundings, call.span)
    arguments = _arguments(node)

    def finding(code: str, span: Span, message: str, *fixes: Fix) -> tuple[Finding, Span]:
        return Finding(code, severity, span, message, related, fixes), call.span

    def fix(title: str, edit: Edit) -> Fix:
        return Fix(title, project_edit({path: [edit]}, {path: subject.text}))

    if found.too_many:
        places = [one for one in arguments if one.type not in ("keyword_argument", "list_splat", "dictionary_splat")]
        extra = places[len(places) - found.too_many] if len(places) >= found.too_many else None
        span = Span(extra.start_byte, extra.end_byte) if extra is not None else call.span
        most = len(takes.positional)
        some = f"{most} positional argument{'s' if most != 1 else ''}" if most else "no positional arguments"
        given = most + found.too_many
        fixes: list[Fix] = []
        if found.too_many == 1 and extra is not None:
            fixes.append(fix("Remove the argument", _removal(arguments, extra)))
        yield finding("too-many-arguments", span, f"'{takes.name}' takes {some}, {given} are given", *fixes)
    lacking = list(found.missing)
    for name in (*found.unexpected, *found.duplicate):
        node = next((one for one in arguments if _keyword(one) == name), None)
        if node is None:
            continue
        keyword = node.child_by_field_name("name") or node
        span = Span(keyword.start_byte, keyword.end_byte)
        fixes = []
        if name in found.unexpected:
            free = [one for one in takes.keyword_names if not any(_keyword(other) == one for other in arguments)]
            near = difflib.get_close_matches(name, sorted(free), n=1, cutoff=0.6)
            if not near and len(found.unexpected) == len(lacking) == 1:
                near = lacking[:1]
            if near:
                fixes.append(fix(f"Change to '{near[0]}'", Edit(span, near[0])))
                if near[0] in lacking:
                    lacking.remove(near[0])
            fixes.append(fix(f"Remove '{name}'", _removal(arguments, node)))
            yield finding("unexpected-argument", span, f"'{takes.name}' has no parameter '{name}'", *fixes)
        else:
            fixes.append(fix(f"Remove '{name}'", _removal(arguments, node)))
            yield finding("duplicate-argument", span, f"'{name}' is given twice to '{takes.name}'", *fixes)
    if lacking and not partial:
        shown = ", ".join(f"'{name}'" for name in lacking[:_NAMED]) + (", …" if len(lacking) > _NAMED else "")
        message = f"'{takes.name}' needs {'an argument' if len(lacking) == 1 else 'arguments'} for {shown}"
        edit = _addition(subject, row, takes, lacking, arguments)
        fixes = [] if edit is None else [fix(f"Give {shown}", edit)]
        yield finding("missing-argument", _name_span(record, row), message, *fixes)


def _name_span(record: FileRecord, row: int) -> Span:
    callee = record.calls.callee[row]
    return record.occurrences.span(callee) if callee >= 0 else record.calls[row].span


def _call_node(around: Surroundings, span: Span) -> tree_sitter.Node:
    node = around.node(span)
    while node.type != "call" and node.parent is not None and node.parent.byte_range == node.byte_range:
        node = node.parent
    return node


def _arguments(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    found = node.child_by_field_name("arguments")
    if found is None or found.type != "argument_list":
        return [] if found is None else [found]
    return [one for one in found.named_children if one.type != "comment"]


def _keyword(node: tree_sitter.Node) -> str | None:
    name = node.child_by_field_name("name") if node.type == "keyword_argument" else None
    return None if name is None else (name.text or b"").decode("utf-8", "replace")


def _removal(arguments: list[tree_sitter.Node], node: tree_sitter.Node) -> Edit:
    """Without an argument and the comma that parts it from its neighbour."""
    at = arguments.index(node)
    if at:
        return Edit(Span(arguments[at - 1].end_byte, node.end_byte), "")
    if len(arguments) > 1:
        return Edit(Span(node.start_byte, arguments[1].start_byte), "")
    return Edit(Span(node.start_byte, node.end_byte), "")


def _addition(
    subject: Subject,
    row: int,
    takes: Takes,
    lacking: list[str],
    arguments: list[tree_sitter.Node],
) -> Edit | None:
    """With variables in sight that have the names of the parameters, where there is one for each."""
    record = subject.record
    scopes = set(visible_scopes(record, record.calls.scope[row]))
    in_sight = {record.names[name] for scope, name in subject.usage.symbols if scope in scopes}
    if not set(lacking) <= in_sight or not set(lacking) <= takes.keyword_names:
        return None
    given = ", ".join(f"{name}={name}" for name in lacking)
    if arguments:
        if arguments[0].type == "generator_expression":
            return None
        return Edit(Span(arguments[-1].end_byte, arguments[-1].end_byte), f", {given}")
    inside = record.calls[row].inside
    return Edit(Span(inside.start, inside.start), given)


_ANY_CALL = ("call-arg", "call-overload", "arg-type", "reportCallIssue", "reportArgumentType")
_FOREIGN = {
    "missing-argument": ("no-value-for-parameter", "E1120"),
    "unexpected-argument": ("unexpected-keyword-arg", "E1123", "unknown-argument"),
    "too-many-arguments": ("too-many-function-args", "E1121", "too-many-positional-arguments"),
    "duplicate-argument": ("redundant-keyword-arg", "E1124", "parameter-already-assigned", "misc"),
}

CHECK = Check(
    misfitting_calls,
    tuple(
        Code(name, "error", frozenset((*foreign, *_ANY_CALL)), of_types=True, needs_project=True)
        for name, foreign in _FOREIGN.items()
    ),
)
