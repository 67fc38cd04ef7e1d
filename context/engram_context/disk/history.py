"""What the project was at the commit that is checked out (HEAD), and which lines have changed since.

Read from the repository's files alone (`git_objects.py`): no program is run, no hook, filter or setting followed.
"""

from __future__ import annotations

import codecs
import re
import threading
import zlib
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from engram_context.disk.git_objects import DamagedError, Objects, is_remote, object_name
from engram_context.text import READ_LIMIT, Text, read_bytes, text_of_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engram_context.snapshot import Snapshot

_TREE, _SUBMODULE = 0o40000, 0o160000
_MOST_REFS = 64 << 20
_MOST_PATHS = 200_000
_TREES_KEPT = 20_000
_TEXTS_KEPT = 64
# Pairs of lines that are compared one by one; a larger piece without a line of its own has changed as a whole.
_MOST_PAIRS = 250_000
_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"ref: (refs/[^\0\\:]+)")
_PROBLEMS = (OSError, ValueError, IndexError, MemoryError, zlib.error)

_lock = threading.Lock()
_recent: dict[Path, History] = {}
_RECENT = 16


@dataclass(frozen=True, slots=True)
class _Repository:
    """`folder` is what the checkout has for itself (HEAD), `common` what all checkouts share; `inside` is where in the
    checkout the project lies."""

    folder: Path
    common: Path
    inside: tuple[str, ...]


