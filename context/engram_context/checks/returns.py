"""Functions that give None on some way through them, although they are declared to give something else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from engram_context.checks.check import Check, Code
from engram_context.checks.flow import LONGEST_CALLEE, flow_of, never_returns
from engram_context.checks.noreturn import is_without_return
from engram_context.checks.proven import Proven, proven_of
from engram_context.checks.subject import Found, Subject
from engram_context.checks.surroundings import does_nothing
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.inference.inferred import ClassType, Instance
from engram_context.records import ABSTRACT, GENERATOR, KIND, NO_REF, OVERLOAD, FileRecord
from engram_context.text import Span

_DEFS = (KIND["function"], KIND["method"])
_LAST = ("return_statement", "raise_statement")
_NESTED = ("function_definition", "lambda", "class_definition")
_UNSURE = re.compile(rb"\b(?:NotImplemented\w*|version_info|sys\.platform|os\.name|TYPE_CHECKING)\b")
"""A function whose body has one of these is not meant to run as it stands, or not everywhere."""
_EMPTY_RETURN = re.compile(rb"\breturn[ \t]*(?:\([ \t]*)?(?:None\b|[#;\r\n]|\Z)")
_LEAVES = re.compile(
    rb"(?i)(?:\w+\.)*_*(?:\w*_)?(?:fail|abort|die|exit|error|fatal|usage|panic|raise|throw|unreachable)\w*"
)
_LOGS = re.compile(rb"(?i)(?:\w+\.)*\w*log\w*\.\w+")
_UNION_SYNTAX = (3, 10)


def missing_returns(subject: Subject) -> Found:
    """Declared functions that come to their end, or return nothing, where None is not allowed."""
    record, path = subject.record, subject.path
    if path.endswith(".pyi"):
        return
    proven = proven_of(subject.whole, subject.resolver)
    symbols = record.symbols
    for row, kind in enumerate(symbols.kind):
        if kind not in _DEFS or symbols.annotation[row] == NO_REF or symbols.inner[row] < 0:
            continue
        if symbols.flags[row] & (GENERATOR | ABSTRACT | OVERLOAD):
            continue
        if not _excludes_none(proven, path, symbols.annotation[row]) or not proven.keeps(path, record, row):
            continue
        if not _is_of_protocol(proven, path, record, row):
            yield from _of_function(subject, row)


def _excludes_none(proven: Proven, path: str, ref: int) -> bool:
    """Whether an annotation is understood and None is not among what it allows."""
    declared = proven.of_annotation(path, ref)
    return declared is not None and all(isinstance(one, Instance) for one in declared)


def _is_of_protocol(proven: Proven, path: str, record: FileRecord, row: int) -> bool:
    scope = record.symbols.scope[row]
    return record.scopes[scope].kind == "class" and proven.types.classes.is_protocol(ClassType(path, scope))


def _of_function(subject: Subject, row: int) -> Found:
    symbols = subject.record.symbols
    span = symbols.span(row)
    source = subject.text.data[symbols.body_start[row] : symbols.body_end[row]]
    definition = subject.surroundings.node(span).parent
    body = None if definition is None else definition.child_by_field_name("body")
    declared = None if definition is None else definition.child_by_field_name("return_type")
    if body is None or declared is None or _UNSURE.search(source) or does_nothing(body):
        return
    shown = " ".join((declared.text or b"").decode("utf-8", "replace").split())
    name = subject.record.names[symbols.name[row]]
    fixes = tuple(_fixes(subject, declared))
    if _EMPTY_RETURN.search(body.text or b""):
        for statement in _empty_returns(body):
            where = Span(statement.start_byte, statement.end_byte)
            message = f"None is returned, but '{name}' is declared to return '{shown}'"
            yield Finding("missing-return", "warning", where, message, fixes=fixes), where
    last = next((one for one in reversed(body.named_children) if one.type != "comment"), None)
    if last is not None and last.type not in _LAST and _comes_to_its_end(subject, body):
        message = f"'{name}' may come to its end without a value, but is declared to return '{shown}'"
        yield Finding("missing-return", "warning", span, message, fixes=fixes), span


def _comes_to_its_end(subject: Subject, body: Node) -> bool:
    flow = flow_of(body, trusting=True)
    if flow.reachable().isdisjoint(flow.falls):
        return False
    flow = flow_of(body, ends=lambda call: _leaves(subject, call), trusting=True)
    last = [flow.steps[at].node for at in flow.reachable() & set(flow.falls)]
    return any(node is None or not _is_in_chain(node) for node in last)


def _is_in_chain(node: Node) -> bool:
    """Whether a test is the last of several that may be meant to leave nothing out: `if ...: elif ...:`."""
    at: Node | None = node
    while at is not None and at.type not in ("if_statement", "elif_clause", "block", "module"):
        at = at.parent
    return at is not None and at.type == "elif_clause"


def _leaves(subject: Subject, call: Node) -> bool:
    """Whether a call never returns, or is named as if it did not."""
    function = call.child_by_field_name("function")
    text = b"" if function is None else function.text or b""
    named = len(text) < LONGEST_CALLEE and _LEAVES.fullmatch(text) is not None and _LOGS.fullmatch(text) is None
    return named or never_returns(call) or is_without_return(subject, call)


def _empty_returns(body: Node) -> Iterator[Node]:
    waiting = list(body.named_children)
    while waiting:
        node = waiting.pop()
        if node.type == "return_statement":
            value = next((one for one in node.named_children if one.type != "comment"), None)
            while value is not None and value.type == "parenthesized_expression":
                value = value.named_children[0] if value.named_children else None
            if value is None or value.type == "none":
                yield node
        elif node.type not in _NESTED:
            waiting.extend(node.named_children)


def _fixes(subject: Subject, declared: Node) -> Iterator[Fix]:
    """None allowed by the annotation, where that can be written as a union."""
    text = declared.text or b""
    future = any(one.module == "__future__" and one.name == "annotations" for one in subject.record.imports)
    if b'"' in text or b"'" in text or not (future or subject.environment.version >= _UNION_SYNTAX):
        return
    at = Span(declared.end_byte, declared.end_byte)
    edit = project_edit({subject.path: [Edit(at, " | None")]}, {subject.path: subject.text})
    yield Fix(f"Declare '{text.decode('utf-8', 'replace')} | None'", edit)


CHECK = Check(
    missing_returns,
    (
        Code(
            "missing-return",
            "warning",
            frozenset(
                ("return", "return-value", "R1710", "inconsistent-return-statements", "reportReturnType", "RET503")
            ),
            of_types=True,
            needs_project=True,
        ),
    ),
)
