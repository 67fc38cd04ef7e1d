"""Records of library files on disk, by the digest of their text: the large ones take too long to be read anew.

Deleting the folder loses time, never an answer; a file that is damaged, or of another version, is read anew.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from engram_context.records import FileRecord
from engram_context.text import read_bytes

_FILES = 1000
"""About so many records are kept, the latest."""
_LARGEST = 64 << 20
_SMALL = 4000
"""Texts of fewer bytes are read as fast as their record would be found."""


class RecordCache:
    """One folder, which several processes may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0

    def find(self, digest: bytes, size: int) -> FileRecord | None:
        """The record of a text, None when it is not there or not readable."""
        if size < _SMALL:
            return None
        try:
            record = FileRecord.from_bytes(read_bytes(self._file(digest), _LARGEST))
        except Exception:  # whatever is wrong with it, it is read anew
            return None
        return record if record.digest == digest else None

    def keep(self, record: FileRecord) -> None:
        """Write a record, as a whole or not at all. What cannot be written is left."""
        if record.size < _SMALL:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = self._folder / f"{secrets.token_hex(8)}.part"
            try:
                made.write_bytes(record.to_bytes())
                made.replace(self._file(record.digest))
            finally:
                made.unlink(missing_ok=True)
            self._written += 1
            if self._written % 50 == 1:
                self._prune()

    def _file(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}.record"

    def _prune(self) -> None:
        files = sorted(self._folder.glob("*.record"), key=lambda file: file.stat().st_mtime)
        for file in files[: max(len(files) - _FILES, 0)]:
            file.unlink(missing_ok=True)
