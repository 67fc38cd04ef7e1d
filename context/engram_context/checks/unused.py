"""Imports and local variables that nothing uses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import PurePosixPath

import tree_sitter

from engram_context.checks.check import Check, Code
from engram_context.checks.subject import Found, Subject
from engram_context.checks.usage import Usage
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.imports import Module
from engram_context.records import KIND, KINDS, ROLE, SCOPE_KINDS, FileRecord
from engram_context.targets import Slot, Target
from engram_context.text import Span, Text

_UNNECESSARY = frozenset(("unnecessary",))
_IMPORT, _IMPORT_KIND = ROLE["import"], KIND["import"]
_TYPED = re.compile(rb"""# type:|(?::|->)[ \t]*["']""")
_IMPORT_ERRORS = (b"ImportError", b"ModuleNotFoundError", b"AttributeError")
# Reading one of these reads every local variable.
_READ_EVERYTHING = frozenset(("locals", "vars", "eval", "exec"))
# Locals that tools look for in a frame.
_READ_BY_TOOLS = frozenset(("__tracebackhide__", "__traceback_info__", "__traceback_supplement__", "__debuggerskip__"))
_DISPLAYS = frozenset(
    ("list", "tuple", "dictionary", "set", "pair", "expression_list", "parenthesized_expression", "concatenated_string")
)
_EFFECTLESS = frozenset(("identifier", "integer", "float", "true", "false", "none", "ellipsis", "lambda", "comment"))


def unused_imports(subject: Subject) -> Found:
    """Imported names that the file does not use and, as far as the project shows, no other file takes from it."""
    path, text, record, usage = subject.path, subject.text, subject.record, subject.usage
    if path.endswith(".pyi"):
        # In a stub an import without an alias is private, but a checker may still want it for its side.
        return
    is_package = PurePosixPath(path).name == "__init__.py"
    all_name = record.name_index("__all__")
    dynamic_exports = all_name is not None and (0, all_name) in usage.symbols and not record.exports
    symbols = record.symbols
    binds_more = any(kind != _IMPORT_KIND for kind in symbols.kind)
    if not (binds_more or usage.uses or usage.free):
        return  # a module of imports alone is there to be imported from
    aliased = {imported.module for imported in record.imports if imported.name is None and imported.alias is not None}
    for imported in record.imports:
        if imported.bound is None or imported.module == "__future__":
            continue
        scope, number, start = (column[imported.bound] for column in (symbols.scope, symbols.name, symbols.start))
        if (scope, number) in usage.uses or (scope, number) in usage.declared:
            continue
        kind = SCOPE_KINDS[record.scopes.kind[scope]]
        if kind == "class" or (scope == 0 and dynamic_exports):
            continue
        if imported.alias is not None and imported.alias == (imported.name or imported.module):
            continue  # `import x as x` says that it is meant for others
        if imported.name is None and imported.alias is None and imported.module.partition(".")[0] in aliased:
            continue  # `import a.b` beside `import a as x`: it is x.b that is wanted
        if scope == 0 and ((is_package and imported.level > 0) or _is_taken(subject, imported.bound_name)):
            continue
        if _in_other_types(text, imported.bound_name):
            continue
        around = subject.surroundings
        if around.handles(imported.span, *_IMPORT_ERRORS):
            continue
        statement = around.node(imported.span)
        name = next((node for node in _imported_names(statement) if node.start_byte <= start < node.end_byte), None)
        if name is None:
            continue
        what = (
            imported.bound_name if imported.alias is None else f"{imported.name or imported.module} as {imported.alias}"
        )
        if imported.name is None and imported.alias is None:
            what = imported.module
        removal = remove_import(text, statement, name)
        fixes = (Fix(f"Remove unused import '{what}'", project_edit({path: [removal]}, {path: text}), is_safe=True),)
        span = Span(name.start_byte, name.end_byte)
        message = f"'{what}' is imported but never used"
        yield Finding("unused-import", "information", span, message, fixes=fixes, tags=_UNNECESSARY), imported.span


