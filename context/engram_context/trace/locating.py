"""Where the frames of a trace stand in a snapshot: on whatever machine it ran, whatever was edited since.

A frame names a file by a path of its own machine. The file of the project that ends alike is meant, the more parts of
the path agree the surer; what was installed, and what the language brings, is the project's only if all that follows
its folder agrees. The line is found by its code, first where the trace says, then in the function that it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from engram_context.records import KIND, SCOPE_KIND, FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text
from engram_context.trace.values import Frame, LocatedFrame, Sureness, Trace

_INSTALLED = re.compile(
    r"(?<![^/])(?:site-packages|dist-packages|node_modules|\.cargo/registry/src/[^/]+|pkg/mod|(?:go|golang)[\d.]*/src"
    r"|rustc/[0-9a-f]+|lib(?:64)?/python3\.\d+)/"
)
_NO_FILE = ("<", "node:", "internal/", "native ", "chrome://", "evalmachine.")
_FUNCTIONS = frozenset({SCOPE_KIND["function"]})
_DEFINITIONS = frozenset(KIND[kind] for kind in ("function", "method"))
_TEST_FOLDERS = frozenset({"test", "tests", "testing", "__tests__", "spec", "specs"})
_TEST_FILE = re.compile(r"test_.*|.*_tests?\.\w+|tests?\.py|conftest\.py|.*\.(?:test|spec)\.\w+|.*Tests?\.(?:java|kt)")
_ALIKE = 0.75
"""How alike two lines must be for one to be what became of the other."""
_COMPARED = 400
"""Lines of a function that are compared with one that is not there any more."""
_SPACES = re.compile(r"\s+")
_COMPILED = {".js": (".ts", ".tsx", ".jsx"), ".mjs": (".mts", ".ts"), ".pyc": (".py",)}


def located(snapshot: Snapshot, trace: Trace) -> tuple[LocatedFrame, ...]:
    """The frames of one trace, in its order, those outside the project too."""
    return Locator(snapshot).frames(trace)


def is_test(path: str) -> bool:
    """Whether a file is one of tests, by its name or its folders'."""
    *folders, name = path.split("/")
    return not _TEST_FOLDERS.isdisjoint(folders) or _TEST_FILE.fullmatch(name) is not None


def function_around(record: FileRecord, offset: int) -> int:
    """The row of the symbol of the innermost def that an offset is in, -1 for the module's own code."""
    scopes = record.scopes
    scope = record.scope_at(offset)
    while scope > 0:
        if scopes.kind[scope] in _FUNCTIONS and scopes.symbol[scope] >= 0:
            return scopes.symbol[scope]
        scope = scopes.parent[scope]
    # A def's head belongs to it, too.
    symbols = record.symbols
    best = -1
    for row in range(len(symbols)):
        is_around = symbols.kind[row] in _DEFINITIONS and symbols.body_start[row] <= offset < symbols.body_end[row]
        if is_around and (best < 0 or symbols.body_start[row] >= symbols.body_start[best]):
            best = row
    return best


