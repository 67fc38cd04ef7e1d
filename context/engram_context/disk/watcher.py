"""Noticing that files of a project changed.

Events from the operating system are hints: they are collected until it is quiet for a moment, and then the files'
states (time, size) decide what changed. A burst, such as a branch switch, becomes one look at the whole folder and one
batch. Nothing depends on every event arriving: the folder is looked at as a whole when the system says that it dropped
some, and once in a while when it says nothing. Where no events can be had (no watch is left, a network drive) that
happens every few seconds, and the log says so. A look may take a small share of the time and no more.
"""

from __future__ import annotations

import errno
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engram_context.disk.events import Events, events_of
from engram_context.disk.ignore import RULE_FILES, FileState, Ignore
from engram_context.disk.network import shared_drive

OnBatch = Callable[[frozenset[str]], None]

_QUIET = 0.08
_LONGEST_WAIT = 1.0
# More hints than this in one batch and a look at everything is cheaper and surer.
_BURST = 500
# Seconds between looks, and how many times longer than a look the time between two must be.
_WITHOUT_EVENTS, _SHARE_WITHOUT = 5.0, 20
_WITH_EVENTS, _SHARE_WITH = 60.0, 200
# A file changed this recently may change again within the resolution of its time stamp: it is named once more later.
_SETTLED = 2.0
_LOG_AGAIN = 60.0
_MARKS = RULE_FILES | {"pyvenv.cfg"}  # their coming and going changes what belongs to the project

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
        on_problem: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`wanted` says which paths matter by their name; rule files always do. `known` is what the project was
        read as; without it the first look at the folder is the starting point. `exclude` is as for the project.
        `polling`: seconds between looks, instead of events. `on_problem` is told in words, once, that there are none.
        """
        self._root = root
        self._wanted = wanted
        self._on_batch = on_batch
        self._on_problem = on_problem
        self._known = dict(known) if known is not None else None
        self._exclude = tuple(exclude)
        self._ignore = Ignore(root, self._exclude)
        self._hints: set[str] = set()
        self._rules: set[str] = set()  # rule files that changed, whether or not they belong to the project themselves
        self._look_everywhere = False
        self._dropped = False  # the system lost events
        self._dropped_said = -math.inf
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._fixed = polling
        self._shared = ""  # the type of the network drive that the folder is on
        self._events: Events | None = None
        self._took = 0.0  # seconds of the last look
        self._again: dict[str, float] = {}  # when to name a path once more
        self._root_gone = False
        self._thread = threading.Thread(target=self._run, name="engram watcher", daemon=True)

    @property
    def polling(self) -> bool:
        """Whether the folder is looked at every few seconds because events do not say everything."""
        return self._events is None or bool(self._shared)

    def start(self) -> None:
        """Slow: the folder is looked at, so that nothing falls between what is known and the first event."""
        if self._fixed is None:
            self._listen()
        found = self._look()
        if found is not None:
            known, self._known = self._known, found
            if known is not None:
                self._again = dict.fromkeys(_difference(known, found), 0.0)
        self._thread.start()

    def stop(self) -> None:
        """No call of `on_batch` begins after this returns, unless it is called from there."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)
        events, self._events = self._events, None
        if events is not None:
            events.stop()

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

    def _listen(self) -> None:
        self._shared = shared_drive(self._root)
        if self._shared:
            log.warning(
                "%s is on a shared drive (%s) that reports no changes of other machines: looking every few seconds too",
                self._root, self._shared,
            )  # fmt: skip
        try:
            self._events = events_of(self._root, self._event, self._overflow)
        except OSError as problem:
            self._give_up(problem)

    def _watch(self, folder: str) -> None:
        if self._events is not None:
            try:
                self._events.watch(folder)
            except OSError as problem:
                self._give_up(problem)

    def _give_up(self, problem: OSError) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.stop()  # what watches we have are needed elsewhere
        said = (
            f"changes of files in {self._root} cannot be watched ({problem.strerror or problem}); looking every few "
            f"seconds instead. {_advice(problem)}"
        )
        log.warning("%s", said)
        self._on_problem(said)

    def _event(self, path: str, is_folder: bool) -> None:
        """On the thread of the events: note and return."""
        name = path.rpartition("/")[2]
        if name in RULE_FILES:
            with self._lock:
                self._rules.add(path)
        if is_folder or name in _MARKS:
            self.rescan()
        elif self._wanted(path):
            self.hint(frozenset((path,)))

    def _overflow(self) -> None:
        self._dropped = True
        self.rescan()

    # --- batches ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        look_at = time.monotonic() + self._between()
        while not self._stopping.is_set():
            next_at = min(look_at, min(self._again.values(), default=math.inf))
            if self._news.wait(max(0.0, min(next_at - time.monotonic(), threading.TIMEOUT_MAX))):
                self._wait_for_quiet()
            if self._stopping.is_set():
                return
            with self._lock:
                hints, self._hints = self._hints, set[str]()
                rules, self._rules = self._rules, set[str]()
                everywhere, self._look_everywhere = self._look_everywhere, False
            everywhere = everywhere or len(hints) > _BURST or time.monotonic() >= look_at
            try:
                changed = self._due() | (self._changed_anywhere() if everywhere else self._changed(hints)) | rules
                if changed and not self._stopping.is_set():
                    self._on_batch(changed)
            except Exception as problem:  # whose message may quote a file
                log.error("a batch of file changes failed: %s", type(problem).__name__)
            if everywhere:
                look_at = time.monotonic() + self._between()

    def _between(self) -> float:
        """Seconds until the next look that nobody asked for."""
        if self._fixed is not None:
            return self._fixed
        if self.polling or self._root_gone:
            return max(_WITHOUT_EVENTS, _SHARE_WITHOUT * self._took)
        return max(_WITH_EVENTS, _SHARE_WITH * self._took)

    def _wait_for_quiet(self) -> None:
        end = time.monotonic() + max(_LONGEST_WAIT, 5 * self._took)
        while self._news.is_set() and not self._stopping.is_set() and time.monotonic() < end:
            self._news.clear()
            self._news.wait(_QUIET)
        self._news.clear()

    def _due(self) -> frozenset[str]:
        now = time.monotonic()
        due = frozenset(path for path, at in self._again.items() if at <= now)
        for path in due:
            del self._again[path]
        return due

    def _changed(self, hints: set[str]) -> frozenset[str]:
        known = self._known = self._known if self._known is not None else {}
        changed: set[str] = set()
        for path in hints:
            state = self._state(path)
            if state != known.get(path):
                changed.add(path)
                if state is None:
                    known.pop(path, None)
                else:
                    known[path] = state
                    self._name_again(path, state)
        return frozenset(changed)

    def _changed_anywhere(self) -> frozenset[str]:
        if self._dropped:
            self._dropped = False
            if time.monotonic() - self._dropped_said > _LOG_AGAIN:
                self._dropped_said = time.monotonic()
                log.warning(
                    "so much changed at once in %s that the system dropped events; looking at the whole folder",
                    self._root,
                )
        found = self._look()
        if found is None or self._stopping.is_set():
            return frozenset()
        known, self._known = self._known or {}, found
        changed = _difference(known, found)
        for path in changed & found.keys():
            self._name_again(path, found[path])
        return changed

    def _name_again(self, path: str, state: FileState) -> None:
        if time.time() - state.mtime_ns / 1e9 < _SETTLED:
            self._again[path] = time.monotonic() + _SETTLED

    def _is_noted(self, path: str) -> bool:
        return self._wanted(path) or path.rpartition("/")[2] in RULE_FILES

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
        began = time.monotonic()
        try:
            found = dict(self._ignore.walk(self._is_noted, self._stopping.is_set, self._watch))
        except OSError as problem:
            if not self._root_gone:
                self._root_gone = True
                log.warning(
                    "the project folder %s cannot be read any more (%s); keeping what is known of it",
                    self._root, problem.strerror,
                )  # fmt: skip
            return None
        if self._events is not None and not self._stopping.is_set():
            self._events.looked()
        self._took = time.monotonic() - began
        if self._root_gone:
            self._root_gone = False
            log.info("the project folder %s is back", self._root)
        return found


def _difference(known: Mapping[str, FileState], found: Mapping[str, FileState]) -> frozenset[str]:
    paths = {path for path, state in found.items() if known.get(path) != state}
    return frozenset(paths | (known.keys() - found.keys()))


def _advice(problem: OSError) -> str:
    if not sys.platform.startswith("linux"):
        return "Listing large folders in .engramignore may help."
    if problem.errno == errno.EMFILE:
        return "Raise fs.inotify.max_user_instances (sysctl), or close other programs that watch files."
    return "Raise fs.inotify.max_user_watches (sysctl), or list large folders in .engramignore."
