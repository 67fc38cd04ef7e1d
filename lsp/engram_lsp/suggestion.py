"""From what the model said to what fits the buffer.

A prediction is a run of text; a suggestion is that text made right for the place where it will stand: it ends where
the line or block ends, closes only the brackets and strings that are still open and that nothing behind the cursor
closes, never repeats what already stands there, and is indented as the document is. Everything here is a pure function
of strings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engram_context.text import Span

from engram_lsp.brackets import Standing, closed_later, is_string, scan, standing_at

Source = Literal["memory", "model", "both"]

_NEARBY = 8  # lines behind the cursor that are not said again
_TELLING = 4  # characters from which on a line is not one of those that code is full of
_INDENTED = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_ENDS_BLOCK = re.compile(r"(?:return|raise|pass|break|continue)\b")
# A suffix's first sign that is never written twice.
_ONCE = frozenset(":,=.")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text that may replace `span` of one revision of a document.

    `span` lies on one line and covers the typed word up to the cursor, so `text` begins with what was typed.
    `probability` is the product of the probabilities of its tokens: what a perfect judge would call the chance that
    the user types exactly this.
    """

    text: str
    span: Span
    probability: float
    source: Source
    revision: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a suggestion has to fit.

    `line` is the cursor's line up to the cursor, `suffix` the rest of it, `following` the written lines below.
    `later`: which of what is open (indices) is closed by what follows. `unit` is one step of indentation, `newline` the
    document's line end; all other texts here have \\n.
    """

    line: str
    suffix: str
    following: tuple[str, ...]
    standing: Standing
    later: frozenset[int]
    unit: str
    newline: str

    @classmethod
    def of(cls, before: str, after: str) -> "Surroundings":
        """Of the document up to the cursor and from it on."""
        newline = "\r\n" if "\r\n" in before or "\r\n" in after else "\n"
        before, after = before.replace("\r\n", "\n"), after.replace("\r\n", "\n")
        suffix, _, below = after.partition("\n")
        written = (line.rstrip() for line in below[:4096].split("\n"))
        standing = standing_at(before)
        return cls(
            line=before.rpartition("\n")[2],
            suffix=suffix,
            following=tuple(line for line in written if line)[:_NEARBY],
            standing=standing,
            later=closed_later(after, standing),
            unit=_unit_of(before, after),
            newline=newline,
        )

    @property
    def goes_on_below(self) -> bool:
        """Whether the cursor's line is begun, and what it begins belongs on the next one."""
        return self.line.rstrip().endswith(":") or (bool(self.line.strip()) and self.standing.unfinished)


