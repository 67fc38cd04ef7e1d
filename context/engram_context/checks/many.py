"""Findings of many files: in this process when they are few, in several when they are many.

Where a process can be split in two, the others have the project as it is here; elsewhere each opens it from its store,
where this one has just put it. Each checks files that lie side by side, for they ask about the same things.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from engram_context.findings import Finding

if TYPE_CHECKING:
    from engram_context.project import Project, Recipe

_WORTH_WORKERS = 300
"""Fewer files than this are checked before another process would have opened the project."""
_BATCH = 40
_PATIENCE = 1.0
_GARBAGE = 200_000
"""New objects after which the collector looks for those that are not needed."""

log = logging.getLogger(__name__)


def findings_of(project: Project, paths: Sequence[str], workers: int = 0) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    """The findings by path, in any order. `workers`: how many processes; 0: one for each core, eight at most."""
    count = min(workers or min(os.cpu_count() or 1, 8), len(paths) // _WORTH_WORKERS + 1)
    left = dict.fromkeys(paths)
    if count > 1:
        try:
            for path, found in _in_processes(project, sorted(paths), count):
                left.pop(path)
                yield path, found
        except (BrokenProcessPool, OSError, RuntimeError, EOFError) as problem:
            log.warning("worker processes failed (%s); checking on in this one", type(problem).__name__)
    for path in left:
        yield path, project.findings(path)


def _in_processes(project: Project, paths: Sequence[str], count: int) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    if sys.platform == "linux" and _is_alone():
        project.findings(paths[len(paths) // 2])  # what is known of the whole project is found out once
        _take(project)
        pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("fork"))
    else:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=_open, initargs=(project.recipe,))
    with pool:
        batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
        for done in as_completed([pool.submit(_check, batch) for batch in batches]):
            yield from done.result()


def _is_alone() -> bool:
    """Whether no other thread runs: a lock that one of them holds would be held for ever in a copy of the process.
    Those that ended the reading of files may take a moment."""
    end = time.monotonic() + _PATIENCE
    while threading.active_count() > 1 and time.monotonic() < end:
        time.sleep(0.02)
    return threading.active_count() == 1


_project: Project | None = None


def _open(recipe: Recipe) -> None:
    project = recipe.open()
    project.load_names()
    _take(project)


def _take(project: Project) -> None:
    global _project
    _project = project
    # What was read stays until the end: looking through it again and again took a seventh of the time.
    gc.freeze()
    gc.set_threshold(_GARBAGE)


def _check(paths: Sequence[str]) -> list[tuple[str, tuple[Finding, ...]]]:
    assert _project is not None
    return [(path, _project.findings(path)) for path in paths]
