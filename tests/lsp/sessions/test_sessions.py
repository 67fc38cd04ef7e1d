"""Random editor sessions with one server each, most of them in this process.

By default a few are run, always the same. ENGRAM_SESSIONS=1000 runs so many, at random; with ENGRAM_SHRINK=1 one that
fails is made as short as can be, which takes minutes; ENGRAM_TRANSCRIPTS=FOLDER keeps what was said in it.
"""

import logging
import os
from collections.abc import Iterator

import pytest
from engram_lsp import guard, session
from engram_lsp.features import diagnostics, refresh, workspace_diagnostic
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from lsp.sessions.inside import Log
from lsp.sessions.machine import Sessions, check_log

WANTED = int(os.environ.get("ENGRAM_SESSIONS", "0"))


class Processes(Sessions):
    INSIDE = False


class Models(Sessions):
    MODEL = ""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers in this process wait for less long where nothing depends on it but how often they work."""
    for module, name in ((diagnostics, "_OTHERS"), (refresh, "_REST"), (workspace_diagnostic, "_REST")):
        monkeypatch.setattr(module, name, 0.03)
    monkeypatch.setattr(session, "_MODEL_AFTER", 0.0)
    monkeypatch.setattr(guard, "_PATIENCE", 1.0)


@pytest.fixture
def log() -> Iterator[Log]:
    """The log of servers in this process; it says nothing of the user's text, and no handler fails."""
    log = Log()
    names = ("engram_lsp", "engram_context", "engram_runtime", "pygls", "asyncio", "watchdog")
    for name in names:
        logging.getLogger(name).addHandler(log)
    yield log
    for name in names:
        logging.getLogger(name).removeHandler(log)
    check_log("\n".join(log.lines))


def run(machine: type[Sessions], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=WANTED or examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not WANTED,
            database=None,
            phases=(Phase.generate, Phase.shrink) if os.environ.get("ENGRAM_SHRINK") else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )


@pytest.mark.usefixtures("hurried", "log")
def test_sessions_inside() -> None:
    run(Sessions, 20, 40)


@pytest.mark.usefixtures("hurried", "log")
def test_sessions_with_the_model() -> None:
    run(Models, 2, 30)


@pytest.mark.wire
def test_sessions_of_processes() -> None:
    run(Processes, 2, 40)
