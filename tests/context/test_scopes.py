"""Names of one file: which scope each means, compared with what Python's own compiler says."""

from __future__ import annotations

import os
import symtable
from collections import defaultdict
from pathlib import Path

import pytest
from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.scopes import NameScopes
from engram_context.text import Text

STDLIB = Path(os.__file__).parent
FILES = [
    "abc.py",
    "argparse.py",
    "ast.py",
    "asyncio/base_events.py",
    "asyncio/tasks.py",
    "bdb.py",
    "calendar.py",
    "cmd.py",
    "collections/__init__.py",
    "configparser.py",
    "contextlib.py",
    "copy.py",
    "csv.py",
    "dataclasses.py",
    "datetime.py",
    "decimal.py",
    "difflib.py",
    "dis.py",
    "email/message.py",
    "enum.py",
    "fractions.py",
    "functools.py",
    "html/parser.py",
    "inspect.py",
    "json/encoder.py",
    "locale.py",
    "logging/__init__.py",
    "pickle.py",
    "statistics.py",
    "subprocess.py",
    "tarfile.py",
    "tokenize.py",
    "typing.py",
    "unittest/mock.py",
    "uuid.py",
    "weakref.py",
    "xml/dom/minidom.py",
    "zipfile.py",
]


def record_of(source: str) -> FileRecord:
    return read_record(Text.of(source), "python")


def tables(top: symtable.SymbolTable) -> dict[tuple[str, int], list[symtable.SymbolTable]]:
    found: dict[tuple[str, int], list[symtable.SymbolTable]] = defaultdict(list)
    waiting = [top]
    while waiting:
        table = waiting.pop()
        found[table.get_name(), table.get_lineno()].append(table)
        waiting.extend(table.get_children())
    return found


def compare(source: str) -> list[str]:
    """Differences between the record's idea of each name of each function and class, and symtable's."""
    text = Text.of(source)
    record = read_record(text, "python")
    by_place = tables(symtable.symtable(source, "<test>", "exec"))
    # symtable places a decorated function at its `def` or its decorator, by version: index both.
    problems: list[str] = []
    compared = 0
    for scope in record.scopes:
        if scope.kind not in ("function", "class", "module"):
            continue
        if scope.kind == "module":
            candidates = by_place["top", 0]
        else:
            symbol = record.symbols[scope.symbol] if scope.symbol is not None else None
            assert symbol is not None
            lines = {text.line_of(symbol.span.start) + 1, text.line_of(symbol.body.start) + 1}
            candidates = [table for line in lines for table in by_place[symbol.name, line]]
            candidates = [
                table
                for table in candidates
                if str(table.get_type()) in (scope.kind, f"SymbolTableType.{scope.kind.upper()}")
            ]
        if len(candidates) != 1:
            problems.append(f"{scope.kind} {scope.name}: {len(candidates)} symbol tables")
            continue
        table = candidates[0]
        mentioned: dict[str, list[int]] = defaultdict(list)
        for index, number in enumerate(record.occurrences.scope):
            if number == scope.index and record.occurrences[index].role in ("read", "write", "delete"):
                mentioned[record.occurrences[index].name].append(index)
        for name, indices in mentioned.items():
            try:
                entry = table.lookup(name)
            except KeyError:
                # It mangles private names, and does not look into string annotations.
                line = text.line_of(record.occurrences.start[indices[0]])
                if not name.startswith("__") and not set(text.slice(text.line_span(line))) & set("\"'"):
                    problems.append(f"{scope.name}:{line + 1}: {name} is not in the symbol table")
                continue
            found = NameScopes(record, name).scope_of(scope.index)
            compared += 1
            if entry.is_local() and not entry.is_global():
                expected = found == scope.index
            elif entry.is_free():
                expected = found is not None and found not in (0, scope.index)
            else:
                expected = found in (0, None)
            if scope.kind == "module":
                expected = found in (0, None)
            if not expected:
                line = text.line_of(record.occurrences.start[indices[0]])
                problems.append(f"{scope.name}:{line + 1}: {name} resolved to {found}, symtable says {entry}")
    assert compared
    return problems


@pytest.mark.parametrize("name", FILES)
def test_every_name_of_a_library_file_is_local_free_or_global_as_the_compiler_says(name: str) -> None:
    path = STDLIB / name
    if not path.exists():
        pytest.skip("not in this Python")
    assert compare(path.read_text(encoding="utf-8")) == []
