"""Text edits across a project: values, exact application, refusals.

An edit says which bytes of one text become what. A project edit says it for many files and carries the digest
of every text it was computed from, so that whoever applies it can tell that a file has moved on meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engram_context.text import Span, Text


class EditError(ValueError):
    """Edits that overlap, lie outside their text, or were made for another version of it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes of `span` by `new_text`.

    `annotation` is None for an edit that is known to be right; anything else is the reason why a person should
    look at it first, and `likelihood` then says how likely it is right all the same.
    """

    span: Span
    new_text: str
    annotation: str | None = None
    likelihood: float = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change is not offered, in words for the person who asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class ProjectEdit:
    """Edits by path (sorted by span), file moves (old, new), and the digest of each edited text."""

    edits: Mapping[str, tuple[Edit, ...]]
    moves: tuple[tuple[str, str], ...] = ()
    digests: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def certain(self) -> "ProjectEdit":
        """Only the edits that need no confirmation."""
        kept = {path: tuple(edit for edit in edits if edit.annotation is None) for path, edits in self.edits.items()}
        kept = {path: edits for path, edits in kept.items() if edits}
        digests = {path: digest for path, digest in self.digests.items() if path in kept}
        return ProjectEdit(kept, self.moves, digests)

    @property
    def needs_confirmation(self) -> bool:
        return any(edit.annotation is not None for edits in self.edits.values() for edit in edits)

    def __len__(self) -> int:
        """How many edits there are, in all files."""
        return sum(map(len, self.edits.values()))

    def texts_after(self, texts: Mapping[str, Text]) -> dict[str, Text]:
        """Every edited text as it will be, given how each is now.

        Raises `EditError` when a text is missing, is not the version the edits were made for, or the edits
        do not fit it. Moves are not applied: the paths are the old ones.
        """
        after: dict[str, Text] = {}
        for path, edits in self.edits.items():
            text = texts.get(path)
            if text is None:
                raise EditError(f"{path} is gone; ask again")
            if path in self.digests and text.digest != self.digests[path]:
                raise EditError(f"{path} changed since the edits were computed; ask again")
            try:
                after[path] = apply(text, edits)
            except EditError as error:
                raise EditError(f"{path}: {error}") from None
        return after


def project_edit(edits: Mapping[str, Iterable[Edit]], texts: Mapping[str, Text]) -> ProjectEdit:
    """The project edit of these edits, sorted, without repetitions, with the digests of `texts`.

    An edit that is both certain and annotated is certain.
    """
    sorted_edits: dict[str, tuple[Edit, ...]] = {}
    for path in sorted(edits):
        chosen: dict[tuple[int, int, str], Edit] = {}
        for edit in edits[path]:
            key = (edit.span.start, edit.span.end, edit.new_text)
            if key not in chosen or edit.annotation is None:
                chosen[key] = edit
        if chosen:
            sorted_edits[path] = tuple(chosen[key] for key in sorted(chosen))
    return ProjectEdit(sorted_edits, (), {path: texts[path].digest for path in sorted_edits if path in texts})


def together(path: str, edits: Iterable[ProjectEdit]) -> tuple[Edit, ...]:
    """Of several changes of one file those that can be made at once, first come first served, sorted by place."""
    chosen: list[Edit] = []
    for edit in edits:
        more = [one for one in edit.edits.get(path, ()) if one not in chosen]
        if not any(_meet(one.span, other.span) for one in more for other in chosen):
            chosen += more
    return tuple(sorted(chosen, key=lambda edit: (edit.span.start, edit.span.end)))


def _meet(one: Span, other: Span) -> bool:
    return (one.start < other.end and other.start < one.end) or one.start == other.start


def apply(text: Text, edits: Sequence[Edit]) -> Text:
    """The text after `edits`, which all speak of the text as it was.

    Bytes outside the spans stay as they are, line endings included. Insertions at one offset keep the order in
    which they are given. Raises `EditError` for overlapping edits and for spans outside the text.
    """
    if not edits:
        return text
    data = text.data
    pieces: list[bytes] = []
    reached = 0
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end)):
        start, end = edit.span.start, edit.span.end
        if not 0 <= start <= end <= len(data):
            raise EditError(f"an edit of bytes {start}–{end} does not fit a text of {len(data)} bytes")
        if start < reached:
            raise EditError(f"two edits overlap at byte {start}")
        pieces += (data[reached:start], edit.new_text.encode("utf-8", "surrogatepass"))
        reached = end
    pieces.append(data[reached:])
    return Text.of(b"".join(pieces))


def newline_of(text: Text) -> str:
    """The line ending that new lines in this text should have: that of its first line, "\\n" if it has one line."""
    data = text.data
    newline = data.find(b"\n")
    if newline < 0:
        return "\r" if b"\r" in data else "\n"
    return "\r\n" if newline and data[newline - 1] == 0x0D else "\n"
