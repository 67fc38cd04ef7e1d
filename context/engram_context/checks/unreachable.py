"""Statements that no way through their function reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from engram_context.checks.check import Check, Code
from engram_context.checks.flow import Flow, flow_of, never_returns
from engram_context.checks.noreturn import NEVER, is_declared, is_without_return
from engram_context.checks.subject import Found, Subject
from engram_context.checks.whole import Whole
from engram_context.edits import Edit, ProjectEdit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.records import KIND
from engram_context.text import Span

# What can end a way, with a statement behind it. Any `with` may swallow what its body raises.
_BEHIND = """
(_ [(return_statement) (raise_statement) (continue_statement) (break_statement)] . (comment)* . (_) @behind)
(_ (if_statement alternative: (else_clause)) . (comment)* . (_) @behind)
(_ (while_statement condition: [(true) (integer)]) . (comment)* . (_) @behind)
(_ [(try_statement) (match_statement)] . (comment)* . (_) @behind)
"""
_NO_STATEMENTS = ("comment", "else_clause", "elif_clause", "except_clause", "finally_clause", "case_clause")
_BEHIND_CALLS = "(_ (expression_statement (call)) . (comment)* . (_) @behind)"
_LEAVING_CALLS = re.compile(rb"\b(?:exit|_exit|abort|fail|skip|skipTest|xfail|error|quit|assert_never|exec[lv]p?e?)\(")
_FUNCTIONS = (KIND["function"], KIND["method"])
_SCOPES = frozenset(("function_definition", "lambda", "module"))
# Statements that only say that they are not reached.
_SAYS_SO = re.compile(rb"(?:raise|assert)\b|(?:\w+\.)?assert_never\(|pytest\.fail\(|(?:\.\.\.|pass)$")


def unreachable(subject: Subject) -> Found:
    """The statements behind one that always leaves. One finding for all that follow one another in a block."""
    if subject.path.endswith(".pyi"):
        return
    flows: dict[int, tuple[Flow, set[int]]] = {}
    told = -1
    for node in _behind(subject):
        block = node.parent
        if block is None or node.start_byte < told:
            continue
        before = _before(node)
        if before is None or not _may_leave(subject, before):
            continue
        body = _body_around(node)
        if body.id not in flows:
            flow = flow_of(body, ends=lambda call: _ends(subject, call))
            flows[body.id] = flow, flow.reachable()
        flow, reachable = flows[body.id]
        steps = flow.first_in(node)
        if not steps or not reachable.isdisjoint(steps):
            continue
        if reachable.isdisjoint(flow.first_in(before)):
            continue  # a part of what is told already
        dead = [child for child in block.named_children if child.start_byte >= node.start_byte]
        told = dead[-1].end_byte
        if _is_meant(body, before, dead):
            continue
        span = Span(node.start_byte, dead[-1].end_byte)
        fix = Fix("Remove unreachable code", _removal(subject, before, span), is_safe=_binds_nothing(subject, span))
        message = "code is unreachable"
        yield (
            Finding("unreachable-code", "hint", span, message, fixes=(fix,), tags=frozenset(("unnecessary",))),
            Span(node.start_byte, node.end_byte),
        )


def _behind(subject: Subject) -> Iterator[Node]:
    """The statements that follow one that may always leave, in the order of the source."""
    source = _BEHIND
    names = subject.whole.of(_declared_never)
    if _LEAVING_CALLS.search(subject.text.data) or not names.isdisjoint(subject.record.names):
        source += _BEHIND_CALLS
    found = subject.surroundings.all_of(source, "behind")
    return (node for node in found if node.type not in _NO_STATEMENTS)


def _may_leave(subject: Subject, statement: Node) -> bool:
    """Whether a statement may never be passed: of calls, only those that do not return."""
    if statement.type != "expression_statement":
        return True
    call = statement.named_children[0]
    return call.type == "call" and _ends(subject, call)


def _declared_never(whole: Whole) -> frozenset[str]:
    """The names of the project's functions that are declared never to return."""
    snapshot = whole.snapshot
    found: set[str] = set()
    for path in {path for name in NEVER for path in snapshot.files_naming(name)}:
        record = snapshot.records[path]
        symbols = record.symbols
        for row, kind in enumerate(symbols.kind):
            if kind in _FUNCTIONS and is_declared(record, row):
                found.add(record.names[symbols.name[row]])
    return frozenset(found)


def _ends(subject: Subject, call: Node) -> bool:
    if never_returns(call):
        return True
    function = call.child_by_field_name("function")
    text = b"" if function is None else function.text or b""
    name = text.rpartition(b".")[2].decode("utf-8", "replace")
    return name in subject.whole.of(_declared_never) and is_without_return(subject, call)


def _body_around(node: Node) -> Node:
    """The block of the function that a statement is in, or the module."""
    while node.parent is not None:
        outer = node.parent
        if outer.type == "function_definition":
            return node
        node = outer
    return node


def _before(node: Node) -> Node | None:
    before = node.prev_named_sibling
    while before is not None and before.type == "comment":
        before = before.prev_named_sibling
    return before


def _is_meant(body: Node, before: Node, dead: list[Node]) -> bool:
    """Whether code is unreachable on purpose."""
    if _SAYS_SO.match(dead[0].text or b"") is not None:
        return True
    if before.type == "raise_statement" and b"NotImplemented" in (before.text or b""):
        return True
    # A `yield` that never runs makes a function a generator.
    return body.type == "block" and any(map(_yields, dead))


def _yields(statement: Node) -> bool:
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        if node.type == "yield":
            return True
        if node.type not in _SCOPES:
            waiting.extend(node.named_children)
    return False


def _removal(subject: Subject, before: Node, span: Span) -> ProjectEdit:
    """Take the statements away with their lines, and with the comments between them and what leaves."""
    text = subject.text
    start, end = before.end_byte, span.end
    between = text.data[start : span.start]
    newline = between.find(b"\n")
    if newline < 0:
        edit = Edit(Span(start, end), "")  # on one line, behind a semicolon
    else:
        line = text.line_span(text.line_of(span.start)).start
        rest = text.line_span(text.line_of(end))
        is_last = not text.data[end : rest.end].split(b"#")[0].strip()
        edit = Edit(Span(line, text.line_start(text.line_of(end) + 1) if is_last else end), "")
    return project_edit({subject.path: [edit]}, {subject.path: text})


def _binds_nothing(subject: Subject, span: Span) -> bool:
    """Whether all names that are bound in a span are bound elsewhere too: else they change their meaning."""
    symbols, usage = subject.record.symbols, subject.usage
    inside = {
        (symbols.scope[row], symbols.name[row])
        for row, start in enumerate(symbols.start)
        if span.start <= start < span.end
    }
    scopes = subject.record.scopes
    outer = {
        binding
        for binding in inside
        if not span.start <= scopes.start[binding[0]] < span.end and binding in usage.symbols
    }
    return all(
        any(not span.start <= symbols.start[row] < span.end for row in usage.symbols[binding]) for binding in outer
    )


CHECK = Check(
    unreachable,
    (Code("unreachable-code", "hint", frozenset(("unreachable", "W0101", "F701", "reportUnreachable"))),),
)
