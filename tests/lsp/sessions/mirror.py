"""The editor's side of an open document: text and positions as the protocol says, written as plainly as can be."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

Json = Any
Place = tuple[int, int]  # line, column in the client's unit


def width(character: str, unit: str) -> int:
    """How many columns a character takes."""
    if unit == "utf-8":
        return len(character.encode("utf-8", "surrogatepass"))
    return 2 if unit == "utf-16" and ord(character) > 0xFFFF else 1


def lines_of(text: str) -> list[tuple[int, int]]:
    """Where each line begins and where it ends before its line end."""
    lines: list[tuple[int, int]] = []
    start = at = 0
    while at < len(text):
        if text[at] in "\r\n":
            lines.append((start, at))
            at += 2 if text[at : at + 2] == "\r\n" else 1
            start = at
        else:
            at += 1
    return [*lines, (start, len(text))]


def index_of(text: str, place: Place, unit: str) -> int:
    """Where a position is: beyond a line means its end, inside a character its beginning."""
    lines, (line, column) = lines_of(text), place
    if line >= len(lines):
        return len(text)
    at, end = lines[line]
    while at < end and width(text[at], unit) <= column:
        column -= width(text[at], unit)
        at += 1
    return at


def place_of(text: str, index: int, unit: str) -> Place:
    lines = lines_of(text)
    line = max(number for number, (start, _) in enumerate(lines) if start <= index)
    start, end = lines[line]
    return line, sum(width(character, unit) for character in text[start : min(index, end)])


def as_sent(text: str) -> str:
    """What arrives of a text that is sent as JSON: two halves of a surrogate pair are one character then."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def place_in(position: Json) -> Place:
    return position["line"], position["character"]


def spliced(text: str, change: Json, unit: str) -> str:
    """The text after one content change."""
    new = as_sent(change["text"])
    if "range" not in change:
        return new
    start = index_of(text, place_in(change["range"]["start"]), unit)
    end = max(start, index_of(text, place_in(change["range"]["end"]), unit))
    return text[:start] + new + text[end:]


@dataclass(frozen=True)
class Mirror:
    """One version of an open document. `texts`: those of each version number it has had; None where several had it."""

    uri: str
    language: str
    version: int
    text: str
    texts: dict[int, str | None] = field(default_factory=dict)

    def after(self, changes: list[Json], version: int, unit: str) -> "Mirror":
        text = self.text
        for change in changes:
            text = spliced(text, change, unit)
        texts = {**self.texts, self.version: None if self.version in self.texts else self.text}
        if version in texts:
            texts[version] = None
        return replace(self, version=version, text=text, texts=texts)

    def of_version(self, version: int) -> str | None:
        """The text of a version, None where the number does not tell."""
        return self.texts.get(version, self.text if version == self.version else None)


def edited(text: str, edits: list[Json], unit: str) -> str:
    """The text after text edits that all speak of it as it is. Raises ValueError where they overlap or leave the text."""
    spans: list[tuple[int, int, str]] = []
    for edit in edits:
        places = [place_in(edit["range"][end]) for end in ("start", "end")]
        start, end = (index_of(text, place, unit) for place in places)
        if [place_of(text, index, unit) for index in (start, end)] != places or end < start:
            raise ValueError("an edit of something that is not there")
        spans.append((start, end, edit["newText"]))
    spans.sort(key=lambda span: span[:2])
    if any(before[1] > after[0] for before, after in pairwise(spans)):
        raise ValueError("edits overlap")
    for start, end, new in reversed(spans):
        text = text[:start] + new + text[end:]
    return text
