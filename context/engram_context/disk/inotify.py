"""Events of single folders from the Linux kernel, as far as a project needs them.

A folder is watched only when it belongs to the project, so that installed packages cost no watches, and whatever the
kernel could not say (its queue was full, there is no watch left) is told to the caller instead of being passed over.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_FOLDERS, _NO_LINKS, _IS_FOLDER = 0x1000000, 0x2000000, 0x40000000
_CHANGES = _MODIFY | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_HEADER = struct.Struct("iIII")

# (path relative to the root, whether it is a folder that came, went or moved)
OnEvent = Callable[[str, bool], object]


class Inotify:
    """Watches on folders below one root. `watch` belongs to one thread; events come on a thread of their own."""

    def __init__(self, root: Path, on_event: OnEvent, on_overflow: Callable[[], object]) -> None:
        """Raises OSError when the kernel gives no queue for events."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._root = root
        self._on_event = on_event
        self._on_overflow = on_overflow
        self._folders: dict[int, str] = {}
        self._fresh: set[int] = set()
        self._most = _limit()
        self._queue = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._queue < 0:
            raise _problem("the system gives no queue for events")
        self._ending = False
        self._end, self._ask_to_end = os.pipe()
        self._thread = threading.Thread(target=self._run, name="engram events", daemon=True)
        self._thread.start()

    def watch(self, folder: str) -> None:
        """Begin to watch a folder, or go on watching it; its content is what it was not earlier than this call.

        Raises OSError when no watch is left. A folder that is gone or may not be read is passed over.
        """
        if len(self._folders) >= self._most:
            raise OSError(errno.ENOSPC, f"the project would take {len(self._folders):,} watches, nearly all there are")
        name = os.fsencode(self._root / folder)
        # The root may be named by a link; nothing below it is.
        mask = _CHANGES | _ONLY_FOLDERS | (_NO_LINKS if folder else 0)
        number = self._libc.inotify_add_watch(self._queue, name, mask)
        if number >= 0:
            self._folders[number] = folder
            self._fresh.add(number)
        elif ctypes.get_errno() in (errno.ENOSPC, errno.ENOMEM):
            raise _problem("the system has no watch left")

    def looked(self) -> None:
        """The whole project was gone through: folders that were not watched since the last time do not belong to it."""
        for number in set(self._folders) - self._fresh:
            self._folders.pop(number, None)
            self._libc.inotify_rm_watch(self._queue, number)
        self._fresh.clear()

    def stop(self) -> None:
        """No event is told after this returns, unless it is called from where they are told."""
        if not self._ending:
            self._ending = True
            os.close(self._ask_to_end)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        waiting = select.poll()
        waiting.register(self._queue, select.POLLIN)
        waiting.register(self._end, select.POLLIN)
        try:
            while all(descriptor != self._end for descriptor, _ in waiting.poll()):
                with suppress(BlockingIOError):
                    self._tell(os.read(self._queue, 1 << 16))
        finally:
            os.close(self._queue)
            os.close(self._end)

    def _tell(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            number, mask, _, size = _HEADER.unpack_from(data, at)
            at += _HEADER.size + size
            if mask & _OVERFLOW:
                self._on_overflow()
                continue
            folder = self._folders.get(number)
            if folder is None:
                continue
            if mask & _IGNORED:
                self._folders.pop(number, None)
                continue
            name = os.fsdecode(data[at - size : at].rstrip(b"\0"))
            path = f"{folder}/{name}" if folder and name else folder or name
            self._on_event(path, bool(mask & (_IS_FOLDER | _DELETE_SELF | _MOVE_SELF | _UNMOUNT)))


def _limit() -> int:
    """The most folders that are watched: other programs of this user need watches too."""
    with suppress(OSError, ValueError):
        return int(Path("/proc/sys/fs/inotify/max_user_watches").read_text(encoding="ascii")) * 4 // 5
    return 1 << 30


def _problem(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, what)
