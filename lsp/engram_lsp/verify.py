"""Whether a proposed fix makes the failing test pass and no other fail: tried in a throw-away copy of the project.

Runs the command that the user gave and nothing else, and only where they gave one. Nothing is written to the project:
the copy lies in a temporary folder outside it and is removed in the end. A run that takes too long is ended together
with all that it started.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from engram_context.edits import EditError
from engram_context.text import Text
from engram_context.trace.fixes import Proposal
from engram_context.trace.reports import TraceReport
from engram_context.trace.values import Trace

Cancelled = Callable[[], bool]
Progress = Callable[[int, int, str], None]
"""Told how many proposals were tried, of how many, and what the next one is."""

LEFT_OUT = frozenset((
    ".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", ".hypothesis", ".eggs", ".idea", ".vscode", "target", "htmlcov",
))  # fmt: skip
"""Folders that are not copied."""
_WITH_VALUE = frozenset(("-m", "-c", "-p", "-o", "-W", "-n", "-k", "--rootdir", "--confcutdir", "--config-file"))
"""Options of Python and pytest behind which a word is no path to tests."""
_PLAIN_TEST = re.compile(r"(?!-)[\w./\\:-]+(?:\[[\w.,:/=+-]*\])?")
"""The ids of tests that a command may be given. A trace is anybody's text: what a shell or a program might take for
more than an id does not get into a command."""
_OUTPUT = 20_000
"""Bytes of a run's output that are kept, from its end."""
_POLL = 0.02
_LARGEST_OUTPUT = 256 << 20
"""Bytes that a run may print before it is ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`files` and `size` (bytes): what a copy may have at most. `test` and `tests` (seconds): how long the failing test
    and the whole command may run; `all` is for everything together. `tried` proposals are run with the failing test
    at most, and no more than `further` behind the first that makes it pass; `confirmed` are enough."""

    files: int = 50_000
    size: int = 500 << 20
    test: float = 60.0
    tests: float = 600.0
    all: float = 900.0
    tried: int = 20
    confirmed: int = 2
    further: int = 4


def _silent(_done: int, _total: int, _what: str) -> None:
    pass


class VerifyError(Exception):
    """Why nothing could be tried, in words for the person who asked."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended. `code` is None where it took too long or was cancelled. `failed` are the tests that did not
    pass by its own report, None where it made none. `output` is the end of what it printed."""

    code: int | None
    failed: frozenset[str] | None
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Command:
    """A test command: `whole` runs everything, `one` the test that fails (None where it cannot be told to)."""

    whole: tuple[str, ...]
    one: tuple[str, ...] | None
    reports: bool = False

    @staticmethod
    def of(line: str, root: Path, test: str) -> Command:
        """Reads a command line. `{test}` stands for the id of the test that fails; a command with pytest in it gets the
        id at its end. A program that lies in the project is the project's own, not the copy's.

        Raises VerifyError for an empty line, or one that cannot be read.
        """
        test = _plain(test)
        try:
            words = shlex.split(line, posix=os.name != "nt")
        except ValueError as problem:
            raise VerifyError(f"the test command cannot be read: {problem}") from problem
        if os.name == "nt":
            words = [word[1:-1] if len(word) > 1 and word[0] == word[-1] == '"' else word for word in words]
        if not words:
            raise VerifyError("there is no test command")
        program = root / words[0]
        if os.sep in words[0] or "/" in words[0]:
            words[0] = str(program) if program.exists() else words[0]
        elif shutil.which(words[0]) is None:
            raise VerifyError(f"there is no program {words[0]}")
        has_place = any("{test}" in word for word in words)
        is_pytest = any(re.fullmatch(r"(.*[/\\])?(pytest|py\.test)(\.exe)?", word) for word in words)
        whole = tuple(word for word in words if word != "{test}" and "{test}" not in word)
        one: tuple[str, ...] | None = None
        if test and has_place:
            one = tuple(word.replace("{test}", test) for word in words)
        elif test and is_pytest:
            # What says which tests to run gives way to the one.
            kept = [
                word for at, word in enumerate(whole)
                if not at or whole[at - 1] in _WITH_VALUE or word.startswith("-") or not (root / word).exists()
            ]  # fmt: skip
            one = (*kept, test)
        return Command(whole, one, is_pytest)


