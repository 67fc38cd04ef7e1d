"""The training text: permissively licensed packages in eight languages, most of it Python, without copies and tests.

    python -m engram_runtime.train.corpus [--folder FOLDER]

fetches the pinned wheels of `packages.txt` and the pinned Debian source packages of `debian.txt`, adds the running
Python's standard library, and writes to the folder

    train.jsonl.gz, validation.jsonl.gz, heldout.jsonl.gz    one {"package", "path", "text"} a line
    manifest.json                                            what came from where, under which licence

The same packages give the same bytes. Held-out packages are kept from the training text by name and by content, so
that what `evaluate.py` measures on them is not memory of them.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b, sha256
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, TypeVar

from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from engram_runtime.train.debian import Archive, Pin, pinned_sources, read_source
from engram_runtime.train.duplicates import NearDuplicates, shingles
from engram_runtime.train.languages import ENDINGS
from engram_runtime.train.sources import (
    Package,
    download,
    found_wheel,
    installed_distributions,
    read_installed,
    read_standard_library,
    read_wheel,
    reason_against,
)
from engram_runtime.train.withheld import FINGERPRINT, Withheld

Split = Literal["train", "validation"]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

HELDOUT: Final = (
    "flask==3.1.3",
    "httpx==0.28.1",
    "rich==15.0.0",
    "django==5.2.19",
    "sqlparse==0.6.1",
    "click==8.5.1",
    "jinja2==3.1.6",
    "attrs==26.1.0",
    "packaging==26.3",
    "markdown-it-py==4.3.0",
    "tomlkit==0.15.2",
    "toolz==1.2.0",
    "more-itertools==11.2.1",
    "sympy==1.14.0",
)
DOWNLOADS: Final = 4
"""How many packages are fetched at once."""
_HELDOUT_TESTS: Final = frozenset({"tests"})
"""django.test is a part of the library; only real test folders go."""


def default_folder() -> Path:
    return user_cache_path("engram-ls", appauthor=False) / "corpus"


def here() -> tuple[Path, ...]:
    """Where this Python looks for installed packages."""
    return tuple(Path(entry) for entry in sys.path if Path(entry).is_dir())


def pinned_packages() -> tuple[str, ...]:
    """The requirements of `packages.txt`, in its order."""
    listing = resources.files("engram_runtime.train").joinpath("packages.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in listing.splitlines() if line.strip() and not line.startswith("#"))


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the corpus. `path` is inside its package, with forward slashes."""

    package: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class CorpusOptions:
    folder: Path = field(default_factory=default_folder)
    packages: tuple[str, ...] = field(default_factory=pinned_packages)
    debian: tuple[Pin, ...] = field(default_factory=pinned_sources)
    heldout: tuple[str, ...] = HELDOUT
    standard_library: bool = True
    installed: tuple[Path, ...] = ()
    """Folders such as those of `sys.path`: the Python packages installed there are taken instead of `packages`, and
    of `debian` what the folder has; nothing is fetched."""
    package_bytes: int = 1_000_000
    """At most this much of one package, so that no project's habits fill the corpus; all of the standard library.
    Source packages have their share in their pins."""
    validation_share: float = 0.01
    similarity: float = 0.7
    """Files with this estimated Jaccard similarity of line shingles are duplicates; the first one stays."""
    heldout_overlap: float = 0.1
    """A file with more than this share of its shingles in held-out files is refused."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One package's line in the manifest."""

    name: str
    version: str
    licence: str
    files: int
    bytes: int
    languages: dict[str, int]
    """Bytes by language."""
    refused: dict[str, int]


