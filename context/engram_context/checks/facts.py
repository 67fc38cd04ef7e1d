"""What the files of a project do to the members of classes and modules from outside their bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engram_context.checks.whole import Whole, of_record
from engram_context.inference.calls import last_name
from engram_context.inference.inferred import ClassType
from engram_context.records import KIND, ROLE, SCOPE_KIND, VALUE_KIND, FileRecord, rows_with, value_row

_WRITE = ROLE["attribute-write"]
_CLASS_SCOPE = SCOPE_KIND["class"]
_ATTRIBUTE = KIND["attribute"]
_PROBES = frozenset(("hasattr", "getattr", "setattr", "delattr", "patch", "object", "__setattr__", "attrgetter"))
"""Calls that take the names of members as text, `patch.object` and `monkeypatch.setattr` among them."""
_SETTERS = frozenset(("setattr", "__setattr__"))
_DYNAMIC = frozenset(
    ("__dict__", "setattr", "vars", "locals", "exec", "__setattr__", "__getattr__", "__getattribute__")
)


_DISPLAYS = tuple(VALUE_KIND[kind] for kind in ("list", "tuple", "dict", "set"))
_TEST_FOLDERS = frozenset(("test", "tests", "testing"))


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Of one file. `written`: members that are assigned through anything but the receiver of a method, by name, with
    the occurrences.
    `probed`: names that calls take as text. `filled`: names of what is given members by computed names.
    `handed`: names that are given to calls.
    `derived`: the scopes and names of classes by the last name of each base. `dynamic`: the scopes of classes whose
    objects may get members that no statement names."""

    written: Mapping[str, tuple[int, ...]]
    probed: frozenset[str]
    filled: frozenset[str]
    handed: frozenset[str]
    derived: Mapping[str, tuple[tuple[int, str], ...]]
    dynamic: frozenset[int]


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a whole project. What its tests assign is told apart from what its code does."""

    written: Mapping[str, tuple[tuple[str, int], ...]]
    written_in_tests: frozenset[str]
    probed: frozenset[str]
    filled: frozenset[str]
    derived: Mapping[str, tuple[tuple[ClassType, str], ...]]

    def below(self, name: str) -> frozenset[ClassType]:
        """The classes that may inherit, however far, from a class of that name; there may be others of the name."""
        found: set[ClassType] = set()
        seen = {name}
        waiting = [name]
        while waiting:
            for one, own in self.derived.get(waiting.pop(), ()):
                found.add(one)
                if own not in seen:
                    seen.add(own)
                    waiting.append(own)
        return frozenset(found)


def facts_of(whole: Whole) -> Facts:
    written: dict[str, list[tuple[str, int]]] = {}
    in_tests: set[str] = set()
    probed: set[str] = set()
    filled: set[str] = set()
    derived: dict[str, list[tuple[ClassType, str]]] = {}
    for path, record in whole.snapshot.records.items():
        if record.language != "python":
            continue
        found = of_record(record, file_facts)
        if is_test(path):
            in_tests.update(found.written)
        else:
            for name, indices in found.written.items():
                written.setdefault(name, []).extend((path, index) for index in indices)
        probed |= found.probed
        filled |= found.filled
        for base, classes in found.derived.items():
            derived.setdefault(base, []).extend((ClassType(path, scope), own) for scope, own in classes)
    classes = {name: tuple(all_) for name, all_ in derived.items()}
    writers = {name: tuple(all_) for name, all_ in written.items()}
    return Facts(writers, frozenset(in_tests), frozenset(probed), frozenset(filled), classes)


def is_test(path: str) -> bool:
    """Whether a file is one of the project's tests, by its name and folders."""
    *folders, name = path.lower().split("/")
    return (
        name.startswith(("test_", "tests.", "conftest."))
        or name.endswith("_test.py")
        or not _TEST_FOLDERS.isdisjoint(folders)
    )


def file_facts(record: FileRecord) -> FileFacts:
    occurrences, names = record.occurrences, record.names
    own = {record.symbols.start[row] for row in rows_with(record.symbols.kind, _ATTRIBUTE)}
    written: dict[str, list[int]] = {}
    for index in rows_with(occurrences.role, _WRITE):
        if occurrences.start[index] not in own:
            written.setdefault(names[occurrences.name[index]], []).append(index)
    probed, filled = _of_calls(record)
    writers = {name: tuple(all_) for name, all_ in written.items()}
    return FileFacts(writers, probed, filled, _handed(record), _derived(record), frozenset(_dynamic(record)))


def _of_calls(record: FileRecord) -> tuple[frozenset[str], frozenset[str]]:
    probed: set[str] = set()
    filled: set[str] = set()
    numbers = {number for name in _PROBES if (number := record.name_index(name)) is not None}
    occurrences, calls = record.occurrences, record.calls
    for row, callee in enumerate(calls.callee) if numbers else ():
        if callee < 0 or occurrences.name[callee] not in numbers:
            continue
        refs = [record.arguments.value[at] for at in range(calls.first_argument[row], calls.last_argument[row])]
        texts = [text for ref in refs if (text := text_of(record, ref)) is not None]
        for text in texts:
            probed.update(text.split("."))
        if not texts and refs and record.names[occurrences.name[callee]] in _SETTERS and refs[0] >= 0:
            filled.add(record.names[occurrences.name[refs[0]]])
    return frozenset(probed), frozenset(filled)


def _handed(record: FileRecord) -> frozenset[str]:
    """The last names of what is given to calls as it is, or put into a list and the like."""
    return frozenset(record.names[record.occurrences.name[ref]] for ref in given_refs(record))


def given_refs(record: FileRecord) -> Iterator[int]:
    """The names and members that are given to calls, or put into a list and the like."""
    for ref in record.arguments.value:
        if ref >= 0:
            yield ref
    values = record.values
    for kind in _DISPLAYS:
        for row in rows_with(values.kind, kind):
            for ref in values.pool[values.first[row] : values.second[row]]:
                if ref >= 0:
                    yield ref


def text_of(record: FileRecord, ref: int) -> str | None:
    """The text of a short plain string literal."""
    row = value_row(ref)
    value = None if row is None else record.values[row]
    if value is None or value.kind != "str":
        return None
    return record.values.strings[value.first] if value.first else None


def _derived(record: FileRecord) -> dict[str, tuple[tuple[int, str], ...]]:
    aliases = {one.alias: one.name for one in record.imports if one.alias is not None and one.name is not None}
    found: dict[str, list[tuple[int, str]]] = {}
    for scope in rows_with(record.scopes.kind, _CLASS_SCOPE):
        one = record.scopes[scope]
        for ref in one.refs:
            base = last_name(record, ref)
            found.setdefault(aliases.get(base, base), []).append((scope, one.name))
    return {name: tuple(all_) for name, all_ in found.items()}


def _dynamic(record: FileRecord) -> Iterator[int]:
    occurrences = record.occurrences
    offsets = [occurrences.start[at] for name in _DYNAMIC for at in record.occurrences_of(name)]
    offsets += [occurrences.start[at] for at in record.occurrences_of("__class__", frozenset((_WRITE,)))]
    for scope in rows_with(record.scopes.kind, _CLASS_SCOPE) if offsets else ():
        low, high = record.scopes.start[scope], record.scopes.end[scope]
        if any(low <= offset < high for offset in offsets):
            yield scope
