"""Which modules exist outside the project: the standard library and the project's own virtual environment.

Everything is read from folders and small text files. No interpreter is started and no project code is imported,
so some questions have no answer; `has_module` then says None.
"""

import ast
import builtins
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from engram_context.disk.git_objects import is_remote
from engram_context.text import read_bytes

_VENV_FOLDERS = (".venv", "venv", "env", ".env")
_SOURCE_SUFFIXES = (".py", ".pyi")
_EXTENSION_SUFFIXES = (".so", ".pyd", ".dll", ".pyx", ".pxd")
_IDENTIFIER = re.compile(r"[^\W\d]\w*\Z")
_READ_LIMIT = 1 << 20
_MOST_FOLDERS = 1_000

BUILTIN_NAMES = frozenset(dir(builtins)) | frozenset(
    (
        "EncodingWarning",
        "ExceptionGroup",
        "BaseExceptionGroup",
        "PythonFinalizationError",
        "WindowsError",
        "_IncompleteInputError",
    )
)
"""Names that are there in every module, in some supported Python and on some platform."""

# Modules that some supported Python had and the running one may not have: a project may well run on the other.
# fmt: off
_VERSIONED_STDLIB = frozenset((
    "_bootlocale", "aifc", "annotationlib", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb",
    "chunk", "compression", "crypt", "distutils", "dummy_threading", "formatter", "graphlib", "imghdr",
    "imp", "lib2to3", "macpath", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "parser",
    "pipes", "smtpd", "sndhdr", "spwd", "sunau", "symbol", "telnetlib", "tomllib", "uu", "xdrlib",
    "zoneinfo",
))
# fmt: on
# Names that the interpreter itself puts into `sys.modules` without a file of that name.
_STDLIB_ALIASES = frozenset(("os.path", "typing.io", "typing.re", "importlib._bootstrap"))
# Parts of the standard library that distributors leave out or ship separately.
_OPTIONAL_STDLIB = frozenset(["test", "idlelib", "lib2to3", "turtledemo", "tkinter", "ensurepip", "distutils"])


