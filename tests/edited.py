"""A project that is edited file by file, for tests that compare what follows edits with what is found from scratch."""

from __future__ import annotations

from collections.abc import Iterable

from engram_context.checks.incremental import affected
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from fixture import parse_fixture


class Edited:
    """`texts` are as they are now, `snapshot` is reached by edits. A test says in `follow` what it does after one."""

    def __init__(self, source: str, environment: Environment) -> None:
        self.environment = environment
        self.original = parse_fixture(source).files
        self.texts = {path: Text.of(text) for path, text in self.original.items()}
        self.snapshot = self.from_scratch()

    def from_scratch(self) -> Snapshot:
        return Snapshot.empty(self.texts.get).after({path: self._record(path) for path in self.texts})

    def _record(self, path: str) -> FileRecord:
        return read_record(self.texts[path], language_of(path) or "text")

    def source(self, path: str) -> str:
        return self.texts[path].data.decode()

    def write(self, path: str, text: str | None) -> frozenset[str]:
        """Gives a file another text, or takes it away. Returns the files that this affects."""
        if text is None:
            self.texts.pop(path, None)
        else:
            self.texts[path] = Text.of(text)
        before = self.snapshot
        self.snapshot = before.after({path: None if text is None else self._record(path)})
        anew = affected(before, self.snapshot, self.environment)
        self.follow(anew)
        return anew

    def follow(self, anew: frozenset[str]) -> None:
        """The snapshot is another one, in which these files may have other findings."""

    def take(self, steps: Iterable[tuple[str, object]]) -> None:
        """Random steps: None takes a file away, "back" gives it the text it had, and a pair writes one text in place of
        another, or before the file where the first is empty."""
        for path, change in steps:
            if change is None:
                self.write(path, None)
            elif change == "back":
                self.write(path, self.original[path])
            elif path in self.texts:
                assert isinstance(change, tuple)
                old, new = change
                text = self.source(path)
                self.write(path, text.replace(old, new) if old else new + text)
