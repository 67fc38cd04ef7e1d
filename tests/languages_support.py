"""Questions to small projects in any language: see fixture.py for the markers."""

from engram_context.edits import ProjectEdit, Refusal
from engram_context.records import FileRecord
from engram_context.renames.rename import RenameTarget, rename, rename_target
from fixture import parse_fixture, starts


def check_definition(source: str) -> None:
    """What is named at `$0` is defined at `$1` and up, and nowhere else."""
    fixture = parse_fixture(source)
    assert starts(fixture.snapshot().definitions(fixture.cursor)) == fixture.answers


def check_references(source: str) -> None:
    """`$1` and up are all mentions of what is named at `$0`, asked at each of them as well."""
    fixture = parse_fixture(source)
    snapshot = fixture.snapshot()
    for place in (fixture.cursor, *fixture.answers):
        assert starts(snapshot.references(place)) == fixture.answers, place


def check_rename(source: str, new_name: str, expected: str | None = None) -> ProjectEdit:
    """Rename at `$0`: the certain edits begin at `$1` and up, and the files read like `expected` when given."""
    fixture = parse_fixture(source)
    target = rename_target(fixture.snapshot(), fixture.cursor)
    assert isinstance(target, RenameTarget), target
    result = rename(fixture.snapshot(), fixture.cursor, new_name)
    assert isinstance(result, ProjectEdit), result
    begin = sorted((path, edit.span.start) for path, edits in result.certain.edits.items() for edit in edits)
    assert begin == [(place.path, place.offset) for place in fixture.answers]
    if expected is not None:
        texts = {path: text for path in fixture.files if (text := fixture.text(path)) is not None}
        after = {**texts, **result.certain.texts_after(texts)}
        assert {path: text.decode() for path, text in after.items()} == parse_fixture(expected).files
    return result


def check_refused(source: str, new_name: str, reason: str) -> None:
    fixture = parse_fixture(source)
    result = rename(fixture.snapshot(), fixture.cursor, new_name)
    assert isinstance(result, Refusal), result
    assert reason in result.reason, result.reason


def doubts(result: ProjectEdit) -> list[str]:
    """The annotations of a rename's uncertain edits."""
    return [edit.annotation for edits in result.edits.values() for edit in edits if edit.annotation is not None]


def outline(record: FileRecord) -> list[str]:
    """Kind and name of every symbol of a record."""
    return [f"{symbol.kind} {symbol.name}" for symbol in record.symbols]
