"""What a mention of a name means: from an occurrence to the bindings behind it, across modules.

Resolving gives targets: slots (a name in one scope of a file), modules of the project, names from outside it,
or builtins. No target means that it is not known.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import TYPE_CHECKING

from engram_context.imports import Module
from engram_context.inference import members
from engram_context.languages.resolving import Names, is_shared
from engram_context.lazy import lazy_member
from engram_context.outside.library import Library, is_outside
from engram_context.records import KIND, ROLE, SCOPE_KIND, FileRecord, Import, rows_with
from engram_context.scopes import NameScopes
from engram_context.targets import Builtin, External, Slot, Target
from engram_context.text import Location, Place, Span

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

BUILTINS = frozenset(dir(builtins)) | {
    "__file__", "__name__", "__doc__", "__path__", "__spec__", "__loader__", "__package__", "__dict__",
    "__annotations__", "__builtins__", "__class__", "__module__", "__qualname__", "__debug__", "reveal_type",
    "WindowsError",
}  # fmt: skip
"""Names that are there without being bound in a file."""


class Resolver:
    """Answers about one snapshot. What it finds out it keeps, so ask one resolver many things."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.library: Library = snapshot.library
        self._outside: dict[str, tuple[Slot | Module, ...]] = {}
        self._names: dict[tuple[str, str], NameScopes | None] = {}
        self._members: dict[tuple[str, str], tuple[Target, ...]] = {}
        self._stars: dict[str, tuple[Import, ...]] = {}
        self._outside_stars: dict[str, tuple[External, ...]] = {}
        self._origins: dict[tuple[Slot, bool], tuple[Target, ...]] = {}
        self.types = members.Types(self)
        self.others = Names(self)

    # --- within a file --------------------------------------------------------------------------------

    def record(self, path: str) -> FileRecord | None:
        return self.library.record(path) if is_outside(path) else self.snapshot.records.get(path)

    def names(self, path: str, name: str) -> NameScopes | None:
        """Where a file binds and mentions a name; None when there is no such file."""
        key = (path, name)
        kept = self.library.scopes if is_outside(path) else self._names
        if key not in kept:
            record = self.record(path)
            kept[key] = None if record is None else NameScopes(record, name)
        return kept[key]

    def symbols_of(self, slot: Slot) -> tuple[int, ...]:
        names = self.names(slot.path, slot.name)
        return () if names is None else names.symbols.get(slot.scope, ())

    def of_name(self, path: str, scope: int, name: str) -> tuple[Target, ...]:
        """What a name read in a scope means."""
        names = self.names(path, name)
        found = None if names is None else names.scope_of(scope)
        return self._of_scope(path, found, name)

    def _of_scope(self, path: str, scope: int | None, name: str) -> tuple[Target, ...]:
        if scope is not None:
            return (Slot(path, scope, name),)
        starred = self._starred(path, name, set())
        if starred:
            return starred
        if name in BUILTINS:
            return (Builtin(name),)
        # What a star import brings from outside is not known: a name that is nowhere else may be from there.
        return tuple(External(f"{module.name}.{name}") for module in self.outside_stars(path)[:1])

    def outside_stars(self, path: str) -> tuple[External, ...]:
        """The modules from outside that a file star-imports, by way of other files too."""
        if path not in self._outside_stars:
            self._outside_stars[path] = ()  # what a cycle of star imports sees
            found: dict[External, None] = {}
            for imported in self.stars(path):
                for module in self.module(path, imported.module, imported.level):
                    if isinstance(module, External):
                        found[module] = None
                    elif isinstance(module, Module):
                        found.update(dict.fromkeys(self.outside_stars(module.path)))
            self._outside_stars[path] = tuple(found)
        return self._outside_stars[path]

    def of_occurrence(self, path: str, index: int) -> tuple[Target, ...]:
        """What an occurrence means, one step: an imported name means the slot it is imported into."""
        record = self.record(path)
        if record is None:
            return ()
        if record.language != "python":
            return self.others.of_occurrence(path, index)
        occurrences = record.occurrences
        name = record.names[occurrences.name[index]]
        role = occurrences.role[index]
        if role in MEMBER_ROLES:
            return self.types.of_attribute(path, index)
        if role == _KEYWORD:
            return self.types.of_keyword(path, index)
        if role == _IMPORTED:
            return self._of_import(path, record, index)
        names = self.names(path, name)
        if names is None:
            return ()
        if role == _STRING:
            return self.member(Module(path), name)
        return self._of_scope(path, names.scope_of_occurrence(index), name)

    def is_decided(self, path: str, index: int) -> bool:
        """Whether an occurrence is known to mean what `of_occurrence` says and nothing besides."""
        record = self.record(path)
        if record is None or not self.of_occurrence(path, index):
            return False
        if record.language != "python" or record.occurrences.role[index] not in MEMBER_ROLES:
            return True
        return self.types.is_certain(path, record.occurrences.link[index])

    # --- across modules -------------------------------------------------------------------------------

    def _of_import(self, path: str, record: FileRecord, index: int) -> tuple[Target, ...]:
        row = record.occurrences.link[index]
        imported = record.imports[row]
        if imported.name_occurrence == index:
            bound = imported.bound
            if bound is not None and imported.alias is None:
                symbol = record.symbols[bound]
                return (Slot(path, symbol.scope, symbol.name),)
            return self.imported(path, imported)
        if imported.occurrence is None:
            return ()
        is_bound = imported.name is None and imported.alias is None and index == imported.occurrence
        if is_bound and imported.bound is not None:
            symbol = record.symbols[imported.bound]
            return (Slot(path, symbol.scope, symbol.name),)
        parts = imported.module.split(".")[: index - imported.occurrence + 1]
        return self.module(path, ".".join(parts), imported.level)

    def module(self, path: str, dotted: str, level: int = 0) -> tuple[Target, ...]:
        """The module that an import statement in `path` names."""
        if is_outside(path):
            inside = self.library.find_from(path, dotted, level)
            return (inside,) if inside is not None else () if level else (External(dotted),)
        found = self.snapshot.modules.find(path, dotted, level)
        if found is not None:
            return (found,)
        if level:
            return ()
        first, _, rest = dotted.partition(".")
        parent = self.snapshot.modules.find(path, first)
        if parent is None or parent.is_namespace:
            return (External(dotted),)
        # A module can stand under a name of another one: `import os.path`.
        targets: list[Target] = [parent]
        for part in rest.split("."):
            targets = [
                origin
                for target in targets
                if isinstance(target, Module)
                for member in self.member(target, part)
                for origin in self.origins(member)
            ]
        return tuple(target for target in targets if isinstance(target, Module | External))

    def imported(self, path: str, imported: Import) -> tuple[Target, ...]:
        """What one imported name is, where it comes from."""
        if not is_outside(path) and self.snapshot.records[path].language != "python":
            return self.others.imported(path, imported)
        if imported.name is None:
            whole = imported.alias is not None
            return self.module(path, imported.module if whole else imported.bound_name, imported.level)
        found: list[Target] = []
        for module in self.module(path, imported.module, imported.level):
            if isinstance(module, External):
                found.append(External(f"{module.name}.{imported.name}"))
            elif isinstance(module, Module):
                found.extend(self.member(module, imported.name, importer=path))
        return tuple(found)

    def member(self, module: Module, name: str, importer: str | None = None) -> tuple[Target, ...]:
        """The attribute `name` of a module: bound there, star-imported there, or a submodule."""
        key = (module.path, name)
        found = self._members.get(key)
        if found is None:
            self._members[key] = ()  # what star imports of modules that are nowhere but in one another see
            found = self._members[key] = self._member(module, name, set())
        if importer is not None and importer == module.path and found == (Slot(importer, 0, name),):
            # `from . import name` in a package's own __init__: the submodule, not what is being bound.
            child = self.child(module, name)
            return () if child is None else (child,)
        return found

    def child(self, module: Module, name: str) -> Module | None:
        """The submodule of a package."""
        if not module.is_package:
            return None
        modules = self.library if is_outside(module.path) else self.snapshot.modules
        return modules.child(module.directory, name)

    def submodules(self, module: Module) -> dict[str, Module]:
        """The modules directly inside a package, by name."""
        return (self.library if is_outside(module.path) else self.snapshot.modules).submodules(module)

    def dotted(self, path: str) -> str:
        """The name under which a file is imported."""
        return (self.library if is_outside(path) else self.snapshot.modules).dotted(path)

    def _member(self, module: Module, name: str, visiting: set[tuple[str, str]]) -> tuple[Target, ...]:
        if not module.is_namespace:
            names = self.names(module.path, name)
            if names is not None and 0 in names.bound:
                return (Slot(module.path, 0, name),)
            starred = self._starred(module.path, name, visiting)
            if starred:
                return starred
        child = self.child(module, name)
        return lazy_member(self, module, name) if child is None else (child,)

    def stars(self, path: str) -> tuple[Import, ...]:
        """The star imports of a file, the last (which wins) first."""
        if path not in self._stars:
            record = self.record(path)
            star = None if record is None else record.name_index("*")
            rows = () if record is None or star is None else rows_with(record.imports.name, star)
            self._stars[path] = () if record is None else tuple(record.imports[row] for row in reversed(rows))
        return self._stars[path]

    def _starred(self, path: str, name: str, visiting: set[tuple[str, str]]) -> tuple[Target, ...]:
        if (path, name) in visiting:
            return ()
        visiting.add((path, name))
        for imported in self.stars(path):
            for module in self.module(path, imported.module, imported.level):
                if not isinstance(module, Module) or not self._may_have(module, name):
                    continue
                if self.is_exported(module, name):
                    found = self._member(module, name, visiting)
                    if found:
                        return found
        return ()

    def _may_have(self, module: Module, name: str) -> bool:
        return not is_outside(module.path) or module.is_namespace or self.library.may_have(module.path, name)

    def is_exported(self, module: Module, name: str) -> bool:
        """Whether `from module import *` would bind a name that the module has."""
        record = None if module.is_namespace else self.record(module.path)
        if record is None:
            return False
        if record.exports is None:
            return not name.startswith("_")
        return name in self.exports(module)

    def exports(self, module: Module) -> frozenset[str]:
        """The names in a module's `__all__`, those that it takes over from other modules included."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [module]
        while waiting:
            at = waiting.pop()
            record = None if at.is_namespace or at.path in seen else self.record(at.path)
            seen.add(at.path)
            if record is None:
                continue
            for name in record.exports or ():
                if not name.endswith(".*"):
                    found.add(name)
                    continue
                targets: Iterable[Target] = (at,)
                for part in name[:-2].split("."):
                    targets = [
                        member
                        for target in targets
                        if isinstance(target, Module)
                        for origin in self.member(target, part)
                        for member in self.origins(origin)
                    ]
                waiting.extend(target for target in targets if isinstance(target, Module))
        return frozenset(found)

    def public_names(self, module: Module) -> frozenset[str]:
        """What `from module import *` binds, submodules not counted."""
        record = None if module.is_namespace else self.record(module.path)
        if record is None:
            return frozenset()
        if record.exports is not None:
            return self.exports(module)
        return frozenset(name for name in self.module_names(module.path) if not name.startswith("_"))

    def module_names(self, path: str, visiting: set[str] | None = None) -> frozenset[str]:
        """All names that a module binds at its top, by star imports too."""
        visiting = set() if visiting is None else visiting
        record = self.record(path)
        if record is None or path in visiting:
            return frozenset()
        visiting.add(path)
        found = {
            record.names[record.symbols.name[row]] for row in record.symbols_in(0) if not _is_hidden(record, path, row)
        }
        for imported in self.stars(path):
            for module in self.module(path, imported.module, imported.level):
                if isinstance(module, Module) and not module.is_namespace:
                    names = self.module_names(module.path, visiting)
                    found.update(name for name in names if self.is_exported(module, name))
        return frozenset(found)

    # --- to where it began ----------------------------------------------------------------------------

    def origins(self, target: Target, *, aliases: bool = True) -> tuple[Target, ...]:
        """What a target is once imports are followed. Without `aliases`, `import x as y` is an end of its
        own: the question is then which names must read alike."""
        if not isinstance(target, Slot):
            return (target,)
        key = (target, aliases)
        if key not in self._origins:
            self._origins[key] = self._origins_of(target, aliases)
        return self._origins[key]

    def _origins_of(self, target: Slot, aliases: bool) -> tuple[Target, ...]:
        found: dict[Target, None] = {}
        seen: set[Target] = set()
        waiting: list[Target] = [target]
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            if not isinstance(at, Slot):
                found[at] = None
                continue
            steps, is_own = self._imports_of(at, aliases)
            if is_own or not steps:
                found[at] = None
            waiting.extend(reversed(steps))
        # Imports that only import one another: the thing is where it is named.
        return tuple(found) or (target,)

    def _imports_of(self, slot: Slot, aliases: bool) -> tuple[list[Target], bool]:
        """(what the slot is imported from, whether it is also bound by other means)."""
        record = self.record(slot.path)
        if record is None:
            return [], True
        steps: list[Target] = []
        is_own = False
        for symbol in self.symbols_of(slot):
            rows = rows_with(record.imports.bound, symbol) if record.symbols.kind[symbol] == _IMPORT else ()
            if not rows:
                is_own = True
            for row in rows:
                imported = record.imports[row]
                if imported.alias not in (None, imported.name) and not aliases:
                    is_own = True
                    continue
                steps.extend(step for step in self.imported(slot.path, imported) if step != slot)
        return steps, is_own

    # --- outside the project --------------------------------------------------------------------------

    def outside(self, target: External | Builtin) -> tuple[Slot | Module, ...]:
        """What a name from outside is in the library, imports followed; nothing when that has no such name."""
        dotted = f"builtins.{target.name}" if isinstance(target, Builtin) else target.name
        if dotted not in self._outside:
            self._outside[dotted] = ()
            self._outside[dotted] = self._outside_of(dotted.split("."))
        return self._outside[dotted]

    def _outside_of(self, parts: list[str]) -> tuple[Slot | Module, ...]:
        for at in range(len(parts), 0, -1):
            module = self.library.find(".".join(parts[:at]))
            if module is None:
                continue
            found: list[Slot | Module] = [module]
            for name in parts[at:]:
                members = [member for one in found for member in self._inside(one, name)]
                found = [one for member in members for one in self.origins(member) if isinstance(one, Slot | Module)]
            if found:
                return tuple(dict.fromkeys(found))
        return ()

    def _inside(self, target: Slot | Module, name: str) -> tuple[Target, ...]:
        """A module's, class's or function's name."""
        if isinstance(target, Module):
            return self.member(target, name)
        record = self.record(target.path)
        inner = () if record is None else (record.symbols.inner[row] for row in self.symbols_of(target))
        found = tuple(
            Slot(target.path, scope, name)
            for scope in inner
            if scope >= 0 and record is not None and record.bindings(scope, name)
        )
        return found or tuple(slot for one in self.types.of_slot(target) for slot in self.types.slots(one, name))

    def seen(self, target: Target) -> Target:
        """A target as the project sees it: what is bound outside, by its dotted name."""
        if isinstance(target, Module) and is_outside(target.path):
            return External(self.library.dotted(target.path))
        if not isinstance(target, Slot) or not is_outside(target.path):
            return target
        record = self.record(target.path)
        parts = [target.name]
        scope = target.scope
        while record is not None and scope > 0:
            if record.scopes.symbol[scope] >= 0 and record.scopes.owner_name[scope] >= 0:
                parts.append(record.names[record.scopes.owner_name[scope]])
            scope = record.scopes.parent[scope]
        return External(".".join((self.library.dotted(target.path), *reversed(parts))))

    def canonical(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """Targets with names from outside by where the library defines them: `os.path.join` has several names."""
        found: dict[Target, None] = {}
        for target in targets:
            inside = self.outside(target) if isinstance(target, External | Builtin) else ()
            found.update(dict.fromkeys(self.seen(one) for one in inside) if inside else {target: None})
        return tuple(found)

    def meanings(self, path: str, index: int, *, aliases: bool = False) -> tuple[Target, ...]:
        """An occurrence's targets with imports followed: two occurrences of a name mean the same thing when
        these have a target in common."""
        found = [
            origin for target in self.of_occurrence(path, index) for origin in self.origins(target, aliases=aliases)
        ]
        return tuple(dict.fromkeys(found))

    def locations(self, target: Target) -> tuple[Location, ...]:
        """Where a target is defined, in the project or outside."""
        if isinstance(target, External | Builtin):
            return tuple(location for one in self.outside(target) for location in self.locations(one))
        if isinstance(target, Module):
            return () if target.is_namespace else (Location(target.path, Span(0, 0)),)
        record = self.record(target.path)
        if record is None:
            return ()
        return tuple(Location(target.path, record.symbols.span(row)) for row in self.symbols_of(target))


def _is_hidden(record: FileRecord, path: str, row: int) -> bool:
    """Whether a stub imports a name for itself alone: without saying `as` the same name."""
    if not path.endswith(".pyi") or record.symbols.kind[row] != _IMPORT:
        return False
    name = record.names[record.symbols.name[row]]
    if record.exports is not None and name in record.exports:
        return False
    return all(record.imports.alias[at] < 0 for at in rows_with(record.imports.bound, row))


def definitions(snapshot: Snapshot, place: Place) -> tuple[Location, ...]:
    """Where the thing that is named at a place is defined, through any chain of imports."""
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if index is None:
        return ()
    resolver = Resolver(snapshot)
    found: dict[Location, None] = {}
    for target in resolver.meanings(place.path, index, aliases=True):
        found.update(dict.fromkeys(resolver.locations(target)))
    if not found and record is not None and record.language != "python":
        # What comes from outside is known where it is imported.
        for target in resolver.of_occurrence(place.path, index):
            found.update(dict.fromkeys(resolver.locations(target)))
    return tuple(found)


def references(snapshot: Snapshot, place: Place, declaration: bool = True) -> tuple[Location, ...]:
    """Every mention in the project of the thing named at a place, in order of path and offset.

    Only mentions that are known to mean it. Without `declaration` its bindings are left out.
    """
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if record is None or index is None:
        return ()
    resolver = Resolver(snapshot)
    wanted = frozenset(resolver.canonical(resolver.meanings(place.path, index)))
    if not wanted:
        return ()
    name = record.names[record.occurrences.name[index]]
    return tuple(location for location, is_binding in mentions(resolver, wanted, name) if declaration or not is_binding)


def mentions(resolver: Resolver, wanted: frozenset[Target], name: str) -> list[tuple[Location, bool]]:
    """(where, whether it is a binding) for each mention by `name` of one of the targets, in order."""
    snapshot = resolver.snapshot
    homes, elsewhere = _reach(resolver, wanted)
    is_outer = any(isinstance(target, External) for target in wanted)
    paths = snapshot.files_naming(name) if elsewhere is None or elsewhere else sorted(homes)
    found: list[tuple[Location, bool]] = []
    for path in paths:
        record = snapshot.records[path]
        occurrences = record.occurrences
        for index in record.occurrences_of(name, None if path in homes else elsewhere):
            meanings = resolver.meanings(path, index)
            if not wanted.isdisjoint(resolver.canonical(meanings) if is_outer else meanings):
                is_binding = occurrences.role[index] in _BINDING_ROLES
                found.append((Location(path, occurrences.span(index)), is_binding))
    return found


def _reach(resolver: Resolver, wanted: frozenset[Target]) -> tuple[set[str], frozenset[int] | None]:
    """(the files in which any mention may mean a target, the roles that may elsewhere; None: all of them).

    A function's variables are named in their file alone, its parameters also as keywords of calls, and what
    is bound in a class by attributes and keywords.
    """
    homes: set[str] = set()
    roles: set[int] = set()
    for target in wanted:
        record = resolver.record(target.path) if isinstance(target, Slot) else None
        if record is None or not isinstance(target, Slot) or target.scope == 0:
            return homes, None
        homes.add(target.path)
        if is_shared(record, target.scope):
            return homes, None
        if record.scopes.kind[target.scope] == _CLASS_SCOPE:
            roles |= MEMBER_ROLES | {_KEYWORD}
        elif any(record.symbols.kind[row] == _PARAMETER for row in resolver.symbols_of(target)):
            roles.add(_KEYWORD)
    return homes, frozenset(roles)


_IMPORT = KIND["import"]
_PARAMETER = KIND["parameter"]
_CLASS_SCOPE = SCOPE_KIND["class"]
_KEYWORD, _IMPORTED, _STRING = ROLE["keyword"], ROLE["import"], ROLE["string"]
MEMBER_ROLES = frozenset({ROLE["attribute"], ROLE["attribute-write"]})
_BINDING_ROLES = (ROLE["write"], ROLE["definition"])