def build_corpus(options: CorpusOptions | None = None, console: Console | None = None) -> Path:
    """Builds the corpus and returns its manifest's path. A package that cannot be had is skipped with a line.

    Raises OSError when a held-out package cannot be had: without it the training text could not be kept clean of it.
    Of installed packages it is kept clean by the fingerprint that is shipped, where the wheels are not in the folder.
    """
    options = options or CorpusOptions()
    console = console or Console(stderr=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    withheld, digests = _hold_out(options, console)
    kept = NearDuplicates(options.similarity)
    entries: list[_Entry] = []
    split: dict[Split, list[Document]] = {"train": [], "validation": []}
    for package in _packages(options, withheld, console):
        chosen, refused = _select(package, options, kept, withheld)
        for document in chosen:
            split["validation" if _is_validation(document, options.validation_share) else "train"].append(document)
        entries.append(_entry(package, chosen, refused))
    for name, contents in split.items():
        digests[name] = _write(options.folder / f"{name}.jsonl.gz", contents)
    path = options.folder / "manifest.json"
    manifest = _manifest(options, withheld, entries, digests)
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(
        f"{len(entries)} packages, {len(split['train']):,} files to train on, {len(split['validation']):,} to validate,"
        f" {manifest['bytes'] / 1e6:.1f} MB in {options.folder}"
    )
    return path


def _hold_out(options: CorpusOptions, console: Console) -> tuple[Withheld, dict[str, str]]:
    """What must stay out of the training text. Its own text is written to the folder, and its fingerprint."""
    folder = options.folder / "heldout-wheels"
    if options.installed and not all(found_wheel(pin, folder) for pin in options.heldout):
        console.print("held-out packages are told by their fingerprint: their wheels are not here")
        return Withheld.shipped(options.heldout), {}
    wheels = _fetched(options.heldout, partial(download, folder=folder), "held-out packages", console)
    packages = [read_wheel(wheel.result()) for _, wheel in wheels]
    withheld = Withheld.of(options.heldout, packages)
    withheld.save(options.folder / FINGERPRINT)
    contents = (
        Document(package.name, path, text)
        for package in packages
        for path, text in package.files
        if reason_against(path, text, _HELDOUT_TESTS) is None
    )
    return withheld, {"heldout": _write(options.folder / "heldout.jsonl.gz", contents)}


def _manifest(
    options: CorpusOptions, withheld: Withheld, entries: list[_Entry], digests: dict[str, str]
) -> dict[str, Any]:
    return {
        "packages": [asdict(entry) for entry in entries],
        "heldout": list(withheld.pins),
        "heldout by": "wheels" if "heldout" in digests else "fingerprint",
        "python from": "installed packages" if options.installed else "wheels",
        "files": sum(entry.files for entry in entries),
        "bytes": sum(entry.bytes for entry in entries),
        "languages": dict(sum((Counter(entry.languages) for entry in entries), Counter[str]()).most_common()),
        "sha256": digests,
        "options": {
            "standard_library": options.standard_library,
            "package_bytes": options.package_bytes,
            "validation_share": options.validation_share,
            "similarity": options.similarity,
            "heldout_overlap": options.heldout_overlap,
        },
    }


def documents(folder: Path, split: Split = "train") -> Iterator[Document]:
    """The documents of one split in the order of the corpus: by package, then by path.

    Raises FileNotFoundError that says how to build the corpus.
    """
    yield from _read(folder / f"{split}.jsonl.gz")


def heldout(folder: Path) -> dict[str, list[Document]]:
    """The held-out repositories, each a list of its files in path order."""
    repositories: dict[str, list[Document]] = {}
    for document in _read(folder / "heldout.jsonl.gz"):
        repositories.setdefault(document.package, []).append(document)
    return repositories


def _fetched(
    items: Iterable[_Item], fetch: Callable[[_Item], _Result], title: str, console: Console
) -> Iterator[tuple[_Item, Future[_Result]]]:
    """Every item, in order, with what fetching it came to; a few are fetched at a time, ahead of the reader."""
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ThreadPoolExecutor(DOWNLOADS) as pool, Progress(*columns, console=console, transient=True) as progress:
        pending = [(item, pool.submit(fetch, item)) for item in items]
        task = progress.add_task(title, total=len(pending))
        try:
            for item, fetched in pending:
                wait((fetched,))
                yield item, fetched
                progress.advance(task)
        finally:
            pool.shutdown(cancel_futures=True)


def _packages(options: CorpusOptions, withheld: Withheld, console: Console) -> Iterator[Package]:
    """Every package that may be trained on; the others are named on the console with the reason."""
    if options.standard_library:
        yield read_standard_library()
    for name, read in _sources(options, withheld, console):
        try:
            package = read()
        except (OSError, ValueError) as problem:
            console.print(f"skipped {name}: {problem}", markup=False)
            continue
        if withheld.has(package.name.removeprefix("debian:").removeprefix("python-")):
            console.print(f"skipped {name}: held out")
        elif package.licence is None:
            console.print(f"skipped {name}: its licence is copyleft or unknown")
        else:
            yield package


def _sources(
    options: CorpusOptions, withheld: Withheld, console: Console
) -> Iterator[tuple[str, Callable[[], Package]]]:
    """The names of all packages but the standard library, each with what reads it."""
    archive = Archive(options.folder / "debian")
    debian = options.debian
    if options.installed:
        for distribution in installed_distributions(options.installed):
            yield distribution.name, partial(read_installed, distribution)
        debian = tuple(pin for pin in debian if archive.has(pin))
    else:
        wanted = [pin for pin in options.packages if not withheld.has(pin.partition("==")[0])]
        for pin in sorted({*options.packages} - {*wanted}):
            console.print(f"skipped {pin}: held out")
        wheels = partial(download, folder=options.folder / "wheels")
        for pin, wheel in _fetched(wanted, wheels, "wheels", console):
            yield pin.partition("==")[0], lambda wheel=wheel: read_wheel(wheel.result())
    for pin, dsc in _fetched(debian, archive.fetch, "source packages", console):
        yield pin.name, lambda pin=pin, dsc=dsc: read_source(dsc.result(), pin)


def _entry(package: Package, chosen: list[Document], refused: Counter[str]) -> _Entry:
    languages: Counter[str] = Counter()
    for document in chosen:
        languages[ENDINGS[package.language][PurePosixPath(document.path).suffix]] += len(document.text.encode())
    return _Entry(
        package.name,
        package.version,
        package.licence or "",
        len(chosen),
        languages.total(),
        dict(languages.most_common()),
        dict(sorted(refused.items())),
    )


def _select(
    package: Package, options: CorpusOptions, kept: NearDuplicates, withheld: Withheld
) -> tuple[list[Document], Counter[str]]:
    """The package's documents that enter the corpus, in path order, and how many files were refused for what."""
    refused = Counter(dict(package.refused))
    chosen: list[Document] = []
    budget = options.package_bytes if package.share is None else package.share
    # In hash order, so that the budget takes from all over a large package and the same files every time.
    for path, text in sorted(package.files, key=lambda file: _digest(package.name, file[0])):
        size = len(text.encode())
        if size > budget:
            refused["budget"] += 1
            continue
        if reason := reason_against(path, text):
            refused[reason] += 1
            continue
        if withheld.has_path(path):
            refused["held out by name"] += 1
            continue
        shingle_set = shingles(text, path)
        if withheld.overlap.of(shingle_set) > options.heldout_overlap:
            refused["held out by content"] += 1
        elif not kept.admit(shingle_set):
            refused["duplicate"] += 1
        else:
            budget -= size
            chosen.append(Document(package.name, path, text))
    return sorted(chosen, key=lambda document: document.path), refused


def _digest(package: str, path: str) -> int:
    return int.from_bytes(blake2b(f"{package}/{path}".encode(), digest_size=8).digest(), "big")


def _is_validation(document: Document, share: float) -> bool:
    # The budget's order uses the same digest's high bits; the low ones are independent of it.
    return _digest(document.package, document.path) % 100_000 < share * 100_000


def _write(path: Path, contents: Iterable[Document]) -> str:
    """Writes the documents and returns the SHA-256 of the uncompressed lines."""
    digest = sha256()
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
        for document in contents:
            line = json.dumps(asdict(document), ensure_ascii=False).encode("utf-8", errors="surrogatepass") + b"\n"
            digest.update(line)
            packed.write(line)
    return digest.hexdigest()


def _read(path: Path) -> Iterator[Document]:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: build it with `python -m engram_runtime.train.corpus`")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            fields: dict[str, Any] = json.loads(line)
            yield Document(**fields)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engram_runtime.train.corpus", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where the corpus goes (%(default)s)")
    parser.add_argument("--installed", action="store_true", help="take the Python packages installed here, fetch none")
    chosen = parser.parse_args()
    build_corpus(CorpusOptions(chosen.folder, installed=here() if chosen.installed else ()))


if __name__ == "__main__":
    main()