class History:
    """One commit, as seen from the project's folder: paths are the project's. Any thread; nothing raises, and what
    cannot be read, or is larger than a source file may be, is as if it were not there."""

    def __init__(self, repository: _Repository, commit: bytes, objects: Objects) -> None:
        self.commit = commit
        self._repository = repository
        self._objects = objects
        self._trees: dict[bytes, dict[str, tuple[int, bytes]]] = {}
        self._texts: dict[str, Text | None] = {}
        self._same: dict[tuple[str, bytes], bool] = {}
        self._tree: bytes | None = None

    @staticmethod
    def of(root: Path) -> History | None:
        """The commit that is checked out around a folder, which may be the checkout, a folder in it, a further
        worktree or a submodule. None without a repository or a commit. The same object until HEAD moves: ask it anew
        for each snapshot."""
        try:
            repository = _find(root)
            commit = None if repository is None else _head(repository)
        except _PROBLEMS:
            return None
        if repository is None or commit is None:
            return None
        with _lock:
            kept = _recent.get(root)
        if kept is not None and kept.commit == commit and kept._repository == repository:
            return kept
        found = History(repository, commit, Objects(repository.common / "objects"))
        if found._root_tree() is None:
            return None
        with _lock:
            _recent[root] = found
            while len(_recent) > _RECENT:
                del _recent[next(iter(_recent))]
        return found

    # --- files ----------------------------------------------------------------------------------------

    def text(self, path: str) -> Text | None:
        """The text of a file, decoded like one on disk. None where the commit has no such file."""
        with _lock:
            if path in self._texts:
                return self._texts[path]
        found: Text | None = None
        entry = self._entry(path)
        if entry is not None and entry[0] not in (_TREE, _SUBMODULE):
            try:
                data = self._objects.read(entry[1], "blob")
            except _PROBLEMS:
                data = None
            if data is not None and len(data) <= READ_LIMIT:
                read = text_of_file(data)
                found = read if isinstance(read, Text) else None
        with _lock:
            self._texts[path] = found
            while len(self._texts) > _TEXTS_KEPT:
                del self._texts[next(iter(self._texts))]
        return found

    def has(self, path: str) -> bool:
        """Whether the commit has a file of this path."""
        entry = self._entry(path)
        return entry is not None and entry[0] not in (_TREE, _SUBMODULE)

    def is_same(self, path: str, text: Text) -> bool:
        """Whether a file has the text it had, line ends apart. Costs a digest of the text, rarely more."""
        key = (path, text.digest)
        with _lock:
            if key in self._same:
                return self._same[key]
        found = self._is_same(path, text)
        with _lock:
            self._same[key] = found
            while len(self._same) > _MOST_PATHS:
                del self._same[next(iter(self._same))]
        return found

    def _is_same(self, path: str, text: Text) -> bool:
        entry = self._entry(path)
        if entry is None or entry[0] == _TREE:
            return False
        if entry[0] == _SUBMODULE:
            return True  # it is another repository's
        plain = text.data.replace(b"\r\n", b"\n")
        for data in (plain, text.data) if len(plain) != len(text.data) else (plain,):
            if object_name(data, "blob", len(self.commit)) == entry[1]:
                return True
        # Line ends that the commit has otherwise, a mark at the beginning, another encoding.
        before = self.text(path)
        return before is not None and _lines(before) == _lines(text)

    def changed_lines(self, path: str, text: Text) -> tuple[range, ...]:
        """The lines of `text` (counted from 0, in order) that the file did not have; an empty range stands before the
        line where some were only taken out. All lines of a file that is new."""
        if self.is_same(path, text):
            return ()
        before = self.text(path)
        if before is None:
            return () if self.has(path) else (range(text.line_count),)
        return tuple(_changed(_lines(before), _lines(text)))

    def paths_changed(self, snapshot: Snapshot) -> frozenset[str]:
        """The files of a snapshot that are new or have another text."""
        texts = ((path, snapshot.text(path)) for path in snapshot.paths)
        return frozenset(path for path, text in texts if text is not None and not self.is_same(path, text))

    def paths(self) -> Iterator[str]:
        """The files of the commit below the project's folder."""
        tree = self._at(self._repository.inside)
        waiting = [] if tree is None or tree[0] != _TREE else [("", tree[1])]
        count = 0
        while waiting:
            folder, name = waiting.pop()
            for part, (mode, inner) in self._entries(name).items():
                if mode == _TREE:
                    waiting.append((f"{folder}{part}/", inner))
                elif mode != _SUBMODULE:
                    yield folder + part
                count += 1
                if count > _MOST_PATHS:
                    return

    # --- trees ----------------------------------------------------------------------------------------

    def _root_tree(self) -> bytes | None:
        if self._tree is None:
            try:
                data = self._objects.read(self.commit, "commit")
            except _PROBLEMS:
                return None
            first = data.partition(b"\n")[0].decode("ascii", "replace")
            if first.startswith("tree ") and _NAME.fullmatch(first[5:]):
                self._tree = bytes.fromhex(first[5:])
        return self._tree

    def _entry(self, path: str) -> tuple[int, bytes] | None:
        return self._at((*self._repository.inside, *path.split("/")))

    def _at(self, parts: tuple[str, ...]) -> tuple[int, bytes] | None:
        """(mode, name) of what lies at a path of the checkout; what lies in a submodule counts as that."""
        tree = self._root_tree()
        found = None if tree is None else (_TREE, tree)
        for part in parts:
            if found is None or found[0] != _TREE:
                return found if found is not None and found[0] == _SUBMODULE else None
            found = self._entries(found[1]).get(part)
        return found

    def _entries(self, tree: bytes) -> dict[str, tuple[int, bytes]]:
        with _lock:
            found = self._trees.get(tree)
        if found is None:
            try:
                found = _parsed(self._objects.read(tree, "tree"), len(self.commit))
            except _PROBLEMS:
                found = {}
            with _lock:
                if len(self._trees) < _TREES_KEPT:
                    self._trees[tree] = found
        return found


def _find(root: Path) -> _Repository | None:
    root = root.resolve()
    for directory in (root, *root.parents):
        place = directory / ".git"
        inside = root.relative_to(directory).parts
        if place.is_dir():
            if (place / "HEAD").is_file():
                return _Repository(place, _common(place), inside)
        elif place.is_file():
            said = read_bytes(place, 1 << 16).decode("utf-8", "surrogateescape")
            if not said.startswith("gitdir:"):
                return None
            target = said.removeprefix("gitdir:").strip()
            if is_remote(target):
                return None
            folder = directory / target
            return _Repository(folder, _common(folder), inside)
    return None


def _common(folder: Path) -> Path:
    try:
        said = read_bytes(folder / "commondir", 1 << 16).decode("utf-8", "surrogateescape").strip()
    except OSError:
        return folder
    return folder if not said or is_remote(said) else folder / said


def _head(repository: _Repository) -> bytes | None:
    said = _first_line(repository.folder / "HEAD")
    for _ in range(5):
        if _NAME.fullmatch(said):
            return bytes.fromhex(said)
        ref = _REF.fullmatch(said)
        if ref is None or ".." in ref[1].split("/"):
            return None
        try:
            said = _first_line(repository.common / ref[1])
        except OSError:
            return _packed_ref(repository.common / "packed-refs", ref[1])
    return None


