"""Projects as one string: several files, with markers where a question is asked and where its answers are.

    -- app.py --
    from util import $1greet
    $2gr$0eet()
    -- util.py --
    def $3greet(): ...

`$0` is where the question is asked; `$1`, `$2`, ... are the starts of the answers, in any order. Text before
the first header belongs to "main.py". `$$` is a dollar sign.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from engram_context.languages import language_of
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Location, Place, Text

_HEADER = re.compile(r"^-- (\S+) --\n?", re.MULTILINE)
_MARKER = re.compile(r"\$(\$|\d+)")


@dataclass(frozen=True)
class Fixture:
    """`files` are texts without markers; `marks[n]` is where `$n` stood, as a byte offset."""

    files: dict[str, str]
    marks: dict[int, Place]

    @property
    def cursor(self) -> Place:
        return self.marks[0]

    @property
    def answers(self) -> tuple[Place, ...]:
        """The places of `$1` and up, sorted by path and offset."""
        return tuple(sorted(place for number, place in self.marks.items() if number))

    def text(self, path: str) -> Text | None:
        return Text.of(self.files[path]) if path in self.files else None

    def snapshot(self) -> Snapshot:
        return snapshot_of(self.files)


def parse_fixture(source: str) -> Fixture:
    """Raises ValueError when a marker stands twice or a number is left out."""
    source = textwrap.dedent(source).removeprefix("\n")
    parts = _HEADER.split(source)
    pairs = list(zip(parts[1::2], parts[2::2], strict=True))
    if parts[0].strip():
        pairs.insert(0, ("main.py", parts[0]))
    files: dict[str, str] = {}
    marks: dict[int, Place] = {}
    for path, content in pairs:
        if path in files:
            raise ValueError(f"{path} stands twice in the fixture")
        plain: list[str] = []
        size = at = 0
        for match in _MARKER.finditer(content):
            piece = content[at : match.start()] + ("$" if match[1] == "$" else "")
            plain.append(piece)
            size += len(piece.encode("utf-8", "surrogatepass"))
            at = match.end()
            if match[1] == "$":
                continue
            number = int(match[1])
            if number in marks:
                raise ValueError(f"${number} stands twice in the fixture")
            marks[number] = Place(path, size)
        plain.append(content[at:])
        files[path] = "".join(plain)
    answers = sorted(number for number in marks if number)
    if answers != list(range(1, len(answers) + 1)):
        raise ValueError(f"markers {answers} are not numbered from 1 without gaps")
    return Fixture(files, marks)


def snapshot_of(files: dict[str, str]) -> Snapshot:
    """A snapshot of texts by path, read from scratch."""
    texts = {path: Text.of(content) for path, content in files.items()}
    records = {path: read_record(text, language_of(path) or "text") for path, text in texts.items()}
    return Snapshot.empty(texts.get).after(records)


def starts(locations: tuple[Location, ...]) -> tuple[Place, ...]:
    """Where locations begin, sorted."""
    return tuple(sorted(Place(location.path, location.span.start) for location in locations))
