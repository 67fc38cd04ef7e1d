"""Renames of random symbols of real packages: whatever is answered, the code still means the same."""

import random
import symtable
import sysconfig
from pathlib import Path

import pytest
from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames.rename import rename
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text
from fixture import snapshot_of

LIBRARY = Path(sysconfig.get_path("stdlib"))
FRESH = "zq_fresh_name"
Table = tuple[object, ...]


def sources(package: str) -> dict[str, str]:
    paths = sorted((LIBRARY / package).rglob("*.py"))
    return {path.relative_to(LIBRARY).as_posix(): path.read_bytes().decode("utf-8") for path in paths}


def table(source: str, path: str, renames: dict[str, str]) -> Table:
    """The nested symbol tables of a source, with names read through `renames`."""

    def of(one: symtable.SymbolTable) -> Table:
        names = sorted(
            (renames.get(name := symbol.get_name(), name), symbol.is_local(), symbol.is_global(), symbol.is_free(),
             symbol.is_parameter(), symbol.is_assigned(), symbol.is_referenced())
            for symbol in one.get_symbols()
        )  # fmt: skip
        return (one.get_type(), tuple(names), tuple(of(child) for child in one.get_children()))

    return of(symtable.symtable(source, path, "exec"))


def bindings(snapshot: Snapshot) -> list[tuple[str, int]]:
    return [
        (path, symbol.occurrence)
        for path in snapshot.paths
        for symbol in snapshot.records[path].symbols
        if symbol.occurrence >= 0
    ]


@pytest.mark.parametrize(("package", "count"), [("json", 25), ("logging", 15), ("importlib", 20)])
def test_a_rename_changes_names_alone_and_renaming_back_restores_every_byte(package: str, count: int):
    files = sources(package)
    snapshot = snapshot_of(files)
    done = 0
    for path, index in random.Random(7).sample(bindings(snapshot), count):
        record = snapshot.records[path]
        old = record.names[record.occurrences.name[index]]
        place = Place(path, record.occurrences.start[index])
        answer = rename(snapshot, place, FRESH)
        if isinstance(answer, Refusal):
            continue
        done += 1
        texts = {name: Text.of(source) for name, source in files.items()}
        after = {name: text.decode() for name, text in answer.certain.texts_after(texts).items()}
        for name, source in after.items():
            compile(source, name, "exec", dont_inherit=True)
            if old not in source.split() and f"as {FRESH}" not in source and old not in names_in(source):
                assert table(source, name, {}) == table(files[name], name, {old: FRESH}), (name, old)
        if answer.needs_confirmation or any(f"as {FRESH}" in source for source in after.values()):
            continue
        shift = sum(
            len(edit.new_text) - len(edit.span) for edit in answer.edits.get(path, ()) if edit.span.end <= place.offset
        )
        edited = {**files, **after}
        back = rename(snapshot_of(edited), Place(path, place.offset + shift), old)
        assert isinstance(back, ProjectEdit), (path, old, back)
        restored = back.texts_after({name: Text.of(source) for name, source in edited.items()})
        assert {**edited, **{name: text.decode() for name, text in restored.items()}} == files, (path, old)
    assert done >= count // 2


def names_in(source: str) -> set[str]:
    """All names in a source's symbol tables."""
    found: set[str] = set()
    waiting = [symtable.symtable(source, "<source>", "exec")]
    while waiting:
        one = waiting.pop()
        found.update(one.get_identifiers())
        waiting.extend(one.get_children())
    return found
