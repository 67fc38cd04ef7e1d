"""Functions, classes, methods, constants and modules that nothing uses, with how sure that is.

A definition is dead when every mention of its name means something else, or stands in what is dead itself. Who may
look a thing up without naming it in code (exports, decorators, bases from outside, names that are put together, texts,
settings) keeps it alive; where users cannot be seen (the public names of a library) it is only likely to be.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import tree_sitter

from engram_context.checks.check import Check, Code
from engram_context.checks.dead_words import words_of
from engram_context.checks.dependencies import declared_by, is_shipped
from engram_context.checks.imported import import_graph
from engram_context.checks.subject import Found, Subject
from engram_context.checks.unused import remove_statement
from engram_context.checks.whole import Whole, of_record
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.imports import Module
from engram_context.inference.calls import decorator_name
from engram_context.inference.members import ClassType, Outside
from engram_context.outside.classes import class_members
from engram_context.outside.environment import BUILTIN_NAMES, Environment
from engram_context.outside.library import is_outside
from engram_context.records import ABSTRACT, KIND, ROLE, SCOPE_KIND, SETTER, FileRecord, rows_with
from engram_context.renames.families import Hierarchy
from engram_context.renames.lookups import built_parts
from engram_context.renames.prose import called_name
from engram_context.resolve import MEMBER_ROLES, Resolver
from engram_context.targets import Slot
from engram_context.text import Span, Text

LEAST = 0.6
"""What is less likely dead is not told."""

_FUNCTION, _CLASS, _METHOD = KIND["function"], KIND["class"], KIND["method"]
_CONSTANTS = frozenset((KIND["constant"], KIND["variable"]))
_KINDS = {_FUNCTION: "function", _CLASS: "class", _METHOD: "method"}
_CLASS_SCOPE = SCOPE_KIND["class"]
_IMPORT, _STRING = ROLE["import"], ROLE["string"]
_BINDING = frozenset((ROLE["write"], ROLE["definition"], ROLE["delete"], ROLE["declaration"], ROLE["keyword"]))
_DEEPEST = 40
_MOST_MENTIONS = 40  # what is mentioned more often is not looked at closely
# Decorators that leave it to others to use what they decorate.
_NEUTRAL = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "lru_cache", "cache", "contextmanager"}
    | {"asynccontextmanager", "wraps", "final", "no_type_check", "total_ordering", "dataclass", "deprecated", "unique"}
    | {"overload", "singledispatch", "singledispatchmethod", "coroutine"}
)
_PLAIN_BASES = frozenset(
    {"abc.ABC", "typing.Generic", "typing.NamedTuple", "typing_extensions.NamedTuple", "typing.TypedDict"}
    | {"typing_extensions.TypedDict", "enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag"}
    | {"collections.OrderedDict", "collections.UserDict", "collections.defaultdict", "threading.local"}
)
_PROTOCOLS = frozenset(("Protocol", "Interface"))
_BY_NAME_IN_FILE = frozenset(("globals", "locals", "vars", "getmembers", "__dict__", "modules", "exec", "eval"))
_LOADERS = frozenset(("import_module", "__import__", "iter_modules", "walk_packages", "load_module", "exec_module"))
_LOOKUPS = frozenset(("getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller", "globals", "vars"))
_OWN_NAMES = frozenset(("globals", "locals", "vars"))
_SHORTEST_PART = 3
_HOOKS = re.compile(r"test|Test|pytest_|setup_?|teardown_?|load_tests")
# Names that frameworks ask a module or a class for.
_ASKED_FOR = re.compile(
    r"main|setUp\w*|tearDown\w*|makeExtension|(?:un)?load_ipython_extension|application|lambda_handler|includeme"
    r"|asyncSetUp|asyncTearDown|runTest"
)
_CONFIGURING = frozenset(("conf", "setup", "noxfile", "manage", "hubconf", "tasks", "fabfile"))
_TESTS = frozenset(("test", "tests", "conftest"))
# Files whose names somebody else knows.
_KNOWN_FILES = re.compile(
    r"setup|conftest|noxfile|conf|manage|wsgi|asgi|settings|urls|tasks|fabfile|dodo|__main__|__init__|sitecustomize|"
    r"usercustomize|hatch_build|versioneer|gunicorn\w*|celeryconfig|apps|admin|models|test_.*|.*_test|hubconf"
)
_KNOWN_FOLDERS = frozenset(
    ("migrations", "versions", "management", "templatetags", "tests", "test", "examples", "docs", "scripts", "bin")
)


@dataclass(frozen=True, slots=True)
class Definition:
    """What may be dead. `rows` are the symbols of its slot."""

    scope: int
    name: str
    kind: str
    rows: tuple[int, ...]
    body: Span

    @property
    def is_private(self) -> bool:
        return self.name.startswith("_")


Key = tuple[str, int]
"""A path and the first symbol of a definition in it."""


def definitions_in(record: FileRecord) -> Mapping[int, Definition]:
    """The definitions of a file, by first symbol, that nothing in the file itself puts to use."""
    symbols, kinds = record.symbols, record.scopes.kind
    slots: dict[tuple[int, int], list[int]] = {}
    for row, (scope, name) in enumerate(zip(symbols.scope, symbols.name, strict=True)):
        slots.setdefault((scope, name), []).append(row)
    exported = frozenset(record.exports or ())
    found: dict[int, Definition] = {}
    for (scope, number), rows in slots.items():
        name = record.names[number]
        kind = symbols.kind[rows[0]]
        if (name.startswith("__") and name.endswith("__")) or name == "_" or (scope == 0 and name in exported):
            continue
        if kind in _CONSTANTS:
            if scope == 0 and name.startswith("_") and all(symbols.kind[row] in _CONSTANTS for row in rows):
                found[rows[0]] = Definition(scope, name, "constant", tuple(rows), symbols.span(rows[0]))
            continue
        if kind not in _KINDS or any(symbols.kind[row] not in _KINDS for row in rows):
            continue
        if kind == _CLASS and kinds[scope] == _CLASS_SCOPE:
            continue  # what a class holds, its framework may look for
        if any(symbols.flags[row] & ABSTRACT for row in rows) or not _is_plainly_decorated(record, rows):
            continue
        body = Span(symbols.body_start[rows[0]], symbols.body_end[rows[0]])
        found[rows[0]] = Definition(scope, name, _KINDS[kind], tuple(rows), body)
    return found


def _is_plainly_decorated(record: FileRecord, rows: Iterable[int]) -> bool:
    for row in rows:
        if record.symbols.flags[row] & SETTER:
            continue
        for ref in record.symbols[row].decorators:
            if decorator_name(record, ref) not in _NEUTRAL:
                return False
    return True


class Dead:
    """What is dead in one snapshot. Any thread, each with a resolver of its own."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self._known: dict[Key, bool] = {}
        self._confidence: dict[Key, float] = {}
        self._parts: frozenset[str] | None = None
        self._lock = threading.RLock()

    def confidence(self, resolver: Resolver, path: str, row: int) -> float:
        """How sure it is that a definition is dead; 0 for one that is not."""
        with self._lock:
            key = (path, row)
            return self._likely(resolver, key) if self._is_dead(resolver, key, ()) else 0.0

    # --- who uses it ----------------------------------------------------------------------------------

    def _is_dead(self, resolver: Resolver, key: Key, within: tuple[Key, ...]) -> bool:
        """Whether all that uses a definition is dead. What is being asked about (`within`) is taken to be: who only
        use one another are used by nobody."""
        if key in self._known:
            return self._known[key]
        if key in within:
            return True
        path, row = key
        if len(within) > _DEEPEST or self._by_name(resolver, path, resolver.snapshot.records[path], row) < LEAST:
            return False
        waiting: list[tuple[Key, ...]] = []
        for users in self.uses(resolver, key):
            if not users:
                self._known[key] = False
                return False
            waiting.append(users)
        if self._likely(resolver, key) < LEAST:
            return False
        for users in dict.fromkeys(waiting):
            if not any(self._is_dead(resolver, user, (*within, key)) for user in users):
                self._known[key] = False
                return False
        if not within:
            self._known[key] = True
        return True

    def uses(self, resolver: Resolver, key: Key) -> Iterator[tuple[Key, ...]]:
        """For each mention that may mean a definition: the definitions that it stands in."""
        path, row = key
        snapshot = resolver.snapshot
        definition = of_record(snapshot.records[path], definitions_in)[row]
        is_local = not self._is_open(snapshot.records[path], definition.scope)
        others = () if is_local else snapshot.files_naming(definition.name)
        own = _in_own_decorators(snapshot.records[path], definition)
        count = 0
        for at in (path, *(other for other in others if other != path)):
            record = snapshot.records[at]
            for index in record.occurrences_of(definition.name):
                users = self._around(record, at, index)
                if key in users or (at == path and index in own):
                    continue
                count += 1
                if count > _MOST_MENTIONS:
                    yield ()
                    return
                if _may_mean(resolver, at, record, index, path, definition):
                    yield users

    @staticmethod
    def _is_open(record: FileRecord, scope: int) -> bool:
        return scope == 0 or record.scopes.kind[scope] == _CLASS_SCOPE

    @staticmethod
    def _around(record: FileRecord, path: str, index: int) -> tuple[Key, ...]:
        known = of_record(record, definitions_in)
        found: list[Key] = []
        scope = record.occurrences.scope[index]
        while scope > 0:
            symbol = record.scopes.symbol[scope]
            if symbol >= 0:
                found.extend((path, row) for row in _first_rows(known, record, symbol))
            scope = record.scopes.parent[scope]
        return tuple(found)

    # --- who may use it unseen ------------------------------------------------------------------------

    def _likely(self, resolver: Resolver, key: Key) -> float:
        if key not in self._confidence:
            path, row = key
            record = resolver.snapshot.records[path]
            likely = self._by_name(resolver, path, record, row)
            if likely >= LEAST:
                definition = of_record(record, definitions_in)[row]
                if definition.kind == "class":
                    likely *= self._of_class(resolver, path, record, row)
                elif record.scopes.kind[definition.scope] == _CLASS_SCOPE:
                    likely *= self._of_member(resolver, path, record, definition)
            self._confidence[key] = likely
        return self._confidence[key]

    def _by_name(self, resolver: Resolver, path: str, record: FileRecord, row: int) -> float:
        """How likely nobody uses a definition without naming it where that can be seen; its bases apart."""
        definition = of_record(record, definitions_in).get(row)
        if definition is None or record.errors or path.endswith(".pyi"):
            return 0.0
        name, scope = definition.name, definition.scope
        if not self._is_open(record, scope):
            # Classes in tests are there to be made, or to fail at that.
            is_test = definition.kind == "class" and not is_shipped(path)
            return 0.0 if is_test or _reads_locals(record) else 0.95
        is_open = scope == 0 and not _BY_NAME_IN_FILE.isdisjoint(record.names)
        if is_open and not definition.is_private:
            return 0.0
        words = self.whole.of(words_of)
        if name in words.quoted or name in words.configured or self._is_put_together(resolver, path, name):
            return 0.0
        if _is_known_to_tools(path, definition) or _is_in_stub(resolver, path, name):
            return 0.0
        if definition.is_private:
            return 0.8 if is_open else 0.95
        return self.public(path) * (0.8 if name in words.written else 1.0)

    def public(self, path: str) -> float:
        """Of a name that anybody may import: much less where the project is there to be imported from."""
        if not is_shipped(path):
            return 0.8
        over = self.whole.of(declared_by).over(path)
        if not any(manifest.name or at.endswith("setup.py") for at, manifest in over):
            return 0.8 if over else 0.55
        if any(part.startswith("_") and not part.startswith("__") for part in PurePosixPath(path).parts):
            return 0.75
        return 0.4

    def _of_class(self, resolver: Resolver, path: str, record: FileRecord, row: int) -> float:
        """Less where a class may be found through its bases."""
        scope = record.symbols.inner[row]
        if scope < 0 or record.symbols.value[row] >= 0:
            return 0.0
        bases = list(_bases(resolver, self.whole.environment, ClassType(path, scope)))
        if any(base is None or (isinstance(base, str) and not _is_plain(base)) for base in bases):
            return 0.0
        own = [base for base in bases if isinstance(base, ClassType)]
        if own and resolver.snapshot.files_naming("__subclasses__"):
            return 0.0
        if any(resolver.symbols_of(Slot(base.path, base.scope, "__init_subclass__")) for base in own):
            return 0.0
        return 0.9 if own else 1.0

    def _of_member(self, resolver: Resolver, path: str, record: FileRecord, definition: Definition) -> float:
        name, scope = definition.name, definition.scope
        likely = 0.9
        for base in _bases(resolver, self.whole.environment, ClassType(path, scope)):
            if base is None:
                return 0.0
            if isinstance(base, ClassType):
                if resolver.symbols_of(Slot(base.path, base.scope, name)):
                    return 0.0
                continue
            members = class_members(base, self.whole.environment)
            if members is None or name in members or (not definition.is_private and not _is_plain(base)):
                return 0.0
        if name in self.whole.of(protocol_members):
            return 0.0
        owner = record.scopes.owner_name[scope]
        is_inner = owner >= 0 and record.names[owner].startswith("_")
        return likely if definition.is_private or is_inner else likely * 0.9

    def _is_put_together(self, resolver: Resolver, path: str, name: str) -> bool:
        """Whether something looks up names of which this one has a part; in other files only a part of some length
        says anything."""
        if self._parts is None:
            found: set[str] = set()
            for at, record in resolver.snapshot.records.items():
                if record.language == "python":
                    found |= parts_in(resolver, at, record)
            self._parts = frozenset(part for part in found if len(part) >= _SHORTEST_PART)
        parts = self._parts | parts_in(resolver, path, resolver.snapshot.records[path])
        return any(name != part and (name.startswith(part) or name.endswith(part)) for part in parts)


