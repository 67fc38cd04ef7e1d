"""What `__all__` says twice, and the one public definition that it leaves out."""

from __future__ import annotations

import difflib
from collections import Counter
from itertools import chain

from tree_sitter import Node

from engram_context.checks.check import Check, Code
from engram_context.checks.facts import is_test
from engram_context.checks.subject import Found, Subject
from engram_context.edits import Edit, ProjectEdit, newline_of, project_edit
from engram_context.findings import Finding, Fix
from engram_context.records import CONDITIONAL, KIND, ROLE, rows_with
from engram_context.targets import Slot
from engram_context.text import Location, Span, Text

_STRING, _IMPORT, _KEYWORD = ROLE["string"], ROLE["import"], ROLE["keyword"]
_DEFINITIONS = (KIND["function"], KIND["class"])
_LEAST_LISTED = 3
"""So many definitions have to be listed before one that is not is an oversight."""
_DISPLAYS = frozenset(("list", "tuple", "set", "expression_list"))
_PROGRAM = frozenset(("main", "run", "setup", "cli"))


def exports(subject: Subject) -> Found:
    if not subject.record.exports:
        return iter(())
    return chain(_listed_twice(subject), _left_out(subject))


def _listed_twice(subject: Subject) -> Found:
    """Entries that an earlier one of the same display says already."""
    occurrences, names = subject.record.occurrences, subject.record.names
    rows = rows_with(occurrences.role, _STRING)
    repeated = {name for name, count in Counter(occurrences.name[row] for row in rows).items() if count > 1}
    first: dict[tuple[int, int], Span] = {}
    for row in rows if repeated else ():
        if occurrences.name[row] not in repeated:
            continue
        span = occurrences.span(row)
        entry = entry_at(subject, span)
        if entry is None or entry.parent is None:
            continue
        key = (entry.parent.start_byte, occurrences.name[row])
        earlier = first.setdefault(key, span)
        if earlier == span:
            continue
        name = names[occurrences.name[row]]
        fix = Fix(f"Remove the second '{name}'", _edit(subject, without_entry(subject.text, entry)), is_safe=True)
        related = ((Location(subject.path, earlier), "the first one"),)
        message = f"'{name}' is in __all__ twice"
        yield Finding("duplicate-export", "hint", span, message, related, (fix,), frozenset(("unnecessary",))), span


def _left_out(subject: Subject) -> Found:
    """The only public function or class of a module that its `__all__` does not list, where others import it or the
    module itself has no use for it."""
    record = subject.record
    listed = frozenset(record.exports or ())
    if any(name.endswith(".*") for name in listed) or is_test(subject.path):
        return
    symbols = record.symbols
    public = {
        record.names[symbols.name[row]]: row
        for row in record.symbols_in(0)
        if symbols.kind[row] in _DEFINITIONS and not record.names[symbols.name[row]].startswith("_")
    }
    missing = [name for name in public if name not in listed]
    if len(missing) != 1 or len(public) - 1 < _LEAST_LISTED:
        return
    (name,) = missing
    row = public[name]
    if name in _PROGRAM or symbols.flags[row] & CONDITIONAL or (0, symbols.name[row]) in subject.usage.uses:
        return
    if len(record.bindings(0, name)) > 1 or not _is_imported(subject, name):
        return
    span = symbols.span(row)
    entries = _display(subject)
    fixes = (
        () if entries is None else (Fix("Add to __all__", _edit(subject, _with_entry(subject.text, entries, name))),)
    )
    message = f"'{name}' is public and used by others, but not in __all__ beside all others"
    yield Finding("missing-export", "hint", span, message, fixes=fixes), span


def _is_imported(subject: Subject, name: str) -> bool:
    """Whether a file of the project that is no test takes a name from this module."""
    own, resolver = Slot(subject.path, 0, name), subject.resolver
    for path in subject.snapshot.files_naming(name):
        if path == subject.path or is_test(path):
            continue
        record = subject.snapshot.records[path]
        for index in record.occurrences_of(name):
            if record.occurrences.role[index] == _IMPORT:
                imported = record.imports[record.occurrences.link[index]]
                if own in resolver.imported(path, imported):
                    return True
            elif record.occurrences.role[index] != _KEYWORD and own in resolver.of_occurrence(path, index):
                return True
    return False


