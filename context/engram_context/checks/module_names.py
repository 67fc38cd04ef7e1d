"""The names that modules of a project offer to importers, as far as their files tell."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from engram_context.imports import Module
from engram_context.reader import is_text_alone
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Text

# A module that mentions one of these may define any name, as its text then says or not.
_NAMESPACES = ("exec", "globals", "vars")
_BINDS = re.compile(
    rb"(?m)^exec\s*\(|\b(?:globals|vars)\(\)(?:\[[^\]\n]+\]\s*=[^=]|\.(?:update|setdefault|__setitem__)\b)|"
    rb"=\s*(?:globals|vars)\(\)\s*$|\bexec\b[^\n]*\bglobals\(\)"
)
_MODULE_ATTRIBUTES = frozenset(
    ("__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__path__", "__dict__", "__builtins__")
)


@dataclass(slots=True)
class ModuleNames:
    """The names that modules of one snapshot offer to importers. Any thread."""

    snapshot: Snapshot
    _known: dict[str, frozenset[str] | None] = field(default_factory=dict[str, "frozenset[str] | None"])
    # Held while a module is read: of a cycle, others must not see what its first member sees.
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def of(self, path: str) -> frozenset[str] | None:
        """All names in a module's namespace, submodules apart; None when only running it would tell."""
        with self._lock:
            if path not in self._known:
                self._known[path] = frozenset()  # what an import cycle sees of a module that is not done yet
                self._known[path] = self._read(path)
            return self._known[path]

    def starred(self, path: str) -> frozenset[str] | None:
        """The names that `from module import *` brings in."""
        record = self.snapshot.record(path)
        if record is None:
            return None
        if record.exports is not None and not any(name.endswith(".*") for name in record.exports):
            return frozenset(record.exports)
        names = self.of(path)
        return None if names is None else frozenset(name for name in names if not name.startswith("_"))

    def stars_in(self, path: str, record: FileRecord) -> frozenset[str] | None:
        """The names that the star imports of a file bring in; None when one of them cannot be known."""
        names: frozenset[str] = frozenset()
        for imported in record.imports:
            if imported.name != "*":
                continue
            module = self.snapshot.modules.find(path, imported.module, imported.level)
            more = None if module is None or module.is_namespace else self.starred(module.path)
            if more is None:
                return None
            names |= more
        return names

    def _read(self, path: str) -> frozenset[str] | None:
        record = self.snapshot.record(path)
        if record is None or record.errors or is_text_alone(record):
            return None
        if self._is_dynamic(path, record):
            return None
        starred = self.stars_in(path, record)
        return None if starred is None else starred.union(written_names(record))

    def _is_dynamic(self, path: str, record: FileRecord) -> bool:
        """Whether a module has names that its text does not bind: by `__getattr__`, through `sys.modules`, or by
        writing to its namespace."""
        if 0 in record.bound("__getattr__"):
            return True
        if record.name_index("modules") is not None and record.name_index("__name__") is not None:
            return True
        if all(record.name_index(name) is None for name in _NAMESPACES):
            return False
        text = self.snapshot.text(path)
        return text is None or binds_dynamically(text)

    def offers(self, module: Module, name: str) -> bool | None:
        """Whether `from module import name` works, as far as the project's files tell."""
        if module.is_package and self.snapshot.modules.child(module.directory, name) is not None:
            return True
        if name in _MODULE_ATTRIBUTES:
            return True
        if module.is_namespace:
            return False
        names = self.of(module.path)
        if names is None:
            record = self.snapshot.record(module.path)
            return True if record is not None and 0 in record.bound(name) else None
        return name in names


def written_names(record: FileRecord) -> frozenset[str]:
    """The names that a module's own text binds at its top."""
    symbols = record.symbols
    columns = zip(symbols.scope, symbols.name, strict=True)
    return frozenset(record.names[name] for scope, name in columns if scope == 0)


def binds_dynamically(text: Text) -> bool:
    """Whether a module fills its own namespace by `exec` or through `globals()`."""
    return any(word in text.data for word in (b"exec(", b"globals(", b"vars(")) and _BINDS.search(text.data) is not None
