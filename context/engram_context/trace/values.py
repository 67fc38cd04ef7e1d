"""What a stack trace says, where that stands in a project, and who is suspected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engram_context.text import Place, Span

Kind = Literal["exception", "syntax", "assertion"]
"""`syntax`: the last frame is where a text could not be read. `assertion`: a test's claim failed."""

Relation = Literal["cause", "context", "member", "suppressed"]
"""How a further trace belongs to one: what it was raised from, what was being handled, one of a group, set aside."""

_NOWHERE = Span(0, 0)

Sureness = Literal["exact", "moved", "likely", "line", "file"]
"""How sure a frame's line is, the surest first.

`exact`: the line has the code that the trace shows, at that number and in that function. `moved`: it has it elsewhere
in that function, and nothing else there does. `likely`: much like it, or one of several. `line`: the trace shows no
code, only its number was taken. `file`: the file is known, the line is not.
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """One call as a trace prints it. `file` is as written there, whatever machine that was; `line` counts from 1, 0 if
    it is not said; `function` and `code` (the source line, stripped) are "" if they are not said.

    `columns` is the marked part of `code`, as two columns in its characters; None if nothing is marked.
    `module` is a dotted name where the language says one (`a.b.C` of Java, a package of Go or Rust). `repeated`:
    how many more times the trace says that it stood there.
    """

    file: str
    line: int = 0
    function: str = ""
    code: str = ""
    columns: tuple[int, int] | None = None
    module: str = ""
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """One error with the calls that led to it, outermost first.

    `error` is the name of its class as printed (`KeyError`, `pkg.errors.Refused`, `panic`; "" if it is not said),
    `message` the line that follows it, and `notes` the lines behind that: more of the message, and what was added to
    it, which no trace tells apart. `values` are (expression, value) pairs as the
    trace shows them: a test's introspection, locals that were printed. `test` is the id of the test that failed, if
    the trace says one. `others` are the traces that belong to it, each with how.
    """

    language: str
    error: str
    message: str = ""
    frames: tuple[Frame, ...] = ()
    others: tuple[tuple[Relation, Trace], ...] = ()
    kind: Kind = "exception"
    notes: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    test: str = ""

    @property
    def cause(self) -> Trace | None:
        """What this one was raised from, or was raised while handling."""
        return next((other for relation, other in self.others if relation in ("cause", "context")), None)

    @property
    def members(self) -> tuple[Trace, ...]:
        """The errors of an exception group."""
        return tuple(other for relation, other in self.others if relation == "member")

    def walk(self) -> Iterator[Trace]:
        """This trace and all that belong to it, this one first."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            yield one
            waiting += [other for _, other in reversed(one.others)]


@dataclass(frozen=True, slots=True)
class LocatedFrame:
    """A frame, and where it stands in a snapshot today. `path` is None for a frame outside the project.

    `line` counts from 1, and `span` is that line's code without its margins. `function` is the row of the symbol of
    the innermost def around it, -1 for the module's own code. `test` says whether it is code of tests.
    """

    frame: Frame
    path: str | None = None
    line: int = 0
    span: Span = _NOWHERE
    function: int = -1
    sureness: Sureness = "file"
    test: bool = False

    @property
    def place(self) -> Place | None:
        return None if self.path is None else Place(self.path, self.span.start)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks for or against a suspect. `weight` is what it adds to the score (natural logarithm of
    odds); `spans` are the places in the suspect's file that it speaks of; `words` is said to a person."""

    kind: str
    weight: float
    words: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspect:
    """A function that is likely to be the one to change, the more the higher its `score`.

    `function` is its qualified name in the file (`Class.method`; "" for the module's own code) and `symbol` the row of
    its symbol in the record (-1 for the module). `span` is all of it. `lines` are the lines in it that the evidence
    points at (from 1), the likeliest first. `frame` is the index of its innermost frame in the trace, -1 if it is not
    on the stack.
    """

    path: str
    function: str
    symbol: int
    span: Span
    lines: tuple[int, ...]
    score: float
    reasons: tuple[Reason, ...]
    frame: int = -1

    @property
    def key(self) -> tuple[str, int]:
        return (self.path, self.symbol)
