"""Which files of a folder belong to the project, and why others do not.

From weakest to strongest: git's own rules (`.git/info/exclude`, then every `.gitignore` from the repository's top down
to the file's folder, also where the project is only a part of the repository), the project's `.engramignore` files in
the same syntax (`!pattern` takes back what git ignores), and built-in rules that nothing overrides: secrets,
version-control folders, caches, virtual environments. What cannot be read is left out.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from engram_context.patterns import Pattern, pattern_of

PRIVATE_FILE = ".engramignore"
RULE_FILES = frozenset({".gitignore", PRIVATE_FILE})

_FOLDERS = {
    ".git": "version control",
    ".hg": "version control",
    ".svn": "version control",
    ".jj": "version control",
    "node_modules": "installed packages",
    "site-packages": "installed packages",
    "__pypackages__": "installed packages",
    "__pycache__": "a cache",
    ".mypy_cache": "a cache",
    ".ruff_cache": "a cache",
    ".pytest_cache": "a cache",
    ".hypothesis": "a cache",
    ".ipynb_checkpoints": "a cache",
    ".cache": "a cache",
    ".tox": "a virtual environment",
    ".nox": "a virtual environment",
    ".venv": "a virtual environment",
    ".eggs": "installed packages",
    ".direnv": "a virtual environment",
}
_SECRETS = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg",
    "*.asc", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pypirc", ".npmrc", ".pgpass",
    ".htpasswd", "credentials", "credentials.*", "secrets.json", "secrets.toml", "secrets.y*ml",
    "service-account*.json", "*.tfstate", "*.tfvars",
)  # fmt: skip
_SECRET = re.compile("|".join(translate(pattern) for pattern in _SECRETS), re.IGNORECASE)


_GIT, _PRIVATE, _SETTING = 0, 1, 2


@dataclass(frozen=True, slots=True)
class FileState:
    """What a look at the folder says of a file without reading it."""

    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one rule file, or of the user's settings."""

    source: str  # as shown to people
    patterns: tuple[Pattern, ...]  # the last one first
    rank: int  # a higher one has the last word

    def verdict(self, path: str, name: str, is_folder: bool) -> Pattern | None:
        """The last pattern that matches `path`, which is relative to the rule file's folder."""
        for pattern in self.patterns:
            if pattern.matches(path, name, is_folder):
                return pattern
        return None