def _first_line(path: Path) -> str:
    return read_bytes(path, 4096).decode("utf-8", "surrogateescape").partition("\n")[0].rstrip()


_packed: dict[Path, tuple[tuple[int, int], bytes]] = {}


def _packed_ref(path: Path, ref: str) -> bytes | None:
    """What a ref says in the file where refs are collected; None where it is not. The file is kept until it changes."""
    try:
        state = path.stat()
    except OSError:
        return None
    key = (state.st_mtime_ns, state.st_size)
    with _lock:
        kept = _packed.get(path)
    if kept is None or kept[0] != key:
        if state.st_size > _MOST_REFS:
            raise DamagedError("too large")
        kept = (key, read_bytes(path, _MOST_REFS))
        with _lock:
            _packed.clear()
            _packed[path] = kept
    found = re.search(rb"(?m)^([0-9a-f]+) %s\r?$" % re.escape(ref.encode("utf-8", "surrogateescape")), kept[1])
    name = "" if found is None else found[1].decode()
    return bytes.fromhex(name) if _NAME.fullmatch(name) else None


def _parsed(tree: bytes, width: int) -> dict[str, tuple[int, bytes]]:
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while at < len(tree):
        space, zero = tree.index(b" ", at), tree.index(b"\0", at)
        name = tree[space + 1 : zero].decode("utf-8", "surrogateescape")
        found[name] = (int(tree[at:space], 8) & 0o170000, tree[zero + 1 : zero + 1 + width])
        at = zero + 1 + width
    return found


# --- lines --------------------------------------------------------------------------------------------


def _lines(text: Text) -> list[bytes]:
    """The lines without their ends. A line end at the very end makes no difference."""
    lines = re.split(rb"\r\n|\r|\n", text.data.removeprefix(codecs.BOM_UTF8))
    return lines[:-1] if not lines[-1] else lines


def _changed(old: list[bytes], new: list[bytes]) -> Iterator[range]:
    """The ranges of `new` that are not in `old`, in order."""
    waiting = [(0, len(old), 0, len(new))]
    while waiting:
        a, b, c, d = waiting.pop()
        while a < b and c < d and old[a] == new[c]:
            a, c = a + 1, c + 1
        while a < b and c < d and old[b - 1] == new[d - 1]:
            b, d = b - 1, d - 1
        if a == b and c == d:
            continue
        if a == b or c == d:
            yield range(c, d)
        elif (b - a) * (d - c) <= _MOST_PAIRS:
            for tag, _, _, low, high in SequenceMatcher(None, old[a:b], new[c:d], autojunk=False).get_opcodes():
                if tag != "equal":
                    yield range(c + low, c + high)
        else:
            anchors = _anchors(old, new, a, b, c, d)
            if not anchors:
                yield range(c, d)
                continue
            ends = [(a, c), *((x + 1, y + 1) for x, y in anchors)]
            starts = [*anchors, (b, d)]
            pieces = [(x, p, y, q) for (x, y), (p, q) in zip(ends, starts, strict=True)]
            waiting.extend(reversed(pieces))


def _anchors(old: list[bytes], new: list[bytes], a: int, b: int, c: int, d: int) -> list[tuple[int, int]]:
    """Lines that both pieces have once, in the same order: the longest such row (patience)."""
    before, after = Counter(old[a:b]), Counter(new[c:d])
    places = {line: at for at, line in enumerate(new[c:d], c) if after[line] == 1}
    pairs = [(at, places[line]) for at, line in enumerate(old[a:b], a) if before[line] == 1 and line in places]
    tops: list[int] = []
    piles: list[int] = []
    previous = [-1] * len(pairs)
    for row, (_, place) in enumerate(pairs):
        pile = bisect_left(tops, place)
        previous[row] = piles[pile - 1] if pile else -1
        tops[pile : pile + 1] = [place]
        piles[pile : pile + 1] = [row]
    found: list[tuple[int, int]] = []
    at = piles[-1] if piles else -1
    while at >= 0:
        found.append(pairs[at])
        at = previous[at]
    return found[::-1]
