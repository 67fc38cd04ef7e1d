"""Objects of a git repository, read from its files: loose ones and those in packs.

No program is run and no setting of the repository is followed, so that a hostile one can do nothing but be damaged.
Everything that is read or unpacked has a limit beforehand, whatever sizes the files promise.
"""

from __future__ import annotations

import hashlib
import re
import struct
import threading
import zlib
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engram_context.text import open_regular, read_bytes

MOST = 16 << 20
"""Bytes of one object; larger ones cannot be read."""

_MOST_PACKS = 2000
_MOST_STORES = 16
_DEEPEST = 4096  # what git allows for a chain of deltas
_MOST_NAMED = 100  # of them, those that name what they are differences from
_MOST_UNPACKED = 256 << 20  # for one object
_TYPES = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFFSET_DELTA, _NAMED_DELTA = 6, 7
_PIECE = 1 << 16
_PACK_INDEX = re.compile(r"pack-[0-9a-f]+\.idx")


class DamagedError(ValueError):
    """A file of the repository that is not what it should be, or too large."""


@dataclass(frozen=True, slots=True)
class _Pack:
    """`fanout[b]` counts the objects whose name begins with a byte <= b."""

    index: Path
    fanout: array[int]

    @property
    def data(self) -> Path:
        return self.index.with_suffix(".pack")


class _Costs:
    """What reading one object has cost so far."""

    def __init__(self) -> None:
        self.names: set[bytes] = set()
        self.bytes = 0

    def visit(self, name: bytes) -> None:
        if name in self.names or len(self.names) > _MOST_NAMED:
            raise DamagedError("a chain without end")
        self.names.add(name)

    def add(self, size: int) -> None:
        self.bytes += size
        if size > MOST or self.bytes > _MOST_UNPACKED:
            raise DamagedError("too large")


class Objects:
    """The objects below some `objects` folders: a repository's own and those it borrows from. Any thread."""

    def __init__(self, folder: Path) -> None:
        self._folders = _with_alternates(folder)
        self._packs: dict[Path, tuple[int, tuple[_Pack, ...]]] = {}
        self._lock = threading.Lock()

    def read(self, name: bytes, kind: str) -> bytes:
        """The contents of the object of a `kind` ("commit", "tree", "blob") with this name, 20 or 32 bytes long.

        Raises DamagedError, OSError or zlib.error where that cannot be had.
        """
        found = self._find(name, _Costs())
        if found is None or found[0] != kind:
            raise DamagedError("no such object")
        if object_name(found[1], kind, len(name)) != name:
            raise DamagedError("not what its name says")
        return found[1]

    def _find(self, name: bytes, costs: _Costs) -> tuple[str, bytes] | None:
        costs.visit(name)
        spelled = name.hex()
        for folder in self._folders:
            loose = folder / spelled[:2] / spelled[2:]
            if loose.is_file():
                return _loose(read_bytes(loose, MOST + 1024))
        for folder in self._folders:
            for pack in self._packs_of(folder):
                offset = _offset_in(pack, name)
                if offset is not None:
                    return self._packed(pack, offset, len(name), costs)
        return None

    def _packs_of(self, folder: Path) -> tuple[_Pack, ...]:
        """The packs of a folder, as long as none came or went."""
        place = folder / "pack"
        try:
            changed = place.stat().st_mtime_ns
        except OSError:
            return ()
        with self._lock:
            kept = self._packs.get(folder)
        if kept is not None and kept[0] == changed:
            return kept[1]
        names = sorted(path for path in place.iterdir() if _PACK_INDEX.fullmatch(path.name))[:_MOST_PACKS]
        packs = tuple(pack for path in names if (pack := _opened(path)) is not None)
        with self._lock:
            self._packs[folder] = (changed, packs)
        return packs

    def _packed(self, pack: _Pack, offset: int, width: int, costs: _Costs) -> tuple[str, bytes]:
        """The object at an offset of a pack; its deltas are applied to what they are differences from."""
        deltas: list[bytes] = []
        with open_regular(pack.data) as file:
            while True:
                kind, size, base = _entry(file, offset, width)
                costs.add(size)
                if len(deltas) > _DEEPEST:
                    raise DamagedError("a chain without end")
                contents = _inflated(file, size)
                if kind in _TYPES:
                    found = _TYPES[kind], contents
                    break
                deltas.append(contents)
                if isinstance(base, bytes):
                    other = self._find(base, costs)
                    if other is None:
                        raise DamagedError("a difference from nothing")
                    found = other
                    break
                if not 0 < base < offset:
                    raise DamagedError("a chain that does not go back")
                offset = base
        kind, contents = found
        for delta in reversed(deltas):
            contents = _applied(delta, contents)
            costs.add(len(contents))
        return kind, contents


def object_name(contents: bytes, kind: str, width: int) -> bytes:
    """The name of an object: 20 bytes of SHA-1 or 32 of SHA-256."""
    algorithm = hashlib.sha256 if width == 32 else hashlib.sha1
    found = algorithm(f"{kind} {len(contents)}\0".encode(), usedforsecurity=False)
    found.update(contents)
    return found.digest()


