"""Where news of changed files come from: the Linux kernel itself, and watchdog on other systems.

Either may lose events, and only Linux says when it did: who listens must look at the folder now and then all the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

# (path relative to the root, whether it is a folder that came, went or moved)
OnEvent = Callable[[str, bool], object]


class Events(Protocol):
    def watch(self, folder: str) -> None:
        """Called with each folder of the project before it is looked into, "" for the root. Raises OSError when events
        of it cannot be had."""
        ...

    def looked(self) -> None:
        """Every folder of the project was named since the last call."""
        ...

    def stop(self) -> None:
        """No event is told after this returns."""
        ...


def events_of(root: Path, on_event: OnEvent, on_overflow: Callable[[], object]) -> Events:
    """Raises OSError where the system gives no events."""
    if sys.platform.startswith("linux"):
        from engram_context.disk.inotify import Inotify

        return Inotify(root, on_event, on_overflow)
    return Watchdog(root, on_event)


class Watchdog:
    """One recursive watch of the root."""

    def __init__(self, root: Path, on_event: OnEvent) -> None:
        self._root = root
        self._real_root = Path(os.path.realpath(root))  # some systems name events by it
        self._on_event = on_event
        self._observer = self._observe()

    def watch(self, folder: str) -> None:
        if not folder and not (self._observer.is_alive() and all(each.is_alive() for each in self._observer.emitters)):
            self.stop()  # its folder went away, and is there again
            self._observer = self._observe()

    def looked(self) -> None:
        pass

    def stop(self) -> None:
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join(timeout=5)

    def _observe(self) -> BaseObserver:
        from watchdog import events
        from watchdog.observers import Observer

        # Without this list the system may also report every file that anybody reads, and its queue overflows.
        changes: list[type[FileSystemEvent]] = [
            events.FileCreatedEvent, events.FileDeletedEvent, events.FileModifiedEvent, events.FileMovedEvent,
            events.DirCreatedEvent, events.DirDeletedEvent, events.DirModifiedEvent, events.DirMovedEvent,
        ]  # fmt: skip
        handler = events.FileSystemEventHandler()
        handler.on_any_event = self._event
        observer = Observer()
        try:
            observer.schedule(handler, str(self._root), recursive=True, event_filter=changes)
            observer.start()
        except RuntimeError as problem:  # no thread
            raise OSError(str(problem)) from problem
        return observer

    def _event(self, event: FileSystemEvent) -> None:
        for named in (event.src_path, event.dest_path):
            path = self._relative(os.fsdecode(named)) if named else None
            if path is None or path == ".git" or path.startswith(".git/"):
                continue
            if path == "":
                is_folder = event.event_type in ("deleted", "moved")
            else:
                is_folder = event.is_directory and event.event_type != "modified"
            # Windows does not say what it was that went.
            gone = os.name == "nt" and event.event_type == "deleted" and "." not in path.rpartition("/")[2]
            if path or is_folder:
                self._on_event(path, is_folder or gone)

    def _relative(self, path: str) -> str | None:
        for root in (self._root, self._real_root):
            try:
                relative = Path(path).relative_to(root).as_posix()
            except ValueError:
                continue
            return "" if relative == "." else relative
        return None
