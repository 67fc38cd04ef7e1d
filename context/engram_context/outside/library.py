"""Modules from outside the project, read like the project's own files: the standard library by the stubs that
typeshed has of it, installed packages by their stubs or sources. Nothing is imported, nothing is written there.

Paths of outside files are absolute, with forward slashes, so they never clash with those of the project.
"""

from __future__ import annotations

import builtins
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from engram_context.imports import Module
from engram_context.outside.environment import Environment
from engram_context.outside.record_cache import RecordCache
from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.text import Text, Unreadable, read_text

_SUFFIXES = (".pyi", ".py")
_MEMORY = 32 * 1024 * 1024
"""So many bytes of records are kept, about; those asked for last."""
_ANSWERS = 50_000
"""How many answers of one kind are kept."""
_RECORD_PER_BYTE = 3  # of source, in memory
_TEST = re.compile(
    rb"^(?P<indent>[ \t]*)(?P<word>if|elif|else)\b[ \t]*(?P<test>[^\n#]*?)[ \t]*:[ \t]*(?:#[^\n]*)?$", re.MULTILINE
)
_VERSION_TEST = re.compile(rb"sys\.version_info (>=|<) \((\d+), ?(\d+)(?:, ?\d+)?,?\)")
_PLATFORM_TEST = re.compile(rb"""sys\.platform (==|!=) ["'](\w+)["']""")
_TERMS = re.compile(rb" (and|or) ")


def is_outside(path: str) -> bool:
    """Whether a path is one of the library's."""
    return path[:1] == "/" or path[1:3] == ":/"