def parts_in(resolver: Resolver, path: str, record: FileRecord) -> frozenset[str]:
    """The parts of names that a file looks up, having put them together: of some length, or looked up in the module
    itself."""
    kept = of_record(record, _parts)
    if not kept:
        parts = () if _LOOKUPS.isdisjoint(record.names) else built_parts(resolver, path, record)
        kept.append(
            frozenset(
                part for row, part in parts if len(part) >= _SHORTEST_PART or called_name(record, row) in _OWN_NAMES
            )
        )
    return kept[0]


def _in_own_decorators(record: FileRecord, definition: Definition) -> frozenset[int]:
    """The mentions in `@name.setter` and the like, which only say that a property goes on."""
    links = record.occurrences.link
    rows = definition.rows[1:]
    return frozenset(links[ref] for row in rows for ref in record.symbols[row].decorators if ref >= 0)


def _parts(_: FileRecord) -> list[frozenset[str]]:
    return []


def _first_rows(known: Mapping[int, Definition], record: FileRecord, symbol: int) -> Iterator[int]:
    if symbol in known:
        yield symbol
        return
    # A later binding of the same name: a setter, an overload.
    scope, name = record.symbols.scope[symbol], record.symbols.name[symbol]
    for row in rows_with(record.symbols.name, name):
        if record.symbols.scope[row] == scope and row in known:
            yield row
            return


