"""Where the demo asks: places in a project's own files, found by rules that know nothing of the project."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from pathlib import Path

from engram_context.disk.ignore import Ignore

LARGEST = 10  # modules that lines are taken from, in turn


@dataclass(frozen=True, slots=True)
class Spot:
    """A place inside a line that is already written: what stands before it is kept, the rest is asked for."""

    file: Path
    line: int
    column: int
    text: str  # of the whole file

    @property
    def written(self) -> str:
        return self.text.splitlines()[self.line]

    @property
    def rest(self) -> str:
        return self.written[self.column :]

    @property
    def word(self) -> str:
        """The name that the place is in or before, whole."""
        start = self.column
        while start and (self.written[start - 1].isalnum() or self.written[start - 1] == "_"):
            start -= 1
        return self.written[start : self.column] + _NAME.findall(self.rest)[0]

    @property
    def text_without_rest(self) -> str:
        lines = self.text.splitlines(keepends=True)
        ending = lines[self.line][len(self.written) :]
        lines[self.line] = self.written[: self.column] + ending
        return "".join(lines)


_NAME = re.compile(r"\A\w*")
# Lines that look like statements; docstrings and comments make poor examples.
_CODE = re.compile(r"""\s*(?![#"'.:*@-])(?=.*(?:\(|[ ]=[ ]|return[ ]))[\w].{14,}(?<!\.)\Z""")
_CUT = re.compile(r"[ .(=\[](?=[\w\"'(\[])")
_MEMBER = re.compile(r"(?<=\w)\.(?=[a-zA-Z_])")
_ARGUMENT = re.compile(r"(?<=\w)\([a-zA-Z_](?=\w)")


def modules(root: Path) -> list[Path]:
    """The Python files that the server reads too, largest first, tests last."""
    found = Ignore(root).walk(lambda path: path.endswith(".py"))
    return [root / path for path, _ in sorted(found, key=lambda item: ("test" in item[0], -item[1].size, item[0]))]


def read(file: Path) -> str:
    """A file's text; empty where it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def line_ends(root: Path, most: int) -> Iterator[Spot]:
    """Lines of code cut after their second word, or a dot or bracket near it: their ends are to be completed."""
    for spot in islice(_lines(root, every=9), most):
        cut = _CUT.search(spot.written, len(spot.written) - len(spot.written.lstrip()) + 6)
        if cut and len(spot.written) - cut.end() > 3:
            yield replace(spot, column=cut.end())


def names(root: Path, most: int) -> Iterator[Spot]:
    """After the dot of a member, and after the first letter of an argument, by turns."""
    wanted = (_MEMBER, _ARGUMENT)
    found = 0
    for spot in _lines(root, every=13):
        if found == most:
            return
        statement = spot.written.lstrip()
        cut = wanted[found % 2].search(spot.written)
        if cut and not statement.startswith(("import ", "from ", "def ", "class ")) and not _quoted(spot, cut.start()):
            found += 1
            yield replace(spot, column=cut.end())


def _quoted(spot: Spot, column: int) -> bool:
    before = spot.written[:column]
    return before.count('"') % 2 == 1 or before.count("'") % 2 == 1


def _lines(root: Path, every: int) -> Iterator[Spot]:
    """Every so-manieth line of code of the largest modules, one of each module in turn."""

    def of(file: Path) -> Iterable[Spot]:
        text = read(file)
        code = [number for number, line in enumerate(text.splitlines()) if _CODE.match(line)]
        return [Spot(file, number, 0, text) for number in code[every::every]]

    rounds = zip_longest(*(of(file) for file in modules(root)[:LARGEST]))
    return (spot for spot in chain.from_iterable(rounds) if spot is not None)


def misspelt(text: str) -> tuple[str, str] | None:
    """The first name of a from-import that is called further down, and the text with that one call misspelt."""
    for imported in re.finditer(r"^from [\w.]+ import (\w+)$", text, re.MULTILINE):
        name = imported[1]
        used = re.compile(rf"(?<![\w.]){name}(?=\()").search(text, imported.end())
        if used and len(name) > 3:
            return name, f"{text[: used.start()]}{name[:-1]}{name[-1] * 2}{text[used.end() :]}"
    return None
