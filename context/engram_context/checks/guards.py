"""Whether code says itself that what it does may fail, or is not meant to run."""

from __future__ import annotations

import re

from engram_context.checks.surroundings import Surroundings
from engram_context.text import Span

_EXPECTING = re.compile(rb"\b(suppress|raises|assertRaises\w*|assert_raises)\b")
_RAISING = frozenset((b"raises", b"assertRaises", b"assertRaisesRegex", b"assert_raises", b"suppress"))
_HANDLERS = ("except_clause", "except_group_clause")
_NEVER_RUN = re.compile(rb"\bTYPE_CHECKING\b")


def is_guarded(around: Surroundings, span: Span, exception: bytes) -> bool:
    """Whether what raises an exception stands where that is awaited by name: in the body of a `try`, of a `with` like
    `pytest.raises`, or in what is given to a call of that. One who catches every exception does not await this one.
    Neither does it count in code that depends on the platform, or that only type checkers see."""
    if around.depends_on_platform(span):
        return True
    child = around.node(span)
    node = child.parent
    while node is not None:
        if node.type == "try_statement" and node.child_by_field_name("body") == child:
            handlers = [part for part in node.named_children if part.type in _HANDLERS]
            caught = b" ".join(
                part.text or b"" for one in handlers for part in one.named_children if part.type != "block"
            )
            if exception in re.findall(rb"\w+", caught):
                return True
        elif node.type == "with_statement" and child.type == "block":
            clause = next((part for part in node.named_children if part.type == "with_clause"), None)
            source = b"" if clause is None else clause.text or b""
            if _EXPECTING.search(source) and (exception in source or b"Exception" in source):
                return True
        elif node.type == "call":
            called = node.child_by_field_name("function")
            if called is not None and called != child and (called.text or b"").rpartition(b".")[2] in _RAISING:
                return True
        elif node.type == "if_statement":
            test = node.child_by_field_name("condition")
            if test is not None and _NEVER_RUN.search(test.text or b""):
                return True
        child, node = node, node.parent
    return False
