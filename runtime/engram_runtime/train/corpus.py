"""The training text: permissively licensed Python packages and the standard library, without copies and tests.

    python -m engram_runtime.train.corpus [--folder FOLDER]

fetches the pinned wheels of `packages.txt` one after the other and writes to the folder

    train.jsonl.gz, validation.jsonl.gz, heldout.jsonl.gz    one {"package", "path", "text"} a line
    manifest.json                                            what came from where, under which licence

The same wheels give the same bytes. Held-out packages are kept from the training text by name and by content, so
that what `evaluate.py` measures on them is not memory of them.
"""

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b, sha256
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from engram_runtime.train.duplicates import NearDuplicates, Overlap, shingles
from engram_runtime.train.sources import (
    STDLIB,
    Package,
    canonical,
    download,
    read_standard_library,
    read_wheel,
    reason_against,
)

Split = Literal["train", "validation"]

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
_HELDOUT_TESTS: Final = frozenset({"tests"})
"""django.test is a part of the library; only real test folders go."""


def default_folder() -> Path:
    return user_cache_path("engram-ls", appauthor=False) / "corpus"


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
    heldout: tuple[str, ...] = HELDOUT
    standard_library: bool = True
    package_bytes: int = 1_000_000
    """At most this much of one package, so that no project's habits fill the corpus; all of the standard library."""
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
    refused: dict[str, int]


def build_corpus(options: CorpusOptions | None = None, console: Console | None = None) -> Path:
    """Builds the corpus and returns its manifest's path. A package that cannot be had is skipped with a line.

    Raises OSError when a held-out package cannot be had: without it the training text could not be kept clean of it.
    """
    options = options or CorpusOptions()
    console = console or Console(stderr=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    heldout = [
        read_wheel(download(requirement, options.folder / "heldout-wheels"))
        for requirement in _with_progress(options.heldout, "held-out packages", console)
    ]
    overlap = Overlap([shingles(text) for package in heldout for _, text in package.files])
    digests = {
        "heldout": _write(
            options.folder / "heldout.jsonl.gz",
            (
                Document(package.name, path, text)
                for package in heldout
                for path, text in package.files
                if reason_against(path, text, _HELDOUT_TESTS) is None
            ),
        )
    }
    kept = NearDuplicates(options.similarity)
    entries: list[_Entry] = []
    train: list[Document] = []
    validation: list[Document] = []
    for package in _packages(options, console):
        chosen, refused = _select(package, options, kept, overlap)
        for document in chosen:
            (validation if _is_validation(document, options.validation_share) else train).append(document)
        size = sum(len(document.text.encode()) for document in chosen)
        entries.append(
            _Entry(
                package.name, package.version, package.licence or "", len(chosen), size, dict(sorted(refused.items()))
            )
        )
    digests["train"] = _write(options.folder / "train.jsonl.gz", train)
    digests["validation"] = _write(options.folder / "validation.jsonl.gz", validation)
    total = sum(entry.bytes for entry in entries)
    manifest = {
        "packages": [asdict(entry) for entry in entries],
        "heldout": [f"{package.name}=={package.version}" for package in heldout],
        "files": len(train) + len(validation),
        "bytes": total,
        "sha256": digests,
        "options": {
            name: value for name, value in asdict(options).items() if name not in ("folder", "packages", "heldout")
        },
    }
    path = options.folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(
        f"{len(entries)} packages, {len(train):,} files to train on, {len(validation):,} to validate,"
        f" {total / 1e6:.1f} MB in {options.folder}"
    )
    return path


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


def _with_progress(items: Iterable[str], title: str, console: Console) -> Iterator[str]:
    """The items, with a bar that names the one at work."""
    listed = list(items)
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=len(listed))
        for item in listed:
            progress.update(task, description=f"{title}: {item}")
            yield item
            progress.advance(task)


def _packages(options: CorpusOptions, console: Console) -> Iterator[Package]:
    """Every package that may be trained on; the others are named on the console with the reason."""
    withheld = {canonical(requirement.partition("==")[0]) for requirement in options.heldout}
    if options.standard_library:
        yield read_standard_library()
    for requirement in _with_progress(options.packages, "packages", console):
        name = canonical(requirement.partition("==")[0])
        if name in withheld:
            console.print(f"skipped {name}: held out")
            continue
        try:
            package = read_wheel(download(requirement, options.folder / "wheels"))
        except (OSError, ValueError) as problem:
            console.print(f"skipped {name}: {problem}", markup=False)
            continue
        if package.licence is None:
            console.print(f"skipped {name}: its licence is copyleft or unknown")
            continue
        yield package


def _select(
    package: Package, options: CorpusOptions, kept: NearDuplicates, overlap: Overlap
) -> tuple[list[Document], Counter[str]]:
    """The package's documents that enter the corpus, in path order, and how many files were refused for what."""
    refused: Counter[str] = Counter()
    chosen: list[Document] = []
    withheld = {canonical(requirement.partition("==")[0]).replace("-", "_") for requirement in options.heldout}
    budget = options.package_bytes if package.name != STDLIB else sum(len(text.encode()) for _, text in package.files)
    # In hash order, so that the budget takes from all over a large package and the same files every time.
    for path, text in sorted(package.files, key=lambda file: _digest(package.name, file[0])):
        size = len(text.encode())
        if size > budget:
            refused["budget"] += 1
            continue
        if reason := reason_against(path, text):
            refused[reason] += 1
            continue
        if withheld & set(path.removesuffix(".py").split("/")[:-1]):
            refused["held out by name"] += 1
            continue
        shingle_set = shingles(text)
        if overlap.of(shingle_set) > options.heldout_overlap:
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
    build_corpus(CorpusOptions(folder=parser.parse_args().folder))


if __name__ == "__main__":
    main()
