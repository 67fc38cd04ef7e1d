"""Which files of a folder belong to the project, and why others do not.

From weakest to strongest: git's own rules (`.git/info/exclude`, then every `.gitignore` from the repository's top down
to the file's folder, also where the project is only a part of the repository), the project's `.engramignore` files in
the same syntax (`!pattern` takes back what git ignores), the setting `index.exclude`, and built-in rules that nothing
overrides: secrets, version-control folders, caches, virtual environments. What cannot be read is left out, and so is
a folder whose rules cannot be read. Links do not count: what they lead to counts where it lies, once.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engram_context.disk.builtin_rules import is_secret, why_folder
from engram_context.disk.casing import ignores_case
from engram_context.disk.git_objects import is_remote
from engram_context.disk.patterns import Pattern, is_wild, pattern_of
from engram_context.text import read_bytes

PRIVATE_FILE = ".engramignore"
RULE_FILES = frozenset({".gitignore", PRIVATE_FILE})

_GIT, _PRIVATE, _SETTING = 0, 1, 2
_MOST_RULES = 1 << 20  # bytes of one rule file
# Of one rule file, with wildcards: every file is compared with each. And how long they may be together.
_MOST_PATTERNS, _MOST_LETTERS = 5_000, 1 << 18
_JUNCTION = 0xA0000003  # a folder on Windows that is another one
_LINK = "a link: what it leads to counts where it lies, and never outside the project folder"


@dataclass(frozen=True, slots=True)
class FileState:
    """What a look at the folder says of a file without reading it."""

    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a path does not belong to the project. `source` and `line` name the rule file, where one decides."""

    kind: str  # "outside", "rule", "secret", "folder", "link", "special", "name", "unreadable"
    text: str
    source: str = ""
    line: int = 0

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one rule file, or of the user's settings."""

    source: str  # as shown to people
    patterns: tuple[Pattern, ...]  # those with wildcards, the last one first
    rank: int  # a higher one has the last word
    problem: str = ""  # why they could not be read: then nothing in their folder is
    plain: Mapping[str, Sequence[Pattern]] = field(default_factory=dict[str, "Sequence[Pattern]"])
    """The others by what they match, the last one first."""

    def verdict(self, path: str, name: str, is_folder: bool) -> Pattern | None:
        """The last pattern that matches `path`, which is relative to the rule file's folder."""
        found: Pattern | None = None
        for subject in {path, name, path.casefold(), name.casefold()} if self.plain else ():
            for pattern in self.plain.get(subject, ()):
                if pattern.matches(path, name, is_folder):
                    found = pattern if found is None or pattern.number > found.number else found
                    break
        for pattern in self.patterns:
            if found is not None and pattern.number < found.number:
                break
            if pattern.matches(path, name, is_folder):
                return pattern
        return found


class Ignore:
    """The rules of one project folder. Rule files are read once: make a new one when they change."""

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        """`exclude`: patterns of the user's settings, in the same syntax, relative to the root; they have the last word
        before the built-in rules."""
        self.root = root
        self._ignore_case = ignores_case(root)
        self._excluded = _rules_of(exclude, "the setting index.exclude", _SETTING, self._ignore_case)
        self._top = _repository_top(root)
        # For each folder: the rules that hold inside it, outer ones first, and the way from their folder to this one.
        self._rules: dict[Path, tuple[tuple[_Rules, str], ...]] = {}

    def why(self, path: str) -> str | None:
        """What keeps `path` (relative to the root) out of the project, in words; None when it belongs to it."""
        reason = self.reason(path)
        return None if reason is None else reason.text

    def reason(self, path: str) -> Reason | None:
        """What keeps `path` (relative to the root) out of the project; None when it belongs to it.

        Says of a file what `walk` does with it. A file that is not there is judged by its name.
        """
        parts = path.split("/")
        if not path or ".." in parts or path.startswith("/"):
            return Reason("outside", "outside the project folder")
        if not _is_text(path):
            return Reason("name", "its name is no UTF-8 text, and cannot be said over the protocol")
        here = self.root
        for depth, part in enumerate(parts):
            last = depth == len(parts) - 1
            try:
                state = os.lstat(here / part)
            except (FileNotFoundError, NotADirectoryError):
                state = None
            except (OSError, ValueError) as problem:
                said = getattr(problem, "strerror", None) or str(problem)
                return Reason("unreadable", f"{part[:100]} cannot be looked at ({said})")
            is_folder = not last if state is None else stat.S_ISDIR(state.st_mode)
            if state is not None and _is_link(state):
                return Reason("link", f"{part} is {_LINK}")
            reason = self._why_entry(here, part, is_folder=is_folder)
            if reason is not None:
                return reason
            if state is not None and not is_folder and not stat.S_ISREG(state.st_mode):
                return Reason("special", f"{part} is no regular file")
            here = here / part
        return None

    def walk(
        self,
        wanted: Callable[[str], bool],
        cancelled: Callable[[], bool] = lambda: False,
        entering: Callable[[str], object] = lambda _: None,
    ) -> Iterator[tuple[str, FileState]]:
        """Every file that belongs to the project and whose path is `wanted`, with its state.

        Links are passed over, and so are folders that cannot be read. Files near the root come first. `entering` is
        called with each folder ("" for the root) before it is looked into. Raises OSError when the root itself cannot
        be read.
        """
        with os.scandir(self.root):
            pass
        # Paths as text, and rules handed down: with a Path for each folder this takes five times as long.
        waiting = deque([(os.fspath(self.root), "", self._rules_for(self.root))])
        while waiting and not cancelled():
            folder, prefix, rules = waiting.popleft()
            entering(prefix[:-1])
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                continue
            names = {entry.name for entry in found}
            if prefix and "pyvenv.cfg" in names:
                continue
            if prefix and not names.isdisjoint(RULE_FILES):
                rules = self._rules_for(self.root / prefix)
            for entry in found:
                path = prefix + entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if (
                            why_folder(entry.name) is None
                            and _why_rules(rules, entry.name, is_folder=True) is None
                            and _is_text(entry.name)
                            and not _is_link(entry.stat(follow_symlinks=False))
                        ):
                            inside = tuple((outer, f"{way}{entry.name}/") for outer, way in rules)
                            waiting.append((entry.path, path + "/", inside))
                        continue
                    if not wanted(path) or is_secret(entry.name):
                        continue
                    if _why_rules(rules, entry.name, is_folder=False) is not None:
                        continue
                    state = entry.stat(follow_symlinks=False)
                except (OSError, ValueError):
                    continue
                if stat.S_ISREG(state.st_mode) and not _is_link(state) and _is_text(path):
                    yield path, FileState(state.st_mtime_ns, state.st_size)

    def _why_entry(self, folder: Path, name: str, *, is_folder: bool) -> Reason | None:
        if is_folder:
            built_in = why_folder(name)
            if built_in is not None:
                return Reason("folder", built_in)
            if _exists(folder / name / "pyvenv.cfg"):
                return Reason("folder", f"{name}/ is a virtual environment (it has a pyvenv.cfg; built-in rule)")
        elif is_secret(name):
            return Reason("secret", f"{name} may hold secrets (built-in rule)")
        return _why_rules(self._rules_for(folder), name, is_folder=is_folder)

    def _rules_for(self, folder: Path) -> tuple[tuple[_Rules, str], ...]:
        known = self._rules.get(folder)
        if known is not None:
            return known
        found: list[tuple[_Rules, str]] = []
        if folder == self._top:
            source = ".git/info/exclude"
            found += ((rules, "") for rules in _read_rules(_exclude_file(folder), source, self._ignore_case))
        elif folder.parent != folder and folder.is_relative_to(self._top):
            found += ((rules, f"{way}{folder.name}/") for rules, way in self._rules_for(folder.parent))
        for name in (".gitignore", PRIVATE_FILE):
            source = (folder / name).relative_to(self._top).as_posix()
            found += ((rules, "") for rules in _read_rules(folder / name, source, self._ignore_case))
        if folder == self.root:
            found += ((rules, "") for rules in self._excluded)
        self._rules[folder] = tuple(found)
        return self._rules[folder]


