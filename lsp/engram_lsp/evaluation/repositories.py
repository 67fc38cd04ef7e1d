"""What is measured on: a folder, a wheel or a source archive, as a folder on disk and the files worth asking about."""

import re
import shutil
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final

from engram_context.disk.ignore import Ignore
from engram_context.languages import is_code, language_of
from engram_context.text import Unreadable, read_text
from engram_runtime.train.corpus import Document, documents, heldout
from engram_runtime.train.sources import STDLIB, reason_against

TEST_FOLDERS: Final = frozenset({"tests"})
"""Nothing is asked inside these; `django.test` is a part of its library, so a folder "test" is not among them."""


class RepositoryError(Exception):
    """Nothing can be measured there; the message says why."""


@dataclass(frozen=True, slots=True)
class Repository:
    """`root` is the folder that a project memory reads. `files` are (path below root, text) in path order: those in
    which questions are asked, so without tests, vendored copies, generated code and data. Line ends are \\n.
    `lines`: the zero-based lines of a file that may be asked about, where these are not all of its code.
    """

    name: str
    root: Path
    files: tuple[tuple[str, str], ...]
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict[str, frozenset[int]])

    @property
    def size(self) -> int:
        """Characters of all files."""
        return sum(len(text) for _, text in self.files)


@contextmanager
def opened(path: Path) -> Generator[Repository]:
    """The repository at `path`: a folder, which is only read, or a .whl, .zip or .tar.* file, whose source files are
    unpacked into a folder that goes away afterwards. Nothing in it is run.

    Raises RepositoryError when there is nothing to measure.
    """
    if path.is_dir():
        yield repository(path.resolve())
        return
    if not path.is_file():
        raise RepositoryError(f"{path} does not exist")
    with tempfile.TemporaryDirectory(prefix="engram-eval-", ignore_cleanup_errors=True) as holder:
        folder = Path(holder).resolve() / name_of(path)
        folder.mkdir()
        try:
            _unpack(path, folder)
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as problem:
            raise RepositoryError(f"{path} cannot be unpacked: {problem}") from problem
        yield repository(_inner(folder), name_of(path))


def repository(root: Path, name: str | None = None) -> Repository:
    """The folder `root` as it is. Raises RepositoryError when it has no file to ask about."""
    files = tuple((path, text) for path, text in _texts(root) if is_asked(path, text))
    if not files:
        raise RepositoryError(
            f"{root} has no Python files to measure on (tests, generated and data files do not count)"
        )
    return Repository(name or root.name, root, files)


Opening = tuple[str, Callable[[], AbstractContextManager[Repository]]]
"""A repository's name, and how to open it."""


def of_corpus(folder: Path, split: str, most: int = 8) -> list[Opening]:
    """What a corpus holds to measure on, the files written into a folder that goes away afterwards.

    `split` "heldout": every held-out repository. "validation": the `most` packages with most validation text; those
    files are asked about, the others of the package are memory. Raises RepositoryError without such a corpus.
    """
    try:
        if split == "heldout":
            packages = ((name, files) for name, files in heldout(folder).items() if any(map(_is_python, files)))
            return [(name, partial(_written, name, files, files)) for name, files in packages]
        held = _by_package(filter(_is_python, documents(folder, "validation")))
        # The standard library is no project, and larger than most.
        held.pop(STDLIB, None)
        chosen = sorted(held, key=lambda package: -sum(len(file.text) for file in held[package]))[:most]
        others = _by_package(file for file in documents(folder) if file.package in chosen)
    except FileNotFoundError as problem:
        raise RepositoryError(f"{folder} is no corpus: {problem}") from problem
    return [(name, partial(_written, name, [*others[name], *held[name]], held[name])) for name in chosen]


def _by_package(files: Iterable[Document]) -> defaultdict[str, list[Document]]:
    found: defaultdict[str, list[Document]] = defaultdict(list)
    for file in files:
        found[file.package].append(file)
    return found


@contextmanager
def _written(name: str, files: Iterable[Document], asked: Iterable[Document]) -> Generator[Repository]:
    with tempfile.TemporaryDirectory(prefix="engram-eval-", ignore_cleanup_errors=True) as holder:
        root = Path(holder).resolve() / name
        root.mkdir()
        for file in files:
            if (target := _target(root, file.path)) is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.text.encode("utf-8", "replace"))
        python = sorted((file.path, file.text) for file in asked if _is_python(file))
        yield Repository(name, root, tuple(python))


def _is_python(file: Document) -> bool:
    return language_of(file.path) == "python"


def is_asked(path: str, text: str) -> bool:
    """Whether questions are asked in this file. Its licence does not matter here: nothing is learned from it."""
    return reason_against(path, text, TEST_FOLDERS) in (None, "licence")


def name_of(path: Path) -> str:
    """The project's name by the name of its archive or folder: what stands before the version."""
    stem = re.sub(r"\.(whl|zip|tar(\.\w+)?|tgz)$", "", path.name)
    return re.split(r"-(?=\d)", stem)[0] or path.name


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    """Every source file that a project memory of `root` reads, in path order."""
    for path, _ in sorted(Ignore(root).walk(lambda path: is_code(language_of(path)))):
        text = read_text(root / path)
        if not isinstance(text, Unreadable):
            yield path, text.decode().replace("\r\n", "\n").replace("\r", "\n")


def _unpack(path: Path, folder: Path) -> None:
    """The source files of an archive, written below `folder`; names that lead elsewhere are passed over."""
    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if (target := _target(folder, member.filename)) is not None:
                    with archive.open(member) as source:
                        _write(target, source)
        return
    with tarfile.open(path) as archive:
        unpack_tar(archive, folder)


def unpack_tar(archive: tarfile.TarFile, folder: Path) -> None:
    """The source files of a tar archive, written below `folder`, without links and names that lead elsewhere."""
    for member in archive:
        target = _target(folder, member.name) if member.isfile() else None
        source = archive.extractfile(member) if target is not None else None
        if target is not None and source is not None:
            _write(target, source)


def _target(folder: Path, name: str) -> Path | None:
    pure = PurePosixPath(name)
    if not is_code(language_of(name)) or pure.is_absolute() or ".." in pure.parts or ":" in name or "\\" in name:
        return None
    return folder / pure


def _write(target: Path, source: IO[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _inner(folder: Path) -> Path:
    """A source archive holds one folder, `name-version`, in which the project is; a wheel is the project."""
    entries = list(folder.iterdir())
    only = entries[0] if len(entries) == 1 else folder
    return only if re.search(r"-\d", only.name) and only.is_dir() else folder