@dataclass(eq=False)
class Copy:
    """A copy of a project's files, in which changes are made and taken back."""

    root: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    _changed: dict[str, bytes | None] = field(default_factory=dict[str, "bytes | None"])

    def change(self, texts: Mapping[str, bytes]) -> None:
        """Files have these contents; those that a change before this one had changed are as they were again."""
        for path, data in self._changed.items():
            if path not in texts:
                self.write(path, data)
        kept = {path: data for path, data in self._changed.items() if path in texts}
        for path, data in texts.items():
            target = self.root / path
            if path not in kept:
                kept[path] = target.read_bytes() if target.is_file() else None
            self.write(path, data)
        self._changed = kept

    def write(self, path: str, data: bytes | None) -> None:
        """A file has these contents from now on; None: it is gone."""
        target = self.root / path
        if data is None:
            target.unlink(missing_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def run(self, command: Sequence[str], reports: bool, limit: float, cancelled: Cancelled) -> Run:
        """Runs a command in the copy, without a terminal and without what Python compiles lying about."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        words = [*command, *([f"--junitxml={report}", "-p", "no:cacheprovider"] if reports else [])]
        began = time.monotonic()
        with tempfile.TemporaryFile(dir=self.folder) as output:
            code = _code_of(words, self.root, self.environment, output.fileno(), limit, cancelled)
            size = output.seek(0, os.SEEK_END)
            output.seek(max(size - _OUTPUT, 0))
            said = output.read().decode("utf-8", "replace")
        failed = _failed(report) if reports and code is not None else None
        return Run(code, failed, said, time.monotonic() - began)


@contextmanager
def copied(root: Path, texts: Mapping[str, Text], limits: Limits | None = None) -> Generator[Copy]:
    """A throw-away copy of a project. `texts` are contents that differ from the disk's: unsaved documents.

    Raises VerifyError where the project is too large, or cannot be copied.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="engram-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        target = folder / (root.name or "project")
        try:
            _copy(root, target, limits)
        except OSError as problem:
            raise VerifyError(f"the project cannot be copied: {problem}") from problem
        environment = _environment(target, folder)
        copy = Copy(target, folder, environment)
        for path, text in texts.items():
            copy.write(path, text.data)
        yield copy


def verified(
    proposals: Sequence[Proposal],
    command_line: str,
    root: Path,
    trace: Trace,
    texts: Mapping[str, Text],
    *,
    unsaved: Mapping[str, Text] | None = None,
    limits: Limits | None = None,
    cancelled: Cancelled = lambda: False,
    progress: Progress = _silent,
) -> tuple[Proposal, ...]:
    """The proposals that make the failing test pass: `verified` is then "tests" where the whole command fails nowhere
    that it had not failed, and these come first; "test" where that could not be told. All others are left out.

    `texts` are the project's texts by path, as the proposals were made for; `root` its folder. Raises VerifyError
    where the command cannot be run, or where the failing test passes as the project is.
    """
    limits = limits or Limits()
    command = Command.of(command_line, root, trace.test)
    end = time.monotonic() + limits.all
    with copied(root, unsaved or {}, limits) as copy:
        first = command.one or command.whole
        alone = limits.test if command.one is not None else limits.tests
        before = copy.run(first, command.reports, alone, cancelled)
        if before.code is None:
            raise VerifyError("the failing test takes too long")
        if before.code == 0:
            raise VerifyError("the failing test passes")
        if command.reports and command.one is not None and before.code not in (1, 2):
            raise VerifyError(f"the failing test cannot be run: {_last_line(before.output)}")
        baseline: Run | None = None
        found: list[Proposal] = []
        last = min(len(proposals), limits.tried)
        for done, proposal in enumerate(proposals[: limits.tried]):
            if cancelled() or time.monotonic() > end or len(found) >= limits.confirmed or done >= last:
                break
            progress(done, min(len(proposals), limits.tried), proposal.why)
            after = _applied(proposal, texts)
            if after is None:
                continue
            copy.change(after)
            run = copy.run(first, command.reports, min(alone, 10 * before.seconds + 10), cancelled)
            if run.code != 0:
                continue
            last = min(last, done + limits.further + 1) if not found else last
            if command.one is None:
                found.append(replace(proposal, verified="tests"))
                continue
            found.append(replace(proposal, verified="test"))
            whole = copy.run(command.whole, command.reports, limits.tests, cancelled)
            if whole.code not in (0, None) and baseline is None:
                copy.change({})
                baseline = copy.run(command.whole, command.reports, limits.tests, cancelled)
            if _is_no_worse(whole, baseline):
                found[-1] = replace(proposal, verified="tests")
            elif whole.code is not None:
                found.pop()  # it breaks something else
    return tuple(sorted(found, key=lambda one: one.verified != "tests"))


def tried(
    report: TraceReport,
    command_line: str,
    root: Path,
    read: Callable[[str], Text | None],
    *,
    unsaved: Mapping[str, Text] | None = None,
    limits: Limits | None = None,
    cancelled: Cancelled = lambda: False,
    progress: Progress = _silent,
) -> TraceReport:
    """The report with its proposals tried: those that the tests verified, and none besides where any is. Raises
    VerifyError as `verified` does.

    `report` is one whose unsure proposals were not left out; those are left out here.
    """
    paths = {path for proposal in report.proposals for path in proposal.edit.edits}
    texts = {path: text for path in paths if (text := read(path)) is not None}
    found = verified(
        report.proposals, command_line, root, report.trace, texts,
        unsaved=unsaved, limits=limits, cancelled=cancelled, progress=progress,
    )  # fmt: skip
    return replace(report, proposals=tuple(one for one in found if one.is_shown))


def sure(report: TraceReport) -> TraceReport:
    """The report without proposals that are not sure enough to be shown."""
    return replace(report, proposals=tuple(one for one in report.proposals if one.is_shown))


def _applied(proposal: Proposal, texts: Mapping[str, Text]) -> dict[str, bytes] | None:
    try:
        return {path: text.data for path, text in proposal.edit.texts_after(texts).items()}
    except EditError:
        return None


def _plain(test: str) -> str:
    """The id of a test as it may stand in a command, without what its parameters are if need be; "" for one that may
    not: what is no id, or names a file that is not the project's."""
    for one in (test, test.partition("[")[0]):
        parts = re.split(r"[/\\]", one.partition("::")[0])
        if _PLAIN_TEST.fullmatch(one) is not None and parts[0] and ".." not in parts and not parts[0].endswith(":"):
            return one
    return ""


def _is_no_worse(after: Run, before: Run | None) -> bool:
    """Whether nothing fails that passed before; `before` is None where all passes now."""
    if after.code == 0:
        return True
    if after.code is None or before is None or before.code is None:
        return False
    if after.failed is None or before.failed is None or after.code != before.code:
        return False  # it says nothing of single tests: only that all pass would tell
    return after.failed <= before.failed


def _failed(report: Path) -> frozenset[str] | None:
    """The tests that did not pass, by a JUnit report; None where there is none."""
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    return frozenset(
        f"{case.get('classname')}::{case.get('name')}"
        for case in root.iter("testcase")
        if any(child.tag in ("failure", "error") for child in case)
    )


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


# --- copying and running --------------------------------------------------------------------------------


def _copy(root: Path, target: Path, limits: Limits) -> None:
    files = size = 0
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name for name in folders
            if name not in LEFT_OUT and not name.endswith(".egg-info") and not (here / name).is_symlink()
            and not (here / name / "pyvenv.cfg").exists()
        ]  # fmt: skip
        there = target / here.relative_to(root)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            source = here / name
            if name.endswith((".pyc", ".pyo")) or not source.is_file():
                continue  # also what is neither: sockets, devices, links to nowhere
            files += 1
            size += source.stat().st_size
            if files > limits.files or size > limits.size:
                raise VerifyError(f"the project has more than {limits.files} files or {limits.size >> 20} MiB")
            shutil.copyfile(source, there / name)
            shutil.copymode(source, there / name)


def _environment(target: Path, folder: Path) -> dict[str, str]:
    """The variables of this process; the copy's modules come before any that are installed from the project itself."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONSAFEPATH")}
    sources = [str(target / "src")] if (target / "src").is_dir() else []
    paths = [*sources, str(target), kept.get("PYTHONPATH", "")]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder),
        "TEMP": str(folder),
        "TMP": str(folder),
    }


def _code_of(
    words: Sequence[str], root: Path, environment: Mapping[str, str], output: int, limit: float, cancelled: Cancelled
) -> int | None:
    """The exit code; None where it was ended, or could not be started."""
    end = time.monotonic() + limit
    try:
        process = subprocess.Popen(
            words,
            cwd=root,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=sys.platform != "win32",
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
        )
    except OSError as problem:
        raise VerifyError(f"the test command cannot be run: {problem}") from problem
    try:
        while process.poll() is None:
            if cancelled() or time.monotonic() > end or os.fstat(output).st_size > _LARGEST_OUTPUT:
                return None
            try:
                process.wait(_POLL)
            except subprocess.TimeoutExpired:
                continue
        return process.returncode
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process with all that it started, which may outlive it."""
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
            process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
