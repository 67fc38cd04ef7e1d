"""Where modules are: from dotted names to files and back.

Roots are not configured. An absolute import is looked for, in this order, beside the importing file and its
parents that are no regular packages, in the project's root and its `src`, then wherever a directory outside
any package has a module or package of that name (one repository, many distributions).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_SUFFIXES = (".py", ".pyi", ".pyw")
_USUAL_ROOTS = ("", "src", "lib", "python")


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the project: its file, or for a namespace package its directory (ending in "/")."""

    path: str

    @property
    def is_namespace(self) -> bool:
        return self.path.endswith("/")

    @property
    def is_package(self) -> bool:
        return self.is_namespace or _stem(self.path) == "__init__"

    @property
    def directory(self) -> str:
        """Where the submodules of a package are, "" for the project's root."""
        return self.path[:-1] if self.is_namespace else _parent(self.path)


@dataclass(frozen=True, eq=False)
class ModuleMap:
    """The importable files of a project. `stems` has the paths by the name they would be imported as,
    `directories` how many files lie below each directory."""

    files: frozenset[str] | set[str] = field(default_factory=frozenset[str])
    stems: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    directories: Mapping[str, int] = field(default_factory=dict[str, int])
    _found: dict[tuple[str, str, int], Module | None] = field(
        default_factory=dict[tuple[str, str, int], "Module | None"], repr=False
    )

    def after(self, added: Iterable[str], removed: Iterable[str]) -> ModuleMap:
        """The map after files came and went; itself when none did."""
        added = [path for path in added if path.endswith(_SUFFIXES)]
        removed = [path for path in removed if path in self.files]
        if not added and not removed:
            return self
        files = set(self.files)
        stems, directories = dict(self.stems), dict(self.directories)
        for path in removed:
            files.discard(path)
            name = imported_as(path)
            left = tuple(other for other in stems[name] if other != path)
            if left:
                stems[name] = left
            else:
                del stems[name]
            for directory in _parents(path):
                directories[directory] -= 1
                if not directories[directory]:
                    del directories[directory]
        fresh: dict[str, list[str]] = {}
        for path in added:
            if path in files:
                continue
            files.add(path)
            fresh.setdefault(imported_as(path), []).append(path)
            for directory in _parents(path):
                directories[directory] = directories.get(directory, 0) + 1
        for name, paths in fresh.items():
            stems[name] = tuple(sorted((*stems.get(name, ()), *paths)))
        return ModuleMap(files, stems, directories)

    # --- names to files -------------------------------------------------------------------------------

    def is_package(self, directory: str) -> bool:
        """Whether a directory is a regular package."""
        return any(_join(directory, "__init__" + suffix) in self.files for suffix in _SUFFIXES)

    def child(self, directory: str, name: str) -> Module | None:
        """The module `name` directly in a directory: package, then module file, then namespace."""
        inside = _join(directory, name)
        for suffix in _SUFFIXES:
            package = f"{inside}/__init__{suffix}"
            if package in self.files:
                return Module(package)
        for suffix in _SUFFIXES:
            if inside + suffix in self.files:
                return Module(inside + suffix)
        return Module(inside + "/") if inside in self.directories else None

    def find_below(self, directory: str, parts: Iterable[str]) -> Module | None:
        found: Module | None = Module(directory + "/")
        for part in parts:
            if found is None or not found.is_package:
                return None
            found = self.child(found.directory, part)
        return found

    def find(self, importer: str, module: str, level: int = 0) -> Module | None:
        """The project's module that an import in file `importer` means, None when it has none such.

        `level` counts leading dots. A standard library name means the project's own module only where the
        interpreter would find that first.
        """
        key = (_parent(importer), module, level)  # beside one another, files import alike
        if key not in self._found:
            self._found[key] = self._find(importer, module, level)
        return self._found[key]

    def _find(self, importer: str, module: str, level: int) -> Module | None:
        parts = module.split(".") if module else []
        if level:
            directory = _parent(importer)
            for _ in range(level - 1):
                if not directory:
                    return None
                directory = _parent(directory)
            if not parts:
                package = self.child(_parent(directory), _last(directory)) if directory else None
                initial = [_join(directory, "__init__" + suffix) for suffix in _SUFFIXES]
                own = next((Module(path) for path in initial if path in self.files), None)
                return own or package or Module(directory + "/")
            return self.find_below(directory, parts)
        if not parts:
            return None
        namespace: Module | None = None
        for root in self.roots(importer, parts[0]):
            found = self.find_below(root, parts)
            if found is None:
                continue
            if not found.is_namespace:
                return found
            namespace = namespace or found
        return namespace

    def roots(self, importer: str, first: str) -> Iterator[str]:
        """The directories in which an absolute import's first name is looked for."""
        seen: set[str] = set()
        is_standard = first in sys.stdlib_module_names
        own = [directory for directory in _parents(importer) if directory]
        for directory in own[:1] if is_standard else own:
            if not self.is_package(directory):
                seen.add(directory)
                yield directory
        for directory in _USUAL_ROOTS[:2] if is_standard else _USUAL_ROOTS:
            if directory not in seen:
                seen.add(directory)
                yield directory
        if is_standard:
            return
        places = {self.container(path) for path in self.stems.get(first, ())}
        for directory in sorted(places - seen, key=lambda at: (at.count("/"), at)):
            if not self.is_package(directory):
                yield directory

    @staticmethod
    def container(path: str) -> str:
        """The directory that a module lies in as a whole: for `a/b/__init__.py` that is `a`."""
        directory = _parent(path)
        return _parent(directory) if _stem(path) == "__init__" else directory

    # --- files to names -------------------------------------------------------------------------------

    def dotted(self, path: str) -> str:
        """The name under which the project would import a file.

        Relative to the first directory above that is no regular package; below a usual root (`src`), or in
        no package at all, namespace directories count.
        """
        parts: list[str] = []
        directory = _parent(path)
        if _stem(path) != "__init__":
            parts.append(_stem(path))
        in_package = False
        while directory and self.is_package(directory):
            parts.append(_last(directory))
            directory = _parent(directory)
            in_package = True
        for root in ("src", "lib", "python"):
            if directory == root:
                directory = ""
            elif directory.startswith(root + "/"):
                parts.extend(reversed(directory[len(root) + 1 :].split("/")))
                directory = ""
        if directory and not in_package:
            parts.extend(reversed(directory.split("/")))
        return ".".join(reversed(parts))

    def submodules(self, module: Module) -> dict[str, Module]:
        """The modules directly inside a package, by name."""
        if not module.is_package:
            return {}
        return self.inside(module.directory)

    def inside(self, directory: str) -> dict[str, Module]:
        """The modules and packages directly in a directory, by name."""
        prefix = directory + "/" if directory else ""
        names: set[str] = set()
        for path in self.files:
            if path.startswith(prefix):
                head, slash, _ = path[len(prefix) :].partition("/")
                names.add(head if slash else _stem(head))
        names.discard("__init__")
        found = {name: self.child(directory, name) for name in names if name.isidentifier()}
        return {name: module for name, module in found.items() if module is not None}


def imported_as(path: str) -> str:
    """The last part of the dotted name of a file."""
    stem = _stem(path)
    return _last(_parent(path)) if stem == "__init__" else stem


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _last(path).partition(".")[0]


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _parents(path: str) -> Iterator[str]:
    """All directories above a path, the nearest first, the root ("") last."""
    while path:
        path = _parent(path)
        yield path
