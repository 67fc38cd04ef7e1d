"""How fast the project memory reads code and answers, on a folder of Python files.

    python tests/bench/context.py FOLDER [--places 200] [--files 10000]

Figures are processor time, so that other load on the machine matters less.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from engram_context.languages import language_of
from engram_context.reader import parse, read_record
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text, read_text

Result = TypeVar("Result")


def timed(name: str, size: int, work: Callable[[], Result]) -> Result:
    gc.collect()
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    print(f"{name:<32} {size / seconds / 1e6:8.1f} MB/s   {seconds:7.2f} s")
    return result


def asked(name: str, places: list[Place], ask: Callable[[Place], object]) -> None:
    times: list[float] = []
    for place in places:
        start = time.process_time()
        ask(place)
        times.append((time.process_time() - start) * 1e3)
    times.sort()
    p95 = times[int(len(times) * 0.95)]
    print(f"{name:<32} p50 {statistics.median(times):8.2f} ms   p95 {p95:8.2f} ms   max {times[-1]:8.2f} ms")


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--places", type=int, default=200)
    options.add_argument("--files", type=int, default=10_000)
    given = options.parse_args()

    texts: dict[str, Text] = {}
    for path in sorted(given.folder.rglob("*.py")):
        text = read_text(path)
        if isinstance(text, Text):
            texts[path.relative_to(given.folder).as_posix()] = text
    size = sum(map(len, texts.values()))
    lines = sum(text.line_count for text in texts.values())
    print(f"{len(texts)} files, {lines:,} lines, {size / 1e6:.1f} MB; memory {memory():.0f} MiB")

    timed("parse", size, lambda: [parse(text, "python") for text in texts.values()])
    records = timed(
        "read_record, parse included", size, lambda: {path: read_record(text, "python") for path, text in texts.items()}
    )
    blobs = timed("to_bytes", size, lambda: [record.to_bytes() for record in records.values()])
    timed("from_bytes", size, lambda: [FileRecord.from_bytes(blob) for blob in blobs])
    print(f"{'record':<32} {sum(map(len, blobs)) / size:8.2f} bytes per source byte")
    before = memory()
    snapshot = timed("snapshot from scratch", size, lambda: Snapshot.empty(texts.get).after(records))
    print(f"{'memory':<32} {before:.0f} MiB with records, {memory():.0f} MiB with the snapshot")

    chance = random.Random(1)
    paths = [path for path, record in records.items() if len(record.occurrences) > 20]
    names: list[Place] = []
    members: list[Place] = []
    while len(names) < given.places or len(members) < given.places:
        path = chance.choice(paths)
        record = records[path]
        index = chance.randrange(len(record.occurrences))
        occurrence = record.occurrences[index]
        wanted = members if occurrence.role == "attribute" else names
        if len(wanted) < given.places:
            wanted.append(Place(path, occurrence.span.start))
    asked("definitions of names", names, snapshot.definitions)
    asked("definitions of members", members, snapshot.definitions)
    asked("references of names", names, snapshot.references)
    asked("references of members", members, snapshot.references)
    asked("hover", names, snapshot.hover)
    asked("document symbols", names, lambda place: snapshot.document_symbols(place.path))
    queries = [records[place.path].names[0][:4] for place in names]
    asked("workspace symbols", names, lambda place: snapshot.workspace_symbols(queries[names.index(place)]))
    asked("candidates after a dot", members, snapshot.candidates)
    asked("candidates elsewhere", [Place(place.path, place.offset + 2) for place in names], snapshot.candidates)
    known = (
        sum(bool(snapshot.definitions(place)) for place in names),
        sum(bool(snapshot.definitions(place)) for place in members),
    )
    print(f"{'defined in the project':<32} {known[0]} of {len(names)} names, {known[1]} of {len(members)} members")

    copies = {
        f"copy{at}/{path}": record for at in range(given.files // len(records) + 1) for path, record in records.items()
    }
    copies = dict(list(copies.items())[: given.files])
    large = timed(f"snapshot of {len(copies)} files", size, lambda: Snapshot.empty(texts.get).after(copies))
    edited = [
        (path, read_record(Text.of(texts[path.partition("/")[2]].data + b"\nnew_name = 1\n"), language_of(path) or ""))
        for path in chance.sample(sorted(copies), 200)
    ]
    times: list[float] = []
    for path, record in edited:
        start = time.process_time()
        large = large.after({path: record})
        times.append((time.process_time() - start) * 1e3)
    print(f"{'snapshot after an edit':<32} p50 {statistics.median(times):8.2f} ms   p95 {sorted(times)[190]:8.2f} ms")
    print(f"{'peak memory':<32} {memory():.0f} MiB")


if __name__ == "__main__":
    main()
