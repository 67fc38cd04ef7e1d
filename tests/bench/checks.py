"""Compare the checks with pyflakes on real packages: how often they agree, and every disagreement.

    python tests/bench/checks.py FOLDER... [--pyflakes PYTHON] [--show unused-import]

PYTHON is an interpreter that has pyflakes; without it only our own findings are counted.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from engram_context.checks.catalogue import findings
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Text, Unreadable, read_text

Mention = tuple[str, int, str, str]
"""path, line, code, name"""

_PYFLAKES = (
    ("unused-import", re.compile(r"'(?:.* as |.*\.)?([^'. ]+)' imported but unused")),
    ("undefined-name", re.compile(r"undefined name '([^']+)'(?! in __all__)")),
    ("undefined-export", re.compile(r"undefined name '([^']+)' in __all__")),
    ("unused-variable", re.compile(r"local variable '([^']+)' is assigned to but never used")),
)
_QUOTED = re.compile(r"'([^']+)'")


def snapshot_of(root: Path) -> tuple[Snapshot, dict[str, Text]]:
    texts: dict[str, Text] = {}
    records: dict[str, FileRecord] = {}
    for path in sorted(root.rglob("*.py")):
        text = read_text(path)
        if not isinstance(text, Unreadable):
            name = path.relative_to(root).as_posix()
            texts[name] = text
            records[name] = read_record(text, "python")
    return Snapshot.empty(texts.get).after(records), texts


def ours(root: Path, counts: Counter[str]) -> tuple[set[Mention], int, float]:
    snapshot, texts = snapshot_of(root)
    environment = Environment.discover(root)
    found: set[Mention] = set()
    began = time.perf_counter()
    for path, text in texts.items():
        for finding in findings(snapshot, path, environment):
            counts[f"{finding.code} ({finding.severity})"] += 1
            match = _QUOTED.search(finding.message)
            name = match[1].rpartition(" ")[2].rpartition(".")[2] if match else ""
            found.add((path, text.line_of(finding.span.start) + 1, finding.code, name))
    return found, sum(text.line_count for text in texts.values()), time.perf_counter() - began


def theirs(root: Path, python: str) -> set[Mention]:
    done = subprocess.run(
        [python, "-m", "pyflakes", "."], cwd=root, capture_output=True, text=True, encoding="utf-8", check=False
    )
    found: set[Mention] = set()
    for line in done.stdout.splitlines():
        path, number, message = (re.match(r"(?:\./)?(.+?):(\d+):\d+:? (.*)", line) or re.match("()()()", "")).groups()  # type: ignore[union-attr]
        for code, pattern in _PYFLAKES:
            match = pattern.match(message)
            if match:
                found.add((path.removeprefix("./"), int(number), code, match[1]))
                break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pyflakes", metavar="PYTHON")
    parser.add_argument("--show", default="", help="print the disagreements of this code")
    options = parser.parse_args()
    agreement: dict[str, Counter[str]] = {code: Counter() for code, _ in _PYFLAKES}
    total_lines, total_seconds = 0, 0.0
    all_counts: Counter[str] = Counter()
    for root in options.folders:
        counts: Counter[str] = Counter()
        mine, lines, seconds = ours(root, counts)
        total_lines += lines
        total_seconds += seconds
        all_counts += counts
        print(f"{root.name}: {lines} lines, {seconds:.2f} s, {dict(counts)}")
        if not options.pyflakes:
            continue
        other = theirs(root, options.pyflakes)
        # A multi-line import is reported at its statement by one and at its name by the other: compare names by file.
        for code, counter in agreement.items():
            we = Counter((path, name) for path, _, kind, name in mine if kind == code)
            they = Counter((path, name) for path, _, kind, name in other if kind == code)
            counter["both"] += (we & they).total()
            counter["only us"] += (we - they).total()
            counter["only pyflakes"] += (they - we).total()
            if options.show in (code, "all"):
                for title, rest in (("only us", we - they), ("only pyflakes", they - we)):
                    for (path, name), _ in sorted(rest.items()):
                        found = [
                            line for at, line, kind, named in (mine | other) if (at, kind, named) == (path, code, name)
                        ]
                        print(f"    {title}: {code} {name} {path}:{found}")
    print(f"all: {total_lines} lines, {total_seconds:.2f} s, {dict(all_counts)}")
    for code, counter in agreement.items():
        if counter:
            print(f"    {code}: {dict(counter)}")


if __name__ == "__main__":
    main()
