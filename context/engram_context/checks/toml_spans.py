"""Where the keys and values of a TOML text stand. What they mean is tomllib's to say, which knows no places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engram_context import toml
from engram_context.text import Span, Text

_KEY = re.compile(rb"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_SPACE = re.compile(rb"(?:[ \t\r\n]|#[^\n]*)*")
_INLINE = re.compile(rb"[ \t]*")
_STRING = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|' rb"'''(?:[^']|'(?!''))*'{3,5}|" rb'"(?:[^"\\\n]|\\.)*"|' rb"'[^'\n]*'",
    re.DOTALL,
)
_PLAIN = re.compile(rb"[^,\]\}\n#]*")
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Value:
    """`path`: the keys that lead to it, those of its table first. `items`: the strings of an array, each with the span
    of its literal."""

    path: tuple[str, ...]
    key: Span
    span: Span
    items: tuple[tuple[str, Span], ...] = ()


def values_of(text: Text) -> list[Value]:
    """All key/value pairs, those of inline tables too, in order. Empty for a text that is no TOML."""
    try:
        toml.parsed(text.decode())
    except (ValueError, RecursionError):
        return []
    try:
        return list(_Scan(text.data).pairs())
    except (_LostError, RecursionError):
        return []


class _LostError(Exception):
    pass


class _Scan:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def pairs(self) -> Iterator[Value]:
        table: tuple[str, ...] = ()
        while True:
            self._skip(_SPACE)
            if self.at >= len(self.data):
                return
            if self.data[self.at] == 0x5B:
                while self.data[self.at : self.at + 1] == b"[":
                    self.at += 1
                table = self._keys()
                while self.data[self.at : self.at + 1] == b"]":
                    self.at += 1
            else:
                yield from self._pair(table, 0)

    def _pair(self, table: tuple[str, ...], depth: int) -> Iterator[Value]:
        start = self.at
        path = (*table, *self._keys())
        key = Span(start, self.at)
        self._skip(_INLINE)
        self._expect(b"=")
        self._skip(_INLINE)
        yield from self._value(path, key, depth)

    def _value(self, path: tuple[str, ...], key: Span, depth: int) -> Iterator[Value]:
        if depth > _DEEPEST:
            raise _LostError
        start = self.at
        first = self.data[start : start + 1]
        if first in (b'"', b"'"):
            text, span = self._string()
            yield Value(path, key, span, ((text, span),))
        elif first == b"[":
            items: list[tuple[str, Span]] = []
            inner: list[Value] = []
            self.at += 1
            while True:
                self._skip(_SPACE)
                at = self.data[self.at : self.at + 1]
                if at == b"]":
                    break
                if at in (b'"', b"'"):
                    items.append(self._string())
                else:
                    inner.extend(self._value((*path, ""), key, depth + 1))
                self._skip(_SPACE)
                if self.data[self.at : self.at + 1] == b",":
                    self.at += 1
            self.at += 1
            yield Value(path, key, Span(start, self.at), tuple(items))
            yield from inner
        elif first == b"{":
            self.at += 1
            inner = []
            while True:
                self._skip(_SPACE)
                if self.data[self.at : self.at + 1] == b"}":
                    break
                inner.extend(self._pair(path, depth + 1))
                self._skip(_SPACE)
                if self.data[self.at : self.at + 1] == b",":
                    self.at += 1
            self.at += 1
            yield Value(path, key, Span(start, self.at))
            yield from inner
        else:
            self._skip(_PLAIN)
            if self.at == start:
                raise _LostError
            yield Value(path, key, Span(start, start + len(self.data[start : self.at].rstrip())))

    def _keys(self) -> tuple[str, ...]:
        found: list[str] = []
        while True:
            self._skip(_INLINE)
            match = _KEY.match(self.data, self.at)
            if match is None:
                raise _LostError
            found.append(match[0].decode("utf-8", "replace").strip("\"'"))
            self.at = match.end()
            after = _INLINE.match(self.data, self.at)
            end = self.at if after is None else after.end()
            if self.data[end : end + 1] != b".":
                return tuple(found)
            self.at = end + 1

    def _string(self) -> tuple[str, Span]:
        match = _STRING.match(self.data, self.at)
        if match is None:
            raise _LostError
        self.at = match.end()
        quote = 3 if match[0][:3] in (b'"""', b"'''") else 1
        return match[0][quote:-quote].decode("utf-8", "replace"), Span(match.start(), match.end())

    def _skip(self, what: re.Pattern[bytes]) -> None:
        match = what.match(self.data, self.at)
        if match is not None:
            self.at = match.end()

    def _expect(self, what: bytes) -> None:
        if self.data[self.at : self.at + 1] != what:
            raise _LostError
        self.at += 1
