"""What the syntax tree of a file says about a place in it: its statement, the tests that led there, idle statements."""

from __future__ import annotations

from functools import cached_property

from tree_sitter import Node, Tree

from engram_context.reader import parse_shallow
from engram_context.text import Span, Text

_COMPOUND = frozenset({
    "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "with_statement", "try_statement",
    "except_clause", "finally_clause", "match_statement", "case_clause", "function_definition", "class_definition",
    "decorated_definition",
})  # fmt: skip
_BODIES = frozenset({"block", "module"})
_IDLE = frozenset({
    "identifier", "attribute", "subscript", "binary_operator", "comparison_operator", "boolean_operator", "integer",
    "float", "list", "tuple", "dictionary", "set", "conditional_expression", "not_operator", "true", "false", "none",
    "list_comprehension", "dictionary_comprehension", "set_comprehension", "generator_expression", "lambda",
    "unary_operator", "concatenated_string", "parenthesized_expression",
})  # fmt: skip
_CHOICES = frozenset({
    "if_statement", "elif_clause", "while_statement", "conditional_expression", "comparison_operator",
    "boolean_operator", "not_operator", "binary_operator", "subscript", "slice", "call", "return_statement", "pair",
})  # fmt: skip
_LEAVING = frozenset({"return_statement", "raise_statement", "continue_statement", "break_statement"})


class Syntax:
    """One text's tree; without one (too large a file) nothing is known."""

    def __init__(self, text: Text) -> None:
        self.text = text

    @cached_property
    def tree(self) -> Tree | None:
        return parse_shallow(self.text, "python")

    def _node(self, offset: int) -> Node | None:
        return None if self.tree is None else self.tree.root_node.descendant_for_byte_range(offset, offset + 1)

    def _statement(self, offset: int) -> Node | None:
        node = self._node(offset)
        while node is not None and node.parent is not None and node.parent.type not in _BODIES:
            if node.type in _COMPOUND:
                break
            node = node.parent
        return node

    def statement(self, offset: int) -> Span | None:
        """The statement that an offset is in; of one with a body only its head."""
        node = self._statement(offset)
        if node is None or node.parent is None:
            return None
        if node.type not in _COMPOUND:
            return Span(node.start_byte, node.end_byte)
        body = next((child for child in node.children if child.type == "block"), None)
        return Span(node.start_byte, node.end_byte if body is None else body.start_byte)

    def body(self, offset: int) -> Span | None:
        """The body of the statement whose head an offset is in."""
        node = self._statement(offset)
        body = None if node is None else next((child for child in node.children if child.type == "block"), None)
        return None if body is None else Span(body.start_byte, body.end_byte)

    def kind(self, offset: int) -> str:
        """`raise_statement`, `assert_statement`, ...; "" if nothing is known."""
        node = self._statement(offset)
        return "" if node is None else node.type

    def conditions(self, offset: int) -> list[Span]:
        """The tests that held, or did not, for an offset to be reached: those around it, innermost first, and those
        before it in its block that leave the function."""
        found: list[Span] = []
        node = self._statement(offset)
        while node is not None and node.type not in ("function_definition", "module"):
            condition = node.child_by_field_name("condition") if node.type in _COMPOUND else None
            if condition is not None:
                found.append(Span(condition.start_byte, condition.end_byte))
            if node.type == "except_clause" and node.parent is not None:
                body = node.parent.child_by_field_name("body")
                if body is not None:
                    found.append(Span(body.start_byte, body.end_byte))
            sibling = node.prev_named_sibling
            while sibling is not None and len(found) < 8:
                condition = sibling.child_by_field_name("condition") if sibling.type == "if_statement" else None
                if condition is not None and leaves(sibling.child_by_field_name("consequence")):
                    found.append(Span(condition.start_byte, condition.end_byte))
                sibling = sibling.prev_named_sibling
            node = node.parent
        return found[:8]

    def before(self, offset: int, most: int = 16) -> list[Span]:
        """The statements of the same function that stand before an offset's own, the nearest first: those of its block,
        then those of the blocks around."""
        found: list[Span] = []
        node = self._statement(offset)
        while node is not None and node.type not in ("function_definition", "module") and len(found) < most:
            sibling = node.prev_named_sibling if node.parent is not None and node.parent.type in _BODIES else None
            while sibling is not None and len(found) < most:
                found.append(Span(sibling.start_byte, sibling.end_byte))
                sibling = sibling.prev_named_sibling
            node = node.parent
        return found

    def idle(self, span: Span) -> list[Span]:
        """The statements in a span that compute something and do nothing with it."""
        found: list[Span] = []
        root = None if self.tree is None else self.tree.root_node.descendant_for_byte_range(span.start, span.end - 1)
        waiting = [] if root is None else [root]
        while waiting:
            node = waiting.pop()
            if node.end_byte <= span.start or node.start_byte >= span.end:
                continue
            if node.type == "expression_statement":
                if _is_idle(node):
                    found.append(Span(node.start_byte, node.end_byte))
                continue
            waiting += node.named_children
        return sorted(found, key=lambda one: one.start)

    def definition(self, span: Span) -> Node | None:
        """The def in a span, without its decorators."""
        node = None if self.tree is None else self.tree.root_node.descendant_for_byte_range(span.start, span.end - 1)
        while node is not None and node.type == "decorated_definition":
            node = node.child_by_field_name("definition")
        return node

    def is_empty(self, span: Span) -> bool:
        """Whether the def in a span does nothing: a docstring, `pass`, `...`, what is not implemented."""
        node = self.definition(span)
        body = None if node is None else node.child_by_field_name("body")
        statements = [] if body is None else [child for child in body.named_children if child.type != "comment"]
        for statement in statements:
            inner = statement.named_children[:1]
            is_text = statement.type == "expression_statement" and inner and _says_nothing(inner[0])
            raises = statement.type == "raise_statement" and b"NotImplemented" in (statement.text or b"")
            if not (is_text or raises or statement.type == "pass_statement"):
                return False
        return body is not None

    def choices(self, span: Span) -> int:
        """How many places of a def could easily be otherwise: tests, comparisons, arithmetic, elements, arguments."""
        node = self.definition(span)
        waiting = [] if node is None else [node]
        count = 0
        while waiting:
            at = waiting.pop()
            count += at.type in _CHOICES
            waiting += at.named_children
        return count

    def falls_off(self, span: Span) -> bool:
        """Whether the def in a span can end without a statement that leaves it, so that it returns None."""
        node = self.definition(span)
        body = None if node is None else node.child_by_field_name("body")
        return body is not None and not leaves(body)


