"""Python source out of wheels and the standard library, and which files of it are worth learning from.

Only wheels are fetched: a wheel is unpacked, never run, while an sdist would run its package's build code.
"""

import ast
import re
import subprocess
import sys
import sysconfig
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Final

from engram_runtime.train.languages import comment_marks, has_generated_name, is_bundled, is_comment, is_test_elsewhere
from engram_runtime.train.licences import has_copyleft_header, permissive_licence

MIN_BYTES: Final = 200
MAX_BYTES: Final = 200_000
MAX_LINE: Final = 300

STDLIB: Final = "python"
"""The standard library's package name in the corpus."""

_VENDORED: Final = frozenset(
    {"_vendor", "vendor", "vendored", "_vendored", "_vendoring", "extern", "externals", "_externals", "external"}
    | {"third_party", "thirdparty", "node_modules", "site-packages"}
)
_TESTS: Final = frozenset({"tests", "test", "_tests", "unit_tests", "testdata", "test_data", "testcases"})
_STDLIB_LEFT_OUT: Final = frozenset(
    {"test", "tests", "idlelib", "lib2to3", "turtledemo", "pydoc_data", "ensurepip", "lib-dynload"}
    | {"site-packages", "dist-packages"}
)
_GENERATED_NAME: Final = re.compile(r"(_pb2(_grpc)?|_?lextab|_?parsetab|_?yacctab|_sysconfigdata.*)\.py$")
_GENERATED: Final = re.compile(
    r"auto-?\s?generated|automatically generated|generated (by|from|with|using|on|at)\b|"
    r"do not (edit|modify|change)|this file (is|was) generated|machine generated",
    re.IGNORECASE,
)
_DATA_LINE: Final = re.compile(r"""^\s*[\[({]*\s*([bru]?['"]|-?\d|None,|True,|False,|NULL,).*[,\])}:]\s*$""")


@dataclass(frozen=True, slots=True)
class Package:
    """One unpacked source: `files` are (path, text) in path order, before any filter."""

    name: str
    version: str
    licence: str | None
    """None where the licence is copyleft or unknown: the package must not be trained on."""
    files: tuple[tuple[str, str], ...]
    language: str = "python"
    share: int | None = None
    """How many bytes of it to take at most where it has a share of its own."""
    refused: tuple[tuple[str, int], ...] = ()
    """How many files were refused for what when the source was read."""


def canonical(name: str) -> str:
    """A project name as PyPI compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def found_wheel(requirement: str, folder: Path) -> Path | None:
    """The wheel of `name==version` (or of a bare name) that lies in the folder."""
    name, _, version = requirement.partition("==")
    for path in sorted(folder.glob("*.whl")):
        parts = path.name.split("-")
        if canonical(parts[0]) == canonical(name) and (not version or parts[1] == version):
            return path
    return None


def download(requirement: str, folder: Path, timeout: float = 600.0) -> Path:
    """The wheel of `name==version` (or of a bare name: the newest), fetched by pip unless already in `folder`.

    Raises OSError, with pip's last words, when pip cannot get a wheel for this Python.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if path := found_wheel(requirement, folder):
        return path
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder), requirement],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"pip took more than {timeout:.0f} s over {requirement}") from None
    if path := found_wheel(requirement, folder):
        return path
    words = [line for line in done.stderr.splitlines() if line.strip()]
    raise OSError(f"no wheel of {requirement}: {words[-1] if words else 'pip said nothing'}")


