"""What is there twice: definitions that the next one of the same name replaces unused, keys of a dict, parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import chain, pairwise

from tree_sitter import Node

from engram_context.checks.check import Check, Code
from engram_context.checks.subject import Found, Subject
from engram_context.checks.unused import remove_import, remove_statement
from engram_context.edits import Edit, ProjectEdit, project_edit
from engram_context.findings import Finding, Fix, Tag
from engram_context.inference.calls import decorator_name
from engram_context.records import CONDITIONAL, DECORATED, KIND, OVERLOAD, SCOPE_KIND, SETTER, rows_with
from engram_context.text import Location, Span

_DEFINITIONS = {
    KIND["function"]: "function",
    KIND["method"]: "method",
    KIND["class"]: "class",
    KIND["import"]: "import",
}
_VERBS = {"function": "defined", "method": "defined", "class": "defined", "import": "imported"}
_PARAMETER, _IMPORT = KIND["parameter"], KIND["import"]
_COMPREHENSION, _CLASS = SCOPE_KIND["comprehension"], SCOPE_KIND["class"]
# Decorators that leave nothing behind of what they decorate.
_TRANSPARENT = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "abstractmethod", "override", "final", "wraps"}
    | {"cache", "lru_cache", "contextmanager", "asynccontextmanager", "dataclass", "total_ordering", "parametrize"}
    | {"skip", "skipif", "skipIf", "skipUnless", "xfail", "patch", "mark"}
)
_MOST_REPEATED = 5
_MOST_TOLD = 200  # of the repeated keys of one display
_CALLS = re.compile(rb"[\w)\]][ \t]*\(|\b(?:await|yield)\b|:=")
_UNNECESSARY: frozenset[Tag] = frozenset(("unnecessary",))
_NONE: frozenset[Tag] = frozenset()


def duplicates(subject: Subject) -> Found:
    if subject.path.endswith(".pyi"):
        return iter(())
    return chain(_definitions(subject), _parameters(subject), _keys(subject))


def _definitions(subject: Subject) -> Found:
    """Functions, methods and classes that nothing uses before another one of the name takes their place."""
    record = subject.record
    for (scope, number), rows in subject.usage.symbols.items():
        if len(rows) < 2:
            continue
        name = record.names[number]
        if not name.strip("_"):
            continue
        for first, second in pairwise(rows):
            if _replaces(subject, first, second) and not _is_used_between(subject, scope, number, first, second):
                yield _replaced(subject, name, first, second)


def _replaced(subject: Subject, name: str, first: int, second: int) -> tuple[Finding, Span]:
    symbols = subject.record.symbols
    span, before = symbols.span(second), symbols.span(first)
    kind = _DEFINITIONS[symbols.kind[first]]
    related = ((Location(subject.path, before), f"'{name}' is {_VERBS[kind]} here first"),)
    message = f"{kind} '{name}' is defined again before anything uses it"
    is_same = False
    if kind == "import":
        message = f"'{name}' is {_VERBS[_DEFINITIONS[symbols.kind[second]]]} again before anything uses the import"
        is_same = _imported(subject, first) == _imported(subject, second)
    elif name.startswith("test") and kind != "class":
        message = f"test '{name}' never runs: another one of the same name takes its place"
    removal = _removal(subject, first)
    fixes: tuple[Fix, ...] = ()
    if removal is not None:
        edit = project_edit({subject.path: [removal]}, {subject.path: subject.text})
        fixes = (Fix(f"Remove the first '{name}'", edit, is_safe=is_same),)
    severity, tags = ("hint", _UNNECESSARY) if is_same else ("warning", _NONE)
    return Finding("duplicate-definition", severity, span, message, related, fixes, tags), span


def _imported(subject: Subject, row: int) -> tuple[str, int, str | None] | None:
    """(module, level, name) of what an import binds."""
    imports = subject.record.imports
    for index in rows_with(imports.bound, row):
        found = imports[index]
        return found.module, found.level, found.name
    return None


def _removal(subject: Subject, row: int) -> Edit | None:
    around, text = subject.surroundings, subject.text
    name = around.node(subject.record.symbols.span(row))
    if subject.record.symbols.kind[row] != _IMPORT:
        outer = name.parent
        if outer is not None and outer.parent is not None and outer.parent.type == "decorated_definition":
            outer = outer.parent
        return None if outer is None else remove_statement(text, outer)
    statement: Node | None = name
    while statement is not None and not statement.type.startswith("import_"):
        name, statement = statement, statement.parent
    if statement is None or name.id not in {child.id for child in statement.children_by_field_name("name")}:
        return None
    return remove_import(text, statement, name)


def _replaces(subject: Subject, first: int, second: int) -> bool:
    """Whether two definitions stand in one block, and no decorator keeps the first one."""
    record = subject.record
    symbols = record.symbols
    if symbols.kind[first] not in _DEFINITIONS or symbols.kind[second] not in _DEFINITIONS:
        return False
    if _IMPORT in (symbols.kind[first], symbols.kind[second]) and not _is_import_replaced(subject, first, second):
        return False
    flags = symbols.flags[first], symbols.flags[second]
    if (flags[0] | flags[1]) & (OVERLOAD | SETTER):
        return False
    if flags[0] & DECORATED and not _is_transparent(subject, first):
        return False
    if flags[1] & DECORATED and _mentions_itself(subject, second):
        return False
    if not (flags[0] | flags[1]) & CONDITIONAL:
        return True
    around = subject.surroundings
    blocks = [_block(around.node(symbols.span(row))) for row in (first, second)]
    return blocks[0] is not None and blocks[1] is not None and blocks[0].id == blocks[1].id


def _is_import_replaced(subject: Subject, first: int, second: int) -> bool:
    """Whether an import gives way: not `import a.b` to `import a.c`, which bind the same module twice."""
    symbols = subject.record.symbols
    if symbols.kind[first] != _IMPORT:
        return False  # a definition that an import replaces is there in case that there is none
    imported = [_imported(subject, row) for row in (first, second) if symbols.kind[row] == _IMPORT]
    return all(one is not None and (one[2] is not None or "." not in one[0]) for one in imported)


def _is_transparent(subject: Subject, row: int) -> bool:
    record = subject.record
    return all(decorator_name(record, ref) in _TRANSPARENT for ref in record.symbols[row].decorators)


def _mentions_itself(subject: Subject, row: int) -> bool:
    """Whether the decorators of a definition name what they replace: `@name.register`."""
    record = subject.record
    symbols, occurrences = record.symbols, record.occurrences
    return any(
        symbols.body_start[row] <= occurrences.start[use] < symbols.start[row]
        for use in subject.usage.uses.get((symbols.scope[row], symbols.name[row]), ())
    )


def _block(name: Node) -> Node | None:
    """The block in which the definition of that name stands."""
    definition = name.parent
    outer = None if definition is None else definition.parent
    return outer.parent if outer is not None and outer.type == "decorated_definition" else outer


def _is_used_between(subject: Subject, scope: int, number: int, first: int, second: int) -> bool:
    """Whether something that runs before the second definition may use the first one."""
    record = subject.record
    symbols, occurrences, scopes = record.symbols, record.occurrences, record.scopes
    start, end = symbols.body_end[first], symbols.start[second]
    for use in subject.usage.uses.get((scope, number), ()):
        if not start <= occurrences.start[use] < end:
            continue
        at = occurrences.scope[use]
        while at != scope and scopes.kind[at] in (_COMPREHENSION, _CLASS):
            at = scopes.parent[at]
        if at == scope:
            return True
        # A function between them uses it: it may be called before the second one is there.
        if scope != 0 or _is_called_before(subject, at, end):
            return True
    return False


def _is_called_before(subject: Subject, function: int, end: int) -> bool:
    """Whether a function, or what it stands in, is named at the top before an offset."""
    record = subject.record
    scopes, symbols, occurrences = record.scopes, record.symbols, record.occurrences
    while scopes.parent[function] > 0:
        function = scopes.parent[function]
    row = scopes.symbol[function]
    if row < 0:
        return True
    uses = subject.usage.uses.get((0, symbols.name[row]), ())
    return any(occurrences.start[use] < end and occurrences.scope[use] == 0 for use in uses)


def _parameters(subject: Subject) -> Found:
    record = subject.record
    symbols = record.symbols
    for rows in subject.usage.symbols.values():
        if len(rows) > 1 and symbols.kind[rows[1]] == _PARAMETER == symbols.kind[rows[0]]:
            span = symbols.span(rows[1])
            name = record.names[symbols.name[rows[1]]]
            if name:
                message = f"duplicate parameter '{name}' in the definition of a function"
                related = ((Location(subject.path, symbols.span(rows[0])), "the first one"),)
                yield Finding("duplicate-parameter", "error", span, message, related), span


# --- keys ---------------------------------------------------------------------------------------------


def _keys(subject: Subject) -> Found:
    """Keys of a dict display that a later one of the same value overrides."""
    if b"{" not in subject.text.data:
        return
    for dictionary in subject.surroundings.all_of("(dictionary (pair) (pair)) @dictionary", "dictionary"):
        repeated = list(_repeated(dictionary))
        # Who writes many down twice copies a table as it is.
        is_table = len(repeated) > _MOST_REPEATED
        for earlier, later, key in repeated[:_MOST_TOLD]:
            yield _duplicate(subject, earlier, later, key, is_table)


def _repeated(dictionary: Node) -> Iterator[tuple[Node, Node, Node]]:
    """The pairs of a dict display whose key is there again, the pair that it is in again, and that key."""
    seen: dict[object, Node] = {}
    for child in dictionary.named_children:
        if child.type == "dictionary_splat":
            seen.clear()  # what stands behind it overrides what it brings
        key = child.child_by_field_name("key") if child.type == "pair" else None
        named = None if key is None else _key(key)
        if key is None or named is None:
            continue
        earlier = seen.get(named)
        seen[named] = child
        if earlier is not None:
            yield earlier, child, key


def _duplicate(subject: Subject, earlier: Node, later: Node, key: Node, is_table: bool) -> tuple[Finding, Span]:
    values = [(pair.child_by_field_name("value") or pair).text for pair in (earlier, later)]
    span = Span(key.start_byte, key.end_byte)
    name = (key.text or b"").decode("utf-8", "replace")
    is_same = values[0] == values[1]
    what = "with the same value" if is_same else "and the value behind it replaces the first"
    related = ((Location(subject.path, Span(earlier.start_byte, earlier.end_byte)), "the first one"),)
    if is_same:
        # The first says where the key stands among the others.
        is_safe = not _CALLS.search(values[1] or b"")
        fixes = (Fix("Remove the second one", _without(subject, later), is_safe=is_safe),)
    else:
        fixes = (Fix("Remove the first one", _without(subject, earlier)),)
    severity, tags = ("hint", _UNNECESSARY) if is_same else ("hint" if is_table else "warning", _NONE)
    finding = Finding(
        "duplicate-key", severity, span, f"the key {name} is there twice, {what}", related, fixes, tags=tags
    )
    return finding, Span(later.start_byte, later.end_byte)


def _key(node: Node) -> object | None:
    """A value that two keys share where they are equal; None for what cannot be compared."""
    if node.type in ("string", "integer"):
        try:
            value = ast.literal_eval((node.text or b"").decode("utf-8", "replace"))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None  # an f-string
        return type(value).__name__, value
    if node.type in ("identifier", "attribute"):
        return "name", node.text
    if node.type in ("true", "false", "none"):
        return "constant", node.type
    return None


def _without(subject: Subject, pair: Node) -> ProjectEdit:
    """Take a pair away with the comma behind it, and with its line where nothing else is on it; the last of a display
    with the comma before it."""
    text = subject.text
    end = pair.end_byte
    following, preceding = pair.next_sibling, pair.prev_sibling
    if following is not None and following.type == ",":
        end = following.end_byte
    elif preceding is not None and preceding.type == ",":
        edit = Edit(Span(preceding.start_byte, end), "")
        return project_edit({subject.path: [edit]}, {subject.path: text})
    line = text.line_span(text.line_of(pair.start_byte))
    last = text.line_span(text.line_of(end))
    before, behind = text.data[line.start : pair.start_byte], text.data[end : last.end]
    if not before.strip() and not behind.strip():
        edit = Edit(Span(line.start, text.line_start(text.line_of(end) + 1)), "")
    else:
        while text.data[end : end + 1] in (b" ", b"\t"):
            end += 1
        edit = Edit(Span(pair.start_byte, end), "")
    return project_edit({subject.path: [edit]}, {subject.path: text})


CHECK = Check(
    duplicates,
    (
        Code(
            "duplicate-definition",
            "warning",
            frozenset(("F811", "function-redefined", "E0102", "no-redef", "reportRedeclaration")),
            of_types=True,
        ),
        Code("duplicate-parameter", "error", frozenset(("F831", "duplicate-argument-name", "E0108"))),
        Code("duplicate-key", "warning", frozenset(("F601", "F602", "duplicate-key", "W0109", "dict-item"))),
    ),
)