def _may_mean(resolver: Resolver, at: str, record: FileRecord, index: int, path: str, definition: Definition) -> bool:
    """Whether a mention is one of the definition, as far as that can be excluded."""
    role = record.occurrences.role[index]
    if role in _BINDING and not (role == ROLE["keyword"] and definition.kind == "constant"):
        return False
    slot = Slot(path, definition.scope, definition.name)
    if role == _IMPORT:
        imported = record.imports[record.occurrences.link[index]]
        if imported.name_occurrence != index:
            return False
        targets = resolver.imported(at, imported)
        return not targets or any(slot in resolver.origins(target) for target in targets)
    if role == _STRING:
        return slot in resolver.meanings(at, index, aliases=True)
    if role not in MEMBER_ROLES:
        return slot in resolver.meanings(at, index, aliases=True)
    meanings = resolver.meanings(at, index, aliases=True)
    if slot in meanings or not resolver.is_decided(at, index):
        return True
    if definition.scope == 0:
        return False
    # Of several classes with a member of that name it may be any, and of a class above or below it is.
    own = [one for one in meanings if isinstance(one, Slot) and one.scope > 0 and not is_outside(one.path)]
    return len(own) > 1 or any(_are_related(resolver, ClassType(path, definition.scope), one) for one in own)


def _are_related(resolver: Resolver, one: ClassType, slot: Slot) -> bool:
    other = ClassType(slot.path, slot.scope)
    return one in resolver.types.order(other) or other in resolver.types.order(one)


