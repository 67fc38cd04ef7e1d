"""The comment that silences a finding where it stands, for whoever knows better."""

import re

from engram_context.edits import Edit, ProjectEdit, project_edit
from engram_context.findings import Finding
from engram_context.text import Span, Text

_OURS = re.compile(rb"#\s*engram:\s*ignore\[([^\]\n]*)\]")
# Behind one of these a comment would belong to the next line, or to a text.
_OPEN_ENDS = (b"\\",)


def silenced(path: str, text: Text, finding: Finding) -> ProjectEdit | None:
    """The edit that adds the finding's code to its line's comment; None where a line cannot have one."""
    if finding.code == "syntax-error" or not path.endswith((".py", ".pyi", ".pyw")):
        return None
    line = text.line_span(text.line_of(finding.span.start))
    written = text.data[line.start : line.end].rstrip(b"\r\n")
    before = _OURS.search(written)
    if before is not None and not _is_in_string(text, line.start + before.start()):
        at = line.start + before.end(1)
        separator = ", " if before[1].strip() else ""
        return project_edit({path: [Edit(Span(at, at), f"{separator}{finding.code}")]}, {path: text})
    if written.endswith(_OPEN_ENDS) or _is_in_string(text, line.start + len(written)):
        return None
    at = line.start + len(written.rstrip())
    return project_edit(
        {path: [Edit(Span(at, line.start + len(written)), f"  # engram: ignore[{finding.code}]")]}, {path: text}
    )


def _is_in_string(text: Text, offset: int) -> bool:
    """Whether a place lies within a string."""
    from engram_context.reader import parse

    tree = parse(text, "python")
    node = None if tree is None else tree.root_node.descendant_for_byte_range(offset, offset)
    while node is not None:
        if node.type == "string" and node.start_byte < offset < node.end_byte:
            return True
        node = node.parent
    return False