class Locator:
    """Answers about one snapshot; keeps the names of its files."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._files: dict[str, list[str]] | None = None
        self._found: dict[tuple[str, str], list[str]] = {}
        self._lines: dict[str, list[str]] = {}

    def frames(self, trace: Trace) -> tuple[LocatedFrame, ...]:
        return tuple(map(self.frame, trace.frames))

    def frame(self, frame: Frame) -> LocatedFrame:
        """Where a frame stands; of several files that could be meant the one that has its code or its function."""
        best: LocatedFrame | None = None
        paths = self.paths(frame)
        for path in paths:
            found = self._in_file(frame, path)
            if found is not None and (best is None or _ORDER[found.sureness] < _ORDER[best.sureness]):
                best = found
        if best is None:
            return LocatedFrame(frame)
        if len(paths) > 1 and best.sureness in ("exact", "moved"):
            rivals = [self._in_file(frame, path) for path in paths if path != best.path]
            if any(one is not None and one.sureness == best.sureness for one in rivals):
                best = replace(best, sureness="likely")
        return best

    # --- files ----------------------------------------------------------------------------------------

    def paths(self, frame: Frame) -> list[str]:
        """The files of the project that a frame can mean, all equally likely; mostly one."""
        key = (frame.file, frame.module)
        if key not in self._found:
            self._found[key] = self._paths(frame)
        return self._found[key]

    def _paths(self, frame: Frame) -> list[str]:
        file = frame.file.replace("\\", "/").removeprefix("./")
        if not file or file.startswith(_NO_FILE):
            return []
        if file in self.snapshot.records:
            return [file]
        whole = False
        matches = list(_INSTALLED.finditer(file))
        if matches:
            file, whole = file[matches[-1].end() :], True
            if not matches[-1][0].strip("/").endswith(("-packages", "node_modules", "mod")):
                return []  # what the language brings is never the project's
        parts = [part for part in file.split("/") if part not in ("", ".", "..")]
        if not parts:
            return []
        if "/" not in file and frame.module and "." in frame.module:
            parts = [*frame.module.split(".")[:-1], parts[-1]]
        found = self._alike(parts)
        if not found:
            return []
        agreed = max(count for count, _ in found)
        best = [path for count, path in found if count == agreed]
        if (whole and agreed < len(parts)) or agreed < 1:
            return []
        if agreed == 1 and len(parts) > 1:
            # Only the name agrees: a file at the root, or one that has what the frame says.
            root = [path for path in best if "/" not in path]
            return root or [path for path in best if self._has(frame, path)][:4]
        return sorted(best, key=lambda path: (path.count("/"), path))[:8]

    def _alike(self, parts: Sequence[str]) -> list[tuple[int, str]]:
        """(how many parts agree at the end, path) of each file of that name."""
        if self._files is None:
            self._files = {}
            for path in self.snapshot.records:
                self._files.setdefault(path.rpartition("/")[2].casefold(), []).append(path)
        name = parts[-1]
        names = [name]
        stem, dot, ending = name.rpartition(".")
        names += [stem + other for other in _COMPILED.get(dot + ending, ())]
        for one in names:
            found = self._files.get(one.casefold(), ())
            exact = [path for path in found if path.rpartition("/")[2] == one]
            if exact or found:
                return [(_agreement(parts, path), path) for path in exact or found]
        return []

    def _has(self, frame: Frame, path: str) -> bool:
        """Whether a file has the function or the code that a frame names."""
        record = self.snapshot.record(path)
        if record is None:
            return False
        name = frame.function.rpartition(".")[2]
        if name and not name.startswith("<") and record.name_index(name) is not None:
            return not frame.code or frame.code in self._stripped(path)
        return bool(frame.code) and frame.code in self._stripped(path)

    # --- lines ----------------------------------------------------------------------------------------

    def _stripped(self, path: str) -> list[str]:
        if path not in self._lines:
            text = self.snapshot.text(path)
            self._lines[path] = [] if text is None else [line.strip() for line in _lines_of(text)]
        return self._lines[path]

    def _in_file(self, frame: Frame, path: str) -> LocatedFrame | None:
        text, record = self.snapshot.text(path), self.snapshot.record(path)
        if text is None or record is None:
            return None
        line, sureness = self._line(frame, path, text, record)
        span = code_span(text, line - 1)
        return LocatedFrame(
            frame, path, line, span, function_around(record, span.start), sureness, is_test(path)
        )  # fmt: skip

    def _line(self, frame: Frame, path: str, text: Text, record: FileRecord) -> tuple[int, Sureness]:
        lines = self._stripped(path)
        bodies = list(_bodies(frame, text, record))
        number = frame.line
        inside = [body for body in bodies if number - 1 in body]
        here = lines[number - 1] if 0 < number <= len(lines) else None
        if not frame.code:
            if here is not None and (inside or not bodies):
                return number, "line"
            return (bodies[0].start + 1, "file") if bodies else (min(max(number, 1), len(lines) or 1), "file")
        if here == frame.code and (inside or not bodies):
            return number, "exact"
        for places, is_own in ((bodies, True), ([range(len(lines))], False)):
            for same in (_equal, _equal_but_spaces):
                found = [at for body in places for at in body if at < len(lines) and same(lines[at], frame.code)]
                found = list(dict.fromkeys(found))
                if found:
                    nearest = min(found, key=lambda at: (abs(at + 1 - number), at))
                    sure: Sureness = "moved" if len(found) == 1 and (is_own or not bodies) else "likely"
                    if nearest + 1 == number and sure == "moved" and is_own:
                        sure = "exact" if same is _equal else "moved"
                    return nearest + 1, sure
        similar = self._similar(frame, lines, bodies)
        if similar is not None:
            return similar + 1, "likely"
        if here is not None and inside:
            return number, "line"
        return (bodies[0].start + 1, "file") if bodies else (min(max(number, 1), len(lines) or 1), "file")

    def _similar(self, frame: Frame, lines: Sequence[str], bodies: Sequence[range]) -> int | None:
        """The one line that is most like the frame's code, in its function or near its place."""
        near = range(max(frame.line - 40, 0), min(frame.line + 40, len(lines)))
        places = [at for body in bodies or [near] for at in body if at < len(lines) and lines[at]][:_COMPARED]
        matcher = SequenceMatcher(b=frame.code[:300], autojunk=False)
        scored: list[tuple[float, int]] = []
        for at in places:
            matcher.set_seq1(lines[at][:300])
            if matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE:
                ratio = matcher.ratio()
                if ratio >= _ALIKE:
                    scored.append((ratio, at))
        scored.sort(key=lambda one: (-one[0], abs(one[1] + 1 - frame.line)))
        if not scored or (len(scored) > 1 and scored[0][0] == scored[1][0]):
            return None
        return scored[0][1]


_ORDER: dict[Sureness, int] = {"exact": 0, "moved": 1, "likely": 2, "line": 3, "file": 4}


def code_span(text: Text, line: int) -> Span:
    """A line (from 0) without its margins."""
    span = text.line_span(line)
    data = text.data[span.start : span.end]
    start = span.start + len(data) - len(data.lstrip())
    return Span(start, max(start, span.end - (len(data) - len(data.rstrip()))))


def _lines_of(text: Text) -> Iterator[str]:
    for line in range(text.line_count):
        yield text.slice(text.line_span(line))


def _bodies(frame: Frame, text: Text, record: FileRecord) -> Iterator[range]:
    """The lines (from 0) of the defs that bear the name of a frame's function."""
    parts = [part for part in frame.function.split(".") if part != "<locals>"]
    if not parts or not parts[-1] or parts[-1].startswith("<"):
        return
    for rows in record.bound(parts[-1]).values():
        for row in rows:
            symbols = record.symbols
            if symbols.inner[row] >= 0 or symbols.kind[row] in _DEFINITIONS:
                first = text.line_of(symbols.body_start[row])
                yield range(first, text.line_of(max(symbols.body_end[row] - 1, 0)) + 1)


def _agreement(parts: Sequence[str], path: str) -> int:
    """How many parts of a path agree, from the end; at least its name does."""
    own = path.split("/")[:-1]
    count = 1
    for mine, theirs in zip(reversed(own), reversed(parts[:-1]), strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _equal(one: str, other: str) -> bool:
    return one == other


def _equal_but_spaces(one: str, other: str) -> bool:
    return len(one) < 1000 and _SPACES.sub("", one) == _SPACES.sub("", other)