def _is_taken(subject: Subject, name: str) -> bool:
    """Whether another file uses a name of this module: imports it, reads it as an attribute, or stars it in."""
    own = Slot(subject.path, 0, name)
    resolver = subject.resolver
    for path in subject.snapshot.files_naming(name):
        record = subject.snapshot.records[path]
        for index in record.occurrences_of(name) if path != subject.path else ():
            targets: Iterable[Target] = resolver.of_occurrence(path, index)
            if record.occurrences.role[index] == _IMPORT:
                targets = resolver.imported(path, record.imports[record.occurrences.link[index]])
            if own in targets:
                return True
    if not resolver.is_exported(Module(subject.path), name):
        return False
    return any(
        Module(subject.path) in resolver.module(path, star.module, star.level)
        for path in subject.snapshot.files_naming("*")
        for star in resolver.stars(path)
    )


def unused_variables(subject: Subject) -> Found:
    """Local variables that are assigned and never read.

    What a loop, an unpacking or a pattern binds is not reported: those must name something.
    """
    record, usage = subject.record, subject.usage
    exempt = scopes_read_as_a_whole(record, usage)
    symbols = record.symbols
    for (scope, number), rows in usage.symbols.items():
        if SCOPE_KINDS[record.scopes.kind[scope]] not in ("function", "lambda") or scope in exempt:
            continue
        if (scope, number) in usage.uses or (scope, number) in usage.declared:
            continue
        name = record.names[number]
        rows = [row for row in rows if KINDS[symbols.kind[row]] != "parameter"]
        if not rows or name.startswith("_") or name in _READ_BY_TOOLS:
            continue
        if any(KINDS[symbols.kind[row]] not in ("variable", "constant") for row in rows):
            continue
        around = subject.surroundings
        how = [_how_bound(around.node(symbols.span(row))) for row in rows]
        if "otherwise" in how:
            continue
        for row, way in zip(rows, how, strict=True):
            span = symbols.span(row)
            severity, message = "warning", f"local variable '{name}' is assigned but never used"
            if way == "named":
                severity, message = "hint", f"'{name}' is never used"
            elif way != "assigned":
                continue
            fixes = tuple(_without_variable(subject, around.node(span)))
            yield Finding("unused-variable", severity, span, message, fixes=fixes, tags=_UNNECESSARY), span


def _how_bound(name: tree_sitter.Node) -> str:
    """ "assigned", "named" by `with ... as` or `except ... as`, "declared" by an annotation alone, or "otherwise"."""
    parent = name.parent
    if parent is None:
        return "otherwise"
    if parent.type == "named_expression":
        return "assigned"
    if parent.type == "assignment" and parent.child_by_field_name("left") == name:
        return "assigned" if parent.child_by_field_name("right") is not None else "declared"
    holder = parent.parent
    if parent.type == "as_pattern_target" and holder is not None and holder.type == "as_pattern":
        outer = holder.parent
        if outer is not None and outer.type in ("with_item", "except_clause", "except_group_clause"):
            return "named"
    return "otherwise"


def _without_variable(subject: Subject, name: tree_sitter.Node) -> Iterable[Fix]:
    """Take away what binds a variable. What may have effects stays; so may what is kept alive by being bound, so only
    what has none is safe to take away."""
    text, binding = subject.text, name.parent
    if binding is None:
        return
    is_safe = False
    if binding.type == "as_pattern_target":
        pattern = binding.parent
        value = None if pattern is None else pattern.named_child(0)
        if pattern is None or value is None:
            return
        edit = Edit(Span(value.end_byte, pattern.end_byte), "")
        is_safe = pattern.parent is not None and pattern.parent.type.startswith("except")
    else:
        value = binding.child_by_field_name("value" if binding.type == "named_expression" else "right")
        statement = binding.parent
        if value is None or statement is None:
            return
        edit = Edit(Span(binding.start_byte, value.start_byte), "")
        is_safe = value.type == "assignment" or _has_no_effects(value)
        is_alone = statement.type == "expression_statement" and statement.named_child_count == 1
        if is_alone and binding.type == "assignment" and value.type != "assignment" and is_safe:
            edit = remove_statement(text, statement)
    variable = text.slice(Span(name.start_byte, name.end_byte))
    yield Fix(
        f"Remove unused variable '{variable}'", project_edit({subject.path: [edit]}, {subject.path: text}), is_safe
    )