class Shared(dict[Any, Any]):
    """Answers that any resolver may use, as many as there is room for. Writing from several threads is fine: they write
    the same."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if len(self) >= _ANSWERS:
            self.clear()
        super().__setitem__(key, value)


class Library:
    """The modules of one environment. Listings and records are kept once read; any thread may ask."""

    def __init__(self, environment: Environment, cache: RecordCache | None = None) -> None:
        """`cache`: where records are kept from one start to the next."""
        self.environment = environment
        self._cache = cache
        self._listings: dict[str, frozenset[str]] = {}
        self._modules: dict[str, Module | None] = {}
        self._dotted: dict[str, str] = {}
        self._records: OrderedDict[str, FileRecord | None] = OrderedDict()
        self._size = 0
        self._lock = Lock()
        # What resolvers found out about outside files alone.
        self.inferred = Shared()
        self.scopes = Shared()
        self._bound = Shared()

    @staticmethod
    @cache
    def standard() -> Library:
        """The standard library alone."""
        return Library(Environment.standard())

    # --- files ----------------------------------------------------------------------------------------

    def text(self, path: str) -> Text | None:
        """The text of an outside file as it lies on disk."""
        text = read_text(Path(path))
        return None if isinstance(text, Unreadable) else text

    def record(self, path: str) -> FileRecord | None:
        """What an outside file says, None when it cannot be read. Of a stub, without the branches that are for
        other versions and platforms than the environment's; offsets are the file's all the same."""
        with self._lock:
            if path in self._records:
                self._records.move_to_end(path)
                return self._records[path]
        text = self.text(path)
        record = None
        if text is not None:
            if path.endswith(".pyi"):
                text = Text.of(without_dead_branches(text.data, self.environment.version))
            record = self._cache.find(text.digest, len(text)) if self._cache is not None else None
            if record is None:
                record = read_record(text, "python")
                if self._cache is not None:
                    self._cache.keep(record)
        with self._lock:
            if path not in self._records:
                self._records[path] = record
                self._size += _size(record)
            while self._size > _MEMORY and len(self._records) > 1:
                _, dropped = self._records.popitem(last=False)
                self._size -= _size(dropped)
                self.scopes.clear()  # they hold on to their records
        return record

    def may_have(self, path: str, name: str) -> bool:
        """Whether a file could give a name, by its bytes alone: looking is much cheaper than reading it."""
        with self._lock:
            record = self._records.get(path)
        if record is not None:
            return record.name_index(name) is not None or record.name_index("*") is not None
        key = (path, name)
        if key not in self._bound:
            text = self.text(path)
            data = b"" if text is None else text.data
            self._bound[key] = b"import *" in data or (name.encode() in data and _is_bound_in(data, name))
        return self._bound[key]

    def doc(self, dotted: str) -> str:
        """The first paragraph of documentation of a name whose stub has none, by its source or the interpreter's own
        builtins."""
        module = None
        parts = dotted.split(".")
        for at in range(len(parts), 0, -1):
            module = self.environment.find_module(".".join(parts[:at]))
            if module is not None:
                break
        else:
            at = 1
        record = None if module is None else self.record(module.as_posix())
        if record is not None:
            return _doc_in(record, parts[at:])
        if parts[0] != "builtins":
            return ""
        found: object = builtins
        for name in parts[1:]:
            found = getattr(found, name, None)
        return _first_paragraph(getattr(found, "__doc__", None) or "")

    # --- names to files -------------------------------------------------------------------------------

    def find(self, dotted: str) -> Module | None:
        """The module of an absolute name; stubs come before sources."""
        if dotted not in self._modules:
            self._modules[dotted] = self._find(dotted.split("."))
        return self._modules[dotted]

    def _find(self, parts: list[str]) -> Module | None:
        if not all(parts):
            return None
        namespace: Module | None = None
        for root in self._roots(parts[0]):
            name, *rest = parts
            stubs = self.child(root, name + "-stubs") if name + "-stubs" in self._listing(root) else None
            found = stubs or self.child(root, name)
            for part in rest:
                found = None if found is None or not found.is_package else self.child(found.directory, part)
            if found is None:
                continue
            if not found.is_namespace:
                self._dotted.setdefault(found.path, ".".join(parts))
                return found
            namespace = namespace or found
        if namespace is not None:
            self._dotted.setdefault(namespace.path, ".".join(parts))
        return namespace

    def _roots(self, top: str) -> Iterator[str]:
        if top in self._typeshed_versions:
            yield typeshed() or ""
        search = [folder.as_posix() for folder in self.environment.search if folder.is_absolute()]
        yield from (root for root in search if f"{top}-stubs" in self._listing(root))
        yield from (home.parent.as_posix() for name, home in self.environment.editable if name == top)
        yield from search
        yield from (folder.as_posix() for folder in self.environment.stdlib)

    @cached_property
    def _typeshed_versions(self) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
        """The standard library's modules, submodules too, with the versions that have them."""
        found: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
        try:
            lines = Path(typeshed() or "", "VERSIONS").read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        for line in lines:
            match = re.match(r"([\w.]+): (\d)\.(\d+)-(?:(\d)\.(\d+))?", line)
            if match is not None:
                low = (int(match[2]), int(match[3]))
                found[match[1]] = (low, (int(match[4]), int(match[5])) if match[4] else (99, 0))
        return found

    def child(self, directory: str, name: str) -> Module | None:
        """The module `name` directly in a directory."""
        listing = self._listing(directory)
        inside = f"{directory}/{name}"
        if name in listing:
            files = self._listing(inside)
            for suffix in _SUFFIXES:
                if "__init__" + suffix in files:
                    return Module(f"{inside}/__init__{suffix}")
        for suffix in _SUFFIXES:
            if name + suffix in listing:
                return Module(inside + suffix)
        return Module(inside + "/") if name in listing and self._listing(inside) else None

    def find_from(self, importer: str, dotted: str, level: int) -> Module | None:
        """The module that an import statement in an outside file names."""
        if not level:
            return self.find(dotted)
        directory = importer.rpartition("/")[0]
        for _ in range(level - 1):
            directory = directory.rpartition("/")[0]
        found: Module | None = self._package(directory)
        base = self.dotted(found.path)
        for part in dotted.split(".") if dotted else ():
            if found is None or not found.is_package:
                return None
            found = self.child(found.directory, part)
            base = f"{base}.{part}"
            if found is not None:
                self._dotted.setdefault(found.path, base)
        return found

    def submodules(self, module: Module) -> dict[str, Module]:
        """The modules directly inside a package, by name."""
        if not module.is_package:
            return {}
        names = {name.partition(".")[0] for name in self._listing(module.directory) if _is_module(name)}
        names -= {"__init__", "__pycache__", ""}
        found = {name: self.child(module.directory, name) for name in sorted(names) if name.isidentifier()}
        return {name: child for name, child in found.items() if child is not None and not child.is_namespace}

    def dotted(self, path: str) -> str:
        """The name under which an outside file is imported."""
        if path not in self._dotted:
            parts: list[str] = []
            at = path.rstrip("/")
            directory, _, last = at.rpartition("/")
            stem = last.partition(".")[0]
            if stem != "__init__":
                parts.append(stem)
            while any("__init__" + suffix in self._listing(directory) for suffix in _SUFFIXES):
                directory, _, last = directory.rpartition("/")
                parts.append(last.removesuffix("-stubs"))
            self._dotted[path] = ".".join(reversed(parts))
        return self._dotted[path]

    def _package(self, directory: str) -> Module:
        listing = self._listing(directory)
        for suffix in _SUFFIXES:
            if "__init__" + suffix in listing:
                return Module(f"{directory}/__init__{suffix}")
        return Module(directory + "/")

    def _listing(self, directory: str) -> frozenset[str]:
        found = self._listings.get(directory)
        if found is None:
            try:
                found = frozenset(entry.name for entry in os.scandir(directory))
            except OSError:
                found = frozenset()
            self._listings[directory] = found
        return found