def _why_rules(holding: Sequence[tuple[_Rules, str]], name: str, *, is_folder: bool) -> Reason | None:
    """What the rules that hold in a folder say of an entry of it."""
    answer: tuple[Pattern, _Rules] | None = None
    for rules, way in holding:
        if rules.problem:
            return Reason("rule", f"{rules.source} {rules.problem}: nothing beside it is read", rules.source)
        if answer is None or rules.rank >= answer[1].rank:
            pattern = rules.verdict(way + name, name, is_folder)
            answer = (pattern, rules) if pattern is not None else answer
    if answer is None or not answer[0].ignores:
        return None
    pattern, rules = answer
    if rules.rank == _SETTING:
        return Reason("rule", f"{rules.source}: {pattern.line}", rules.source)
    return Reason("rule", f"{rules.source}:{pattern.number}: {pattern.line}", rules.source, pattern.number)


def _read_rules(file: Path, source: str, ignore_case: bool) -> tuple[_Rules, ...]:
    rank = _PRIVATE if file.name == PRIVATE_FILE else _GIT
    try:
        content = read_bytes(file, _MOST_RULES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError) as problem:
        if file.is_dir():
            return ()
        return (_Rules(source, (), rank, f"cannot be read ({getattr(problem, 'strerror', None) or problem})"),)
    if len(content) > _MOST_RULES:
        return (_Rules(source, (), rank, f"is larger than {_MOST_RULES:,} bytes"),)
    # Redirection in PowerShell writes UTF-16: rules that silently mean nothing would let through what they keep out.
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    return _rules_of(text.split("\n"), source, rank, ignore_case)


def _rules_of(lines: Sequence[str], source: str, rank: int, ignore_case: bool) -> tuple[_Rules, ...]:
    wild = [len(line) for line in lines if is_wild(line) and not line.startswith("#")]
    if len(wild) > _MOST_PATTERNS or sum(wild) > _MOST_LETTERS:
        return (_Rules(source, (), rank, f"has more than {_MOST_PATTERNS:,} patterns"),)
    patterns = [
        pattern
        for number, line in reversed(tuple(enumerate(lines, 1)))
        if (pattern := pattern_of(line, number, ignore_case=ignore_case)) is not None
    ]
    plain: dict[str, list[Pattern]] = {}
    for pattern in patterns:
        if pattern.regex is None:
            plain.setdefault(pattern.plain, []).append(pattern)
    others = tuple(pattern for pattern in patterns if pattern.regex is not None)
    return (_Rules(source, others, rank, "", plain),) if patterns else ()


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
            target = _said(git).removeprefix("gitdir:").strip()
            common = "" if is_remote(target) else _said(top / target / "commondir").strip()
            if not is_remote(target) and not is_remote(common):
                git = top / target / common
    except (OSError, ValueError):
        pass
    return git / "info" / "exclude"


def _said(file: Path) -> str:
    """The text of one of git's small files, empty where there is none."""
    try:
        return read_bytes(file, 1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_link(state: os.stat_result) -> bool:
    return stat.S_ISLNK(state.st_mode) or getattr(state, "st_reparse_tag", 0) == _JUNCTION


def _is_text(path: str) -> bool:
    """Whether a path can be named over the protocol: file names may be any bytes on some systems."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
