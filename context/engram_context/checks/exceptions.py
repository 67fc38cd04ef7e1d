"""Handlers of exceptions that cannot come: caught before, or raised by nothing in the `try`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from engram_context.checks.check import Check, Code
from engram_context.checks.facts import facts_of
from engram_context.checks.subject import Found, Subject
from engram_context.checks.whole import Whole, of_record
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix, Tag
from engram_context.inference.inferred import ClassType
from engram_context.outside.library import is_outside
from engram_context.records import ROLE, FileRecord
from engram_context.text import Location, Span

_READS = frozenset((ROLE["read"], ROLE["attribute"]))
# What comes whatever the code does: interrupts, alarms, too little memory, a name that is not bound.
_ALWAYS = frozenset(
    {"BaseException", "Exception", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "MemoryError", "RecursionError"}
    | {"NameError", "UnboundLocalError", "TimeoutError"}
)
_LITERALS = frozenset(("true", "false", "none", "integer", "float", "string", "ellipsis", "identifier", "comment"))
_DISPLAYS = frozenset(("list", "tuple", "expression_list", "parenthesized_expression"))
_HANDLED = re.compile(rb"(?:^|[^\w.])except\b[^:\n]*$")
_LINE = 1000  # bytes of a line before a mention that are looked at
_MOST_MENTIONS = 20
_UNNECESSARY: frozenset[Tag] = frozenset(("unnecessary",))

Caught = tuple[Node, ClassType]
"""An expression in an `except`, and the class that it is."""


def exceptions(subject: Subject) -> Found:
    """What a file shows by itself: handlers behind broader ones, and those of a `try` that does nothing."""
    for statement, handlers in _tries(subject):
        is_harmless = _does_nothing(statement)
        if len(handlers) < 2 and not is_harmless:
            continue
        caught = [_caught(subject, handler) for handler in handlers]
        yield from _caught_before(subject, handlers, caught)
        for classes in caught if is_harmless else ():
            yield from _harmless(subject, classes)


def never_raised(subject: Subject) -> Found:
    """Handlers of exceptions of the project that nothing in it raises."""
    if subject.whole.of(_unraised).isdisjoint(subject.record.names):
        return
    for statement, handlers in _tries(subject):
        for handler in () if _does_nothing(statement) else handlers:
            yield from _never_raised(subject, _caught(subject, handler))


def _tries(subject: Subject) -> Iterator[tuple[Node, list[Node]]]:
    """The `try` statements with their handlers, in the order of the source; those of exception groups left out."""
    if b"except" not in subject.text.data or subject.path.endswith(".pyi"):
        return
    for statement in subject.surroundings.all_of("(try_statement (except_clause)) @try", "try"):
        handlers = [part for part in statement.named_children if part.type == "except_clause"]
        if not any(child.type == "*" for handler in handlers for child in handler.children[:2]):
            yield statement, handlers


def _does_nothing(statement: Node) -> bool:
    body = statement.child_by_field_name("body")
    return body is not None and all(map(_is_harmless, body.named_children))


# --- what is caught -----------------------------------------------------------------------------------


def _written(handler: Node) -> list[Node]:
    """The expressions for the classes that a handler catches; none for a bare `except`."""
    value = handler.child_by_field_name("value")
    if value is not None and value.type == "as_pattern":
        value = value.named_children[0]
    if value is None:
        return []
    while value.type == "parenthesized_expression" and value.named_children:
        value = value.named_children[0]
    return [part for part in value.named_children if part.type != "comment"] if value.type == "tuple" else [value]


def _caught(subject: Subject, handler: Node) -> list[Caught] | None:
    """What a handler catches; None where some of it is not known, and for a bare `except`."""
    found: list[Caught] = []
    for node in _written(handler):
        one = _class(subject, node)
        if one is None:
            return None
        found.append((node, one))
    return found or None


def _class(subject: Subject, node: Node) -> ClassType | None:
    """The class that a name is known to be."""
    index, resolver = subject.mention(node), subject.resolver
    if index is None:
        return None
    targets = resolver.of_occurrence(subject.path, index)
    types = {type_ for target in targets for type_ in resolver.types.of_target(target)}
    one = types.pop() if len(types) == 1 else None
    return one.bare if isinstance(one, ClassType) else None


def _name(subject: Subject, of: ClassType) -> str:
    return subject.resolver.types.name_of(of)


# --- caught before ------------------------------------------------------------------------------------


def _caught_before(subject: Subject, handlers: list[Node], caught: list[list[Caught] | None]) -> Found:
    types = subject.resolver.types
    for at, classes in enumerate(caught):
        if classes is None:
            continue
        broader: Node | None = None
        for _, one in classes:
            order = {base.bare for base in types.order(one)}
            holder = next((other for other in range(at) if any(base in order for _, base in caught[other] or ())), None)
            if holder is None:
                broader = None
                break
            broader = handlers[holder]
        if broader is None:
            continue
        span = Span(classes[0][0].start_byte, classes[-1][0].end_byte)
        names = ", ".join(_name(subject, one) for _, one in classes)
        head = Span(broader.start_byte, (_written(broader) or [broader])[-1].end_byte)
        message = f"{names} is caught by a handler before this one, which never runs"
        related = ((Location(subject.path, head), "caught here"),)
        fixes = tuple(_moved(subject, handlers[at], broader))
        yield Finding("unreachable-except", "warning", span, message, related, fixes), span


def _moved(subject: Subject, handler: Node, broader: Node) -> Iterator[Fix]:
    """Put a handler before the broader one."""
    text = subject.text
    first, last = text.line_of(handler.start_byte), text.line_of(handler.end_byte)
    to = text.line_start(text.line_of(broader.start_byte))
    lines = Span(text.line_start(first), text.line_start(last + 1))
    moved = text.data[lines.start : lines.end]
    if text.data[lines.start : handler.start_byte].strip() or not moved.endswith(b"\n"):
        return
    if text.data[handler.end_byte : lines.end].split(b"#")[0].strip():
        return
    edits = [Edit(Span(to, to), moved.decode("utf-8", "surrogateescape")), Edit(lines, "")]
    yield Fix("Move before the broader handler", project_edit({subject.path: edits}, {subject.path: text}))


# --- raised by nothing --------------------------------------------------------------------------------


def _is_harmless(statement: Node) -> bool:
    """Whether a statement raises nothing but what comes anywhere: it binds names and literals to names."""
    if statement.type in ("pass_statement", "comment"):
        return True
    if statement.type == "expression_statement":
        return all(map(_is_harmless, statement.named_children))
    if statement.type == "assignment":
        left, right = statement.child_by_field_name("left"), statement.child_by_field_name("right")
        return left is not None and left.type == "identifier" and right is not None and _is_harmless(right)
    if statement.type == "string":
        return not any(child.type == "interpolation" for child in statement.named_children)
    if statement.type in _DISPLAYS:
        return all(map(_is_harmless, statement.named_children))
    return statement.type in _LITERALS


def _harmless(subject: Subject, classes: list[Caught] | None) -> Found:
    """A handler of a `try` that does nothing which raises what it catches."""
    if classes is None or any(_name(subject, one) in _ALWAYS for _, one in classes):
        return
    span = Span(classes[0][0].start_byte, classes[-1][0].end_byte)
    names = ", ".join(_name(subject, one) for _, one in classes)
    message = f"nothing in the try raises {names}"
    yield Finding("unraised-exception", "warning", span, message, tags=_UNNECESSARY), span


def _never_raised(subject: Subject, classes: list[Caught] | None) -> Found:
    """Exceptions of the project that nothing in it raises."""
    known = subject.whole.of(_unraised)
    for node, one in classes or ():
        name = _name(subject, one)
        if is_outside(one.path) or name not in known:
            continue
        record = subject.resolver.record(one.path)
        row = None if record is None else record.scopes[one.scope].symbol
        if record is None or row is None:
            continue
        span = Span(node.start_byte, node.end_byte)
        related = ((Location(one.path, record.symbols.span(row)), "defined here"),)
        message = f"nothing in the project raises {name}"
        yield Finding("unraised-exception", "hint", span, message, related, confidence=0.6), span


def _unraised(whole: Whole) -> frozenset[str]:
    """The names of exception classes of the project that it only defines, imports and catches, and whose subclasses
    are such as well."""
    facts = whole.of(facts_of)
    resolver_names = {name for record in whole.snapshot.records.values() for name in _exception_names(record)}
    quiet = {name for name in resolver_names if _is_only_caught(whole, name)}
    return frozenset(name for name in quiet if all(_scope_name(whole, below) in quiet for below in facts.below(name)))


def _exception_names(record: FileRecord) -> frozenset[str]:
    return of_record(record, _exceptions_of) if record.language == "python" else frozenset()


def _exceptions_of(record: FileRecord) -> frozenset[str]:
    """Classes with bases whose names look like an exception's, and which the file itself does not call."""
    called = {record.occurrences.name[callee] for callee in record.calls.callee if callee >= 0}
    found: set[str] = set()
    for scope in record.scopes:
        if scope.kind == "class" and scope.refs and _looks_like_an_exception(record, scope.refs):
            number = record.name_index(scope.name)
            if number is not None and number not in called:
                found.add(scope.name)
    return frozenset(found)


