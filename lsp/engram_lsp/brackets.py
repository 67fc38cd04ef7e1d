"""Which brackets and strings are open at a place in Python text, and what further text does to them.

Text that is being written seldom parses, so this is a scanner of a few regular expressions and not a parser: it knows
brackets, strings (triple quotes, f-strings with code in their braces), comments and backslashes, and nothing else. A
line that begins with a word which no expression holds (`def`, `return`, ...) ends whatever was left open above it.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

CLOSERS = {"(": ")", "[": "]", "{": "}"}

_CODE = re.compile(r"""(#[^\n]*)|(\\\r?\n?)|(\b[a-zA-Z]{1,2})?("{3}|'{3}|"|')|([(\[{])|([)\]}])|(\n)""")
_STATEMENT = re.compile(
    r"[ \t]*(?:@\w|(?:def|class|return|import|with|while|raise|try|except|finally|pass|break|continue|del|global"
    r"|nonlocal|assert|elif)\b)"
)
# Reading so many characters takes a few milliseconds.
_FAR = 16_384
# Open things from which on a text is no code that somebody writes.
_DEEPEST = 500
_AT_MARGIN = re.compile(r"\n(?:@|(?:def|class|async def) )")
_IN_STRING = {
    quotes: re.compile(rf"(\\(?:\r\n|.|\Z))|({quotes})|(\n)|(\{{\{{)|(\{{)", re.DOTALL)
    for quotes in ('"', "'", '"""', "'''")
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is open at a place, outermost first: closing brackets, and the quotes of strings (after "f", if braces in
    it hold code). `comment`: in one. `joined`: right behind a backslash at a line's end."""

    open: tuple[str, ...] = ()
    comment: bool = False
    joined: bool = False

    @property
    def in_string(self) -> bool:
        return bool(self.open) and is_string(self.open[-1])

    @property
    def unfinished(self) -> bool:
        """Whether a statement that reaches to the end of this line goes on with the next one."""
        return self.joined or (bool(self.open) and not (self.in_string and len(_quotes(self.open[-1])) == 1))


class Closing(NamedTuple):
    """A closing bracket or quote at `at` for what was open before the text: `entry` in its `open`, -1 for nothing."""

    at: int
    what: str
    entry: int


class Scan(NamedTuple):
    """What a text does: what it closes that it did not open; (what, where) it leaves open; where it breaks a string at
    a line's end, if anywhere (where the string begins, or that line's end when it began before); how things stand."""

    closed: list[Closing]
    left: list[tuple[str, int]]
    broken: int | None
    standing: Standing


def is_string(what: str) -> bool:
    return what[-1] in "\"'"


def standing_at(before: str) -> Standing:
    """How things stand at the end of a text. A long one is read from a definition on that is at its margin."""
    begin = before.rfind("\n", 0, max(0, len(before) - _FAR))
    margin = _AT_MARGIN.search(before, begin) if begin > 0 else None
    return scan(before[margin.start() + 1 :] if margin else before).standing


def scan(text: str, standing: Standing | None = None, *, one_statement: bool = False) -> Scan:
    """Reads `text` on from where things stand. `one_statement`: only up to a line that certainly begins another."""
    reading = _Reading(text, standing or Standing())
    return reading.whole(one_statement)


def closed_later(after: str, standing: Standing) -> frozenset[int]:
    """Which of the open things (indices) the text behind a cursor closes, so that nobody else must.

    Closing brackets are taken for the outermost that they fit: the inner ones are what is being written.
    """
    if standing.in_string and not _ends_string(after, standing):
        standing = Standing(standing.open[:-1])
    if not standing.open:
        return frozenset()
    later = [closing for closing in scan(after, standing, one_statement=True).closed if closing.entry >= 0]
    found = {closing.entry for closing in later if is_string(closing.what)}
    outermost = 0
    for closing in reversed([closing for closing in later if not is_string(closing.what)]):
        fitting = (i for i in range(outermost, len(standing.open)) if standing.open[i] == closing.what)
        entry = next(fitting, None)
        if entry is not None:  # else it closes what is opened in between, by what is being written
            outermost = entry + 1
            found.add(entry)
    return frozenset(found)


def _ends_string(after: str, standing: Standing) -> bool:
    """Whether the first quotes behind a cursor in a string are that string's end: those behind them must then be pairs,
    to the line's end, or to the text's where they are triple."""
    triple = len(_quotes(standing.open[-1])) == 3
    read = scan(after if triple else after.partition("\n")[0], standing)
    begun = any(is_string(what) for what, _ in read.left) if not triple else read.standing.in_string
    return not begun and any(closing.entry == len(standing.open) - 1 for closing in read.closed)


def _quotes(what: str) -> str:
    return what.removeprefix("f")


class _Reading:
    """One scan under way. `stack`: (what is open, where it was opened, or -1 and its index before the text)."""

    __slots__ = ("at", "broken", "closed", "comment", "joined", "stack", "text")

    def __init__(self, text: str, standing: Standing) -> None:
        self.text = text
        self.at = 0
        self.stack = [(what, -1, index) for index, what in enumerate(standing.open)]
        self.closed: list[Closing] = []
        self.broken: int | None = None
        self.joined = standing.joined and not text
        self.comment = standing.comment
        if self.comment:
            self._skip_comment()

    def whole(self, one_statement: bool) -> Scan:
        while self.at < len(self.text) and len(self.stack) < _DEEPEST:
            top = self.stack[-1][0] if self.stack else ""
            if top and is_string(top):
                self._read_string(top)
            elif self._read_code() and not self._in_string() and _STATEMENT.match(self.text, self.at):
                if one_statement:
                    break
                self.stack.clear()
        left = [(what, at) for what, at, _ in self.stack if at >= 0]
        standing = Standing(tuple(what for what, _, _ in self.stack), self.comment, self.joined)
        return Scan(self.closed, left, self.broken, standing)

    def _in_string(self) -> bool:
        return any(is_string(what) for what, _, _ in self.stack)

    def _read_code(self) -> bool:
        """Reads on to behind the next thing of interest; whether that is a line's end."""
        found = _CODE.search(self.text, self.at)
        if found is None:
            self.at = len(self.text)
            return False
        self.at = found.end()
        comment, backslash, prefix, quotes, opener, closer, newline = found.groups()
        if comment:
            self.comment = self.at == len(self.text)
        elif backslash:
            self.joined = self.at == len(self.text)
        elif quotes:
            self._begin_or_end(found, quotes, prefix or "")
        elif opener:
            self.stack.append((CLOSERS[opener], found.start(), -1))
        elif closer:
            self._close(found.start(), closer)
        elif newline and self._in_string():
            self._break_string(found.start())
        return bool(newline)

    def _begin_or_end(self, found: "re.Match[str]", quotes: str, prefix: str) -> None:
        # In the braces of an f-string its own quotes end it: what is written there is not finished.
        inner = next((i for i in range(len(self.stack) - 1, -1, -1) if is_string(self.stack[i][0])), -1)
        if inner >= 0 and _quotes(self.stack[inner][0]) == quotes:
            self._pop(inner, found.start(4))
        else:
            formatted = "f" if {"f", "t"} & set(prefix.lower()) else ""
            self.stack.append((formatted + quotes, found.start(), -1))

    def _read_string(self, what: str) -> None:
        found = _IN_STRING[_quotes(what)].search(self.text, self.at)
        if found is None:
            self.at = len(self.text)
            return
        self.at = found.end()
        _, quotes, newline, _, brace = found.groups()
        if quotes:
            self._pop(len(self.stack) - 1, found.start())
        elif newline and len(_quotes(what)) == 1:
            self._break_string(found.start())
        elif brace and what.startswith("f"):
            self.stack.append(("}", found.start(), -1))

    def _close(self, at: int, closer: str) -> None:
        for i in range(len(self.stack) - 1, -1, -1):
            what = self.stack[i][0]
            if what == closer:
                return self._pop(i, at)
            if is_string(what) or self.stack[i][1] >= 0:
                break
        self.closed.append(Closing(at, closer, -1))
        return None

    def _pop(self, i: int, at: int) -> None:
        """Takes entry `i` off, and with a string whatever is open in its braces."""
        what, opened, index = self.stack[i]
        if opened < 0:
            self.closed.append(Closing(at, what, index))
        del self.stack[i : None if is_string(what) else i + 1]

    def _break_string(self, newline: int) -> None:
        """A line ends in the middle of a string of one line, which ends there, too."""
        outer = next(i for i, (what, _, _) in enumerate(self.stack) if is_string(what))
        if len(_quotes(self.stack[outer][0])) == 3:
            return
        opened = self.stack[outer][1]
        if self.broken is None:
            self.broken = opened if opened >= 0 else newline
        del self.stack[outer:]

    def _skip_comment(self) -> None:
        end = self.text.find("\n")
        self.comment = end < 0
        self.at = len(self.text) if end < 0 else end