class Ignore:
    """The rules of one project folder. Rule files are read once: make a new one when they change."""

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        """`exclude`: patterns of the user's settings, in the same syntax, relative to the root; they have the last word
        before the built-in rules."""
        self.root = root
        self._excluded = _rules_of(exclude, "the setting index.exclude", _SETTING)
        self._top = _repository_top(root)
        # For each folder: the rules that hold inside it, outer ones first, and the way from their folder to this one.
        self._rules: dict[Path, tuple[tuple[_Rules, str], ...]] = {}

    def why(self, path: str) -> str | None:
        """The rule that keeps `path` (relative to the root) out of the project; None when it belongs to it."""
        parts = path.split("/")
        if not path or ".." in parts or path.startswith("/"):
            return "outside the project folder"
        here = self.root
        for depth, part in enumerate(parts):
            is_folder = depth < len(parts) - 1 or (here / part).is_dir()
            reason = self._why_entry(here, part, is_folder)
            if reason is not None:
                return reason
            here = here / part
        return None

    def walk(
        self, wanted: Callable[[str], bool], cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[str, FileState]]:
        """Every file that belongs to the project and whose path is `wanted`, with its state.

        Linked folders are not entered, and linked files only count while they lead to a file inside the root. Folders
        that cannot be read are passed over. Files near the root come first. Raises OSError when the root itself cannot
        be read.
        """
        with os.scandir(self.root):
            pass
        real_root = os.path.realpath(self.root)
        waiting = deque([(self.root, "")])
        while waiting and not cancelled():
            folder, prefix = waiting.popleft()
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in found:
                path = prefix + entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if self._why_entry(folder, entry.name, is_folder=True) is None:
                            waiting.append((folder / entry.name, path + "/"))
                        continue
                    if not wanted(path) or not entry.is_file():
                        continue
                    if self._why_entry(folder, entry.name, is_folder=False) is not None:
                        continue
                    if entry.is_symlink() and not _inside(os.path.realpath(entry.path), real_root):
                        continue
                    state = entry.stat()
                except (OSError, ValueError):
                    continue
                if _is_text(path):
                    yield path, FileState(state.st_mtime_ns, state.st_size)

    def folders(self, below: str = "") -> Iterator[str]:
        """The folders right inside `below` that belong to the project, linked ones left out."""
        start = self.root / below if below else self.root
        try:
            with os.scandir(start) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            return
        for name in names:
            if self._why_entry(start, name, is_folder=True) is None:
                yield f"{below}/{name}" if below else name

    def _why_entry(self, folder: Path, name: str, is_folder: bool) -> str | None:
        if is_folder:
            kind = _FOLDERS.get(name)
            if kind is not None:
                return f"{name}/ is {kind} (built-in rule)"
            if name.endswith(".egg-info") or name.endswith(".dist-info"):
                return f"{name}/ is package metadata (built-in rule)"
            if _exists(folder / name / "pyvenv.cfg"):
                return f"{name}/ is a virtual environment (it has a pyvenv.cfg; built-in rule)"
        elif _SECRET.match(name):
            return f"{name} may hold secrets (built-in rule)"
        answer: tuple[Pattern, _Rules] | None = None
        for rules, way in self._rules_for(folder):
            if answer is None or rules.rank >= answer[1].rank:
                pattern = rules.verdict(way + name, name, is_folder)
                answer = (pattern, rules) if pattern is not None else answer
        if answer is None or not answer[0].ignores:
            return None
        return f"{answer[1].source}: {answer[0].line}"

    def _rules_for(self, folder: Path) -> tuple[tuple[_Rules, str], ...]:
        known = self._rules.get(folder)
        if known is not None:
            return known
        found: list[tuple[_Rules, str]] = []
        if folder == self._top:
            found += ((rules, "") for rules in _read_rules(_exclude_file(folder), ".git/info/exclude"))
        elif folder.parent != folder and folder.is_relative_to(self._top):
            found += ((rules, f"{way}{folder.name}/") for rules, way in self._rules_for(folder.parent))
        for name in (".gitignore", PRIVATE_FILE):
            source = (folder / name).relative_to(self._top).as_posix()
            found += ((rules, "") for rules in _read_rules(folder / name, source))
        if folder == self.root:
            found += ((rules, "") for rules in self._excluded)
        self._rules[folder] = tuple(found)
        return self._rules[folder]


def _read_rules(file: Path, source: str) -> tuple[_Rules, ...]:
    try:
        content = file.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ()
    return _rules_of(
        content.removeprefix("\ufeff").split("\n"), source, _PRIVATE if file.name == PRIVATE_FILE else _GIT
    )


def _rules_of(lines: Sequence[str], source: str, rank: int) -> tuple[_Rules, ...]:
    patterns = [pattern for line in reversed(lines) if (pattern := pattern_of(line)) is not None]
    return (_Rules(source, tuple(patterns), rank),) if patterns else ()


def _repository_top(root: Path) -> Path:
    for folder in (root, *root.parents):
        if _exists(folder / ".git"):
            return folder
    return root


def _exclude_file(top: Path) -> Path:
    """`.git/info/exclude`, also where `.git` is a file that points elsewhere (a worktree, a submodule)."""
    git = top / ".git"
    try:
        if git.is_file():
            target = git.read_text(encoding="utf-8", errors="replace").removeprefix("gitdir:").strip()
            git = top / target
            common = git / "commondir"
            if common.is_file():
                git = git / common.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        pass
    return git / "info" / "exclude"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _is_text(path: str) -> bool:
    """Whether a path can be named over the protocol: file names may be any bytes on some systems."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
