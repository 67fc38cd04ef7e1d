"""File records as bytes: a header, the texts, every column as it lies in memory, and a checksum.

The names stand first and each between zero bytes, so that whether a file mentions a name can be seen from the bytes.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Collection
from functools import partial
from typing import Final

from engram_context.records import TABLES, FileRecord, LazyRecord, SyntaxProblem, tables_of
from engram_context.text import Span
from engram_context.views.symbols import defined_names, defined_rows

_MAGIC: Final = b"engram-record-9\n"
"""Raise the number whenever the layout changes, or what a reader puts into it: stored records are then read anew."""
# size, lines; counts of names, strings, exports (-1: no __all__), errors; the bytes each takes
_HEADER: Final = struct.Struct("<IIIIiIIIIII")
_NAMES_AT: Final = len(_MAGIC) + 32 + _HEADER.size


def encode(record: FileRecord) -> bytes:
    """A self-contained form for the store and for other processes (same machine, same version)."""
    language = record.language.encode()[:16].ljust(16, b"\0")
    strings = record.occurrences.strings
    exports = () if record.exports is None else record.exports
    texts = (
        "\0".join(part) for part in (record.names, strings, exports, [e.message for e in record.errors], [record.doc])
    )
    blobs = [text.encode("utf-8", "surrogatepass") for text in texts]
    blobs[0] = b"\0%b\0" % blobs[0]
    spans = array("I", [edge for error in record.errors for edge in (error.span.start, error.span.end)])
    columns = [record.occurrences.pool, spans, array("I", defined_rows(record))]
    for table in record.tables():
        columns.extend(table.columns)
    counts = (len(record.names), len(strings), -1 if record.exports is None else len(exports), len(record.errors))
    parts = [_MAGIC, record.digest.ljust(16, b"\0"), language]
    parts.append(_HEADER.pack(record.size, record.line_count, *counts, *map(len, blobs)))
    parts.extend(blobs)
    parts.append(b"".join(column.typecode.encode() for column in columns))
    parts.append(array("I", map(len, columns)).tobytes())
    parts.extend(column.tobytes() for column in columns)
    data = b"".join(parts)
    return data + zlib.crc32(data).to_bytes(4, "little")


def decode(data: bytes, *, checked: bool = False) -> LazyRecord:
    """The record that `encode` wrote; its tables are made when they are asked for. Raises ValueError on anything
    else, unless that was `checked` before."""
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("not a file record of this version")
    if not checked and zlib.crc32(memoryview(data)[:-4]).to_bytes(4, "little") != data[-4:]:
        raise ValueError("a damaged file record")
    at = len(_MAGIC)
    language = data[at + 16 : at + 32].rstrip(b"\0").decode()
    size, line_count = _HEADER.unpack_from(data, at + 32)[:2]
    return LazyRecord(
        partial(_decoded, data), digest=data[at : at + 16], language=language, size=size, line_count=line_count
    )


def mentions(data: bytes, name: bytes) -> bool:
    """Whether the file of an encoded record mentions a name (UTF-8)."""
    return data.find(b"\0%b\0" % name, _NAMES_AT, _NAMES_AT + _lengths(data)[0]) >= 0


def names_of(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that the file of an encoded record mentions, and those of them that it defines (as `defined_names`
    does)."""
    lengths = _lengths(data)
    end = _NAMES_AT + lengths[0]
    names = tuple(map(sys.intern, str(data[_NAMES_AT + 1 : end - 1], "utf-8", "surrogatepass").split("\0")))
    at = _NAMES_AT + sum(lengths)
    count = 3 + sum(len(table.column_names()) for table in TABLES)
    codes = data[at : at + 3]
    sizes = array("I", data[at + count : at + count + 12])
    start = (
        at + 5 * count + sum(size * array(chr(code)).itemsize for size, code in zip(sizes[:2], codes[:2], strict=True))
    )
    defined = array("I", data[start : start + 4 * sizes[2]])
    return names if end - _NAMES_AT > 2 else (), tuple(names[number] for number in defined)


def names_in(record: FileRecord) -> tuple[tuple[str, ...], Collection[str]]:
    """What `names_of` says of a record, which is decoded for it only when it was not stored."""
    make = vars(record).get("_make")
    if isinstance(make, partial) and make.func is _decoded:
        return names_of(make.args[0])
    return record.names, defined_names(record)


def _lengths(data: bytes) -> tuple[int, ...]:
    """The bytes that names, strings, exports, messages and doc take."""
    return _HEADER.unpack_from(data, len(_MAGIC) + 32)[6:]


def _decoded(data: bytes) -> FileRecord:
    try:
        return _record_of(memoryview(data)[:-4])
    except (struct.error, IndexError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"not a file record: {error}") from None


def _record_of(data: memoryview) -> FileRecord:
    at = len(_MAGIC)
    digest = bytes(data[at : at + 16])
    language = bytes(data[at + 16 : at + 32]).rstrip(b"\0").decode()
    at += 32
    size, line_count, *rest = _HEADER.unpack_from(data, at)
    at += _HEADER.size
    lists: list[tuple[str, ...]] = []
    for count, length in zip((*rest[:4], 1), rest[4:], strict=True):
        if at + length > len(data):
            raise ValueError("a file record that is cut short")
        text = str(data[at : at + length], "utf-8", "surrogatepass")
        text = text if lists else text[1:-1]
        at += length
        parts = tuple(text.split("\0")) if count > 0 else ()
        if len(parts) != max(count, 0):
            raise ValueError("a damaged file record")
        lists.append(parts)
    shapes = [len(table.column_names()) for table in TABLES]
    total = 3 + sum(shapes)
    codes = bytes(data[at : at + total]).decode("ascii")
    at += total
    lengths = array("I")
    lengths.frombytes(data[at : at + 4 * total])
    at += 4 * total
    columns: list[array[int]] = []
    for code, length in zip(codes, lengths, strict=True):
        if code not in "BHIbhi":
            raise ValueError("a damaged file record")
        column = array(code)
        end = at + length * column.itemsize
        if end > len(data):
            raise ValueError("a file record that is cut short")
        column.frombytes(data[at:end])
        at = end
        columns.append(column)
    if at != len(data):
        raise ValueError("a file record with something behind it")
    names = tuple(map(sys.intern, lists[0]))
    strings, messages = lists[1], lists[3]
    edges = columns[1]
    spans = [Span(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]
    errors = tuple(SyntaxProblem(span, message) for span, message in zip(spans, messages, strict=True))
    exports = None if rest[2] < 0 else lists[2]
    tables = tables_of(names, strings, columns[0], columns[3:])
    return FileRecord(digest, language, size, line_count, names, errors, exports, lists[4][0], *tables)
