"""Noticing that files of a project changed.

Events from the operating system are hints: they are collected until it is quiet for a moment, and then the files'
states (time, size) decide what changed. A burst, such as a branch switch, becomes one look at the whole folder and one
batch. Lost events after an overflow do not matter for the same reason. Where no events can be had (too many folders for
the system's limits, a network drive) the folder is looked at every few seconds, and the log says so.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from engram_context.ignore import RULE_FILES, FileState, Ignore

OnBatch = Callable[[frozenset[str]], None]

_QUIET = 0.08
_LONGEST_WAIT = 1.0
# More hints than this in one batch and a look at everything is cheaper and surer.
_BURST = 500
# Folders right below the root that get a watch of their own each; with more of them the root is watched as a whole.
_SEPARATE = 48
# Without this list the system also reports every file that anybody reads, and its queue overflows.
_CHANGES: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent,
    DirCreatedEvent, DirDeletedEvent, DirModifiedEvent, DirMovedEvent,
]  # fmt: skip

log = logging.getLogger(__name__)


class Watcher:
    """Calls `on_batch` with the paths that changed, appeared or went, from a thread of its own."""

    def __init__(
        self,
        root: Path,
        wanted: Callable[[str], bool],
        on_batch: OnBatch,
        known: Mapping[str, FileState] | None = None,
        *,
        exclude: Sequence[str] = (),
        polling: float | None = None,
    ) -> None:
        """`wanted` says which paths matter by their name. `known` is what the project was read as; without it the first
        look at the folder is the starting point. `exclude` is as for the project.
        `polling`: seconds between looks, instead of events.
        """
        self._root = root
        self._real_root = Path(os.path.realpath(root))  # some systems name events by it
        self._wanted = wanted
        self._on_batch = on_batch
        self._known = dict(known) if known is not None else None
        self._exclude = tuple(exclude)
        self._ignore = Ignore(root, self._exclude)
        self._hints: set[str] = set()
        self._look_everywhere = False
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._scanning = threading.Lock()
        self._interval = polling
        self._observer: BaseObserver | None = None
        self._separate = False  # whether the folders below the root have watches of their own
        self._watched: dict[str, ObservedWatch] = {}
        self._gone: set[str] = set()  # folders below the root that were deleted or renamed
        self._root_gone = False
        self._thread = threading.Thread(target=self._run, name="engram-watcher", daemon=True)

    @property
    def polling(self) -> bool:
        """Whether the folder is looked at every few seconds because there are no events."""
        return self._interval is not None

    def start(self) -> None:
        if self._interval is None:
            self._observe()
        if self._known is None:
            self._known = self._look() or {}
        self._thread.start()

    def stop(self) -> None:
        """No call of `on_batch` begins after this returns, unless it is called from there."""
        self._stopping.set()
        self._news.set()
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join(timeout=5)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)

    def hint(self, paths: frozenset[str]) -> None:
        """Somebody else (the editor) says that these paths may have changed."""
        with self._lock:
            self._hints |= paths
        self._news.set()

    def rescan(self) -> None:
        """Look at the whole folder soon."""
        with self._lock:
            self._look_everywhere = True
        self._news.set()

    # --- events -------------------------------------------------------------------------------------------

    def _observe(self) -> None:
        observer = Observer()
        try:
            folders = list(self._ignore.folders())
            if sys.platform.startswith("linux"):
                self._check_limit()
            handler = _Handler(self)
            # A recursive watch of the root would also watch .git and installed packages.
            self._separate = len(folders) <= _SEPARATE and sys.platform.startswith("linux")
            if self._separate:
                observer.schedule(handler, str(self._root), recursive=False, event_filter=_CHANGES)
                for folder in folders:
                    self._watch(observer, folder)
            else:
                observer.schedule(handler, str(self._root), recursive=True, event_filter=_CHANGES)
            observer.start()
        except (OSError, RuntimeError) as problem:
            self._interval = 5.0
            log.warning(
                "changes of files in %s cannot be watched (%s); looking every %d seconds instead. %s",
                self._root, problem, self._interval, _advice(),
            )  # fmt: skip
            observer.unschedule_all()
            return
        self._observer = observer

    def _check_limit(self) -> None:
        """watchdog passes over folders that no watch is left for: better to know before."""
        limit = _watch_limit()
        if limit is None:
            return
        count = 0
        waiting = list(self._ignore.folders())
        while waiting:
            count += 1
            if count > limit * 0.8:
                raise OSError(f"more than {count:,} folders, and this system allows {limit:,} watches")
            waiting.extend(self._ignore.folders(waiting.pop()))

    def _watch_new(self) -> None:
        """Watch the folders that appeared right below the root. Before a look, so that nothing falls between."""
        if not self._separate or self._observer is None:
            return
        self._ignore = Ignore(self._root, self._exclude)
        with self._lock:
            gone, self._gone = self._gone, set[str]()
        folders = set(self._ignore.folders())
        for folder in tuple(self._watched):
            # A folder of the same name may be there again, but a watch belongs to the one that went.
            if folder in gone or folder not in folders:
                self._observer.unschedule(self._watched.pop(folder))
        for folder in folders - self._watched.keys():
            try:
                self._watch(self._observer, folder)
            except OSError as problem:
                log.warning("changes of files in %s cannot be watched: %s", self._root / folder, problem)

    def _watch(self, observer: BaseObserver, folder: str) -> None:
        self._watched[folder] = observer.schedule(
            _Handler(self), str(self._root / folder), recursive=True, event_filter=_CHANGES
        )

    def _event(self, event: FileSystemEvent) -> None:
        """On watchdog's thread: note and return."""
        hints: list[str] = []
        everywhere = False
        for named in (event.src_path, event.dest_path):
            if not named:
                continue
            path = self._relative(os.fsdecode(named))
            if path is None or path == ".git" or path.startswith(".git/"):
                continue
            if path == "":
                everywhere |= event.event_type in ("deleted", "moved")
            elif event.is_directory:
                everywhere |= event.event_type != "modified"
                if event.event_type in ("deleted", "moved") and "/" not in path:
                    with self._lock:
                        self._gone.add(path)
            elif path.rpartition("/")[2] in RULE_FILES:
                everywhere = True
            elif self._wanted(path):
                hints.append(path)
        if hints or everywhere:
            with self._lock:
                self._hints.update(hints)
                self._look_everywhere |= everywhere
            self._news.set()

    def _relative(self, path: str) -> str | None:
        for root in (self._root, self._real_root):
            try:
                relative = Path(path).relative_to(root).as_posix()
            except ValueError:
                continue
            return "" if relative == "." else relative
        return None

    # --- batches ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._news.wait(self._interval):
                self.rescan()
            self._wait_for_quiet()
            if self._stopping.is_set():
                return
            with self._lock:
                hints, self._hints = self._hints, set[str]()
                everywhere, self._look_everywhere = self._look_everywhere, False
            try:
                changed = self._changed(hints, everywhere or len(hints) > _BURST)
                if changed and not self._stopping.is_set():
                    self._on_batch(changed)
            except Exception:
                log.exception("a batch of file changes failed")

    def _wait_for_quiet(self) -> None:
        end = time.monotonic() + _LONGEST_WAIT
        while self._news.is_set() and not self._stopping.is_set() and time.monotonic() < end:
            self._news.clear()
            self._news.wait(_QUIET)
        self._news.clear()

    def _changed(self, hints: set[str], everywhere: bool) -> frozenset[str]:
        known = self._known if self._known is not None else {}
        if not everywhere:
            changed: set[str] = set()
            for path in hints:
                state = self._state(path)
                if state != known.get(path):
                    changed.add(path)
                    if state is None:
                        known.pop(path, None)
                    else:
                        known[path] = state
            return frozenset(changed)
        self._watch_new()
        found = self._look()
        if found is None:
            return frozenset()
        self._known = found
        paths = {path for path, state in found.items() if known.get(path) != state}
        return frozenset(paths | (known.keys() - found.keys()))

    def _state(self, path: str) -> FileState | None:
        try:
            if self._ignore.why(path) is not None:
                return None
            state = (self._root / path).stat()
        except (OSError, ValueError):
            return None
        return FileState(state.st_mtime_ns, state.st_size)

    def _look(self) -> dict[str, FileState] | None:
        """All files now; None while the root is not there (its files are not taken for deleted)."""
        self._ignore = Ignore(self._root, self._exclude)
        try:
            found = dict(self._ignore.walk(self._wanted, self._stopping.is_set))
        except OSError as problem:
            if not self._root_gone:
                self._root_gone = True
                log.warning(
                    "the project folder %s cannot be read any more (%s); keeping what is known of it",
                    self._root, problem.strerror,
                )  # fmt: skip
                # Its watches went with it: notice when it comes back.
                self._interval = self._interval or 5.0
            return None
        if self._root_gone:
            self._root_gone = False
            log.info("the project folder %s is back", self._root)
        return found


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: Watcher) -> None:
        self._post = watcher._event  # pyright: ignore[reportPrivateUsage]

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._post(event)


def _watch_limit() -> int | None:
    try:
        return int(Path("/proc/sys/fs/inotify/max_user_watches").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _advice() -> str:
    if sys.platform.startswith("linux"):
        return "Raise fs.inotify.max_user_watches (sysctl), or list large folders in .engramignore."
    return "Listing large folders in .engramignore may help."
