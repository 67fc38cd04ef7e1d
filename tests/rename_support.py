"""What tests of renames have in common: a rename at a cursor, and what it must change."""

from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames.rename import rename
from fixture import parse_fixture


def renamed(source: str, new_name: str) -> ProjectEdit | Refusal:
    """What renaming at `$0` gives; every other marker is the start of an edit that must be certain."""
    fixture = parse_fixture(source)
    result = rename(fixture.snapshot(), fixture.cursor, new_name)
    if isinstance(result, ProjectEdit):
        starts = sorted((path, edit.span.start) for path, edits in result.certain.edits.items() for edit in edits)
        assert starts == [(place.path, place.offset) for place in fixture.answers]
    return result


def check_rename(source: str, new_name: str, expected: str | None = None) -> ProjectEdit:
    """Rename at `$0`; exactly the marked mentions change, and the files read like `expected` when given."""
    result = renamed(source, new_name)
    assert isinstance(result, ProjectEdit), result
    if expected is not None:
        fixture = parse_fixture(source)
        texts = {path: text for path in fixture.files if (text := fixture.text(path)) is not None}
        after = {**texts, **result.certain.texts_after(texts)}
        wanted = parse_fixture(expected).files
        assert {path: text.decode() for path, text in after.items()} == wanted
    return result


def check_refused(source: str, new_name: str, reason: str) -> None:
    fixture = parse_fixture(source)
    result = rename(fixture.snapshot(), fixture.cursor, new_name)
    assert isinstance(result, Refusal), result
    assert reason in result.reason, result.reason


def doubts(result: ProjectEdit) -> list[tuple[str, int]]:
    return [(path, e.span.start) for path, edits in result.edits.items() for e in edits if e.annotation is not None]