def _has_no_effects(value: tree_sitter.Node) -> bool:
    """Whether nobody can tell whether an expression was evaluated: a name, a literal, a display of such."""
    if value.type == "string":
        return not any(child.type == "interpolation" for child in value.named_children)
    if value.type in _DISPLAYS:
        return all(map(_has_no_effects, value.named_children))
    return value.type in _EFFECTLESS


def scopes_read_as_a_whole(record: FileRecord, usage: Usage) -> set[int]:
    """Functions whose locals are read by `locals()` and the like, directly or in a comprehension of theirs."""
    numbers = {number for name in _READ_EVERYTHING if (number := record.name_index(name)) is not None}
    scopes: set[int] = set()
    if numbers:
        for occurrence in usage.free:
            if record.occurrences.name[occurrence] in numbers:
                scope = record.occurrences.scope[occurrence]
                while scope >= 0:
                    scopes.add(scope)
                    if SCOPE_KINDS[record.scopes.kind[scope]] != "comprehension":
                        break
                    scope = record.scopes.parent[scope]
    return scopes


def _in_other_types(text: Text, name: str) -> bool:
    """Whether a name stands in a type that the reader does not look into: a type comment, or an annotation's
    string with escapes."""
    if b"# type:" not in text.data and b"\\" not in text.data:
        return False
    written = name.encode()
    # Each line up to where it names it last: a line is looked at once, however long it is.
    lines = re.finditer(rb"^[^\n]*\b(?=%s\b)" % re.escape(written), text.data, re.MULTILINE)
    return any(_TYPED.search(line[0]) is not None for line in lines)


def _imported_names(statement: tree_sitter.Node) -> list[tree_sitter.Node]:
    if statement.type not in ("import_statement", "import_from_statement") or statement.has_error:
        return []
    return statement.children_by_field_name("name")


def remove_import(text: Text, statement: tree_sitter.Node, name: tree_sitter.Node) -> Edit:
    """The edit that takes one imported name away, with its comma, or its whole statement."""
    names = _imported_names(statement)
    at = names.index(name)
    if len(names) > 1:
        if at + 1 < len(names):
            return Edit(Span(names[at].start_byte, names[at + 1].start_byte), "")
        return Edit(Span(names[at - 1].end_byte, names[at].end_byte), "")
    return remove_statement(text, statement)


def remove_statement(text: Text, statement: tree_sitter.Node) -> Edit:
    """Take a statement away with its line; `pass` takes its place where a block needs one."""
    start, end = statement.start_byte, statement.end_byte
    block = statement.parent
    if block is not None and block.type == "block":
        others = [node for node in block.named_children if node.type != "comment" and node.id != statement.id]
        if not others:
            return Edit(Span(start, end), "pass")
    line = text.line_span(text.line_of(start))
    before = text.data[line.start : start]
    last = text.line_of(end)
    after = text.data[end : text.line_span(last).end]
    rest = after.lstrip(b" \t")
    if rest.startswith(b";"):
        following = end + len(after) - len(rest) + 1
        while text.data[following : following + 1] in (b" ", b"\t"):
            following += 1
        return Edit(Span(start, following), "")
    if before.strip():
        # Behind another statement on the line: take the semicolon along.
        return Edit(Span(line.start + len(before.rstrip(b" \t;")), end), "")
    if rest.strip() and not rest.startswith(b"#"):
        return Edit(Span(start, end + len(after) - len(rest)), "")
    return Edit(Span(line.start, text.line_start(last + 1)), "")


def unused(subject: Subject) -> Found:
    return chain(unused_imports(subject), unused_variables(subject))


CHECK = Check(
    unused,
    (
        Code("unused-import", "information", frozenset(("F401", "unused-import", "W0611", "reportUnusedImport"))),
        Code("unused-variable", "warning", frozenset(("F841", "unused-variable", "W0612", "reportUnusedVariable"))),
    ),
)