def _edit(subject: Subject, edit: Edit) -> ProjectEdit:
    return project_edit({subject.path: [edit]}, {subject.path: subject.text})


def fixes_of_undefined(subject: Subject, span: Span, name: str) -> tuple[Fix, ...]:
    """What can be done about an entry that the module does not define: the nearest name that it does, or nothing."""
    record = subject.record
    bound = {record.names[record.symbols.name[row]] for row in record.symbols_in(0)} - {"__all__"}
    near = difflib.get_close_matches(name, sorted(bound - set(record.exports or ())), n=1, cutoff=0.75)
    fixes = [Fix(f"Change to '{one}'", _edit(subject, Edit(span, one))) for one in near]
    entry = entry_at(subject, span)
    if entry is not None:
        fixes.append(Fix(f"Remove '{name}' from __all__", _edit(subject, without_entry(subject.text, entry))))
    return tuple(fixes)


# --- entries ------------------------------------------------------------------------------------------


def entry_at(subject: Subject, span: Span) -> Node | None:
    """The string in a display that a name of `__all__` is; None where it is something else."""
    node: Node | None = subject.surroundings.node(span)
    while node is not None and node.type != "string":
        node = node.parent
    return node if node is not None and node.parent is not None and node.parent.type in _DISPLAYS else None


def without_entry(text: Text, entry: Node) -> Edit:
    """Take an entry away with its comma, and with its line where nothing else is on it."""
    start, end = entry.start_byte, entry.end_byte
    following, before = entry.next_sibling, entry.prev_sibling
    if following is not None and following.type == ",":
        end = following.end_byte
        line, last = text.line_span(text.line_of(start)), text.line_of(end)
        if not text.data[line.start : start].strip() and not text.data[end : text.line_span(last).end].strip():
            return Edit(Span(line.start, text.line_start(last + 1)), "")
        while text.data[end : end + 1] in (b" ", b"\t"):
            end += 1
    elif before is not None and before.type == ",":
        start = before.start_byte
    return Edit(Span(start, end), "")


def _display(subject: Subject) -> Node | None:
    """The display of `__all__`, where there is but one."""
    displays = {
        entry.parent.start_byte: entry.parent
        for row in rows_with(subject.record.occurrences.role, _STRING)
        if (entry := entry_at(subject, subject.record.occurrences.span(row))) is not None and entry.parent is not None
    }
    return next(iter(displays.values())) if len(displays) == 1 else None


def _with_entry(text: Text, display: Node, name: str) -> Edit:
    """Put a name in: where it belongs if the entries are sorted, else behind the last."""
    entries = [child for child in display.named_children if child.type == "string"]
    spelled = [(entry.text or b"").decode("utf-8", "replace") for entry in entries]
    names = [one.strip("'\"") for one in spelled]
    quote = spelled[-1][0]
    new = f"{quote}{name}{quote}"
    at = len(entries)
    if names == sorted(names):
        at = sum(one < name for one in names)
    elif names == sorted(names, key=str.casefold):
        at = sum(one.casefold() < name.casefold() for one in names)
    if at < len(entries):
        entry = entries[at]
        return Edit(Span(entry.start_byte, entry.start_byte), f"{new},{_separator(text, entries, at)}")
    last = entries[-1]
    return Edit(Span(last.end_byte, last.end_byte), f",{_separator(text, entries, at - 1)}{new}")


def _separator(text: Text, entries: list[Node], at: int) -> str:
    """What stands before an entry: a new line with its indentation, or a space."""
    entry = entries[at]
    line = text.line_span(text.line_of(entry.start_byte))
    indent = text.data[line.start : entry.start_byte]
    return newline_of(text) + indent.decode() if not indent.strip() else " "


CHECK = Check(
    exports,
    (
        Code("duplicate-export", "hint", frozenset(("PLE0604", "RUF068"))),
        Code("missing-export", "hint", needs_project=True),
    ),
)
