"""Source out of Debian's source packages: the original tarballs of pinned versions, fetched by apt-get.

The tarballs are read in memory; nothing of them is unpacked or run. Which of their files may be trained on is read
from `debian/copyright`, in its machine-readable form (DEP-5).
"""

import re
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Final

from engram_runtime.train.languages import ENDINGS
from engram_runtime.train.licences import debian_licence_is_permissive
from engram_runtime.train.sources import MAX_BYTES, Package, decoded

MAX_UNPACKED: Final = 2_000_000_000
"""A tarball that holds more bytes than this is no source anyone wrote."""

_ORIGINAL: Final = re.compile(r"\.orig(-(?P<component>[\w.-]+?))?\.tar\.\w+$")


@dataclass(frozen=True, slots=True)
class Pin:
    """A line of `debian.txt`: which source package, and the language whose files are taken from it."""

    language: str
    name: str
    version: str
    megabytes: float = 0.25
    """How much of the package is taken at most, in millions of bytes."""

    @property
    def requirement(self) -> str:
        return f"{self.name}={self.version}"

    @property
    def dsc(self) -> str:
        return f"{self.name}_{self.version.rpartition(':')[2]}.dsc"


def pinned_sources() -> tuple[Pin, ...]:
    """The source packages of `debian.txt`, in its order."""
    listing = resources.files("engram_runtime.train").joinpath("debian.txt").read_text(encoding="utf-8")
    return tuple(parse_pin(line) for line in listing.splitlines() if line.strip() and not line.startswith("#"))


def parse_pin(line: str) -> Pin:
    """A pin from `LANGUAGE NAME=VERSION [MEGABYTES]`. Raises ValueError when it is none."""
    found = re.fullmatch(r"(\S+) ([a-z0-9][a-z0-9+.-]+)=([\w.+:~-]+)(?: (\d+(?:\.\d+)?))?", line.strip())
    if not found or found[1] not in ENDINGS:
        raise ValueError(f"not a source package's pin: {line!r}")
    language, name, version, megabytes = found.groups()
    return Pin(language, name, version, float(megabytes)) if megabytes else Pin(language, name, version)


class Archive:
    """Source packages in a folder, fetched into it by apt-get; many threads may fetch at once.

    apt's own lists of sources are asked for by the configuration that the machine has; all that is written lies in
    the folder.
    """

    def __init__(self, folder: Path, timeout: float = 600.0) -> None:
        self._folder, self._timeout = folder.absolute(), timeout
        self._lock = Lock()
        self._options: tuple[str, ...] | None = None
        self._problem: OSError | None = None

    def has(self, pin: Pin) -> bool:
        """Whether the package lies in the folder, so that `fetch` needs no network."""
        return _is_complete(self._folder / pin.dsc)

    def fetch(self, pin: Pin) -> Path:
        """The path of the package's .dsc, its files beside it. Raises OSError, with apt's last words."""
        path = self._folder / pin.dsc
        if self.has(pin):
            return path
        options = self._prepared()
        words = _run(
            ["apt-get", *options, "source", "--quiet", "--download-only", "--only-source", pin.requirement],
            self._folder,
            self._timeout,
        )
        if not _is_complete(path):
            raise OSError(f"no source of {pin.requirement}: {words or 'apt-get said nothing'}")
        return path

    def _prepared(self) -> tuple[str, ...]:
        with self._lock:
            if self._problem:
                raise self._problem
            if self._options is None:
                try:
                    self._options = _source_lists(self._folder / "apt", self._timeout)
                except OSError as problem:
                    self._problem = problem
                    raise
            return self._options


def read_source(dsc: Path, pin: Pin) -> Package:
    """The files of the pin's language with the licences that cover them.

    The package's licence is None when the one for all files is not permissive, or when nothing machine-readable
    names one; a file under a stanza of its own that is not permissive, or under none, is refused alone.
    Raises ValueError when an archive cannot be read.
    """
    names = sorted(_parts(dsc))
    try:
        notice = next((_copyright(dsc.parent / name) for name in names if ".debian.tar." in name), None)
        licences = Licences(notice or "")
        if licences.main is not None and not debian_licence_is_permissive(licences.main):
            return Package(f"debian:{pin.name}", pin.version, None, (), pin.language)
        files: dict[str, str] = {}
        met: set[str] = set()
        refused: Counter[str] = Counter()
        for name in names:
            if original := _ORIGINAL.search(name):
                for path, size, content in _members(dsc.parent / name, original["component"], pin.language):
                    licence = licences.of(path)
                    if not debian_licence_is_permissive(licence):
                        refused["licence"] += 1
                    elif size > MAX_BYTES:
                        refused["size"] += 1
                    elif (text := decoded(content)) is None:
                        refused["encoding"] += 1
                    else:
                        files[path] = text
                        met.add(licence)
    except (tarfile.TarError, EOFError, OSError) as problem:
        raise ValueError(f"{dsc.name} cannot be read: {problem}") from problem
    licence = "; ".join(sorted(met, key=lambda name: (name != licences.main, name))) or None
    return Package(
        f"debian:{pin.name}",
        pin.version,
        licence,
        tuple(sorted(files.items())),
        pin.language,
        round(pin.megabytes * 1e6),
        tuple(refused.items()),
    )


