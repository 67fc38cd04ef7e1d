"""File records as bytes: a header, the texts, then every column as it lies in memory."""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Final

from engram_context.records import TABLES, FileRecord, SyntaxProblem, tables_of
from engram_context.text import Span

_MAGIC: Final = b"engram-record-3\n"
"""Raise the number whenever the layout changes, or what a reader puts into it: stored records are then read anew."""
# size, lines; counts of names, strings, exports (-1: no __all__), errors; the bytes each takes
_HEADER: Final = struct.Struct("<IIIIiIIIIII")


def encode(record: FileRecord) -> bytes:
    """A self-contained form for the store and for other processes (same machine, same version)."""
    language = record.language.encode()[:16].ljust(16, b"\0")
    strings = record.occurrences.strings
    exports = () if record.exports is None else record.exports
    texts = (
        "\0".join(part) for part in (record.names, strings, exports, [e.message for e in record.errors], [record.doc])
    )
    blobs = [text.encode("utf-8", "surrogatepass") for text in texts]
    spans = array("I", [edge for error in record.errors for edge in (error.span.start, error.span.end)])
    columns = [record.occurrences.pool, spans]
    for table in record.tables():
        columns.extend(table.columns)
    counts = (len(record.names), len(strings), -1 if record.exports is None else len(exports), len(record.errors))
    parts = [_MAGIC, record.digest.ljust(16, b"\0"), language]
    parts.append(_HEADER.pack(record.size, record.line_count, *counts, *map(len, blobs)))
    parts.extend(blobs)
    parts.append(b"".join(column.typecode.encode() for column in columns))
    parts.append(array("I", map(len, columns)).tobytes())
    parts.extend(column.tobytes() for column in columns)
    return b"".join(parts)


def decode(data: bytes) -> FileRecord:
    """The record that `encode` wrote. Raises ValueError on anything else."""
    try:
        return _record_of(memoryview(data))
    except (struct.error, IndexError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"not a file record: {error}") from None


def _record_of(data: memoryview) -> FileRecord:
    at = len(_MAGIC)
    if bytes(data[:at]) != _MAGIC:
        raise ValueError("not a file record of this version")
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
        at += length
        parts = tuple(text.split("\0")) if count > 0 else ()
        if len(parts) != max(count, 0):
            raise ValueError("a damaged file record")
        lists.append(parts)
    shapes = [len(table.column_names()) for table in TABLES]
    total = 2 + sum(shapes)
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
    tables = tables_of(names, strings, columns[0], columns[2:])
    return FileRecord(digest, language, size, line_count, names, errors, exports, lists[4][0], *tables)
