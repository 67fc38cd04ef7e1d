"""Compare definitions of attributes and names with those of another language server, on real packages.

    python tests/bench/resolution.py FOLDER... [--server "COMMAND"] [--count 300] [--seed 1] [--show different]

Samples mentions with a fixed seed, asks both where they are defined, and counts: the same place, ours unknown (theirs is
not), ours other than theirs, theirs unknown. Places outside the project are the same when file name and the line's
own name are. The peer's answers are kept beside the folder's name in --kept, so that ours can be tried again quickly.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from checks import snapshot_of
from engram_context.outside.environment import Environment
from engram_context.outside.library import Library
from engram_context.records import ROLE
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text
from engram_lsp.client import Client

ROLES = {"attribute": (ROLE["attribute"],), "name": (ROLE["read"],), "keyword": (ROLE["keyword"],)}
Spot = tuple[str, int]
"""A file (relative inside the project, a bare name outside) and a line counted from 1."""


def sample(snapshot: Snapshot, kind: str, count: int, seed: int) -> list[tuple[str, int]]:
    roles = ROLES[kind]
    mentions = [
        (path, index)
        for path in snapshot.paths
        for index, role in enumerate(snapshot.records[path].occurrences.role)
        if role in roles
    ]
    return random.Random(seed).sample(mentions, min(count, len(mentions)))


def peer_answers(root: Path, texts: dict[str, Text], places: list[Place], command: str) -> list[list[Spot]]:
    """Where a server says that each place's name is defined."""
    found: list[list[Spot]] = []
    with Client(shlex.split(command)) as client:
        client.initialize(root, capabilities={"general": {"positionEncodings": ["utf-16"]}})
        opened: dict[str, str] = {}
        for place in places:
            text = texts[place.path]
            if place.path not in opened:
                opened[place.path] = client.open(root / place.path, text.data.decode())
            line, column = text.position(place.offset, "utf-16")
            position = {"line": line, "character": column}
            where = {"textDocument": {"uri": opened[place.path]}, "position": position}
            try:
                answer = client.request("textDocument/definition", where, timeout=60)
            except Exception as error:  # a peer's failure is an answer, too
                print("peer:", error)
                answer = None
            found.append(sorted({spot_of(root, one) for one in as_list(answer)}))
    return found


def as_list(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [] if answer is None else [answer]


def spot_of(root: Path, location: Any) -> Spot:
    uri = location.get("uri") or location.get("targetUri")
    area = location.get("range") or location.get("targetSelectionRange")
    path = Path(unquote(urlparse(uri).path))
    line = area["start"]["line"] + 1
    if path.is_relative_to(root):
        return (path.relative_to(root).as_posix(), line)
    return (outside_name(path), name_at(path, line))


def outside_name(path: Path) -> str:
    return path.parent.name if path.stem == "__init__" else path.stem


def name_at(path: Path, line: int) -> int:
    """A number that two versions of a file share for one definition: made of the line without its details."""
    try:
        source = path.read_text(encoding="utf-8", errors="replace").splitlines()[line - 1]
    except (OSError, IndexError):
        return 0
    words = re.findall(r"\w+", source)
    key = next((word for word in words if word not in ("def", "class", "async", "import", "from")), "")
    return -sum(ord(letter) * (at + 1) for at, letter in enumerate(key)) or -1


def our_answer(snapshot: Snapshot, texts: dict[str, Text], place: Place) -> list[Spot]:
    found: set[Spot] = set()
    for location in snapshot.definitions(place):
        text = texts.get(location.path) or snapshot.text(location.path)
        if text is None:
            continue
        line = text.line_of(location.span.start) + 1
        if location.path in texts:
            found.add((location.path, line))
        else:
            found.add((outside_name(Path(location.path)), name_at(Path(location.path), line)))
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--server", default="pyright-langserver --stdio")
    parser.add_argument("--kind", default="attribute", choices=ROLES)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", choices=("different", "unknown", "theirs-unknown"))
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--python", type=Path, help="the environment that ours looks into; the peer has its own way")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    for folder in options.folders:
        root = folder.resolve()
        plain, texts = snapshot_of(root)
        empty = Snapshot.empty(texts.get, Library(Environment.discover(root, options.python)))
        snapshot = empty.after(plain.records)
        mentions = sample(snapshot, options.kind, options.count, options.seed)
        places = [Place(path, snapshot.records[path].occurrences.start[index]) for path, index in mentions]
        theirs = kept_answers(options, root, texts, places)
        counts: Counter[str] = Counter()
        took: list[float] = []
        for place, peer in zip(places, theirs, strict=True):
            begun = time.perf_counter()
            ours = our_answer(snapshot, texts, place)
            took.append(time.perf_counter() - begun)
            verdict = judge(ours, peer)
            counts[verdict] += 1
            if verdict == options.show:
                text = texts[place.path]
                line = text.line_of(place.offset)
                column = place.offset - text.line_start(line)
                print(f"{root.name}/{place.path}:{line + 1}:{column + 1} ours {ours} theirs {peer}")
                print("    " + text.slice(text.line_span(line)).strip())
        took.sort()
        speed = f"p50 {took[len(took) // 2] * 1000:.1f} ms, p95 {took[len(took) * 95 // 100] * 1000:.1f} ms"
        print(f"{root.name}: {dict(counts)}, {speed}")
        total += counts
    decided = sum(total.values()) - total["theirs-unknown"] - total["both-unknown"]
    print(f"all: {dict(total)}; same {total['same'] / max(decided, 1):.1%} of what the peer knows")


def kept_answers(options: Any, root: Path, texts: dict[str, Text], places: list[Place]) -> list[list[Spot]]:
    if options.kept is None:
        return peer_answers(root, texts, places, options.server)
    options.kept.mkdir(parents=True, exist_ok=True)
    file = options.kept / f"{root.name}-{options.kind}-{options.seed}-{options.count}.json"
    if not file.is_file():
        file.write_text(json.dumps(peer_answers(root, texts, places, options.server)), encoding="utf-8")
    return [[(path, line) for path, line in spots] for spots in json.loads(file.read_text(encoding="utf-8"))]


def judge(ours: list[Spot], theirs: list[Spot]) -> str:
    if not theirs:
        return "theirs-unknown" if ours else "both-unknown"
    if not ours:
        return "unknown"
    return "different" if set(ours).isdisjoint(theirs) else "same"


if __name__ == "__main__":
    main()
