"""Between the protocol's URIs and positions and our paths and UTF-8 offsets: the only place that knows both.

A client may spell one file in many ways (`file:///C%3A/a.py`, `file:///c:/a.py`). Documents are therefore known by
`key_of(uri)`, and answers about an open document carry the spelling its client used.
"""

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
from engram_context.disk.casing import ignores_case
from engram_context.edits import Edit
from engram_context.text import Span, Text, Unit
from lsprotocol import types

WINDOWS = os.name == "nt"
MAC = sys.platform == "darwin"
_DRIVE = re.compile(r"/?([A-Za-z]):(?=[/\\]|\Z)")


def file_name(uri: str, *, windows: bool = WINDOWS) -> str | None:
    """The file system name that a `file:` URI means, None for other schemes.

    Bytes that are not UTF-8 survive as surrogate escapes, as Python's file functions want them. On Windows the drive
    letter is upper case and a host becomes a UNC share.
    """
    # urlsplit would cut at an unescaped '?' or '#', which clients do leave in file names.
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() != "file":
        return None
    host = ""
    if rest.startswith("//"):
        host, slash, tail = rest[2:].partition("/")
        rest = slash + tail
    name = unquote(rest, errors="surrogateescape")
    host = unquote(host)
    if not name or "\0" in name:
        return None
    if not windows:
        return name
    if host and host.lower() != "localhost":
        return rf"\\{host}" + name.replace("/", "\\")
    if drive := _DRIVE.match(name):
        name = f"{drive[1].upper()}:" + (name[drive.end() :] or "\\")
    return name.replace("/", "\\")


def file_uri(name: str, *, windows: bool = WINDOWS) -> str:
    """The `file:` URI of an absolute file system name."""
    host = ""
    if windows:
        name = name.replace("\\", "/")
        if name.startswith("//"):
            host, slash, tail = name[2:].partition("/")
            name = slash + tail
        elif drive := _DRIVE.match(name):
            name = f"/{drive[1].lower()}:" + name[drive.end() :]
    return f"file://{host}" + quote(name.encode("utf-8", "surrogateescape"), safe="/~!$&'()*+,;=@-._")


def path_of(uri: str) -> Path | None:
    """The normalised path of a `file:` URI; None for buffers that are no files (`untitled:`, `git:`...)."""
    name = file_name(uri)
    return None if name is None else Path(os.path.normpath(name))


def uri_of(path: Path) -> str:
    return file_uri(str(path))


def key_of(uri: str) -> str:
    """What two spellings of one document have in common."""
    path = path_of(uri)
    if path is None:
        return uri
    name = os.path.normcase(str(path))
    return unicodedata.normalize("NFC", name).casefold() if MAC and _ignores_case(path.parent) else name


@lru_cache(256)
def _ignores_case(folder: Path) -> bool:
    return ignores_case(folder)


# Positions


def position(text: Text, offset: int, unit: Unit) -> types.Position:
    line, column = text.position(offset, unit)
    return types.Position(line, column)


def offset(text: Text, position: types.Position, unit: Unit) -> int:
    """The offset of a position, clamped to its line and to the text."""
    return text.offset(position.line, position.character, unit)


def range_of(text: Text, span: Span, unit: Unit) -> types.Range:
    return types.Range(position(text, span.start, unit), position(text, span.end, unit))


def ranges_of(text: Text, spans: Sequence[Span], unit: Unit) -> list[types.Range]:
    """`range_of` of many spans. They are those of names: they begin and end between characters."""
    if len(spans) < 4 or any(span.end > len(text) for span in spans):
        return [range_of(text, span, unit) for span in spans]
    edges = np.array([edge for span in spans for edge in (span.start, span.end)], np.int64)
    lines, columns = text.positions(edges, unit)
    places = [types.Position(*place) for place in zip(lines.tolist(), columns.tolist(), strict=True)]
    return [types.Range(start, end) for start, end in zip(places[::2], places[1::2], strict=True)]


def span_of(text: Text, range: types.Range, unit: Unit) -> Span:
    """The span of a range; one that ends before it starts is empty."""
    start = offset(text, range.start, unit)
    return Span(start, max(start, offset(text, range.end, unit)))


def text_edits(text: Text, edits: Iterable[Edit], unit: Unit) -> list[types.TextEdit]:
    return [types.TextEdit(range_of(text, edit.span, unit), edit.new_text) for edit in edits]