def _bases(resolver: Resolver, environment: Environment, of: ClassType) -> Iterator[ClassType | str | None]:
    """All classes above one: those of the project, the dotted names of others, None for one that is not known."""
    hierarchy = Hierarchy(resolver, environment)
    for owner in hierarchy.order(of):
        if owner != of:
            yield owner
        record = resolver.record(owner.path)
        for ref in () if record is None else record.scopes[owner.scope].refs:
            types = resolver.types.of_ref(owner.path, ref)
            if not types:
                yield None
            for base in types:
                if isinstance(base, Outside):
                    yield base.name
                elif not isinstance(base, ClassType):
                    yield None
                elif is_outside(base.path):
                    yield hierarchy.outside_name(base)


def _is_plain(base: str) -> bool:
    name = base.removeprefix("builtins.")
    return base in _PLAIN_BASES or name in BUILTIN_NAMES


def protocol_members(whole: Whole) -> frozenset[str]:
    """What protocols ask for: whoever has it may be used through one."""
    found: set[str] = set()
    for record in whole.snapshot.records.values():
        if record.language == "python":
            found |= of_record(record, protocol_members_of)
    return frozenset(found)


def protocol_members_of(record: FileRecord) -> frozenset[str]:
    if _PROTOCOLS.isdisjoint(record.names):
        return frozenset()
    return frozenset(
        record.names[record.symbols.name[row]]
        for scope in rows_with(record.scopes.kind, _CLASS_SCOPE)
        if any(
            ref >= 0 and record.names[record.occurrences.name[ref]] in _PROTOCOLS for ref in record.scopes[scope].refs
        )
        for row in record.symbols_in(scope)
    )


