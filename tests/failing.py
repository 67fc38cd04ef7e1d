"""Programs that fail, for tests of what is made of their traces."""

import subprocess
import sys
from pathlib import Path

from engram_context.snapshot import Snapshot
from engram_context.trace.parsing import parse
from engram_context.trace.suspects import suspects
from engram_context.trace.values import Suspect, Trace
from fixture import parse_fixture


class Failing:
    """A program with its tests, and what these print as they fail."""

    def __init__(self, root: Path, source: str) -> None:
        fixture = parse_fixture(source)
        for path, text in fixture.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        self.snapshot: Snapshot = fixture.snapshot()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root)]
        self.output = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8").stdout
        self.traces = parse(self.output)

    def trace(self, test: str) -> Trace:
        return next(one for one in self.traces if one.test.endswith(f"::{test}"))

    def of(self, trace: Trace) -> tuple[Suspect, ...]:
        return suspects(self.snapshot, trace)

    def suspects(self, test: str) -> tuple[Suspect, ...]:
        return self.of(self.trace(test))


def names(found: tuple[Suspect, ...]) -> list[str]:
    return [one.function for one in found]


def reasons(suspect: Suspect) -> set[str]:
    return {one.kind for one in suspect.reasons}