def is_remote(path: str) -> bool:
    """Whether a path leads to another machine: opening it would tell that one who asks."""
    return path.replace("\\", "/").startswith("//")


def _with_alternates(folder: Path) -> tuple[Path, ...]:
    found = [folder]
    for at in found:
        try:
            lines = read_bytes(at / "info" / "alternates", 1 << 16).decode("utf-8", "surrogateescape").splitlines()
        except OSError:
            continue
        for line in lines:
            if line and not line.startswith("#") and not is_remote(line) and len(found) < _MOST_STORES:
                place = at / line
                if place not in found and place.is_dir():
                    found.append(place)
    return tuple(found)


def _loose(data: bytes) -> tuple[str, bytes]:
    unpacked = zlib.decompressobj().decompress(data, MOST + 64)
    header, zero, contents = unpacked.partition(b"\0")
    kind, _, size = header.decode("ascii", "replace").partition(" ")
    if not zero or not size.isdecimal() or int(size) != len(contents) or len(contents) > MOST:
        raise DamagedError("a loose object of another size")
    return kind, contents


def _opened(index: Path) -> _Pack | None:
    """A pack, by its index; None for an index of another make."""
    try:
        head = read_bytes(index, 8 + 1024)
    except OSError:
        return None
    if len(head) != 8 + 1024 or head[:8] != b"\xfftOc\0\0\0\2":
        return None
    return _Pack(index, array("L", struct.unpack(">256L", head[8:])))


def _offset_in(pack: _Pack, name: bytes) -> int | None:
    first = name[0]
    low, high, count = (pack.fanout[first - 1] if first else 0), pack.fanout[first], pack.fanout[255]
    if not low < high <= count or high - low > MOST:
        return None
    width = len(name)
    with open_regular(pack.index) as file:
        file.seek(8 + 1024 + low * width)
        names = file.read((high - low) * width)
        at = bisect_left(range(len(names) // width), name, key=lambda row: names[row * width : (row + 1) * width])
        if names[at * width : (at + 1) * width] != name:
            return None
        offsets = 8 + 1024 + count * (width + 4)
        file.seek(offsets + (low + at) * 4)
        offset = int.from_bytes(_exactly(file, 4), "big")
        if offset & 0x80000000:
            file.seek(offsets + count * 4 + (offset & 0x7FFFFFFF) * 8)
            offset = int.from_bytes(_exactly(file, 8), "big")
    return offset


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise DamagedError("a file that ends too early")
    return data


def _entry(file: BinaryIO, offset: int, width: int) -> tuple[int, int, int | bytes]:
    """(type, size, base) of what lies at an offset of a pack, and the file at where its data begins. The base, of a
    difference, is an offset or a name."""
    if offset >= 1 << 62:
        raise DamagedError("outside the pack")
    file.seek(offset)
    byte = _exactly(file, 1)[0]
    kind, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 0x80:
        byte = _exactly(file, 1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if shift > 60:
            raise DamagedError("too large")
    if kind == _NAMED_DELTA:
        return kind, size, _exactly(file, width)
    if kind == _OFFSET_DELTA:
        byte = _exactly(file, 1)[0]
        back = byte & 0x7F
        while byte & 0x80:
            byte = _exactly(file, 1)[0]
            back = (back + 1) << 7 | byte & 0x7F
            if back >= 1 << 62:
                raise DamagedError("outside the pack")
        return kind, size, offset - back
    if kind not in _TYPES:
        raise DamagedError("of no known type")
    return kind, size, 0


def _inflated(file: BinaryIO, size: int) -> bytes:
    unpacker = zlib.decompressobj()
    pieces: list[bytes] = []
    length = 0
    while not unpacker.eof:
        data = unpacker.unconsumed_tail or file.read(_PIECE)
        if not data:
            raise DamagedError("a file that ends too early")
        piece = unpacker.decompress(data, size - length + 1)
        pieces.append(piece)
        length += len(piece)
        if length > size:
            raise DamagedError("larger than it says")
    if length != size:
        raise DamagedError("smaller than it says")
    return b"".join(pieces)


def _applied(delta: bytes, base: bytes) -> bytes:
    """What a delta makes of its base: it copies pieces of that and puts in new ones."""
    source, at = _number(delta, 0)
    size, at = _number(delta, at)
    if source != len(base) or size > MOST:
        raise DamagedError("a difference from something else, or too large")
    pieces: list[bytes] = []
    length = 0
    while at < len(delta):
        code = delta[at]
        at += 1
        if code & 0x80:
            start = count = 0
            for bit in range(4):
                if code & 1 << bit:
                    start |= delta[at] << 8 * bit
                    at += 1
            for bit in range(3):
                if code & 0x10 << bit:
                    count |= delta[at] << 8 * bit
                    at += 1
            piece = base[start : start + (count or 0x10000)]
        elif code:
            piece = delta[at : at + code]
            at += code
        else:
            raise DamagedError("a difference that cannot be read")
        pieces.append(piece)
        length += len(piece)
        if length > size:
            raise DamagedError("larger than it says")
    if length != size:
        raise DamagedError("smaller than it says")
    return b"".join(pieces)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where what follows it begins."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return number, at
        if shift > 60:
            raise DamagedError("too large")
