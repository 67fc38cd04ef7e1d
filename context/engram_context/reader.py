"""From a text to its record, by way of tree-sitter.

Parsing never fails. Where the syntax is broken the tree has holes; `read_record` then also tries the text
without the broken line, so that one bad line does not hide the definitions around it.
"""

from __future__ import annotations

import ast
import keyword
import logging
import re
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from tree_sitter import Node, Parser, Tree

from engram_context.builder import RecordBuilder
from engram_context.disk.limits import Deadline, TooSlowError
from engram_context.languages import grammar, language_named
from engram_context.languages.manifests import MANIFESTS, read_manifest
from engram_context.languages.reading import read as read_other
from engram_context.python import read_python
from engram_context.records import (
    NO_REF,
    VALUE_KIND,
    FileRecord,
    Imports,
    Narrowings,
    Role,
    Symbols,
    SyntaxProblem,
    Values,
    column_of,
    empty_record,
    tables_of,
)
from engram_context.text import Span, Text, decode

_TOKEN = re.compile(rb"""#.*|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|\d\w*|(?P<name>[A-Za-z_\x80-\xff][\w\x80-\xff]*)""")
_ROUNDS = 4
"""How many broken lines are looked for, in files up to `_ROUNDS_LIMIT` bytes."""
_ROUNDS_LIMIT = 1 << 18
_OF_OLD = frozenset({"print_statement", "exec_statement"})
"""Statements to the grammar that are none to the interpreter."""
# Texts of less than so many bytes are parsed in one go; the pieces in which others are handed to the parser.
_SHORT, _PIECE = 4_000, 1 << 16

log = logging.getLogger(__name__)

TextEdit = tuple[int, int, int]
"""start, old end, new end: bytes start..old end became start..new end."""


_SURELY_NAMES = 10_000
"""Bytes of a source that has some name in it."""


_DEEP = 1_500
_SAID = frozenset(VALUE_KIND[kind] for kind in ("str", "bytes", "int"))
# Formatted strings may have strings in them that end them early, to who does not parse them.
_LITERAL = re.compile(
    r"""(?s)(?P<unclear>\#|\b[A-Za-z]?[fFtT][A-Za-z]?["'])|"""
    r"""(?:\b[A-Za-z]{1,2})?(?P<quote>\"{3}|'{3}|"|')(?:\\.|(?!(?P=quote)).)*(?:(?P=quote)|$)|"""
    r"""(?P<number>(?<!\w)\.?\d[\w.]*)|\w+"""
)
_PLAIN_DETAIL = re.compile(r"(?:(?!\b\d)[\w\s.,()\[\]{}<>:*&?|@…-])*")


def parse(
    text: Text,
    language: str,
    old: tuple[Tree, Text] | None = None,
    edit: TextEdit | None = None,
) -> Tree | None:
    """The syntax tree of a text, None without a grammar for its language and where parsing takes too long.

    Given the tree and text before an edit, only what the edit touched is parsed again; `old` stays as it is.
    """
    found = grammar(language)
    if found is None:
        return None
    parser = Parser(found)
    if old is None or edit is None:
        return _parse(parser, text.data, None)
    tree, before = old[0].copy(), old[1]
    start, old_end, new_end = edit
    points = (_point(before, start), _point(before, old_end), _point(text, new_end))
    tree.edit(start, old_end, new_end, *points)
    return _parse(parser, text.data, tree)


def parse_shallow(text: Text, language: str) -> Tree | None:
    """As `parse`, and None of what is nested deeper than people nest: looking around in it takes quadratic time."""
    tree = parse(text, language)
    return None if tree is None or _is_deep(tree) else tree


def _is_deep(tree: Tree) -> bool:
    """Also where one statement has thousands of parts, as an `if` with as many `elif`."""
    cursor, places = tree.walk(), [0]
    while True:
        if cursor.goto_first_child():
            places.append(0)
            if len(places) > _DEEP:
                return True
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return False
            places.pop()
        places[-1] += 1
        if places[-1] == _DEEP and cursor.node is not None and cursor.node.type.endswith("_clause"):
            return True


def _parse(parser: Parser, data: bytes, old: Tree | None) -> Tree | None:
    """None when it takes too long. What is not short is handed over in pieces: only then the parser lets itself be
    stopped, and other threads have their turn meanwhile."""
    if len(data) < _SHORT:
        return parser.parse(data) if old is None else parser.parse(data, old)
    deadline = Deadline()

    def piece(at: int, _: object) -> bytes:
        return data[at : at + _PIECE]

    def late(_at: int, _error: bool) -> bool:
        return deadline.passed

    try:
        if old is None:
            return parser.parse(piece, progress_callback=late)
        return parser.parse(piece, old, progress_callback=late)
    except ValueError:
        return None


def _point(text: Text, offset: int) -> tuple[int, int]:
    line = text.line_of(offset)
    return line, offset - text.line_start(line)


