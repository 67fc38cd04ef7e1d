"""What stands around a place in the syntax tree: guards that make a failing name or import harmless."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import tree_sitter

from engram_context.languages import grammar
from engram_context.reader import parse, parse_shallow
from engram_context.records import FileRecord
from engram_context.text import Span, Text

_VERSION_TEST = re.compile(
    rb"\b(version_info|hexversion|platform|python_implementation|implementation|PY_?[23]\w*|PYTHON_?[23]\w*|IS_PY\w*|os\.name|system|"
    rb"PYPY|IS_PYPY|is_py\w*|WINDOWS|IS_WIN\w*|MYPY|_ver)\b"
)


@cache
def _query(source: str) -> tree_sitter.Query:
    python = grammar("python")
    assert python is not None
    return tree_sitter.Query(python, source)


class TooDeepError(ValueError):
    """A text is nested deeper than people nest: looking around in it would take quadratic time."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The tree of one text. Made only when a check has a candidate, since a tree costs a parse."""

    text: Text
    tree: tree_sitter.Tree

    @staticmethod
    def of(text: Text, language: str) -> Surroundings:
        """Raises ValueError for a language without a grammar, TooDeepError for what is nested too deeply."""
        if grammar(language) is None:
            raise ValueError(f"there is no grammar for {language}")
        tree = parse_shallow(text, language)
        if tree is None:
            raise TooDeepError("the text is nested too deeply")
        return Surroundings(text, tree)

    def node(self, span: Span) -> tree_sitter.Node:
        found = self.tree.root_node.descendant_for_byte_range(span.start, span.end)
        return found if found is not None else self.tree.root_node

    def all_of(self, query: str, name: str) -> list[tree_sitter.Node]:
        """The nodes that a tree-sitter query of Python captures under a name, in the order of the source; of those that
        begin at one place, one."""
        captures = tree_sitter.QueryCursor(_query(query)).captures(self.tree.root_node).get(name, ())
        found = {node.start_byte: node for node in captures}
        return [found[start] for start in sorted(found)]

    def handles(self, span: Span, *exceptions: bytes) -> bool:
        """Whether the span stands in a `try` (or `with suppress`, `with pytest.raises`) that catches one of the
        exceptions, or in a handler of such a try: `except ImportError: import other` guards both ways."""
        child, node = self.node(span), self.node(span).parent
        while node is not None:
            if node.type == "try_statement":
                handlers = [
                    part for part in node.named_children if part.type in ("except_clause", "except_group_clause")
                ]
                if any(self._catches(handler, exceptions) for handler in handlers):
                    return True
            elif node.type == "with_statement" and child.type == "block":
                clause = next((part for part in node.named_children if part.type == "with_clause"), None)
                source = b"" if clause is None else clause.text or b""
                expected = re.search(rb"\b(suppress|raises|assertRaises\w*)\b", source) is not None
                if expected and any(name in source for name in (*exceptions, b"Exception")):
                    return True
            child, node = node, node.parent
        return False

    def _catches(self, handler: tree_sitter.Node, exceptions: tuple[bytes, ...]) -> bool:
        caught = [part for part in handler.named_children if part.type not in ("block", "comment")]
        if not caught:
            return True
        source = b" ".join(part.text or b"" for part in caught)
        words = set(re.findall(rb"\w+", source))
        return not words.isdisjoint((*exceptions, b"Exception", b"BaseException"))

    def depends_on_platform(self, span: Span) -> bool:
        """Whether an `if` around the span asks for the Python version, implementation or operating system."""
        child, node = self.node(span), self.node(span).parent
        while node is not None:
            if node.type in ("if_statement", "elif_clause", "conditional_expression", "while_statement"):
                tests = [node.child_by_field_name("condition")]
                if child.type in ("else_clause", "elif_clause"):
                    # An else depends on every test before it.
                    tests += [
                        part.child_by_field_name("condition")
                        for part in node.named_children
                        if part.type == "elif_clause"
                    ]
                if node.type == "conditional_expression":
                    tests = list(node.named_children[1:2])
                if any(test is not None and _VERSION_TEST.search(test.text or b"") for test in tests):
                    return True
            child, node = node, node.parent
        return False


def body_of(text: Text, record: FileRecord, row: int) -> tree_sitter.Node | None:
    """The block of the def that a symbol is, by reading that def alone. Its offsets are not those of the text."""
    symbol = record.symbols[row]
    start = text.line_span(text.line_of(symbol.span.start)).start
    tree = parse(Text.of(text.data[start : symbol.body.end]), record.language)
    if tree is None:
        return None
    name = tree.root_node.descendant_for_byte_range(symbol.span.start - start, symbol.span.end - start)
    return None if name is None or name.parent is None else name.parent.child_by_field_name("body")


def does_nothing(body: tree_sitter.Node) -> bool:
    """Whether a function does nothing: it is there to be overridden, or to be looked at."""
    return all(
        one.type in ("pass_statement", "comment")
        or (
            one.type == "expression_statement"
            and all(part.type in ("string", "ellipsis", "comment") for part in one.named_children)
        )
        for one in body.named_children
    )
