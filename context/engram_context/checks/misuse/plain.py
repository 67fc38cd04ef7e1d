"""What needs no model and costs little: arguments that stand crosswise, one word spelled in two ways. The codes of what
is hinted at while nobody waits (`hinted.py`, and the model in `engram_lsp.misuse`) are here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tree_sitter

from engram_context.checks.check import Check, Code
from engram_context.checks.misuse.arguments import TURNING
from engram_context.checks.misuse.places import words_of
from engram_context.checks.proven import proven_of
from engram_context.checks.signatures import Signatures, Takes
from engram_context.checks.subject import Found, Subject
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.records import KIND, ROLE, SCOPE_KIND, FileRecord
from engram_context.text import Location, Span

_NAMING = frozenset({ROLE["read"], ROLE["attribute"]})
_FUNCTION = SCOPE_KIND["function"]
_SPELLED = frozenset({KIND["variable"], KIND["parameter"]})


def swapped_arguments(subject: Subject) -> Found:
    """Calls that give each of two parameters what has the name of the other one."""
    record, calls = subject.record, subject.record.calls
    proven = proven_of(subject.whole, subject.resolver)
    signatures = Signatures(proven)
    for row, callee in enumerate(calls.callee):
        given = _given(record, row)
        if sum(name is not None for name in given) < 2 or callee < 0:
            continue
        callees = proven.of_ref(subject.path, callee)
        ways = signatures.of(callees) if callees else None
        if not ways:
            continue
        pair = next(_crosswise(given, ways), None)
        if pair is None or _turns(record, calls.scope[row], record.names[record.occurrences.name[callee]]):
            continue
        finding = _swapped(subject, row, *pair, ways[0])
        if finding is not None:
            yield finding, calls[row].span


def _given(record: FileRecord, call: int) -> list[str | None]:
    """The last names of a call's positional arguments, as far as they are names."""
    found: list[str | None] = []
    arguments, occurrences = record.arguments, record.occurrences
    for at in range(record.calls.first_argument[call], record.calls.last_argument[call]):
        if arguments.keyword[at] >= 0 or arguments.stars[at]:
            break
        value = arguments.value[at]
        is_name = value >= 0 and occurrences.role[value] in _NAMING
        found.append(record.names[occurrences.name[value]].strip("_") if is_name else None)
    return found


def _crosswise(given: Sequence[str | None], ways: Sequence[Takes]) -> Iterator[tuple[int, int]]:
    """The positions of two arguments each of which has the name of the other's parameter, however the call is made."""
    for i, one in enumerate(given):
        for j in range(i + 1, len(given)):
            other = given[j]
            if one is None or other is None or one == other or one.rstrip("0123456789") == other.rstrip("0123456789"):
                continue
            if len(one) == len(other) == 1:
                continue
            if all(
                j < len(way.positional)
                and way.positional[i].name.strip("_") == other
                and way.positional[j].name.strip("_") == one
                for way in ways
            ):
                yield i, j


def _turns(record: FileRecord, scope: int, called: str) -> bool:
    """Whether a call may turn things on purpose: by its name, or since it is made by a function that is called so."""
    words = words_of(called)
    while scope > 0:
        symbol = record.scopes.symbol[scope]
        if symbol >= 0:
            name = record.names[record.symbols.name[symbol]]
            if name == called:
                return True
            words |= words_of(name)
        scope = record.scopes.parent[scope]
    return bool(words & TURNING)


def _swapped(subject: Subject, row: int, i: int, j: int, takes: Takes) -> Finding | None:
    calls = subject.record.calls
    span = Span(calls.inside_start[row] - 1, calls.inside_end[row] + 1)
    node = subject.surroundings.tree.root_node.descendant_for_byte_range(span.start, span.end)
    if node is None or node.type != "argument_list":
        return None
    arguments = [child for child in node.named_children if child.type != "comment"]
    if j >= len(arguments):
        return None
    first, second = arguments[i], arguments[j]
    texts = [_source(one) for one in (first, second)]
    spans = [Span(one.start_byte, one.end_byte) for one in (first, second)]
    edits = [Edit(spans[0], texts[1]), Edit(spans[1], texts[0])]
    parameters = takes.positional[i].name, takes.positional[j].name
    message = (
        f"'{texts[0]}' is given to parameter '{parameters[0]}' and '{texts[1]}' to '{parameters[1]}': "
        "they may have to change places"
    )
    fix = Fix("Swap the arguments", project_edit({subject.path: edits}, {subject.path: subject.text}))
    related = ((takes.definition, f"'{takes.name}' is defined here"),)
    return Finding("swapped-arguments", "warning", Span(spans[0].start, spans[1].end), message, related, (fix,))


def _source(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "surrogatepass")


def inconsistent_names(subject: Subject) -> Found:
    """Variables of one function that differ in how a word is spelled alone: `user_id` and `userId`."""
    record = subject.record
    symbols, kinds = record.symbols, record.scopes.kind
    seen: dict[tuple[int, str], str] = {}
    told: set[tuple[int, str]] = set()
    for row, (scope, kind) in enumerate(zip(symbols.scope, symbols.kind, strict=True)):
        if kind not in _SPELLED or kinds[scope] != _FUNCTION:
            continue
        name = record.names[symbols.name[row]]
        plain = name.strip("_")
        if plain[:1].isupper():
            continue  # a class, or a constant
        key = (scope, plain.replace("_", "").lower())
        before = seen.setdefault(key, name)
        if before.strip("_") == plain or (scope, name) in told:
            continue
        told.add((scope, name))
        span = symbols.span(row)
        first = symbols.span(record.bindings(scope, before)[0])
        related = ((Location(subject.path, first), f"'{before}' is bound here"),)
        yield Finding("inconsistent-name", "hint", span, f"'{name}' is spelled '{before}' before", related), span


def _nothing(_: Subject) -> Found:
    yield from ()


SWAPPED = Check(
    swapped_arguments,
    (Code("swapped-arguments", "warning", frozenset(("arguments-out-of-order", "W1114")), needs_project=True),),
)
INCONSISTENT = Check(inconsistent_names, (Code("inconsistent-name", "hint"),))
HINTED = Check(_nothing, (Code("misused-variable", "hint"), Code("uneven-copy", "hint")))
CHECKS = (SWAPPED, INCONSISTENT, HINTED)