class Licences:
    """The stanzas of a machine-readable `debian/copyright`: the last one that names a file covers it."""

    def __init__(self, notice: str) -> None:
        self._stanzas: list[tuple[re.Pattern[str], str]] = []
        self.main: str | None = None
        """The short name of the stanza for everything, where there is one."""
        paragraphs = re.split(
            r"\n[ \t]*\n", "\n".join(line for line in notice.splitlines() if not line.startswith("#"))
        )
        if not re.search(r"^Format(-Specification)?:", paragraphs[0], re.MULTILINE):
            return
        for paragraph in paragraphs:
            patterns = re.search(r"^Files:((?:.*)(?:\n[ \t].*)*)", paragraph, re.MULTILINE | re.IGNORECASE)
            licence = re.search(r"^License:[ \t]*(.*)", paragraph, re.MULTILINE | re.IGNORECASE)
            if patterns:
                wanted = patterns[1].replace(",", " ").split()
                name = " ".join(licence[1].split()) if licence else ""
                if "*" in wanted:
                    self.main = name
                self._stanzas.append((_any_of(wanted), name))

    def of(self, path: str) -> str:
        return next((name for pattern, name in reversed(self._stanzas) if pattern.fullmatch(path)), "")


def _any_of(wildcards: list[str]) -> re.Pattern[str]:
    """Matches a path that one of the wildcards names, or that lies in a folder which it names."""
    signs = {"*": ".*", "?": "."}
    bodies = (
        "".join(signs.get(sign) or re.escape(sign) for sign in wildcard.removeprefix("./").rstrip("/"))
        for wildcard in wildcards
    )
    return re.compile(f"({'|'.join(bodies)})(/.*)?", re.DOTALL)


def _members(archive: Path, component: str | None, language: str) -> Iterator[tuple[str, int, bytes]]:
    """Path in the source package, size and content of the language's files; none is read that is too large."""
    endings = ENDINGS[language]
    total = 0
    with tarfile.open(archive, "r|*") as members:
        for member in members:
            total += member.size
            if total > MAX_UNPACKED:
                raise tarfile.ReadError(f"{archive.name} unpacks to more than {MAX_UNPACKED:,} bytes")
            path = PurePosixPath(member.name)
            if not member.isreg() or path.suffix not in endings or path.is_absolute() or ".." in path.parts:
                continue
            # A tarball has one folder on top, but for the rare one that has none.
            inside = PurePosixPath(component or "", *(path.parts[1:] or path.parts)).as_posix()
            opened = members.extractfile(member) if member.size <= MAX_BYTES else None
            yield inside, member.size, opened.read() if opened else b""


def _copyright(archive: Path) -> str | None:
    with tarfile.open(archive, "r|*") as members:
        for member in members:
            if member.name.removeprefix("./") == "debian/copyright" and member.isreg() and member.size < 5_000_000:
                opened = members.extractfile(member)
                return opened.read().decode("utf-8", errors="replace") if opened else None
    return None


def _parts(dsc: Path) -> dict[str, int]:
    """Name and size of the files that belong to the source package."""
    text = dsc.read_text(encoding="utf-8", errors="replace")
    listed = re.findall(r"^ [0-9a-f]{64} (\d+) ([^\s/\\]+)$", text, re.MULTILINE)
    return {name: int(size) for size, name in listed}


def _is_complete(dsc: Path) -> bool:
    if not dsc.is_file() or not (parts := _parts(dsc)):
        return False
    return all((part := dsc.parent / name).is_file() and part.stat().st_size == size for name, size in parts.items())


def _source_lists(folder: Path, timeout: float) -> tuple[str, ...]:
    """Options for apt-get with which it knows the source packages of the machine's own archives.

    Raises OSError when apt is not there or reaches none of them.
    """
    if shutil.which("apt-get") is None:
        raise OSError("apt-get is not installed")
    shell = subprocess.run(
        ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"],
        capture_output=True, text=True, timeout=timeout, check=False,
    ).stdout  # fmt: skip
    configured = dict(re.findall(r"^(\w+)='(.*)'$", shell, re.MULTILINE))
    lists = folder / "sources.list.d"
    for needed in (lists, folder / "lists" / "partial", folder / "cache" / "archives" / "partial"):
        needed.mkdir(parents=True, exist_ok=True)
    parts = Path(configured.get("PARTS", "/etc/apt/sources.list.d"))
    for found in [Path(configured.get("LIST", "/etc/apt/sources.list")), *sorted(parts.glob("*.*"))]:
        if found.suffix in (".list", ".sources") and found.is_file():
            text = found.read_text(encoding="utf-8", errors="replace")
            text = re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.MULTILINE)
            (lists / found.name).write_text(re.sub(r"^deb\s", "deb-src ", text, flags=re.MULTILINE), encoding="utf-8")
    configuration = folder / "apt.conf"
    configuration.write_text(
        f'Dir::Etc::sourcelist "{folder / "none"}";\n'
        f'Dir::Etc::sourceparts "{lists}";\n'
        f'Dir::State::lists "{folder / "lists"}";\n'
        f'Dir::Cache "{folder / "cache"}";\n'
        # What the machine does after an update of its own, it shall not do after ours.
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n",
        encoding="utf-8",
    )
    options = ("--config-file", str(configuration))
    words = _run(["apt-get", *options, "update", "--quiet"], folder, timeout)
    if not any("_Sources" in path.name for path in (folder / "lists").iterdir()):
        raise OSError(f"apt-get update found no source packages: {words}")
    return options


def _run(command: list[str], folder: Path, timeout: float) -> str:
    """Runs apt-get and returns the first line of error, or else the last one that it complained with."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return f"apt-get took more than {timeout:.0f} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("E:")), lines[-1] if lines else "")
