"""A stricter split by time: the memory is a checkout as it once was, asked are lines that were written later.

Otherwise the memory holds code that came after the line that is asked for. Only the command `git` is needed.
"""

import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from engram_lsp.evaluation.repositories import Repository, RepositoryError, is_asked, unpack_tar

_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@contextmanager
def split(path: Path, since: str) -> Generator[Repository]:
    """The checkout at `path` before `since`: a date that git understands, or a number of commits; asked are the lines
    that its newest commit has and that one had not.

    Raises RepositoryError without git, a history that reaches so far, or lines that are new.
    """
    old = _commit_before(path, since)
    added = {name: lines for name, lines in _added(path, old).items() if name.endswith((".py", ".pyi", ".pyw"))}
    files = [(name, _shown(path, name)) for name in sorted(added)]
    files = [(name, text) for name, text in files if is_asked(name, text)]
    if not files:
        raise RepositoryError(f"{path} has no new Python code since {since}")
    with tempfile.TemporaryDirectory(prefix="engram-eval-", ignore_cleanup_errors=True) as holder:
        root = Path(holder).resolve() / (path.resolve().name or "repository")
        root.mkdir()
        with tarfile.open(fileobj=io.BytesIO(_git(path, "archive", "--format=tar", old))) as archive:
            unpack_tar(archive, root)
        yield Repository(root.name, root, tuple(files), {name: added[name] for name, _ in files})


def _commit_before(path: Path, since: str) -> str:
    _git(path, "rev-parse", "--verify", "HEAD")
    if since.isdigit():
        found = _git(path, "rev-parse", "--verify", "--quiet", f"HEAD~{since}^{{commit}}", missing=True)
    else:
        found = _git(path, "rev-list", "-1", f"--before={since}", "HEAD")
    if not found.strip():
        raise RepositoryError(f"the history of {path} does not reach back before {since}")
    return found.decode().strip()


def _added(path: Path, old: str) -> dict[str, frozenset[int]]:
    """By file, the zero-based lines of the newest commit that are not in `old`. Files that only moved have few."""
    options = ("--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-prefix", "--relative", "-M")
    found: dict[str, frozenset[int]] = {}
    for part in re.split(r"^diff --git ", _text(_git(path, "diff", *options, old, "HEAD")), flags=re.MULTILINE)[1:]:
        name = re.search(r"^\+\+\+ (.+?)\t?$", part, re.MULTILINE)
        if name is None or name[1] == "/dev/null" or name[1].startswith('"'):
            continue
        spans = [(int(first) - 1, int(count or 1)) for first, count in _HUNK.findall(part)]
        found[name[1]] = frozenset(line for first, count in spans for line in range(first, first + count))
    return {name: lines for name, lines in found.items() if lines}


def _shown(path: Path, name: str) -> str:
    return _text(_git(path, "cat-file", "blob", f"HEAD:./{name}")).replace("\r\n", "\n").replace("\r", "\n")


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace")


def _git(path: Path, *arguments: str, missing: bool = False) -> bytes:
    """What git says; nothing for a failure where something may be `missing`. No program that a repository's
    configuration names is run."""
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "--no-pager", "-C", str(path)]
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as problem:
        raise RepositoryError(f"git cannot be run: {problem}") from problem
    if done.returncode and not missing:
        reason = _text(done.stderr).strip().splitlines()[-1:] or [f"git {arguments[0]} failed"]
        raise RepositoryError(f"{path}: {reason[0]}")
    return b"" if done.returncode else done.stdout