def _is_idle(statement: Node) -> bool:
    inner = statement.named_children
    if len(inner) == 1 and inner[0].type == "string":
        return not _documents(statement, inner[0])
    return len(inner) > 1 or (bool(inner) and inner[0].type in _IDLE)


def _documents(statement: Node, string: Node) -> bool:
    """Whether a string stands where it documents something: at the beginning of a body, behind an assignment."""
    if not _says_nothing(string):
        return False
    before = statement.prev_named_sibling
    if before is None:
        return True
    inner = before.named_children[:1] if before.type == "expression_statement" else []
    return bool(inner) and inner[0].type == "assignment"


def _says_nothing(node: Node) -> bool:
    """`...`, or a string that computes nothing."""
    if node.type == "ellipsis":
        return True
    return node.type == "string" and all(child.type != "interpolation" for child in node.named_children)


def leaves(block: Node | None) -> bool:
    """Whether a block always ends by return, raise and the like, as far as its last statement says."""
    children = [] if block is None else [child for child in block.named_children if child.type != "comment"]
    if not children:
        return False
    last = children[-1]
    if last.type in _LEAVING:
        return True
    if last.type == "if_statement":
        branches = [child for child in last.children if child.type in ("elif_clause", "else_clause")]
        has_else = any(branch.type == "else_clause" for branch in branches)
        parts = [last.child_by_field_name("consequence"), *(body_of(branch) for branch in branches)]
        return has_else and all(leaves(part) for part in parts)
    if last.type in ("with_statement", "while_statement"):
        body = last.child_by_field_name("body")
        condition = last.child_by_field_name("condition")
        return leaves(body) or (condition is not None and condition.type == "true")
    if last.type == "try_statement":
        parts = [last.child_by_field_name("body"), *(body_of(one) for one in last.children if "clause" in one.type)]
        return all(leaves(part) for part in parts)
    return last.type == "match_statement"


def body_of(node: Node) -> Node | None:
    """The block of a statement or of a clause of one."""
    return node.child_by_field_name("body") or next((child for child in node.children if child.type == "block"), None)