def read_record(text: Text, language: str, tree: Tree | None = None) -> FileRecord:
    """All that one text says by itself. `tree` saves the parse when it is at hand.

    A language without a reader gives a record with a module scope and nothing in it, and so does a text that takes too
    long to read.
    """
    try:
        return _read(text, language, tree)
    except TooSlowError:
        log.warning("a file of %d bytes takes too long to read; its text alone is known", len(text))
        return empty_record(text.digest, language, len(text.data), text.line_count)


def read_names(text: Text, language: str) -> FileRecord:
    """As `read_record`, of a text that may hold secrets: names are kept, and what is said by strings, numbers and
    comments is not. Strings that hold names (in types, in `__all__`, of imported modules) count as these. While the
    syntax is broken there are no signatures: where a string begins may be unclear."""
    record = read_record(text, language)
    kept: dict[str, int] = {"": 0}

    def keep(column: Iterable[int], shown: Callable[[str], str] = str) -> array[int]:
        return column_of([kept.setdefault(shown(strings[at]), len(kept)) for at in column])

    strings = record.symbols.strings
    hide = _no_detail if record.errors else _detail_of_python if language == "python" else _detail_of_others
    kinds = record.values.kind
    instead: dict[tuple[type, str], array[int]] = {
        (Symbols, "detail"): keep(record.symbols.detail, hide),
        (Symbols, "doc"): column_of([0] * len(record.symbols)),
        (Imports, "module"): keep(record.imports.module),
        (Narrowings, "subject"): keep(record.narrowings.subject),
        (Values, "first"): _nameless(kinds, record.values.first),
        (Values, "second"): _nameless(kinds, record.values.second),
    }
    columns = [
        instead.get((type(table), name), column)
        for table in record.tables()
        for name, column in zip(table.column_names(), table.columns, strict=True)
    ]
    made = tables_of(record.names, tuple(kept), record.symbols.pool, columns)
    known = (record.digest, record.language, record.size, record.line_count, record.names, record.errors)
    return FileRecord(*known, record.exports, "", *made)


def _nameless(kinds: Iterable[int], column: Iterable[int]) -> array[int]:
    """A column of the value table, without what literals are."""
    return column_of([0 if kind in _SAID else number for kind, number in zip(kinds, column, strict=True)])


def _detail_of_python(detail: str) -> str:
    """A signature with dots for what its literals say; none when it is not clear where these are."""
    hidden, ends = "", 0
    for match in _LITERAL.finditer(detail):
        if match["unclear"]:
            return ""
        hidden += detail[ends : match.start()] + ("..." if match["quote"] or match["number"] else match[0])
        ends = match.end()
    return hidden + detail[ends:]


def _no_detail(_: str) -> str:
    return ""


def _detail_of_others(detail: str) -> str:
    return detail if _PLAIN_DETAIL.fullmatch(detail) else ""


def is_text_alone(record: FileRecord) -> bool:
    """Whether nothing but the text is known of what should have names: it was too large, or took too long. Who parses
    it again waits as long."""
    return record.size > _SURELY_NAMES and not len(record.occurrences)


def _read(text: Text, language: str, tree: Tree | None) -> FileRecord:
    if language in MANIFESTS:
        return read_manifest(text, language)
    if tree is None:
        tree = parse(text, language)
    foreign = language_named(language) if tree is not None else None
    if tree is not None and foreign is not None:
        return read_other(text, foreign, tree)
    if tree is None or language != "python":
        return empty_record(text.digest, language, len(text.data), text.line_count)
    builder = RecordBuilder(text, language)
    problems: tuple[SyntaxProblem, ...] = ()
    dropped: list[Span] = []
    if tree.root_node.has_error:
        problems, tree, dropped = _mend(text, tree, builder.deadline)
    doubtful = read_python(builder, tree)
    for span in dropped:
        _read_names(builder, span)
    if doubtful and not problems and _interpreter_problem(text, tree) is None:
        # `print >> file, x` is a statement to the grammar and an expression to the interpreter.
        doubtful = []
    found = sorted((*problems, *doubtful), key=lambda problem: problem.span)
    return builder.finish(tuple(found))


# --- broken syntax ------------------------------------------------------------------------------------


def _mend(text: Text, tree: Tree, deadline: Deadline) -> tuple[tuple[SyntaxProblem, ...], Tree, list[Span]]:
    """(problems, the tree to read, the lines that are missing from it) of a text with syntax errors.

    The interpreter names the first problem, in its own words; without the line to blame it names the next.
    The tree without those lines is read instead when errors in the original one reach beyond them.
    """
    problems: list[SyntaxProblem] = []
    dropped: list[Span] = []
    data, mended = text.data, tree
    for _ in range(_ROUNDS if len(data) <= _ROUNDS_LIMIT else 1):
        if not mended.root_node.has_error:
            break
        problem = _interpreter_problem(Text(data, text.starts), tree=mended)
        if problem is None:
            break
        problems.append(problem)
        found = _without_a_line(text, data, mended, problem.span.start, deadline)
        if found is None:
            break
        data, mended, span = found
        dropped.append(span)
    lines = {text.line_of(span.start) for span in dropped}
    if all(node.start_point[0] == node.end_point[0] in lines for node in _error_nodes(tree)):
        return tuple(problems), tree, []
    return tuple(problems), mended, dropped