def read_wheel(path: Path) -> Package:
    """The Python files of a wheel with its declared licence. Raises ValueError when it is no wheel."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
            about = next(name for name in names if name.endswith(".dist-info/METADATA"))
            metadata: Message = Parser().parsestr(archive.read(about).decode("utf-8", errors="replace"))
            files = tuple(
                (name, text)
                for name in names
                if name.endswith(".py") and ".data/" not in name and ".dist-info/" not in name
                if (text := decoded(archive.read(name))) is not None
            )
    except (StopIteration, zipfile.BadZipFile) as problem:
        raise ValueError(f"{path} is not a wheel") from problem
    return Package(
        canonical(metadata.get("Name") or path.name.split("-")[0]),
        metadata.get("Version") or path.name.split("-")[1],
        permissive_licence(metadata),
        files,
    )


def installed_distributions(folders: Sequence[Path]) -> list[Distribution]:
    """The packages installed in the folders, by name; of several versions the one that is imported."""
    found: dict[str, Distribution] = {}
    for distribution in distributions(path=[str(folder) for folder in folders]):
        if "Name" in distribution.metadata:
            found.setdefault(canonical(distribution.name), distribution)
    return [found[name] for name in sorted(found)]


def read_installed(distribution: Distribution) -> Package:
    """The Python files of an installed package with its declared licence; none where its list of files is missing."""
    found: list[tuple[str, str]] = []
    refused = 0
    for listed in sorted(distribution.files or (), key=str):
        path = listed.as_posix()
        if path.endswith(".py") and not path.startswith(("/", "../")) and ".dist-info/" not in path:
            place = Path(str(distribution.locate_file(listed)))
            if place.is_file() and place.stat().st_size > MAX_BYTES:
                refused += 1
            elif place.is_file() and (text := decoded(place.read_bytes())) is not None:
                found.append((path, text))
    metadata = Parser().parsestr(distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "")
    return Package(
        canonical(metadata.get("Name") or "unknown"),
        metadata.get("Version") or "",
        permissive_licence(metadata),
        tuple(found),
        refused=(("size", refused),) if refused else (),
    )


def read_standard_library(root: Path | None = None) -> Package:
    """The running Python's own library without its tests, its editor and its demos."""
    root = root or Path(sysconfig.get_path("stdlib"))
    found = (path for path in sorted(root.rglob("*.py")) if not _STDLIB_LEFT_OUT & set(path.relative_to(root).parts))
    files = tuple(
        (path.relative_to(root).as_posix(), text) for path in found if (text := decoded(path.read_bytes())) is not None
    )
    size = sum(len(text.encode()) for _, text in files)
    return Package(STDLIB, ".".join(map(str, sys.version_info[:3])), "PSF-2.0", files, share=size)


def reason_against(path: str, text: str, test_folders: frozenset[str] = _TESTS, *, own: bool = False) -> str | None:
    """Why this file is no training text, in one or two words; None when it is.

    `own`: the code is of the one who asks, who may learn from it whatever its licence, and from its tests.
    """
    pure = PurePosixPath(path)
    python = pure.suffix == ".py"
    folders = set(pure.parts[:-1])
    if not own and (folders & test_folders or (_is_python_test(pure) if python else is_test_elsewhere(pure))):
        return "test"
    if folders & _VENDORED or (not python and is_bundled(pure)):
        return "vendored"
    size = len(text.encode())
    if not MIN_BYTES <= size <= MAX_BYTES:
        return "size"
    if _GENERATED_NAME.search(pure.name) or (not python and has_generated_name(pure)) or _says_generated(path, text):
        return "generated"
    if not own and has_copyleft_header(text):
        return "licence"
    if _is_data(text, size):
        return "data"
    if python and not _parses(text):
        return "syntax"
    return None


def _is_python_test(path: PurePosixPath) -> bool:
    return path.name.startswith("test_") or path.stem.endswith("_test") or path.stem == "conftest"


def decoded(content: bytes) -> str | None:
    """A file's text with plain newlines; None when it is not UTF-8."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None


def _says_generated(path: str, text: str) -> bool:
    opening = text[:1500].splitlines()[:20]
    marks = comment_marks(path)
    if path.endswith(".py"):
        marks += ('"""', "'''")
    claims = (line for line in opening if is_comment(line.strip(), marks))
    return any(_GENERATED.search(line) for line in claims)


def _is_data(text: str, size: int) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    if max(map(len, lines), default=0) > MAX_LINE:
        return True
    if len(lines) > 40 and sum(bool(_DATA_LINE.match(line)) for line in lines) > 0.6 * len(lines):
        return True
    if size > 1.05 * len(text) or sum(map(str.isalpha, text)) < 0.3 * len(text):
        return True  # another script's word lists, or numbers
    # Tables and generated code repeat themselves: hand-written Python of this size compresses to 18-35 %.
    return size > 8000 and len(zlib.compress(text.encode(), 6)) < 0.1 * size


def _parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
