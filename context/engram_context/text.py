"""One version of a file's text, and how its byte offsets become lines and columns.

Inside the project an offset counts UTF-8 bytes. Columns exist only at the edge, in the unit the
client negotiated. Lines end at ``\\n``, ``\\r\\n`` or a lone ``\\r``, as the protocol says.
"""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import re
import stat
import tokenize
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["utf-8", "utf-16", "utf-32"]

READ_LIMIT = 2 * 1024 * 1024
"""Files above this many bytes are left alone unless the caller says otherwise."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Bytes ``start <= offset < end`` of one text."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def touches(self, offset: int) -> bool:
        """Whether a cursor at ``offset`` is on the span, its right edge included."""
        return self.start <= offset <= self.end

    def contains(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An offset in a file of the project."""

    path: str
    offset: int


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A span in a file of the project."""

    path: str
    span: Span


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file's text cannot be had."""

    reason: str


@dataclass(frozen=True, eq=False)
class Text:
    """One version of a text: UTF-8 bytes (lone surrogates allowed) with the start of each line.

    Equality and hash are those of the bytes.
    """

    data: bytes
    starts: NDArray[np.int64] = field(repr=False)

    @staticmethod
    def of(source: str | bytes) -> Text:
        data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else bytes(source)
        return Text(data, _line_starts(data))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def digest(self) -> bytes:
        """BLAKE2b of the bytes, 16 bytes long: what says that a record is of this very text."""
        return digest_of(self.data)

    def splice(self, start: int, end: int, new: bytes) -> Text:
        """The text with ``start..end`` replaced; offsets outside the text are clamped."""
        size = len(self.data)
        start = min(max(start, 0), size)
        end = min(max(end, start), size)
        data = b"".join((self.data[:start], new, self.data[end:]))
        # A line start depends on the byte before it and the byte at it (\r then \n is one end), so
        # starts below `start` and above `end` stand; those in between are looked for again.
        old = self.starts
        kept = old[: max(int(np.searchsorted(old, start, "left")), 1)]
        moved = old[int(np.searchsorted(old, end, "right")) :] + (len(new) - (end - start))
        found = [
            at
            for match in _LINE_END.finditer(data, max(start - 1, 0), start + len(new))
            if (at := match.end()) >= start
            and at > int(kept[-1])
            and not (data[at - 1 : at] == b"\r" and data[at : at + 1] == b"\n")
        ]
        return Text(data, np.concatenate((kept, np.array(found, dtype=np.int64), moved)))

    # --- lines -------------------------------------------------------------------------------------

    @property
    def line_count(self) -> int:
        """At least 1; a final line end opens one more, empty, line."""
        return len(self.starts)

    def line_start(self, line: int) -> int:
        """Where a line begins; past the last line, the end of the text."""
        if line < 0:
            return 0
        return int(self.starts[line]) if line < len(self.starts) else len(self.data)

    def line_of(self, offset: int) -> int:
        return max(int(np.searchsorted(self.starts, offset, "right")) - 1, 0)

    def line_span(self, line: int) -> Span:
        """A line without its line end."""
        start = self.line_start(line)
        end = self.line_start(line + 1)
        if end > start and self.data[end - 1] == 0x0A:
            end -= 1
        if end > start and self.data[end - 1] == 0x0D:
            end -= 1
        return Span(start, end)

    # --- columns -----------------------------------------------------------------------------------

    def offset(self, line: int, column: int, unit: Unit = "utf-16") -> int:
        """The byte offset of a position.

        A column past the line's end means its end, a line past the last means the end of the text,
        and a column inside a character means that character's start.
        """
        if line >= self.line_count:
            return len(self.data)
        span = self.line_span(max(line, 0))
        column = max(column, 0)
        if line < 0:
            return 0
        content = self.data[span.start : span.end]
        if unit == "utf-8" or content.isascii():
            return _character_start(self.data, span.start + min(column, len(content)), span.start)
        units = 0
        at = 0
        while at < len(content):
            width, count = _width(content[at], unit)
            if units + count > column:
                break
            units += count
            at += width
        return span.start + min(at, len(content))

    def position(self, offset: int, unit: Unit = "utf-16") -> tuple[int, int]:
        """The (line, column) of an offset, clamped to the text and to the line without its end."""
        offset = min(max(offset, 0), len(self.data))
        line = self.line_of(offset)
        span = self.line_span(line)
        offset = _character_start(self.data, min(offset, span.end), span.start)
        before = self.data[span.start : offset]
        if unit == "utf-8" or before.isascii():
            return line, len(before)
        # Every character has one byte that is no continuation; those outside the BMP lead with >= F0.
        column = sum((byte & 0xC0) != 0x80 for byte in before)
        if unit == "utf-16":
            column += sum(byte >= 0xF0 for byte in before)
        return line, column

    def positions(
        self, offsets: NDArray[np.int64], unit: Unit = "utf-16"
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`position` of many offsets at once: (lines, columns), each shaped like `offsets`. They must be starts of
        characters, within their lines."""
        lines = np.maximum(np.searchsorted(self.starts, offsets, "right") - 1, 0)
        starts = self.starts[lines]
        if unit == "utf-8" or self.data.isascii():
            return lines, offsets - starts
        # Bytes that only go on with a character count for nothing, those that begin one outside the BMP for two.
        view = np.frombuffer(self.data, np.uint8)
        columns = offsets - starts - _number_between(np.flatnonzero((view & 0xC0) == 0x80), starts, offsets)
        if unit == "utf-16":
            columns += _number_between(np.flatnonzero(view >= 0xF0), starts, offsets)
        return lines, columns

    # --- contents ----------------------------------------------------------------------------------

    def slice(self, span: Span) -> str:
        return decode(self.data[span.start : span.end])

    def decode(self) -> str:
        return decode(self.data)


def digest_of(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def decode(data: bytes) -> str:
    """UTF-8 to str; lone surrogates survive, other broken bytes become U+FFFD."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def read_text(path: Path, limit: int = READ_LIMIT) -> Text | Unreadable:
    """The text of a file on disk: UTF-8, else what a PEP 263 cookie names. A BOM is left out.

    Never raises: a file that is missing, too large, binary or of no known encoding is Unreadable.
    """
    try:
        data = read_bytes(path, limit + 1)
    except (OSError, ValueError) as error:
        return Unreadable(getattr(error, "strerror", None) or str(error))
    if len(data) > limit:
        return Unreadable(f"larger than the limit of {limit:,} bytes")
    return text_of_file(data)


def text_of_file(data: bytes) -> Text | Unreadable:
    """The text of a file that has these bytes; see `read_text`."""
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Unreadable("UTF-16, and source files are UTF-8")
    if b"\0" in data:
        return Unreadable("binary (it contains a zero byte)")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _by_cookie(data)
    return Text.of(data)


def read_bytes(path: Path, most: int) -> bytes:
    """The first `most` bytes of a file. Raises OSError for what is no regular file."""
    with open_regular(path) as file:
        return file.read(most)


@contextmanager
def open_regular(path: Path) -> Generator[BinaryIO]:
    """A file to read. Raises OSError for what is no regular file: opening a pipe would wait for somebody who writes,
    and a device may never end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _by_cookie(data: bytes) -> Text | Unreadable:
    lines = iter(data.splitlines(keepends=True)[:2])
    try:
        encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
        source = data.decode(encoding)
    except (SyntaxError, LookupError, UnicodeError, ValueError):
        return Unreadable("not UTF-8, and no encoding comment says what else it is")
    return Text.of(source)


def _line_starts(data: bytes) -> NDArray[np.int64]:
    """(lines,) int64 byte offsets, the first one 0."""
    view = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(view == 0x0A)
    if b"\r" in data:
        returns = np.flatnonzero(view == 0x0D)
        following = view[np.minimum(returns + 1, len(view) - 1)]
        ends = np.union1d(ends, returns[following != 0x0A])
    return np.concatenate((np.zeros(1, dtype=np.int64), ends.astype(np.int64) + 1))


def _number_between(places: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of some places lie in ``low <= place < high``, for each low and high."""
    return np.searchsorted(places, high) - np.searchsorted(places, low)


def _character_start(data: bytes, offset: int, low: int) -> int:
    while offset > low and offset < len(data) and (data[offset] & 0xC0) == 0x80:
        offset -= 1
    return offset


def _width(lead: int, unit: Unit) -> tuple[int, int]:
    """(bytes, columns) of the character that a byte begins."""
    if lead < 0x80:
        return 1, 1
    if lead < 0xE0:
        return 2, 1
    if lead < 0xF0:
        return 3, 1
    return 4, 2 if unit == "utf-16" else 1