def _interpreter_problem(text: Text, tree: Tree) -> SyntaxProblem | None:
    """The first syntax error as the running interpreter words it, None when it takes the text.

    Where interpreter and grammar disagree the text is given the benefit of the doubt: either may know
    syntax of a version that the other does not.
    """
    # The interpreter lets no other thread run meanwhile: it is shown nothing of what comes before the first error.
    line = _line_before_errors(tree)
    source = "\n" * line + decode(text.data[text.line_start(line) :])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as error:
        line = max(min((error.lineno or 1) - 1, text.line_count - 1), 0)
        start = text.offset(line, max((error.offset or 1) - 1, 0), "utf-32")
        end_line = (error.end_lineno or line + 1) - 1
        end = text.offset(end_line, max((error.end_offset or 0) - 1, 0), "utf-32")
        if end <= start or end_line != line:
            end = max(text.line_span(line).end, start)
        return SyntaxProblem(Span(start, end), error.msg or "invalid syntax")
    except (ValueError, MemoryError, RecursionError):
        # Zero bytes, lone surrogates or nesting too deep for the interpreter: the grammar speaks instead.
        for node in _error_nodes(tree):
            span = Span(node.start_byte, max(node.end_byte, node.start_byte))
            return SyntaxProblem(span, f"expected '{node.type}'" if node.is_missing else "invalid syntax")
    return None


def _line_before_errors(tree: Tree) -> int:
    """The first line of the statement at the top of a file that has the first syntax error; 0 where that is unclear."""
    root = tree.root_node
    if root.type != "module":
        return 0
    start = end = 0
    for child in root.children:
        row, column = child.start_point
        if column == 0 and row > end and child.type != "ERROR":
            start = row
        if child.has_error or child.is_error or child.is_missing:
            return start
        if child.type in _OF_OLD:
            return 0
        end = child.end_point[0]
    return 0


def _error_nodes(tree: Tree) -> Iterator[Node]:
    """ERROR and MISSING nodes in source order; what is inside an ERROR is left out."""
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            waiting.extend(reversed(node.children))


def _damage(tree: Tree) -> int:
    return sum(node.end_byte - node.start_byte + 1 for node in _error_nodes(tree))


def _without_a_line(
    text: Text, data: bytes, tree: Tree, offset: int, deadline: Deadline
) -> tuple[bytes, Tree, Span] | None:
    """The same text with the one line blanked (or, if it opens a block, made a plain `if`) that leaves the
    least damage, None when that helps nothing. Every other byte keeps its offset."""
    line = text.line_of(offset)
    lines = [line]
    lines.extend(at for at in range(line - 1, max(line - 4, -1), -1) if text.slice(text.line_span(at)).strip())
    lines.extend(text.line_of(node.start_byte) for node in islice(_error_nodes(tree), 2))
    best: tuple[bytes, Tree, Span] | None = None
    least = _damage(tree)
    for at in dict.fromkeys(lines):
        span = text.line_span(at)
        content = data[span.start : span.end]
        for instead in _placeholders(content):
            deadline.check()
            after = b"".join((data[: span.start], instead, data[span.end :]))
            changed = Text(after, text.starts)
            again = parse(changed, "python", (tree, changed), (span.start, span.end, span.end))
            if again is None:
                return None
            damage = _damage(again)
            if damage < least:
                best, least = (after, again, span), damage
        if least == 0:
            break
    return best


def _placeholders(content: bytes) -> Iterator[bytes]:
    stripped = content.lstrip()
    if not stripped:
        return
    indent = content[: len(content) - len(stripped)]
    yield b" " * len(content)
    for statement in (b"pass", b"if 1:"):
        if len(stripped) >= len(statement):
            yield indent + statement.ljust(len(stripped))


def _read_names(builder: RecordBuilder, span: Span) -> None:
    """What stands on a line that the tree does not have: names as far as they can be told from strings."""
    scopes = builder.scopes
    scope = 0
    for index, row in enumerate(scopes):
        if row[1] <= span.start <= row[2]:
            scope = index
    before = span.start
    for match in _TOKEN.finditer(builder.data, span.start, span.end):
        start, end = match.span("name")
        if start < 0 or keyword.iskeyword(builder.data[start:end].decode("utf-8", "replace")):
            continue
        between = builder.data[before:start].strip()
        # `a.b` is known to be b of a; behind a bracket the receiver is left open.
        role: Role = "attribute" if between.endswith(b".") else "read"
        builder.add_occurrence(start, end, scope, role, before if between == b"." else NO_REF)
        before = end
