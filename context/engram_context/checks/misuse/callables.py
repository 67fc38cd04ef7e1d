"""How what is called by a name is declared in the project: the parameters of all functions and classes of that name."""

from __future__ import annotations

from collections.abc import Iterator

from engram_context.checks.misuse.functions import decorators
from engram_context.records import KEYWORD_ONLY, KEYWORDS, KIND, SCOPE_KIND, VARIADIC, FileRecord
from engram_context.snapshot import Snapshot

_FUNCTION, _METHOD, _CLASS = KIND["function"], KIND["method"], KIND["class"]
_PARAMETER = KIND["parameter"]
_CLASS_SCOPE = SCOPE_KIND["class"]
_MOST_FILES = 40

Parameters = tuple[str, ...]


class Callables:
    """What a snapshot declares, looked up by name and kept. Any one thread."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._kept: dict[str, tuple[Parameters, ...]] = {}
        self._namesakes: dict[str, int] = {}

    def parameters(self, name: str) -> tuple[Parameters, ...]:
        """The positional parameters of each declaration of a name, less what a method is called on; all different."""
        if name not in self._kept:
            found: dict[Parameters, None] = {}
            for path in self._naming(name):
                record = self._snapshot.records[path]
                found.update(dict.fromkeys(_declared(record, name)))
            self._kept[name] = tuple(found)
        return self._kept[name]

    def namesakes(self, name: str) -> int:
        """How many functions and methods have a name."""
        if name not in self._namesakes:
            count = 0
            for path in self._naming(name):
                record = self._snapshot.records[path]
                for rows in record.bound(name).values():
                    count += sum(record.symbols.kind[row] in (_FUNCTION, _METHOD) for row in rows)
            self._namesakes[name] = count
        return self._namesakes[name]

    def _naming(self, name: str) -> list[str]:
        return sorted(self._snapshot.files_naming(name))[:_MOST_FILES]


def _declared(record: FileRecord, name: str) -> Iterator[Parameters]:
    symbols = record.symbols
    for rows in record.bound(name).values():
        for row in rows:
            inner = symbols.inner[row]
            if inner < 0:
                continue
            if symbols.kind[row] == _CLASS:
                for made in record.bindings(inner, "__init__"):
                    if symbols.inner[made] >= 0:
                        yield _positional(record, made)
            elif symbols.kind[row] in (_FUNCTION, _METHOD):
                yield _positional(record, row)


def _positional(record: FileRecord, function: int) -> Parameters:
    symbols = record.symbols
    found = [
        record.names[symbols.name[row]]
        for row in record.symbols_in(symbols.inner[function])
        if symbols.kind[row] == _PARAMETER and not symbols.flags[row] & (VARIADIC | KEYWORDS | KEYWORD_ONLY)
    ]
    is_method = record.scopes.kind[symbols.scope[function]] == _CLASS_SCOPE
    if is_method and found and "staticmethod" not in decorators(record, function):
        found = found[1:]
    return tuple(found)