@dataclass(frozen=True, slots=True)
class _Folder:
    """Module names that one folder offers: packages (folders), and modules (source or extension files)."""

    packages: frozenset[str]
    modules: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Environment:
    """The modules that imports from outside the project may name.

    `search` are the folders third-party modules come from, in order; it is empty when the project has no
    environment that could be found, and then nothing is known about third-party modules. `exhaustive` says that
    a third-party module which is nowhere in `search` does not exist there. `opaque` holds top-level names that
    are installed in ways that cannot be read without running code.
    """

    root: Path
    prefix: Path | None
    version: tuple[int, int]
    stdlib: tuple[Path, ...]
    search: tuple[Path, ...] = ()
    editable: tuple[tuple[str, Path], ...] = ()
    opaque: frozenset[str] = frozenset()
    exhaustive: bool = False
    _folders: dict[Path, _Folder] = field(default_factory=dict[Path, _Folder], repr=False)
    _answers: dict[str, bool | None] = field(default_factory=dict[str, "bool | None"], repr=False)

    @staticmethod
    def discover(root: Path, interpreter: Path | None = None) -> "Environment":
        """The environment of the project at `root`.

        In order: the configured `interpreter` (a Python executable, or the folder of an environment), a virtual
        environment in the project, the one of `VIRTUAL_ENV` or `CONDA_PREFIX`, and else none. An interpreter
        that does not exist is treated as none.
        """
        prefix, certain = _find_prefix(root, interpreter)
        if prefix is None:
            return Environment(root, None, sys.version_info[:2], _own_stdlib())
        base, version, system_site = _read_prefix(prefix)
        library_prefix = base or prefix
        stdlib = tuple(dict.fromkeys((*_stdlib_folders(library_prefix, version), *_own_stdlib())))
        search: dict[Path, None] = {}
        for folder in _site_folders(prefix, version):
            _add_site(folder, search)
        if system_site and base is not None:
            for folder in _site_folders(base, version):
                _add_site(folder, search)
        editable: dict[str, Path] = {}
        opaque: set[str] = set()
        for folder in tuple(search):
            _read_editables(folder, editable, opaque)
        return Environment(
            root,
            prefix,
            version or sys.version_info[:2],
            stdlib,
            tuple(search),
            tuple(sorted(editable.items())),
            frozenset(opaque),
            exhaustive=certain and bool(search) and not any(path.is_file() for path in search),
        )

    @staticmethod
    @cache
    def standard() -> "Environment":
        """The running Python's standard library alone."""
        return Environment(Path(), None, sys.version_info[:2], _own_stdlib())

    @property
    def label(self) -> str:
        """What to call this environment in a message: its folder, relative to the project where it lies in it."""
        if self.prefix is None:
            return "no environment"
        try:
            return self.prefix.relative_to(self.root).as_posix()
        except ValueError:
            return str(self.prefix)

    def has_module(self, dotted: str) -> bool | None:
        """Whether `import dotted` finds a module outside the project; None when that cannot be known."""
        if dotted not in self._answers:
            self._answers[dotted] = self._has_module(dotted)
        return self._answers[dotted]

    def is_stdlib(self, dotted: str) -> bool:
        """Whether the top-level name belongs to the standard library of some supported Python."""
        top = dotted.partition(".")[0]
        return top in sys.stdlib_module_names or top in sys.builtin_module_names or top in _VERSIONED_STDLIB

    def find_module(self, dotted: str) -> Path | None:
        """The source or stub file of a module outside the project, or None (also for compiled modules)."""
        parts = dotted.split(".")
        for folder in (*self.stdlib, *self._homes(parts[0])):
            found = _find_source(folder, parts)
            if found is not None:
                return found
        return None

    def folder_has(self, folder: Path, name: str) -> bool:
        """Whether a folder of the project holds something that is imported, or built, as module `name`: .py, .so,
        .pyx, a folder. Looked up anew each time, since such folders change."""
        listing = _list_folder(folder)
        return name in listing.packages or name in listing.modules

    def module_names(self, package: str = "") -> tuple[str, ...]:
        """Importable names below `package`, or at the top level: sorted, public and private alike."""
        names: set[str] = set()
        if not package:
            names.update(sys.stdlib_module_names)
            names.update(name for name, _ in self.editable)
            for folder in self.search:
                listing = self._folder(folder)
                names.update(listing.packages, listing.modules)
        else:
            for folder in self._package_folders(package.split(".")):
                listing = self._folder(folder)
                names.update(listing.packages, listing.modules)
        names.discard("__init__")
        return tuple(sorted(name for name in names if _IDENTIFIER.match(name) and name != "__pycache__"))

    def _has_module(self, dotted: str) -> bool | None:
        parts = dotted.split(".")
        if not all(map(_IDENTIFIER.match, parts)):
            return False
        third_party = self._in_folders(self._homes(parts[0]), parts)
        if third_party is True:
            return True
        if self.is_stdlib(parts[0]):
            return self._in_stdlib(parts)
        if third_party is not None or self._known_top(parts[0]):
            return third_party
        if parts[0] in self.opaque or not self.exhaustive:
            return None
        # Stubs alone say that the module is known to exist somewhere, not that it can be imported here.
        if any(f"{parts[0]}-stubs" in self._folder(folder).packages for folder in self.search):
            return None
        return False

    def _in_stdlib(self, parts: list[str]) -> bool | None:
        top = parts[0]
        if len(parts) == 1:
            return True if top in sys.stdlib_module_names else None
        if ".".join(parts) in _STDLIB_ALIASES:
            return True
        if top not in sys.stdlib_module_names or top in _OPTIONAL_STDLIB:
            return None
        answer = self._in_folders(self.stdlib, parts)
        if answer is None and self.stdlib:
            # Plain modules of the standard library have no submodules beyond the aliases.
            return False
        return answer

    def _known_top(self, top: str) -> bool:
        for folder in self._homes(top):
            listing = self._folder(folder)
            if top in listing.packages or top in listing.modules:
                return True
        return False

    def _homes(self, top: str) -> Iterator[Path]:
        """The folders in which a third-party top-level name may lie."""
        for name, path in self.editable:
            if name == top:
                yield path.parent
        yield from self.search

    def _in_folders(self, folders: Iterable[Path], parts: list[str]) -> bool | None:
        """True: found. False: the package is there and the rest of the name is not. None: cannot know."""
        level = list(folders)
        present = False
        for depth, part in enumerate(parts):
            here: list[Path] = []
            opaque = False
            for folder in level:
                listing = self._folder(folder)
                if part in listing.modules and part not in listing.packages:
                    if depth == len(parts) - 1:
                        return True
                    # A plain module may put anything under its name into sys.modules (six.moves does).
                    opaque = True
                elif part in listing.packages:
                    if depth == len(parts) - 1:
                        return True
                    here.append(folder / part)
            if not here:
                if opaque or not present:
                    return None
                return None if any(map(_makes_modules, level)) else False
            level = here
            present = True
        return None

    def _package_folders(self, parts: list[str]) -> list[Path]:
        level = [*self.stdlib, *self._homes(parts[0])]
        for part in parts:
            level = [folder / part for folder in level if part in self._folder(folder).packages]
        return level

    def _folder(self, path: Path) -> _Folder:
        folder = self._folders.get(path)
        if folder is None:
            folder = self._folders[path] = _list_folder(path)
        return folder


