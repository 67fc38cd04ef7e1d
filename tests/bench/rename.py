"""Rename random symbols of real packages and look at what comes of it.

    python tests/bench/rename.py FOLDER... [--count 200] [--seed 1] [--show]

Every answer is applied in memory: all edited files must compile with the same symbol tables up to the new name,
our own checks must find nothing new, and renaming back must give the original bytes. Prints how many renames were
done, refused (with the reasons) and in need of confirmation, and how long they took.
"""

from __future__ import annotations

import argparse
import random
import re
import symtable
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from checks import snapshot_of
from engram_context.checks.catalogue import findings
from engram_context.edits import ProjectEdit, Refusal
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.renames.rename import rename
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text

FRESH = "zq_fresh"


def mentions(snapshot: Snapshot, kinds: set[str]) -> list[tuple[str, int]]:
    """The bindings in the snapshot as (path, occurrence), all of them or those of some kinds."""
    found: list[tuple[str, int]] = []
    for path in snapshot.paths:
        record = snapshot.records[path]
        found += [
            (path, symbol.occurrence)
            for symbol in record.symbols
            if symbol.occurrence >= 0 and (not kinds or symbol.kind in kinds)
        ]
    return found


def shape(source: str, path: str, old: str, new: str) -> tuple[object, ...]:
    """The symbol tables of a source, nested, with the old name read as the new one."""

    def of(table: symtable.SymbolTable) -> tuple[object, ...]:
        names = sorted(
            (new if symbol.get_name() == old else symbol.get_name(), symbol.is_local(), symbol.is_global(), symbol.is_free(),
             symbol.is_parameter(), symbol.is_imported(), symbol.is_assigned(), symbol.is_referenced())
            for symbol in table.get_symbols()
        )  # fmt: skip
        name = new if table.get_name() == old else table.get_name()
        return (table.get_type(), name, tuple(names), tuple(of(child) for child in table.get_children()))

    return of(symtable.symtable(source, path, "exec"))


def problems_after(
    snapshot: Snapshot, texts: dict[str, Text], edit: ProjectEdit, place: Place, old: str, environment: Environment
) -> Iterator[str]:
    """What is wrong with an answer: nothing, when all is well."""
    certain = edit.certain
    after = certain.texts_after(texts)
    if edit.moves:  # what imports bring after a move is compared by the move itself
        return
    for path, text in after.items():
        before = texts[path].decode()
        try:
            compile(text.data, path, "exec", dont_inherit=True)
            same = shape(before, path, old, FRESH) == shape(text.decode(), path, old, FRESH)
        except SyntaxError as error:
            yield f"{path} does not compile: {error}"
            continue
        # The tables of a file that has another, unrenamed `old` as well, or an alias now, may differ.
        is_whole = re.search(rf"\b{re.escape(old)}\b", text.decode()) is None
        if not same and is_whole:
            yield f"{path}: symbol tables differ"
    all_texts = {**texts, **after}
    records = {path: read_record(text, "python") for path, text in after.items()}
    edited = Snapshot.empty(all_texts.get).after({**snapshot.records, **records})
    for path in sorted({*after, *snapshot.files_naming(old)}):
        old_findings = Counter(f.code for f in findings(snapshot, path, environment) if f.code != "unused-import")
        new_findings = Counter(f.code for f in findings(edited, path, environment) if f.code != "unused-import")
        for code, count in (new_findings - old_findings).items():
            messages = [f.message for f in findings(edited, path, environment) if f.code == code]
            yield f"{path}: {count} new {code}: {[m for m in messages if FRESH in m or old in m][:2]}"
    if any(e.annotation for edits in edit.edits.values() for e in edits):
        return
    shift = sum(
        len(e.new_text.encode()) - len(e.span) for e in edit.edits.get(place.path, ()) if e.span.end <= place.offset
    )
    back = rename(edited, Place(place.path, place.offset + shift), old)
    if isinstance(back, Refusal):
        if f" as {FRESH}" not in "".join(e.new_text for edits in edit.edits.values() for e in edits):
            yield f"cannot be renamed back: {back.reason}"
        return
    restored = {**all_texts, **back.texts_after(all_texts)}
    for path in after:
        if restored[path].data != texts[path].data and f" as {FRESH}" not in after[path].decode():
            yield f"{path}: renaming back gives other bytes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", default=[], help="only symbols of this kind (may be repeated)")
    parser.add_argument("--show", action="store_true", help="print every refusal")
    options = parser.parse_args()
    for root in options.folders:
        snapshot, texts = snapshot_of(root)
        environment = Environment.discover(root)
        pick = random.Random(options.seed)
        outcomes: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        seconds: list[float] = []
        for path, index in pick.sample(
            population := mentions(snapshot, set(options.kind)), min(options.count, len(population))
        ):
            record = snapshot.records[path]
            old = record.names[record.occurrences.name[index]]
            place = Place(path, record.occurrences.start[index])
            where = f"{path}:{texts[path].line_of(place.offset) + 1} {old}"
            began = time.perf_counter()
            result = rename(snapshot, place, FRESH)
            seconds.append(time.perf_counter() - began)
            if isinstance(result, Refusal):
                outcomes["refused"] += 1
                reasons[re.sub(r"'[^']*'|\(.*\)|\S+:\d+|\S+\.py", "…", result.reason)] += 1
                if options.show:
                    print(f"    refused: {where}: {result.reason}")
                continue
            if options.show and seconds[-1] > 1:
                print(f"    slow: {where}: {seconds[-1]:.1f} s")
            outcomes["with doubts" if result.needs_confirmation else "certain"] += 1
            if not result.certain.edits:
                outcomes["all in doubt"] += 1
            for problem in problems_after(snapshot, texts, result, place, old, environment):
                outcomes["BROKEN"] += 1
                print(f"    {where}: {problem}")
        seconds.sort()
        p50, p95 = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.95)]
        print(
            f"{root.name}: {dict(outcomes)}; p50 {p50 * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms, max {seconds[-1] * 1000:.0f} ms"
        )
        for reason, count in reasons.most_common():
            print(f"    {count:4d} {reason}")


if __name__ == "__main__":
    main()
