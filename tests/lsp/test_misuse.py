"""Names that model and memory did not expect: judged function by function, kept by content, shown as hints."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from engram_context.checks.misuse.nearby import places_in
from engram_context.checks.misuse.places import SIGNS, Places
from engram_context.edits import apply
from engram_context.project import Project
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text
from engram_lsp import judging
from engram_lsp.coding import coding_of
from engram_lsp.hinting import Hints, findings_of_model, key_of, suspected
from engram_lsp.judging import COLUMNS, judge_for, row
from engram_lsp.misuse import Hint, expectations, hints, windows, without, witness_of
from engram_lsp.model import open_predictor
from engram_lsp.predictor import Predictor
from engram_lsp.schedule import Cancelled, Desk
from engram_lsp.scoring import score_edits
from engram_lsp.settings import ModelSettings
from engram_runtime import fim
from engram_runtime.engine import OnnxEngine
from engram_runtime.models import default_model
from fixture import snapshot_of
from scripted import TOKENIZER, Script, remembering

RIGHT = '''import socket


class Connection:
    """A line to a server."""

    def __init__(self, host, port, timeout=10.0):
        self.host = host
        self.port = port
        self.timeout = timeout

    def open(self, retries, backoff):
        """Tries `retries` times."""
        for attempt in range(retries):
            sock = socket.create_connection((self.host, self.port), self.timeout)
            if sock:
                return sock
            time.sleep(backoff * attempt)
        return None


def connect(host, port, timeout):
    """Opens a connection."""
    connection = Connection(host, port, timeout)
    connection.timeout = timeout
    return connection
'''
WRONG = RIGHT.replace("self.timeout = timeout", "self.timeout = port", 1)


@pytest.fixture(scope="module")
def predictor() -> Iterator[Predictor]:
    opened, problem = open_predictor(ModelSettings())
    assert not problem
    yield opened
    assert isinstance(opened.engine, OnnxEngine)
    opened.engine.close()


@pytest.fixture(scope="module")
def project_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Make"]:
    made = Make(tmp_path_factory)
    yield made
    for project in made.projects:
        project.close_project()


class Make:
    """Makes projects of texts."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self.projects: list[Project] = []

    def __call__(self, files: dict[str, str]) -> Project:
        root = self._folders.mktemp("project")
        for path, content in files.items():
            (root / path).write_text(content, encoding="utf-8")
        project = Project(root, coding_of(default_model() / "tokenizer.json"), cache_folder=root / ".cache")
        project.apply(project.load())
        self.projects.append(project)
        return project


def first(snapshot: Snapshot, path: str, name: str) -> Places:
    return next(one for one in places_in(snapshot, path) if one.function.name == name)


# Judging


def test_a_name_that_was_not_meant_is_found_and_its_fix_is_what_was(predictor: Predictor, project_of: Make) -> None:
    project = project_of({"net.py": WRONG})
    (finding,) = findings_of_model(project, predictor, "net.py")
    assert (finding.code, finding.severity) == ("misused-variable", "hint")
    assert 0 < finding.confidence < 1
    text = project.text("net.py")
    assert text is not None
    assert apply(text, finding.fixes[0].edit.edits["net.py"]).data == RIGHT.encode()


def test_what_was_meant_is_not_found(predictor: Predictor, project_of: Make) -> None:
    assert findings_of_model(project_of({"net.py": RIGHT}), predictor, "net.py") == ()


def test_the_memory_alone_finds_it_too(project_of: Make) -> None:
    alone = Predictor(TOKENIZER, None)
    found = findings_of_model(project_of({"net.py": WRONG}), alone, "net.py")
    assert [one.fixes[0].title for one in found] == ["Change to 'timeout'"]