def _list_folder(path: Path) -> _Folder:
    packages: set[str] = set()
    modules: set[str] = set()
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                stem, dot, _ = name.partition(".")
                if not dot:
                    try:
                        if entry.is_dir():
                            packages.add(name)
                    except OSError:
                        continue
                elif name.endswith(_SOURCE_SUFFIXES) or name.endswith(_EXTENSION_SUFFIXES):
                    modules.add(stem)
    except OSError:
        pass
    return _Folder(frozenset(packages), frozenset(modules))


def _find_source(folder: Path, parts: list[str]) -> Path | None:
    base = folder.joinpath(*parts)
    for suffix in _SOURCE_SUFFIXES:
        for candidate in (base / f"__init__{suffix}", base.parent / f"{base.name}{suffix}"):
            if candidate.is_file():
                return candidate
    return None


def _makes_modules(package: Path) -> bool:
    """Whether a package's `__init__` extends its path or fills `sys.modules`, so that files do not tell all."""
    text = _read(package / "__init__.py")
    return "sys.modules" in text or "__path__" in text or "LazyModule" in text


def _find_prefix(root: Path, interpreter: Path | None) -> tuple[Path | None, bool]:
    """The environment's folder, and whether what it lacks is really missing for this project."""
    if interpreter is not None:
        prefix = _prefix_of(interpreter if interpreter.is_absolute() else root / interpreter)
        if prefix is not None:
            return prefix, True
    folder = root
    while True:
        for name in _VENV_FOLDERS:
            if (folder / name / "pyvenv.cfg").is_file():
                return folder / name, True
        # A project inside a repository may share the repository's environment; beyond it, it is somebody else's.
        if folder.parent == folder or (folder / ".git").exists() or not _inside_repository(folder):
            break
        folder = folder.parent
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        value = os.environ.get(variable, "")
        if value and Path(value).is_dir():
            # The server's own environment need not be the project's: what it has counts, what it lacks does not.
            return Path(value), Path(value).resolve() != Path(sys.prefix).resolve()
    return None, False


def _inside_repository(folder: Path) -> bool:
    return any((parent / ".git").exists() for parent in folder.parents)


def _prefix_of(interpreter: Path) -> Path | None:
    """The environment folder of an executable (bin/python, Scripts/python.exe, python.exe) or of a folder."""
    if interpreter.is_dir():
        return interpreter
    if not interpreter.is_file():
        return None
    folder = interpreter.parent
    if (folder / "pyvenv.cfg").is_file():
        return folder
    if folder.name.lower() in ("bin", "scripts"):
        if (folder.parent / "pyvenv.cfg").is_file() or not interpreter.is_symlink():
            return folder.parent
        return interpreter.resolve().parent.parent
    return folder


def _read_prefix(prefix: Path) -> tuple[Path | None, tuple[int, int] | None, bool]:
    """Base installation, version and `include-system-site-packages` of a virtual environment's pyvenv.cfg."""
    settings: dict[str, str] = {}
    for line in _read(prefix / "pyvenv.cfg").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            settings[key.strip().lower()] = value.strip()
    home = _local(settings["home"]) if settings.get("home") else None
    base = None
    if home is not None:
        base = home.parent if home.name.lower() in ("bin", "scripts") else home
    version = _version_in(settings.get("version_info") or settings.get("version") or "")
    if version is None:
        # Not a virtual environment, or one without a version: its library folder's name has it.
        for folder in _children(prefix / "lib"):
            version = version or _version_in(folder.name.removeprefix("python"))
    return base, version, settings.get("include-system-site-packages", "").lower() == "true"


