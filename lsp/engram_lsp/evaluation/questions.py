"""Where completions are asked for: holes in the files of a repository, drawn by a seed.

A hole is a text that was taken out of a file; a good completion says it again. Drawn are code lines only (no blank
lines, comments, docstrings), long files more often than short ones, in proportion to their length.
"""

import io
import keyword
import re
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from engram_runtime.train.questions import code_lines

from engram_lsp.evaluation.repositories import Repository

Kind = Literal["start", "middle", "word", "inside"]
"""Where the cursor of a line is: right after the indentation; before a later word or sign; within a name; or before
a part of the line whose rest stands on the right. Of the others the whole rest of the line is hidden."""

_LEAST_WORD = 4
_NAME = re.compile(r"[^\W\d]\w*")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Hole:
    """A file of a repository less `hidden`, which stood between `before` and `after`. `offset`, UTF-8 bytes."""

    path: str
    before: str
    hidden: str
    after: str
    kind: Kind = "middle"

    @property
    def line_before(self) -> str:
        """The cursor's line up to the cursor."""
        return self.before.rpartition("\n")[2]

    @property
    def line_after(self) -> str:
        """The cursor's line from the cursor on."""
        return self.after.partition("\n")[0]


@dataclass(frozen=True)
class _File:
    path: str
    text: str
    allowed: frozenset[int] | None

    @cached_property
    def code(self) -> list[int]:
        """Its lines that may be asked about."""
        found = code_lines(self.text)
        return sorted(found if self.allowed is None else found & self.allowed)

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins, in characters."""
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    @cached_property
    def names(self) -> dict[int, list[tuple[int, str]]]:
        """By line, the columns of names that are no keywords, and those names."""
        found: dict[int, list[tuple[int, str]]] = {}
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                found.setdefault(token.start[0] - 1, []).append((token.start[1], token.string))
        return found

    def line(self, number: int) -> str:
        return self.text[self.starts[number] :].partition("\n")[0]

    def hole(self, start: int, end: int, kind: Kind) -> Hole | None:
        """The characters `start` to `end` taken out, if there is anything to say there."""
        hidden = self.text[start:end].rstrip()
        if not hidden.strip():
            return None
        # Blanks at a line's end are nobody's wish: they go with the hidden text, unasked.
        return Hole(self.path, self.text[:start], hidden, self.text[end:], kind)


class Questions:
    """Draws holes in one repository. Equal seeds give equal holes, whatever else is drawn."""

    def __init__(self, repository: Repository, seed: int = 0) -> None:
        self._files = [_File(path, text, repository.lines.get(path)) for path, text in repository.files]
        if repository.lines:
            self._files = [file for file in self._files if file.path in repository.lines]
        self._seed = seed

    def lines(self, count: int, kind: Kind) -> list[Hole]:
        """At most `count` holes in lines, the cursor standing as `kind` says."""
        find: dict[Kind, Callable[[_File, int, np.random.Generator], Hole | None]] = {
            "start": _at_start,
            "middle": _in_middle,
            "word": _in_word,
            "inside": _inside,
        }
        return self._drawn(count, find[kind], list(find).index(kind))

    def names(self, count: int) -> list[Hole]:
        """At most `count` holes that begin with a name that is no keyword, up to the end of its line; `hidden` is the
        name alone."""
        return self._drawn(count, _name, 10)

    def stretches(self, count: int, lines: int) -> list[Hole]:
        """At most `count` holes of `lines` whole lines (fewer at a file's end), the first one's indentation left."""

        def stretch(file: _File, number: int, _: np.random.Generator) -> Hole | None:
            line = file.line(number)
            start = file.starts[number] + len(line) - len(line.lstrip())
            last = min(number + lines, len(file.starts))
            end = file.starts[last] - 1 if last < len(file.starts) else len(file.text)
            return file.hole(start, end, "start")

        return self._drawn(count, stretch, 20)

    def _drawn(
        self, count: int, find: Callable[[_File, int, np.random.Generator], Hole | None], stream: int
    ) -> list[Hole]:
        random = np.random.default_rng([self._seed, stream])
        lengths = np.array([len(file.text) for file in self._files], np.float64)
        found: dict[tuple[str, int], Hole] = {}
        for number in random.choice(len(self._files), size=20 * count, p=lengths / lengths.sum()).tolist():
            if len(found) == count:
                break
            file = self._files[number]
            if file.code and (hole := find(file, int(random.choice(file.code)), random)) is not None:
                found.setdefault((hole.path, len(hole.before)), hole)
        return list(found.values())


def _at_start(file: _File, number: int, _: np.random.Generator) -> Hole | None:
    line = file.line(number)
    start = file.starts[number]
    return file.hole(start + len(line) - len(line.lstrip()), start + len(line), "start")


def _in_middle(file: _File, number: int, random: np.random.Generator) -> Hole | None:
    line, start = file.line(number), file.starts[number]
    places = _later_starts(line)
    return file.hole(start + int(random.choice(places)), start + len(line), "middle") if places else None


def _in_word(file: _File, number: int, random: np.random.Generator) -> Hole | None:
    line, start = file.line(number), file.starts[number]
    words = [match for match in _NAME.finditer(line) if len(match[0]) >= _LEAST_WORD]
    if not words:
        return None
    word = words[int(random.integers(len(words)))]
    place = word.start() + int(random.integers(1, len(word[0])))
    return file.hole(start + place, start + len(line), "word")


def _inside(file: _File, number: int, random: np.random.Generator) -> Hole | None:
    """What stands from a word to the end of the brackets around it."""
    line, start = file.line(number), file.starts[number]
    places = [(place, end) for place in _later_starts(line) if (end := _closer_of(line, place)) > place]
    if not places:
        return None
    place, end = places[int(random.integers(len(places)))]
    return file.hole(start + place, start + end, "inside")


def _later_starts(line: str) -> list[int]:
    """Columns behind the first word of a line where a name, a number or a sign begins."""
    first = len(line) - len(line.lstrip())
    return [
        column
        for column in range(first + 1, len(line))
        if not line[column].isspace() and not (_in_a_word(line[column]) and _in_a_word(line[column - 1]))
    ]


def _in_a_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _closer_of(line: str, place: int) -> int:
    """The column of the bracket that closes those around `place` on this line; -1 where there is none."""
    depth = 0
    for column in range(place, len(line)):
        if line[column] in _OPENING:
            depth += 1
        elif line[column] in _CLOSING:
            if not depth:
                return column
            depth -= 1
    return -1


def _name(file: _File, number: int, random: np.random.Generator) -> Hole | None:
    """A name on the line, by Python's own reading of the file: none in strings and comments."""
    places = file.names.get(number)
    if not places:
        return None
    column, name = places[int(random.integers(len(places)))]
    line, start = file.line(number), file.starts[number]
    return Hole(file.path, file.text[: start + column], name, file.text[start + len(line) :])


def names_of(text: str) -> list[str]:
    """The names in a piece of code, keywords left out, in order; those in strings and comments, too."""
    return [name for name in _NAME.findall(text) if not keyword.iskeyword(name)]