def fit(text: str, around: Surroundings, *, multiline: bool) -> str:
    """What of a predicted `text` is worth showing there; empty when nothing is. Several lines only if `multiline` and
    nothing follows the cursor on its line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not multiline or around.suffix.strip():
        text = text.split("\n", 1)[0]
    first, *rest = text.split("\n")
    text = "\n".join([first, *(reindented(line, around.unit) for line in rest)])
    text = within_block(text, around)
    text = without_repeated_suffix(text, around.suffix)
    text = balanced(text, around)
    if not around.suffix.strip() or around.suffix[:1].isspace() or "\n" in text:
        text = text.rstrip()
    if not text.strip() or repeats_next_line(around.line + text, around):
        return ""
    return text.replace("\n", around.newline)


def within_block(text: str, around: Surroundings) -> str:
    """The lines of `text` that go on with the cursor's line and its block.

    Behind the first one, which always does, they end at a blank line, at one that is said already, there or below, and
    where the indentation ends, which is free within a statement.
    """
    first, *rest = text.split("\n")
    least = max(_columns(around.line + first), 1)  # at the margin everything would be one block
    kept = [first]
    standing = scan(first, around.standing).standing
    for line in rest:
        outside = not standing.unfinished and _columns(line) < least
        said = len(line.strip()) >= _TELLING and line.rstrip() in (*kept, around.line + first)
        if outside or said or not line.strip() or is_written_below(line, around):
            break
        kept.append(line)
        standing = scan("\n" + line, standing).standing
    return "\n".join(kept)


def is_written_below(line: str, around: Surroundings) -> bool:
    """Whether a further line is the next one below, or an unmistakable one a little further."""
    line = line.rstrip()
    return line in (around.following if len(line.strip()) >= 2 * _TELLING else around.following[:1])


def without_repeated_suffix(text: str, suffix: str) -> str:
    """`text` less the end of it that the rest of the cursor's line (`suffix`) says again.

    Before `, b)` the text `a, b` becomes `a`. A single closing bracket or quote is left for `balanced` to judge, and a
    name is never cut in its middle. Multi-line texts are left alone: they stand where nothing follows.
    """
    suffix = suffix.rstrip()
    if "\n" in text or (len(suffix) == 1 and suffix in ")]}\"'"):
        return text
    for size in range(min(len(text), len(suffix)), 0, -1):
        if not text.endswith(suffix[:size]):
            continue
        whole_names = size == len(suffix) or not (_in_name(suffix[size - 1]) and _in_name(suffix[size]))
        own_name = size == len(text) or not (_in_name(text[-size - 1]) and _in_name(text[-size]))
        if whole_names and own_name and (size > 2 or size == len(suffix) or suffix[size - 1] in _ONCE):
            return text[:-size]
    return text


def balanced(text: str, around: Surroundings) -> str:
    """`text` cut before it closes what is not open, or what is closed behind the cursor, and before a string of one
    line that the line does not end."""
    if around.standing.comment:
        return text
    read = scan(text, around.standing)
    cuts = [closing.at for closing in read.closed if closing.entry < 0 or closing.entry in around.later]
    if read.broken is not None:
        cuts.append(read.broken)
    if not any(quote in around.suffix for quote in "\"'"):
        cuts += [at for what, at in read.left if is_string(what) and what[-3:] not in ('"""', "'''")]
    text = text[: min(cuts)] if cuts else text
    closer = around.suffix.strip()[:1]
    if closer and closer in ")]}" and text.endswith(closer):
        # Nothing left of the cursor waits for the bracket behind it: then what the text opened does.
        behind = scan(around.suffix, scan(text, around.standing).standing).closed
        text = text[:-1] if behind and behind[0].entry < 0 else text
    return text


def repeats_next_line(line: str, around: Surroundings) -> bool:
    """Whether accepting would write the next written line a second time."""
    last = line.rpartition("\n")[2].strip()
    return len(last) >= _TELLING and last == next((line.strip() for line in around.following), "")


def reindented(line: str, unit: str) -> str:
    """`line`, indented by tabs where the document is, by spaces where it is not."""
    bare = line.lstrip(" \t")
    if unit == "\t":
        tabs, spaces = divmod(_columns(line), 4)
        return "\t" * tabs + " " * spaces + bare
    return line[: len(line) - len(bare)].replace("\t", unit) + bare


def next_indentation(around: Surroundings) -> str:
    """How editors indent a new line behind the cursor: as this one, deeper behind a colon or within a bracket that was
    opened last, and less behind what ends a block."""
    own = around.line[: len(around.line) - len(around.line.lstrip(" \t"))]
    bare = around.line.strip()
    if bare.endswith((":", "(", "[", "{")):
        return own + around.unit
    if _ENDS_BLOCK.match(bare) and not around.standing.unfinished:
        return own.removesuffix(around.unit)
    return own


def first_line(suggestion: Suggestion) -> Suggestion | None:
    """What a suggestion writes on the cursor's line; None where it begins with a new one."""
    line = suggestion.text.splitlines()[0].rstrip()
    return replace(suggestion, text=line) if line else None


def best_first(suggestions: Sequence[Suggestion]) -> tuple[Suggestion, ...]:
    """Most probable first, each text once."""
    seen: set[str] = set()
    ranked = sorted(suggestions, key=lambda suggestion: -suggestion.probability)
    return tuple(s for s in ranked if not (s.text in seen or seen.add(s.text)))


def _columns(line: str) -> int:
    """How far a line is indented, a tab being four columns: models see few tabs, and write four spaces for them."""
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))


def _unit_of(before: str, after: str) -> str:
    """How the lines nearest to the cursor are indented: by tabs or by four spaces."""
    line = before.rpartition("\n")[2]
    near = [line] if line[:1].isspace() else _INDENTED.findall(before[-4096:])[-1:] or _INDENTED.findall(after[:1024])
    return "\t" if near and near[0].startswith("\t") else "    "


def _in_name(char: str) -> bool:
    return char.isalnum() or char == "_"