def _reads_locals(record: FileRecord) -> bool:
    return not {"locals", "exec", "eval"}.isdisjoint(record.names)


def _is_in_stub(resolver: Resolver, path: str, name: str) -> bool:
    """Whether a stub beside a module says that the name is for others."""
    stub = resolver.snapshot.records.get(path + "i")
    return stub is not None and bool(stub.bound(name))


def _is_known_to_tools(path: str, definition: Definition) -> bool:
    *folders, file = PurePosixPath(path).parts
    stem = file.partition(".")[0]
    if _ASKED_FOR.fullmatch(definition.name) or "migrations" in folders:
        return True
    if not definition.is_private and stem in _CONFIGURING:
        return True
    is_test = stem.startswith("test") or stem.endswith("_test") or not _TESTS.isdisjoint((stem, *folders))
    return is_test and _HOOKS.match(definition.name) is not None


# --- modules ------------------------------------------------------------------------------------------


def _module(subject: Subject) -> Found:
    """A module that nothing imports and that does not look as if it were run."""
    path, record = subject.path, subject.record
    place = PurePosixPath(path)
    stem = place.name.partition(".")[0]
    folder = place.parent.as_posix()
    if (
        not path.endswith(".py")
        or _KNOWN_FILES.fullmatch(stem)
        or not _KNOWN_FOLDERS.isdisjoint(place.parts)
        or not subject.snapshot.modules.is_package("" if folder == "." else folder)
        or not len(record.symbols)
        or "__name__" in record.names
        or "__main__" in record.names
        or subject.text.data.startswith(b"#!")
        or subject.whole.of(import_graph).importers.get(path)
    ):
        return
    words = subject.whole.of(words_of)
    if stem in words.quoted or stem in words.configured or _is_loaded(subject, stem):
        return
    dead = subject.whole.of(Dead)
    likely = 0.9 if stem.startswith("_") else dead.public(path)
    likely *= 0.8 if stem in words.written else 1.0
    if likely < LEAST:
        return
    span = subject.text.line_span(0)
    message = f"nothing imports module '{subject.snapshot.modules.dotted(path)}' ({likely:.0%} sure)"
    tags = frozenset(("unnecessary",))
    yield Finding("unused-module", "hint", Span(0, span.end), message, tags=tags, confidence=likely), span