def _looks_like_an_exception(record: FileRecord, refs: tuple[int, ...]) -> bool:
    names = (record.names[record.occurrences.name[ref]] for ref in refs if ref >= 0)
    return any(name.endswith(("Error", "Exception", "Warning")) for name in names)


def _scope_name(whole: Whole, one: ClassType) -> str:
    record = whole.snapshot.records.get(one.path)
    return "" if record is None else record.scopes[one.scope].name


def _is_only_caught(whole: Whole, name: str) -> bool:
    """Whether all that is done with a name is to define, import and catch it."""
    mentions = 0
    for path in whole.snapshot.files_naming(name):
        record = whole.snapshot.records[path]
        bases = of_record(record, _bases)
        reads = [index for index in record.occurrences_of(name, _READS) if index not in bases]
        mentions += len(reads)
        if mentions > _MOST_MENTIONS:
            return False
        text = whole.snapshot.text(path) if reads else None
        for index in reads:
            start = record.occurrences.start[index]
            if text is None or text.digest != record.digest:
                return False
            line = text.line_span(text.line_of(start))
            if _HANDLED.search(text.data[max(line.start, start - _LINE) : start]) is None:
                return False
    return mentions > 0


def _bases(record: FileRecord) -> frozenset[int]:
    return frozenset(ref for scope in record.scopes if scope.kind == "class" for ref in scope.refs if ref >= 0)


_UNRAISED = Code("unraised-exception", "warning", needs_project=True)
CHECK = Check(
    exceptions,
    (
        Code("unreachable-except", "warning", frozenset(("bad-except-order", "E0701", "B025", "reportUnusedExcept"))),
        _UNRAISED,
    ),
)
OF_PROJECT = Check(never_raised, (_UNRAISED,), of_project=True)
