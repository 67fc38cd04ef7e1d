"""How operators, numbers and negations are written in some texts, to find the ones that are written otherwise."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engram_context.text import Span

_TOKEN = re.compile(
    rb"(?P<text>[rbfuRBFU]{0,2}(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))"
    rb"|#[^\n]*|(?P<token>is\s+not\b|not\s+in\b|[A-Za-z_\x80-\xff][\w\x80-\xff]*|\d[\w.]*|[<>=!]=|//|\*\*|->|:=|[^\s\w]|\n)"
)
_COMPARED = frozenset((b"<", b">", b"<=", b">=", b"==", b"!=", b"is", b"is not", b"in", b"not in", b"and", b"or"))
_NEGATED = frozenset((b"if", b"elif", b"while", b"and", b"or", b"return"))
"""Behind these a `not` can stand or be left out."""
_WIDTHS = ((4, 4), (3, 3), (2, 3), (3, 2), (2, 2), (4, 0), (0, 4))
"""Tokens to the left and to the right of a place that have to be the same in another."""
_LEAST = 0.1

_Key = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Odd:
    """A place that is written otherwise elsewhere. `amount`, up to 1: the more places say so, and the more of what
    stands around them agrees, the higher."""

    span: Span
    amount: float


@dataclass(frozen=True, slots=True)
class _Place:
    span: Span
    way: bytes
    around: tuple[_Key, ...]


class Written:
    def __init__(self, texts: Mapping[str, bytes]) -> None:
        """`texts`: by path, sources in Python."""
        self._ways: dict[_Key, Counter[bytes]] = defaultdict(Counter)
        self._places = {path: list(_places(text)) for path, text in texts.items()}
        for places in self._places.values():
            for place in places:
                for key in place.around:
                    self._ways[key][place.way] += 1

    def odd(self, path: str, span: Span) -> Iterator[Odd]:
        """The places in a span that are written in another way more often than in this one."""
        places = self._places.get(path, [])
        for at in range(bisect_left(places, span.start, key=lambda one: one.span.start), len(places)):
            place = places[at]
            if place.span.start >= span.end:
                return
            best = 0.0
            for key in place.around:
                ways = self._ways[key]
                same = ways[place.way] - 1
                others = ways.total() - ways[place.way]
                if others > same:
                    best = max(best, (len(key) - 1) / 16 * math.log((others + 1) / (same + 1)))
            if best > _LEAST:
                yield Odd(place.span, min(best, 1.0))


def _places(text: bytes) -> Iterator[_Place]:
    """The places of a text that can be written otherwise, in its order."""
    tokens: list[bytes] = []
    spans: list[Span] = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "text":
            tokens.append(match[0][:40])
        elif match.lastgroup == "token":
            tokens.append(b" ".join(match[0].split()) or b"\n")
        else:
            continue
        spans.append(Span(*match.span()))
    for at, token in enumerate(tokens):
        if token[:1].isdigit():
            yield _Place(spans[at], token, _around(tokens, at, at + 1, b"number"))
        elif token in _COMPARED and not (token == b"in" and b"for" in tokens[max(at - 8, 0) : at]):
            yield _Place(spans[at], token, _around(tokens, at, at + 1, b"operator"))
        if token in _NEGATED and at + 2 < len(tokens):
            is_negated = tokens[at + 1] == b"not"
            behind = at + 2 if is_negated else at + 1
            yield _Place(spans[at], b"not" if is_negated else b"", _around(tokens, at + 1, behind, b"negation"))


def _around(tokens: list[bytes], at: int, behind: int, kind: bytes) -> tuple[_Key, ...]:
    """The keys under which a place is compared: what stands around it, if there are names enough."""
    found: list[_Key] = []
    for left, right in _WIDTHS:
        before, after = tokens[max(at - left, 0) : at], tokens[behind : behind + right]
        if sum(one[:1].isalpha() or one[:1] == b"_" for one in (*before, *after)) >= 2:
            found.append((kind + b"%d %d" % (left, right), *before, *after))
    return tuple(found)
