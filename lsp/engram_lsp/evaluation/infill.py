"""Single-line infilling with execution: a line of a function is hidden, completed, and the function's doctests are run.

Only lines count whose absence the doctests notice, in functions whose doctests pass as they are. What runs is code of
the repository with a completion in it: in a process of its own, in a folder that goes away, for a few seconds.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

import numpy as np
from engram_runtime.train.questions import code_lines

from engram_lsp.evaluation.figures import Figure, mean
from engram_lsp.evaluation.ground import Arm, Ground
from engram_lsp.evaluation.lines import Record, is_exact
from engram_lsp.evaluation.questions import Hole
from engram_lsp.evaluation.repositories import Repository

FIGURES = (
    Figure("passed", "doctests pass", "share", mean("passed")),
    Figure("exact", "exact", "share", mean("exact")),
    Figure("answered", "completed at all", "share", mean("answered")),
)

_SECONDS = 10.0
_PROCESS = """
import doctest, importlib, json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
except (ImportError, OSError, ValueError):
    pass
asked = json.load(sys.stdin)
sys.path.insert(0, asked["root"])
module = importlib.import_module(asked["module"])
test = doctest.DocTestParser().get_doctest(asked["doc"], dict(vars(module)), asked["name"], None, 0)
failed, tried = doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None)
sys.exit(1 if failed or not tried else 0)
"""


@dataclass(frozen=True, slots=True)
class Tested:
    """A function with doctests: `lines` are the zero-based lines of code in its body."""

    path: str
    name: str
    doc: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    hole: Hole
    tested: Tested


def tested_functions(path: str, text: str) -> Iterator[Tested]:
    """The functions of a file, methods included, whose docstring has examples."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    code = code_lines(text)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        doc = ast.get_docstring(node)
        if doc and ">>>" in doc and len(node.body) > 1:
            last = node.end_lineno or node.lineno
            lines = tuple(line for line in range(node.body[1].lineno - 1, last) if line in code)
            if lines:
                yield Tested(path, node.name, doc, lines)


class Workshop:
    """A copy of a repository in which files are changed and doctests are run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def passes(self, tested: Tested, text: str) -> bool:
        """Whether the function's doctests pass with `text` in place of its file."""
        file = self.root / tested.path
        original = file.read_bytes()
        file.write_bytes(text.encode("utf-8", "replace"))
        try:
            return self._run(tested)
        finally:
            file.write_bytes(original)

    def _run(self, tested: Tested) -> bool:
        root, module = self._module(tested.path)
        asked = json.dumps({"root": str(root), "module": module, "doc": tested.doc, "name": tested.name})
        kept = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "LANG", "LC_ALL")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        # Compiled files would be older versions of the same name and size: none are written.
        command = [sys.executable, "-I", "-B", "-c", _PROCESS]
        try:
            done = subprocess.run(
                command,
                input=asked.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self.root,
                env=environment,
                timeout=_SECONDS,
                check=False,
            )
        except (subprocess.TimeoutExpired, OSError):
            return False
        return done.returncode == 0

    def _module(self, path: str) -> tuple[Path, str]:
        """Where a module is imported from, and its name: packages are folders with an __init__.py."""
        file = self.root / path
        parts = [] if file.stem == "__init__" else [file.stem]
        folder = file.parent
        while (folder / "__init__.py").exists() and folder.is_relative_to(self.root):
            parts.insert(0, folder.name)
            folder = folder.parent
        return folder, ".".join(parts)


@contextmanager
def workshop(repository: Repository) -> Generator[Workshop]:
    with TemporaryDirectory(prefix="engram-eval-", ignore_cleanup_errors=True) as holder:
        root = Path(holder).resolve() / repository.root.name
        copytree(repository.root, root, ignore=ignore_patterns(".git", ".venv", "node_modules", "__pycache__"))
        yield Workshop(root)


def questions(repository: Repository, shop: Workshop, count: int, seed: int) -> list[Question]:
    """At most `count` lines that their function's doctests cannot do without; two of a function at most."""
    random = np.random.default_rng([seed, 30])
    texts = dict(repository.files)
    tested = [one for path, text in repository.files for one in tested_functions(path, text)]
    found: list[Question] = []
    for number in random.permutation(len(tested)).tolist():
        one = tested[number]
        if len(found) >= count:
            break
        if not shop.passes(one, texts[one.path]):
            continue
        for line in random.permutation(one.lines).tolist()[:2]:
            hole = _without_line(one.path, texts[one.path], line)
            if not shop.passes(one, hole.before + hole.after):
                found.append(Question(hole, one))
    return found[:count]


def _without_line(path: str, text: str, number: int) -> Hole:
    lines = text.split("\n")
    line = lines[number]
    indentation = line[: len(line) - len(line.lstrip())]
    before = "\n".join([*lines[:number], indentation])
    return Hole(path, before, line.strip(), "\n".join(["", *lines[number + 1 :]]), "start")


def measure(
    ground: Ground, asked: Sequence[Question], shop: Workshop, arms: Sequence[Arm], tick: Callable[[], None]
) -> dict[str, list[Record]]:
    """A row for each hidden line, by arm."""
    found: dict[str, list[Record]] = {arm.name: [] for arm in arms}
    for question in asked:
        hole = question.hole
        for arm in arms:
            guess = ground.guess(arm.usual, ground.query(hole, arm.known))
            exact = is_exact(guess, hole)
            passed = exact or (guess is not None and shop.passes(question.tested, guess.text))
            row = {"passed": float(passed), "exact": float(exact), "answered": float(guess is not None)}
            found[arm.name].append(row)
        tick()
    return found
