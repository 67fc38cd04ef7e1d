"""A document's imports in order: those that nothing uses taken out, the rest sorted as the project's own settings say.

Sorting is isort's: projects have settings for it, and nobody wants a second order. A project that sorts by ruff instead
says so under `[tool.ruff.lint.isort]`, of which what isort knows too is passed on.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engram_context.edits import Edit, ProjectEdit, apply, project_edit, together
from engram_context.findings import Finding
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text

from engram_lsp.import_order import of_ruff, settings_of


def organized(path: str, text: Text, snapshot: Snapshot, root: Path, found: Iterable[Finding]) -> ProjectEdit | None:
    """The edit that organises the imports of a file; None where nothing changes, or where that cannot be done.

    `found`: its findings.
    """
    unused = (finding for finding in found if finding.code == "unused-import")
    removals = [edit for finding in unused if (edit := finding.safe_edit(path)) is not None]
    after = _sorted(apply(text, together(path, removals)), snapshot, root)
    if after is None or after.data == text.data:
        return None
    return project_edit({path: line_edits(text, after)}, {path: text})


def _sorted(text: Text, snapshot: Snapshot, root: Path) -> Text | None:
    import isort
    from isort.exceptions import ISortError

    try:
        source = text.data.decode("utf-8")
        return Text.of(isort.code(source, config=_config(snapshot, root)))
    except (ISortError, OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError):
        return None


def _config(snapshot: Snapshot, root: Path) -> Any:
    """The project's settings for isort, or else for ruff, or what most projects do."""
    import isort

    settings = settings_of(root)
    if settings is None:
        own = {path.removeprefix("src/").partition("/")[0].removesuffix(".py") for path in snapshot.modules.files}
        usual: dict[str, Any] = {"profile": "black", "known_first_party": frozenset(own), "directory": str(root)}
        settings = {**usual, **of_ruff(root)}
    return isort.Config(**settings)


def line_edits(before: Text, after: Text) -> list[Edit]:
    """The edits of whole lines that make one text another: small ones, so that cursors and folds elsewhere stay."""
    old, new = before.data.splitlines(keepends=True), after.data.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    edits: list[Edit] = []
    for tag, first, last, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            written = b"".join(new[start:end]).decode("utf-8", "surrogatepass")
            edits.append(Edit(Span(starts[first], starts[last]), written))
    return edits
