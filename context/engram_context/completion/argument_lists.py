"""Arguments as they stand in a text, finished or not: the call that a cursor is in, and the pieces between commas.

The text is read from a place known to be outside of strings, so that code the parser gives up on is understood too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from engram_context.records import SCOPE_KIND, FileRecord
from engram_context.text import Span, Text, decode

_STRINGS = rb'"(?:\\.|[^"\\\n])*"?|\'(?:\\.|[^\'\\\n])*\'?'
_PYTHON = re.compile(
    rb'(?s)(?P<silent>"""(?:\\.|[^\\])*?(?:"""|\Z)|\'\'\'(?:\\.|[^\\])*?(?:\'\'\'|\Z)|' + _STRINGS + rb"|\#[^\n]*)"
    rb"|(?P<mark>[()\[\]{},:])|(?P<lambda>\blambda\b)"
    rb"|(?P<statement>(?<=\n)[ \t]*(?:async[ \t]+def|def|class|return|import|with|while|try|raise|assert|del|pass"
    rb"|break|continue|global|nonlocal)\b)"
)
# Rust's lifetimes are no strings: a quotation mark opens one only when a character and another mark follow.
_BRACES = re.compile(
    rb'(?s)(?P<silent>"(?:\\.|[^"\\\n])*"?|\'(?:\\.|[^\'\\\n])\'|`(?:\\.|[^`\\])*`?|//[^\n]*|/\*.*?(?:\*/|\Z))'
    rb"|(?P<mark>[()\[\]{},:;])|(?P<lambda>(?!))|(?P<statement>(?!))"
)
_KEYWORD = re.compile(rb"([^\W\d][\w\x80-\xff]*)\s*=(?!=)")
_BLANK = re.compile(rb"(?:\s|\\\n|\#[^\n]*(?:\n|\Z))*")
_CLOSES = {b")": b"(", b"]": b"[", b"}": b"{"}
_CALLABLE = re.compile(rb"[\w\x80-\xff)\]>]\s*\Z")
_NO_CALLEE = re.compile(
    rb"(?<![\w.])(?:and|or|not|in|is|if|elif|else|while|for|return|yield|await|lambda|with|assert|del|raise|from|import"
    rb"|print|except|case|match|async|global|nonlocal)\s*\Z"
)
_DEFINES = re.compile(rb"(?<![\w.])(?:def|class|func|fn|function)\s+[\w\x80-\xff]+\s*(?:\[[^\n]*\])?\s*\Z")
_LOOK_BACK = 200_000
_FUNCTIONS = (SCOPE_KIND["function"], SCOPE_KIND["class"])


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands between two commas, white space and comments before it left out. `keyword` is its name in
    `name=value`, `stars` 1 for `*x` and 2 for `**x`."""

    span: Span
    keyword: str | None = None
    stars: int = 0

    @property
    def is_blank(self) -> bool:
        return not len(self.span)


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call whose arguments are being written. The cursor is in the last of the `pieces`."""

    opening: int
    pieces: tuple[Piece, ...]


@dataclass(slots=True)
class _Frame:
    """An open bracket, and where the pieces in it begin."""

    at: int
    bracket: bytes
    begins: list[int]
    lambdas: int = 0  # whose parameters go on: their commas separate nothing here
    has_statements: bool = False
    ends: list[int] = field(default_factory=list[int])


def open_calls(text: Text, record: FileRecord, offset: int) -> Iterator[OpenCall]:
    """The calls that an offset stands in the arguments of, innermost first. Definitions' parameters are none."""
    data, start = text.data, _safe_start(record, offset)
    for frame in reversed(_scan(data, start, offset, record.language)):
        if frame.has_statements:
            return
        if frame.bracket == b"(" and _is_call(data, frame.at):
            yield OpenCall(frame.at, tuple(_pieces(data, frame, offset)))


def split(data: bytes, span: Span, language: str = "python") -> tuple[Piece, ...]:
    """The arguments, or parameters, that stand in a span between two brackets; a comma at the end opens none."""
    frames = _scan(data, span.start, span.end, language, _Frame(span.start - 1, b"(", [span.start]))
    if not frames:
        return ()
    pieces = tuple(_pieces(data, frames[0], span.end))
    return pieces[:-1] if pieces and pieces[-1].is_blank else pieces


def _safe_start(record: FileRecord, offset: int) -> int:
    """A place before the offset that is in no string and no bracket: where a definition around it begins, or one
    before it ends."""
    best = max(offset - _LOOK_BACK, 0) if offset > _LOOK_BACK else 0
    scopes = record.scopes
    for kind, start, end in zip(scopes.kind, scopes.start, scopes.end, strict=True):
        if kind in _FUNCTIONS:
            if best < start <= offset:
                best = start
            if best < end < offset:
                best = end
    return best


def _scan(data: bytes, start: int, end: int, language: str, outer: _Frame | None = None) -> list[_Frame]:
    """The brackets that are open at `end`, outermost first; empty once `outer` was closed."""
    frames = [] if outer is None else [outer]
    for match in (_PYTHON if language == "python" else _BRACES).finditer(data, start, end):
        kind = match.lastgroup
        if kind == "silent":
            continue
        if kind == "lambda":
            if frames:
                frames[-1].lambdas += 1
        elif kind == "statement":
            if outer is None:
                frames.clear()  # nobody closed a bracket above, and what begins here is no part of it
        else:
            _mark(frames, match[0], match.start(), match.end())
            if outer is not None and not frames:
                return []
    return frames


def _mark(frames: list[_Frame], mark: bytes, at: int, behind: int) -> None:
    top = frames[-1] if frames else None
    if mark in b"([{":
        frames.append(_Frame(at, mark, [behind]))
    elif mark in b")]}":
        # A bracket that was never closed gives way to those around it.
        if any(frame.bracket == _CLOSES[mark] for frame in frames):
            while frames.pop().bracket != _CLOSES[mark]:
                pass
    elif top is None:
        return
    elif mark == b":" and top.lambdas:
        top.lambdas -= 1
    elif mark == b"," and not top.lambdas:
        top.ends.append(at)
        top.begins.append(behind)
    elif mark == b";":
        top.has_statements = True


def _is_call(data: bytes, at: int) -> bool:
    """Whether a bracket follows something that can be called."""
    low = max(at - 200, 0)
    return (
        _CALLABLE.search(data, low, at) is not None
        and _NO_CALLEE.search(data, low, at) is None
        and _DEFINES.search(data, low, at) is None
    )


def _pieces(data: bytes, frame: _Frame, end: int) -> Iterator[Piece]:
    for begin, stop in zip(frame.begins, [*frame.ends, end], strict=True):
        blank = _BLANK.match(data, begin, stop)
        start = blank.end() if blank is not None else begin
        keyword = _KEYWORD.match(data, start, stop)
        stars = 2 if data.startswith(b"**", start, stop) else int(data.startswith(b"*", start, stop))
        finish = start + len(data[start:stop].rstrip())
        yield Piece(Span(start, finish), decode(keyword[1]) if keyword else None, stars)