def _version_in(value: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", value)
    return (int(match[1]), int(match[2])) if match else None


def _library_folders(prefix: Path, version: tuple[int, int] | None) -> list[Path]:
    """The folders that hold the standard library or site-packages: lib/pythonX.Y (of that version), and Lib."""
    folders: list[Path] = []
    for library in ("lib", "lib64"):
        for folder in _children(prefix / library):
            found = _version_in(folder.name.removeprefix("python"))
            is_python = folder.name.startswith(("python", "pypy")) and (found or folder.name.startswith("pypy"))
            if is_python and (version is None or found is None or found == version):
                folders.append(folder)
    if (prefix / "Lib").is_dir() and not folders:
        folders.append(prefix / "Lib")
    return folders


def _stdlib_folders(prefix: Path, version: tuple[int, int] | None) -> list[Path]:
    folders: list[Path] = []
    for folder in _library_folders(prefix, version):
        if (folder / "os.py").is_file():
            folders += [folder, folder / "lib-dynload"]
    if (prefix / "DLLs").is_dir():
        folders.append(prefix / "DLLs")
    return folders


def _own_stdlib() -> tuple[Path, ...]:
    folder = Path(sysconfig.get_path("stdlib"))
    return (folder, folder / "lib-dynload") if folder.is_dir() else ()


def _site_folders(prefix: Path, version: tuple[int, int] | None) -> list[Path]:
    folders = [
        folder / name
        for folder in _library_folders(prefix, version)
        for name in ("site-packages", "dist-packages")
        if (folder / name).is_dir()
    ]
    debian = prefix / "lib" / "python3" / "dist-packages"
    if debian.is_dir():
        folders.append(debian)
    # lib64 is often a link to lib.
    unique = {folder.resolve(): folder for folder in reversed(folders)}
    return list(reversed(unique.values()))


def _add_site(folder: Path, search: dict[Path, None]) -> None:
    """Add a site-packages folder and what its .pth and .egg-link files add to the path, as `site` would."""
    if folder in search:
        return
    search[folder] = None
    for path in _children(folder):
        if path.suffix == ".pth":
            lines = _read(path).splitlines()
        elif path.suffix == ".egg-link":
            lines = _read(path).splitlines()[:1]
        else:
            continue
        for line in map(str.strip, lines):
            # Lines that start with import would be executed: their effect cannot be read here.
            if line and not line.startswith(("#", "import ", "import\t")) and len(search) < _MOST_FOLDERS:
                added = _local(line)
                if added is not None and _exists(folder / added):
                    search[Path(os.path.normpath(folder / added))] = None


def _read_editables(folder: Path, editable: dict[str, Path], opaque: set[str]) -> None:
    """Editable installs through import hooks: setuptools' finder files hold their mapping as a literal."""
    listing = _children(folder)
    plain = {path.name.lower() for path in listing}
    for path in listing:
        if path.name.startswith("__editable__") and path.suffix == ".py":
            for name, target in _mapping_in(_read(path)).items():
                place = _local(target)
                if place is not None:
                    editable.setdefault(name, place)
        elif path.name.endswith((".dist-info", ".egg-info")) and path.is_dir():
            tops = _read(path / "top_level.txt").split()
            if '"editable": true' in _read(path / "direct_url.json"):
                tops.append(re.sub(r"[-_.]+", "_", path.name.partition("-")[0]).lower())
            opaque.update(top for top in tops if top.lower() not in plain)


def _mapping_in(source: str) -> dict[str, str]:
    """The literal `MAPPING` and `NAMESPACES` of a setuptools finder: module name to path."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    mapping: dict[str, str] = {}
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
        value = node.value if isinstance(node, ast.AnnAssign | ast.Assign) else None
        if not isinstance(target, ast.Name) or target.id != "MAPPING" or not isinstance(value, ast.Dict):
            continue
        for key, path in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(path, ast.Constant):
                mapping[str(key.value)] = str(path.value)
    return {name: path for name, path in mapping.items() if "." not in name}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    """The text of a small file, empty when it cannot be read."""
    try:
        return read_bytes(path, _READ_LIMIT).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def _local(place: str) -> Path | None:
    """A path that a file of the environment names; None for one on another machine, which must not be told of us."""
    return None if is_remote(place) or "\0" in place else Path(place)