@cache
def typeshed() -> str | None:
    """The folder of the standard library's stubs, None where they are not installed."""
    spec = find_spec("typeshed_client")
    if spec is None or spec.origin is None:
        return None
    return (Path(spec.origin).parent / "typeshed").as_posix()


def without_dead_branches(data: bytes, version: tuple[int, int]) -> bytes:
    """A stub's text with what another version or platform would run blanked out, so that all offsets hold."""
    import sys

    if b"sys." not in data:
        return data
    out = bytearray(data)
    # By indentation: whether a branch of the chain of tests there was taken, None while that is not known.
    taken: dict[bytes, bool | None] = {}
    dead: list[tuple[int, int]] = []
    for match in _TEST.finditer(data):
        indent, word = match["indent"], match["word"]
        before = taken.get(indent) if word != b"if" else False
        if word == b"else":
            live = None if before is None else not before
        else:
            test = _truth(match["test"], version, sys.platform)
            live = False if before else test if before is not None else None
        if word == b"if" or before is not None:
            taken[indent] = True if before or live else live if live is None else False
        if live is False:
            dead.append((match.end(), _block_end(data, match.end(), len(indent))))
    for start, end in dead:
        block = data[start:end]
        out[start:end] = re.sub(rb"[^\n]", b" ", block)
        # A block needs a statement: the ellipsis stands where there is room for one.
        first = re.search(rb"\n([ \t]+)\S", block)
        if first is not None and start + first.end(1) + 3 <= end:
            at = start + first.end(1)
            if b"\n" not in data[at : at + 3]:
                out[at : at + 3] = b"..."
    return bytes(out)


def _truth(test: bytes, version: tuple[int, int], platform: str) -> bool | None:
    parts = _TERMS.split(test)
    values = [_term(term, version, platform) for term in parts[::2]]
    if len(values) == 1:
        return values[0]
    words = set(parts[1::2])
    if words == {b"and"}:
        return False if False in values else None if None in values else True
    if words == {b"or"}:
        return True if True in values else None if None in values else False
    return None


def _term(term: bytes, version: tuple[int, int], platform: str) -> bool | None:
    match = _VERSION_TEST.fullmatch(term)
    if match is not None:
        wanted = (int(match[2]), int(match[3]))
        return version >= wanted if match[1] == b">=" else version < wanted
    match = _PLATFORM_TEST.fullmatch(term)
    if match is not None:
        return (platform == match[2].decode()) == (match[1] == b"==")
    return None


def _block_end(data: bytes, start: int, indent: int) -> int:
    """The end of the lines below `start` that are indented more than `indent`, or stand in a text that began there."""
    at = data.find(b"\n", start)
    while at >= 0:
        end = data.find(b"\n", at + 1)
        line = data[at + 1 : end if end >= 0 else len(data)]
        bare = line.lstrip(b" \t")
        if bare.strip() and len(line) - len(bare) <= indent and not data.count(b'"""', start, at) % 2:
            return at
        if end < 0:
            return len(data)
        at = end
    return len(data)


def _is_bound_in(data: bytes, name: str) -> bool:
    """Whether a name stands anywhere as if it were bound: behind `class`, `def`, `as`, `for` or `import`, before a
    colon or an equals sign, or in an import's list."""
    pattern = _BINDING.replace(b"NAME", re.escape(name.encode()))
    return re.search(pattern, data, re.MULTILINE) is not None


_BINDING = (
    rb"\b(?:class|def|as|type)[ \t]+NAME\b|\b(?:import|for)\b[^\n]*\bNAME\b"
    rb"|^[ \t]*(?:\w+(?:[ \t]+as[ \t]+\w+)?,[ \t]*)*NAME[ \t]*(?:,|\)|:|#|\\|\r?$)"
    rb"|^[^\n=(]*\bNAME\b[^\n=(]*=(?!=)"
)


def _doc_in(record: FileRecord, parts: list[str]) -> str:
    if not parts:
        return record.doc
    scope, doc = 0, ""
    for name in parts:
        rows = record.bindings(scope, name) if scope >= 0 else ()
        if not rows:
            return ""
        row = max(rows, key=lambda at: record.symbols.inner[at])
        scope, doc = record.symbols.inner[row], record.symbols[row].doc
    return doc


def _first_paragraph(doc: str) -> str:
    lines = [line.strip() for line in doc.strip().splitlines()]
    return "\n".join(lines[: lines.index("")] if "" in lines else lines)[:600]


def _is_module(name: str) -> bool:
    return "." not in name or name.endswith(_SUFFIXES)


def _size(record: FileRecord | None) -> int:
    return 0 if record is None else record.size * _RECORD_PER_BYTE
