"""Where a new import goes in a file: merged into one of the same module, else in its sorted place."""

from __future__ import annotations

import re

from tree_sitter import Node, Tree

from engram_context.edits import Edit
from engram_context.reader import parse
from engram_context.text import Span, Text

_FROM = re.compile(r"from\s+(\S+)\s+import\s+(.*)", re.DOTALL)
_IMPORTS = ("import_statement", "import_from_statement", "future_import_statement")


def import_edit(text: Text, module: str, name: str | None, tree: Tree | None = None) -> Edit | None:
    """The edit that adds `from module import name` (`import module` without a name) to a Python text.

    None when the text has that very import already. `tree` saves the parse.
    """
    tree = tree or parse(text, "python")
    if tree is None:
        return None
    head = _head(tree.root_node)
    statement = f"import {module}" if name is None else f"from {module} import {name}"
    for node in head:
        source = text.slice(Span(node.start_byte, node.end_byte))
        if source == statement:
            return None
        merged = None if name is None else _merged(source, module, name)
        if merged is not None:
            at, addition = merged
            offset = node.start_byte + len(source[:at].encode())
            return Edit(Span(offset, offset), addition)
    newline = "\r\n" if b"\r\n" in text.data else "\n"
    offset, before, after = _new_line(tree.root_node, head, text, module, is_from=name is not None)
    return Edit(Span(offset, offset), f"{newline * before}{statement}{newline * after}")


def _head(root: Node) -> list[Node]:
    """The import statements of a file's beginning."""
    found: list[Node] = []
    for node in root.named_children:
        if node.type in _IMPORTS:
            found.append(node)
        elif not _is_preamble(node):
            break
    return found


def _is_preamble(node: Node) -> bool:
    if node.type == "comment":
        return True
    children = node.named_children
    return node.type == "expression_statement" and len(children) == 1 and children[0].type == "string"


def _merged(source: str, module: str, name: str) -> tuple[int, str] | None:
    """(where, what) to insert into a plain `from module import a, b` on one line; None for any other."""
    match = _FROM.fullmatch(source)
    if match is None or match[1] != module or any(mark in match[2] for mark in "()\\#*\n"):
        return None
    names = [part.strip() for part in match[2].split(",")]
    if name in names:
        return None
    at = match.start(2)
    for part in match[2].split(","):
        own = part.strip()
        if own > name and names == sorted(names):
            return at + len(part) - len(part.lstrip()), f"{name}, "
        at += len(part) + 1
    return len(source.rstrip()), f", {name}"


def _new_line(root: Node, head: list[Node], text: Text, module: str, *, is_from: bool) -> tuple[int, int, int]:
    """(offset, line ends before, line ends after) for a statement on a line of its own."""
    plain = [node for node in head if node.type != "future_import_statement"]
    block = _last_block(plain)
    for node in block:
        if _key(node, text) > (is_from and _sorts_apart(block), module.lower()):
            return _line_start(text, node.start_byte), 0, 1
    last = block[-1] if block else head[-1] if head else None
    if last is not None:
        end = _line_end(text, last.end_byte)
        blank = 1 if not plain else 0
        return (end, 1 + blank, 0) if _ends_text(text, end) else (_next_line(text, end), blank, 1)
    preamble: Node | None = None
    for node in root.named_children:
        # A comment right above code belongs to the code.
        if not _is_preamble(node):
            break
        if node.type != "comment" or (node.start_point[0] < 2 and text.data.startswith((b"#!", b"# -*-"))):
            preamble = node
    if preamble is None:
        return 0, 0, 1
    end = _line_end(text, preamble.end_byte)
    if _ends_text(text, end):
        return end, 2, 1
    return _next_line(text, end), 1 if preamble.type != "comment" else 0, 1


def _last_block(nodes: list[Node]) -> list[Node]:
    """The last run of import statements without a blank line between them."""
    block: list[Node] = []
    for node in nodes:
        if block and node.start_point[0] - block[-1].end_point[0] > 1:
            block = []
        block.append(node)
    return block


def _sorts_apart(block: list[Node]) -> bool:
    """Whether plain imports stand before from-imports, as most formatters have it."""
    kinds = [node.type == "import_from_statement" for node in block]
    return kinds == sorted(kinds)


def _key(node: Node, text: Text) -> tuple[bool, str]:
    words = text.slice(Span(node.start_byte, node.end_byte)).split()
    return node.type == "import_from_statement", words[1].lower() if len(words) > 1 else ""


def _line_start(text: Text, offset: int) -> int:
    return text.line_start(text.line_of(offset))


def _line_end(text: Text, offset: int) -> int:
    return text.line_span(text.line_of(offset)).end


def _next_line(text: Text, offset: int) -> int:
    return text.line_start(text.line_of(offset) + 1)


def _ends_text(text: Text, offset: int) -> bool:
    return text.line_of(offset) + 1 >= text.line_count
