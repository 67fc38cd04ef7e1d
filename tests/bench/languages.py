"""How other languages fare on real code: reading, and TypeScript beside tsserver.

    python tests/bench/languages.py read FOLDER...                 bytes a second, by language; nothing may fail
    python tests/bench/languages.py look FOLDER [--seed N]          definitions of seeded mentions, to be looked at
    python tests/bench/languages.py renames FOLDER [--seed N]       seeded renames, applied, and renamed back
    python tests/bench/languages.py tsserver FOLDER --server .../typescript/lib/tsserver.js [--count N] [--seed N]

`tsserver` asks TypeScript's own server for the definitions of seeded mentions and for the edits of seeded renames, and says
how often both agree. It imports under an alias what is renamed at an import, so that no rename is asked there. Packages come from npm, Debian and PyPI by hand; nothing is fetched here.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from engram_context.completion.candidates import is_silent
from engram_context.disk.ignore import Ignore
from engram_context.edits import ProjectEdit
from engram_context.languages import language_named, language_of
from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.renames.rename import rename
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text, Unreadable, read_text


def texts_of(root: Path) -> dict[str, Text]:
    """The texts of a folder in languages other than Python, and of the files that name its packages."""
    found: dict[str, Text] = {}
    for path, _ in Ignore(root).walk(lambda path: language_of(path) not in (None, "python")):
        text = read_text(root / path)
        if not isinstance(text, Unreadable):
            found[path] = text
    return found


def snapshot_of(root: Path, texts: dict[str, Text]) -> Snapshot:
    def read(path: str) -> Text | None:
        if path not in texts and path.endswith(".json") and (root / path).is_file():
            found = read_text(root / path)
            return None if isinstance(found, Unreadable) else found
        return texts.get(path)

    records = {path: read_record(text, language_of(path) or "") for path, text in texts.items()}
    return Snapshot.empty(read).after(records)


def read(folders: list[Path]) -> None:
    size: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for folder in folders:
        for path, text in texts_of(folder).items():
            language = language_of(path) or ""
            begin = time.process_time()
            record = read_record(text, language)
            seconds[language] += time.process_time() - begin
            size[language] += len(text)
            data = record.to_bytes()
            assert FileRecord.from_bytes(data) == record, path
            counts[language].update(
                files=1, mentions=len(record.occurrences), broken=bool(record.errors), stored=len(data)
            )
    print(f"{'language':<14}{'files':>7}{'MB':>8}{'MB/s':>8}{'mentions':>10}{'stored':>8}{'with errors':>13}")
    for language, total in size.most_common():
        count = counts[language]
        speed = total / 1e6 / max(seconds[language], 1e-9)
        stored = count["stored"] / max(total, 1)
        print(
            f"{language:<14}{count['files']:>7}{total / 1e6:>8.2f}{speed:>8.2f}{count['mentions']:>10}"
            f"{stored:>8.2f}{count['broken']:>13}"
        )


def mentions(snapshot: Snapshot, count: int, seed: int) -> list[tuple[str, int]]:
    """Seeded mentions: (path, occurrence)."""
    chosen = random.Random(seed)
    paths = [path for path in snapshot.paths if language_named(snapshot.records[path].language) is not None]
    weights = [len(snapshot.records[path].occurrences) for path in paths]
    return [
        (path, chosen.randrange(len(snapshot.records[path].occurrences)))
        for path in chosen.choices(paths, weights, k=count)
    ]


def look(root: Path, seed: int, count: int) -> None:
    texts = texts_of(root)
    snapshot = snapshot_of(root, texts)
    for path, index in mentions(snapshot, count, seed):
        occurrence = snapshot.records[path].occurrences[index]
        line = texts[path].line_of(occurrence.span.start)
        print(f"{path}:{line + 1}: {texts[path].slice(texts[path].line_span(line)).strip()[:100]}")
        found = snapshot.definitions(Place(path, occurrence.span.start))
        for location in found:
            text = texts[location.path]
            at = text.line_of(location.span.start)
            print(f"    {occurrence.name} -> {location.path}:{at + 1}: {text.slice(text.line_span(at)).strip()[:100]}")
        if not found:
            print(f"    {occurrence.name} ({occurrence.role}) -> not known")


def renames(root: Path, seed: int, count: int, verbose: bool) -> None:
    """Every rename that is offered is applied, and what it made is renamed back: the texts must be the same again."""
    texts = texts_of(root)
    snapshot = snapshot_of(root, texts)
    chosen = random.Random(seed)
    symbols = [
        (path, row)
        for path, record in sorted(snapshot.records.items())
        for row in range(len(record.symbols))
        if record.symbols.occurrence[row] >= 0 and record.symbols[row].kind not in ("module", "import")
    ]
    tally: Counter[str] = Counter()
    seconds: list[float] = []
    for path, row in chosen.sample(symbols, min(count, len(symbols))):
        symbol = snapshot.records[path].symbols[row]
        new_name = "RenamedThing" if symbol.name[:1].isupper() else "renamedThing"
        begin = time.perf_counter()
        result = rename(snapshot, Place(path, symbol.span.start), new_name)
        seconds.append(time.perf_counter() - begin)
        if not isinstance(result, ProjectEdit):
            tally["refused"] += 1
            if verbose:
                print(f"refused {path}:{texts[path].line_of(symbol.span.start) + 1} {symbol.name}: {result.reason}")
            continue
        if result.needs_confirmation:
            tally["asks about some"] += 1
        after = {**texts, **result.texts_after(texts)}
        changed = {at: read_record(after[at], language_of(at) or "") for at in result.edits}
        edited = Snapshot(0, snapshot.records, after.get, snapshot.modules, snapshot.index, snapshot.definers)
        shift = sum(
            len(edit.new_text.encode()) - len(edit.span)
            for edit in result.edits[path]
            if edit.span.start < symbol.span.start
        )
        here = next(edit for edit in result.edits[path] if edit.span.start == symbol.span.start)
        at = symbol.span.start + shift + len(here.new_text.encode()) - len(new_name)
        back = rename(edited.after(changed), Place(path, at), symbol.name)
        if not isinstance(back, ProjectEdit):
            tally["not back"] += 1
            if verbose:
                print(f"not back {path}:{texts[path].line_of(symbol.span.start) + 1} {symbol.name}: {back.reason}")
        elif {**after, **back.texts_after(after)} == texts or " " in here.new_text:
            tally["there and back"] += 1
        else:
            tally["back, but not the same"] += 1
            if verbose:
                print(f"differs {path}:{texts[path].line_of(symbol.span.start) + 1} {symbol.name}")
    seconds.sort()
    print(
        dict(tally),
        f"p50 {seconds[len(seconds) // 2] * 1e3:.0f} ms, p95 {seconds[len(seconds) * 95 // 100] * 1e3:.0f} ms",
    )


class TsServer:
    """TypeScript's server, spoken to in its own protocol."""

    def __init__(self, server: Path, root: Path) -> None:
        self.root = root
        self.process = subprocess.Popen(
            ["node", str(server), "--disableAutomaticTypingAcquisition"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.sequence = 0
        self.opened: set[str] = set()
        # So that `{a}` becomes `{a: b}` there too, and an import gets its `as`.
        self.send("configure", preferences={"providePrefixAndSuffixTextForRename": True})

    def send(self, command: str, **arguments: object) -> None:
        self.sequence += 1
        message = {"seq": self.sequence, "type": "request", "command": command, "arguments": arguments}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, command: str, path: str, text: Text, offset: int, **more: object) -> object:
        if path not in self.opened:
            self.opened.add(path)
            self.send("open", file=str(self.root / path))
        line, column = text.position(offset, "utf-16")
        self.send(command, file=str(self.root / path), line=line + 1, offset=column + 1, **more)
        for message in self.messages():
            if message.get("type") == "response" and message.get("request_seq") == self.sequence:
                return message.get("body")
        raise RuntimeError("tsserver ended")

    def messages(self) -> Iterator[dict[str, object]]:
        assert self.process.stdout is not None
        while True:
            length = 0
            while (header := self.process.stdout.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            if not length:
                return
            yield json.loads(self.process.stdout.read(length))

    def definitions(self, path: str, texts: dict[str, Text], offset: int) -> tuple[set[tuple[str, int]], bool]:
        """(definitions inside the folder, whether there are others outside)."""
        found: set[tuple[str, int]] = set()
        outside = False
        for one in self.ask("definition", path, texts[path], offset) or ():
            inside = self.inside(one["file"])
            if inside in texts:
                found.add((inside, texts[inside].offset(one["start"]["line"] - 1, one["start"]["offset"] - 1)))
            else:
                outside = True
        return found, outside

    def renames(self, path: str, texts: dict[str, Text], offset: int) -> set[tuple[str, int]] | None:
        """Where the edits of a rename begin, those in comments left out; None when it refuses or would edit something outside."""
        answer = self.ask("rename", path, texts[path], offset, findInComments=False, findInStrings=False)
        if not answer or not answer["info"]["canRename"]:
            return None
        found: set[tuple[str, int]] = set()
        for file in answer["locs"]:
            inside = self.inside(file["file"])
            if inside not in texts:
                return None
            for one in file["locs"]:
                at = texts[inside].offset(one["start"]["line"] - 1, one["start"]["offset"] - 1)
                if not is_silent(texts[inside], at + 1, language_of(inside) or ""):
                    found.add((inside, at))
        return found

    def inside(self, file: str) -> str:
        return Path(file).relative_to(self.root).as_posix() if Path(file).is_relative_to(self.root) else file


def tsserver(root: Path, server: Path, count: int, seed: int, verbose: bool) -> None:
    texts = texts_of(root)
    snapshot = snapshot_of(root, texts)
    peer = TsServer(server, root)
    tally: Counter[str] = Counter()
    by_role: dict[str, Counter[str]] = defaultdict(Counter)
    for path, index in mentions(snapshot, count, seed):
        occurrence = snapshot.records[path].occurrences[index]
        if occurrence.name in ("this", "default"):
            continue
        ours = {(at.path, at.span.start) for at in snapshot.definitions(Place(path, occurrence.span.start))}
        theirs, outside = peer.definitions(path, texts, occurrence.span.start)
        verdict = _verdict(ours, theirs, outside)
        tally[verdict] += 1
        by_role[occurrence.role][verdict] += 1
        if verbose and verdict in ("wrong", "more"):
            line = texts[path].line_of(occurrence.span.start)
            print(
                f"{verdict} {path}:{line + 1} {occurrence.name} ({occurrence.role}): {_shown(texts, ours)} not {_shown(texts, theirs)}"
            )
    print("definitions:", dict(tally))
    for role, verdicts in by_role.items():
        print(f"    {role}: {dict(verdicts)}")
    _compare_renames(snapshot, texts, peer, count // 2, seed, verbose)
    peer.process.kill()


def _verdict(ours: set[tuple[str, int]], theirs: set[tuple[str, int]], outside: bool) -> str:
    if not theirs:
        return "neither" if not ours else "outside in theirs" if outside else "only ours"
    if not ours:
        return "not known"
    return "same" if ours == theirs else "part" if ours < theirs else "more" if ours & theirs else "wrong"


def _compare_renames(
    snapshot: Snapshot, texts: dict[str, Text], peer: TsServer, count: int, seed: int, verbose: bool
) -> None:
    tally: Counter[str] = Counter()
    chosen = random.Random(seed)
    resolver = Resolver(snapshot)
    symbols = [
        (path, row)
        for path, record in sorted(snapshot.records.items())
        for row in range(len(record.symbols))
        if record.symbols.occurrence[row] >= 0 and record.symbols[row].kind not in ("module", "import")
    ]
    for path, row in chosen.sample(symbols, min(count, len(symbols))):
        symbol = snapshot.records[path].symbols[row]
        scope = snapshot.records[path].scopes.kind[symbol.scope]
        kind = "top" if symbol.scope == 0 else "member" if scope == 1 else "local"
        if symbol.name in ("constructor", "default"):
            continue
        result = rename(snapshot, Place(path, symbol.span.start), "renamedThing")
        theirs = peer.renames(path, texts, symbol.span.start)
        if not isinstance(result, ProjectEdit):
            tally[f"{kind}: {'both refuse' if theirs is None else 'refused'}"] += 1
            if verbose and theirs is not None:
                print(f"refused {path} {symbol.name}: {result.reason}")
            continue
        ours = {(at, edit.span.start) for at, edits in result.certain.edits.items() for edit in edits}
        every = {(at, edit.span.start) for at, edits in result.edits.items() for edit in edits}
        if theirs is None:
            verdict = "only ours"
        elif ours == theirs:
            verdict = "same"
        elif theirs <= every:
            verdict = "same with what asks" if ours <= theirs else "more"
        else:
            verdict = "missing"
        tally[f"{kind}: {verdict}"] += 1
        if verbose and verdict in ("missing", "more"):
            missing, more = (theirs or set()) - every, ours - (theirs or set())
            print(
                f"{verdict} {path} {symbol.name} ({symbol.kind}): missing {_shown(texts, missing)}, more {_shown(texts, more)}"
            )
    del resolver
    print("renames:", dict(sorted(tally.items())))


def _shown(texts: dict[str, Text], places: set[tuple[str, int]]) -> str:
    return "; ".join(f"{path}:{texts[path].line_of(offset) + 1}" for path, offset in sorted(places)[:3]) or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("read", "look", "renames", "tsserver"))
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--server", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    asked = parser.parse_args()
    roots = [folder.resolve() for folder in asked.folders]
    if asked.what == "read":
        read(roots)
    elif asked.what == "look":
        look(roots[0], asked.seed, asked.count)
    elif asked.what == "renames":
        renames(roots[0], asked.seed, asked.count, asked.verbose)
    elif asked.server is None:
        sys.exit("--server is needed")
    else:
        tsserver(roots[0], asked.server, asked.count, asked.seed, asked.verbose)


if __name__ == "__main__":
    main()