def test_a_project_whose_memory_is_not_read_is_asked_about_all_the_same(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(WRONG, encoding="utf-8")
    project = Project(tmp_path, coding_of(default_model() / "tokenizer.json"), cache_folder=tmp_path / ".cache")
    text = Text.of(WRONG)
    project.edit("net.py", text)
    project.apply(project.refresh())
    found = findings_of_model(project, predictor, "net.py")
    assert {text.slice(one.span) for one in found} <= {"port"}
    project.close_project()


def test_a_comment_silences_a_hint(predictor: Predictor, project_of: Make) -> None:
    silenced = WRONG.replace("self.timeout = port", "self.timeout = port  # engram: ignore[misused-variable]")
    assert findings_of_model(project_of({"net.py": silenced}), predictor, "net.py") == ()


def test_a_model_that_nothing_was_fitted_to_is_not_heard(predictor: Predictor) -> None:
    assert witness_of(predictor, has_memory=True) == "both"
    assert witness_of(predictor, has_memory=False) == "model"
    assert witness_of(Predictor(TOKENIZER, Script("")), has_memory=True) == "memory"
    assert witness_of(Predictor(TOKENIZER, None), has_memory=False) == "signs"


def test_the_weights_that_come_along_fit_the_columns() -> None:
    for witness in ("signs", "memory", "model", "both"):
        judge = judge_for(witness)
        assert len(judge.weights) == len(COLUMNS)
        assert np.isfinite(judge.shown)
    deaf = judge_for("signs").weights
    assert all(deaf[COLUMNS.index(name)] == 0 for name in judging.HEARD)
    assert len(row((0.0,) * len(SIGNS), 0, 0, 0)) == len(COLUMNS)


def test_judging_is_cancelled_between_calls(predictor: Predictor) -> None:
    places = first(snapshot_of({"net.py": WRONG}), "net.py", "__init__")
    assert hints(predictor, places, "net.py", None, lambda: True) is None


# Expecting


def test_what_is_expected_along_a_function_is_what_is_expected_at_each_place(predictor: Predictor) -> None:
    places = first(snapshot_of({"net.py": RIGHT}), "net.py", "connect")
    text, span, some = places.text, places.function.span, list(places.suspicions())
    found = expectations(predictor, text, "net.py", span, some, None)
    assert found is not None and isinstance(predictor.engine, OnnxEngine)
    assert found
    (window,) = windows(TOKENIZER, text, "net.py", span)
    for one in some:
        if (one.span.start, one.alternative) not in found:
            continue
        space = " " if one.span.start - 1 in window.offsets and text.data[one.span.start - 1] == ord(" ") else ""
        at = window.offsets.index(one.span.start - len(space))
        expected = predictor.engine.next_log_probs(window.tokens[:at])
        assert expected is not None
        own, other = (TOKENIZER.encode(space + name)[0] for name in (one.name, one.alternative))
        assert found[one.span.start, one.alternative].ratio == pytest.approx(expected[other] - expected[own], abs=1e-2)


def test_a_long_function_is_read_in_windows_that_cover_every_byte_once() -> None:
    body = "".join(f"    value_{i} = compute(first, second, {i})\n" for i in range(400))
    text = Text.of(f"import this\n\n\ndef long(first, second):\n{body}    return first\n")
    span = Span(text.data.index(b"def long"), len(text.data))
    made = list(windows(TOKENIZER, text, "long.py", span))
    assert len(made) > 3
    assert made[0].start == 0 and made[-1].end == span.end
    assert all(one.end == other.start for one, other in pairwise(made))
    header = (TOKENIZER.begin, *TOKENIZER.encode(fim.path_header("long.py")))
    for one in made:
        assert one.tokens[: len(header)] == header
        assert len(one.tokens) == len(one.offsets) <= 1000
        own = [(token, offset) for token, offset in zip(one.tokens, one.offsets, strict=True) if offset >= 0]
        spelled = b"".join(TOKENIZER.token_bytes(token) for token, _ in own)
        assert text.data[own[0][1] : own[0][1] + len(spelled)] == spelled


def test_a_memory_that_knows_the_habit_prefers_the_alternative() -> None:
    view = remembering(*(["def f(key, value):\n    store.put(key, value)\n"] * 4)).view("main.py", (), ())
    places = first(snapshot_of({"main.py": "def g(key, value):\n    store.put(key, key)\n"}), "main.py", "g")
    found = expectations(
        Predictor(TOKENIZER, None), places.text, "main.py", places.function.span, places.suspicions(), view
    )
    assert found is not None
    (second,) = (one for one in places.suspicions() if places.text.data[one.span.start - 2 : one.span.start] == b", ")
    assert found[second.span.start, "value"].memory > 3


# Scoring edits


def test_the_edit_that_fits_scores_best(predictor: Predictor) -> None:
    text = Text.of(WRONG)
    start = text.data.index(b"self.timeout = port") + len(b"self.timeout = ")
    scores = score_edits(predictor, text, Span(start, start + 4), ("port", "timeout", "banana"), path="net.py")
    assert scores is not None
    assert scores[1] == max(scores)
    assert scores[2] == min(scores)


def test_scores_are_those_of_the_tokens_one_by_one(predictor: Predictor) -> None:
    engine = predictor.engine
    assert isinstance(engine, OnnxEngine)

    class OneByOne:
        gate = None
        next_log_probs = staticmethod(engine.next_log_probs)

    text = Text.of("def f(a, b):\n    return a + b\n\n\nprint(f(1, 2))\n")
    span = Span(text.data.index(b"a + b"), text.data.index(b"a + b") + 5)
    slow = Predictor(TOKENIZER, OneByOne())  # type: ignore[arg-type]
    candidates = ("a + b", "a - b", "", "b")
    quick, plain = (score_edits(one, text, span, candidates) for one in (predictor, slow))
    assert quick is not None and plain is not None
    assert quick == pytest.approx(plain, abs=1e-2)


def test_without_a_model_or_once_cancelled_nothing_is_scored(predictor: Predictor) -> None:
    text = Text.of("x = 1\n")
    assert score_edits(Predictor(TOKENIZER, None), text, Span(4, 5), ("1", "2")) is None
    assert score_edits(predictor, text, Span(4, 5), ("1", "2"), cancelled=lambda: True) is None


# Keeping


def test_a_hint_stays_while_its_function_does_wherever_that_moves() -> None:
    text = Text.of(WRONG)
    span = first(snapshot_of({"net.py": WRONG}), "net.py", "connect").function.span
    start = text.data.index(b"port, timeout)", span.start)
    kept = Hints()
    kept.keep(key_of("net.py", text, span), span, (Hint(Span(start, start + 4), "port", "host", 0.9),))

    def shown(source: str, path: str = "net.py") -> list[str]:
        snapshot = snapshot_of({path: source})
        return [source[one.span.start : one.span.end] for one in kept.findings(snapshot, path)]

    assert shown(WRONG) == ["port"]
    assert shown("# A comment far above.\n" + WRONG) == ["port"]
    assert shown(WRONG + "\n\ndef other(a, b): ...\n") == ["port"]
    assert shown(WRONG.replace("connection.timeout", "connection.limit")) == []
    assert shown(WRONG, "other.py") == []
    kept.clear()
    assert shown(WRONG) == []


def test_only_functions_that_nothing_is_known_of_are_asked_about() -> None:
    snapshot = snapshot_of({"net.py": WRONG})
    text = Text.of(WRONG)
    kept = Hints()
    names = [places.function.name for places, _ in suspected(snapshot, "net.py", kept.knows)]
    assert names == ["__init__", "open", "connect"]
    span = first(snapshot, "net.py", "open").function.span
    kept.keep(key_of("net.py", text, span), span, ())
    names = [places.function.name for places, _ in suspected(snapshot, "net.py", kept.knows)]
    assert names == ["__init__", "connect"]


def test_a_memory_is_not_shown_the_function_it_is_asked_about() -> None:
    places = first(snapshot_of({"net.py": WRONG}), "net.py", "connect")
    left = without(places.text, places.function.span)
    assert b"def connect" not in left.data
    assert len(left) == len(places.text) - len(places.function.span)


# Giving way


def test_idle_work_gives_way_to_whatever_else_is_wanted() -> None:
    begun, done = threading.Event(), list[str]()

    def idle(cancelled: Cancelled) -> str:
        begun.set()
        while not cancelled():
            threading.Event().wait(0.001)
        done.append("idle")
        return "cancelled"

    async def main(executor: ThreadPoolExecutor) -> None:
        desk = Desk(executor)
        task = asyncio.create_task(desk.do_idle(idle))
        await asyncio.to_thread(begun.wait)
        # Urgent work is done in its midst and does not end it.
        assert await desk.do_soon(lambda _: "soon") == "soon"
        assert not done
        assert await desk.do(lambda _: list(done)) == ["idle"]
        assert await task == "cancelled"

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main(executor))


def test_idle_work_does_not_begin_while_other_work_waits() -> None:
    release = threading.Event()

    async def main(executor: ThreadPoolExecutor) -> None:
        desk = Desk(executor)
        busy = asyncio.create_task(desk.do(lambda _: release.wait()))
        await asyncio.sleep(0)
        assert await desk.do_idle(lambda _: "ran") is None
        release.set()
        await busy
        assert await desk.do_idle(lambda _: "ran") == "ran"

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main(executor))