def _is_loaded(subject: Subject, stem: str) -> bool:
    """Whether something may import the module by a name that is put together, or star it in with its package."""
    snapshot = subject.snapshot
    if any(snapshot.files_naming(name) for name in _LOADERS):
        return True
    return any(
        Module(subject.path) in subject.resolver.meanings(path, index)
        for path in snapshot.files_naming(stem)
        for index in snapshot.records[path].occurrences_of(stem)
        if path != subject.path and snapshot.records[path].language == "python"
    )


# --- findings -----------------------------------------------------------------------------------------


def unused_definitions(subject: Subject) -> Found:
    """What is dead in a file: the outermost definitions alone."""
    if subject.path.endswith(".pyi"):
        return
    yield from _module(subject)
    path, record, resolver = subject.path, subject.record, subject.resolver
    dead = subject.whole.of(Dead)
    known = of_record(record, definitions_in)
    reached: list[Span] = []
    for row in sorted(known, key=lambda row: known[row].body.start):
        definition = known[row]
        if any(span.contains(definition.body) for span in reached):
            continue
        likely = dead.confidence(resolver, path, row)
        if likely < LEAST:
            continue
        reached.append(definition.body)
        span = record.symbols.span(row)
        mentions = any(True for _ in dead.uses(resolver, (path, row)))
        how = "is used only by other unused code" if mentions else "is never used"
        what = "private " if definition.is_private and definition.kind != "constant" else ""
        message = f"{what}{definition.kind} '{definition.name}' {how} ({likely:.0%} sure)"
        severity = "information" if definition.is_private and likely >= 0.8 else "hint"
        yield (
            Finding(
                f"unused-{definition.kind}",
                severity,
                span,
                message,
                fixes=tuple(_removal(subject, definition)),
                tags=frozenset(("unnecessary",)),
                confidence=likely,
            ),
            span,
        )


def _removal(subject: Subject, definition: Definition) -> Iterator[Fix]:
    """Taking a definition away, with its decorators and the comments right above it."""
    record, text = subject.record, subject.text
    edits: list[Edit] = []
    for row in definition.rows:
        node: tree_sitter.Node | None = subject.surroundings.node(record.symbols.span(row))
        while node is not None and node.type not in _STATEMENTS:
            node = node.parent
        if node is None or (definition.kind == "constant") != (node.type == "expression_statement"):
            return
        if definition.kind == "constant" and not _assigns_only(node, definition.name):
            return
        if node.parent is not None and node.parent.type == "decorated_definition":
            node = node.parent
        edit = remove_statement(text, node)
        edits.append(Edit(Span(_with_comments(text, edit), edit.span.end), edit.new_text))
    title = f"Remove unused {definition.kind} '{definition.name}'"
    yield Fix(title, project_edit({subject.path: edits}, {subject.path: text}))


_STATEMENTS = ("function_definition", "class_definition", "expression_statement")


def _assigns_only(statement: tree_sitter.Node, name: str) -> bool:
    parts = [*statement.named_children]
    if len(parts) != 1 or parts[0].type != "assignment":
        return False
    left, right = (parts[0].child_by_field_name(field) for field in ("left", "right"))
    if left is None or right is None or right.type == "assignment":
        return False
    return left.type == "identifier" and left.text == name.encode()


def _with_comments(text: Text, edit: Edit) -> int:
    """Where the comments begin that stand right above what is taken away, at the same depth, and the blank lines
    before them."""
    start = edit.span.start
    line = text.line_of(start)
    if edit.new_text or start != text.line_start(line):
        return start
    first = text.data[start : edit.span.end]
    indent = first[: len(first) - len(first.lstrip(b" \t"))]
    at = line
    while at > 0:
        span = text.line_span(at - 1)
        above = text.data[span.start : span.end]
        if not above.startswith(indent + b"#"):
            break
        at -= 1
    if at == 0:
        return start  # what stands at the top speaks of the file
    while at > 1 and not text.slice(text.line_span(at - 1)).strip():
        at -= 1
    return text.line_start(at)


def _code(kind: str, *foreign: str) -> Code:
    return Code(f"unused-{kind}", "hint", frozenset(foreign), needs_project=True)


CHECK = Check(
    unused_definitions,
    (
        _code("function", "reportUnusedFunction"),
        _code("class", "reportUnusedClass"),
        _code("method"),
        _code("constant"),
        _code("module"),
    ),
    of_project=True,
)
