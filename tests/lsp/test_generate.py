"""`engram-ls generate` as a person or a script runs it, with the model that ships."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from engram_lsp.cli import main
from engram_runtime.engine import OnnxEngine, Request, Step, never
from engram_runtime.models import default_model

GREEK = "# α\ndef add(a, b):\n    return"


@pytest.fixture
def generate(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command: its exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["generate", *map(str, arguments)])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def engine() -> Iterator[OnnxEngine]:
    opened = OnnxEngine.open(default_model())
    yield opened
    opened.close()


def test_text_goes_to_output_and_figures_to_error(
    generate: Callable[..., tuple[int, str, str]], engine: OnnxEngine
) -> None:
    ids = [engine.tokenizer.begin, *engine.tokenizer.encode(GREEK)]
    expected = engine.predict(Request(ids, max_tokens=12, stop_tokens=frozenset(range(6))))
    code, out, err = generate("--prompt", GREEK, "--max-tokens", 12)
    assert (code, out) == (0, engine.tokenizer.decode(expected.tokens) + "\n")
    assert f"read {len(ids)} tokens" in err and "wrote 12 at" in err


def test_json_tells_everything_in_one_value(generate: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    file = tmp_path / "add.py"
    file.write_text(GREEK, encoding="utf-8")
    code, out, err = generate("--prompt", file, "--suffix", "\n\nadd(1, 2)\n", "--max-tokens", 5, "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert answer["tokens"] <= 5 and answer["steps"] == answer["tokens"]
    assert answer["finish"] == ("length" if answer["tokens"] == 5 else "stop")
    assert answer["log_probability"] < 0 < answer["read_seconds"]


def test_equal_seeds_draw_alike(generate: Callable[..., tuple[int, str, str]]) -> None:
    def drawn(seed: int) -> str:
        return generate("--prompt", GREEK, "--max-tokens", 16, "--temperature", 1, "--top-p", 0.9, "--seed", seed)[1]

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_standard_input_is_a_prompt(
    generate: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = generate("--prompt", GREEK, "--max-tokens", 6)[1]
    for arguments in ((), ("--prompt", "-")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GREEK.encode())))
        assert generate(*arguments, "--max-tokens", 6)[1] == expected


def test_a_project_is_known_by_heart_and_drafts(generate: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    line = "        return self.gyroscope_quaternion.normalised(precision=DOUBLE_PRECISION, axes=ALL_AXES)\n"
    (project / "known.py").write_text(f"class Known:\n    def attitude(self):\n{line}" * 3, encoding="utf-8")
    (project / "new.py").write_text("class New:\n    def attitude(self):\n        return self.gyro", encoding="utf-8")
    arguments = ("--prompt", project / "new.py", "--max-tokens", 24, "--json")
    without = json.loads(generate(*arguments)[1])
    code, out, _ = generate(*arguments, "--memory", project, "--cache", tmp_path / "cache")
    answer = json.loads(out)
    assert code == 0
    assert answer["text"].startswith("scope_quaternion.normalised(precision=DOUBLE_PRECISION")
    assert not without["text"].startswith("scope_quaternion")
    assert answer["accepted"] > 0 and answer["steps"] < without["steps"] == 24


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prompt", "x", "--model", "nowhere"], "nowhere is not a model folder"),
        (["--prompt", "x", "--memory", "nowhere"], "nowhere does not exist"),
        (["--prompt", "x " * 40_000], "the prompt has"),
        (["--prompt", "{binary}"], "cannot be read"),
        (["--prompt", "x", "--temperature", "-1"], "-1 is not a number of 0 to 100"),
        (["--prompt", "x", "--model", "no[/where]"], "no[/where] is not a model folder"),
        (["--prompt", "x", "--seed", "-1"], "-1 is not a number of 0 to"),
        (["--prompt", "x", "--threads", "100000"], "100000 is not a number of 1 to 1024"),
        (["--prompt", "x", "--top-p", "0"], "0 is not a number of 0.001 to 1"),
        (["--prompt", "x", "--max-tokens", "many"], "many is not a number of 1 to 1e+06"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(
    generate: Callable[..., tuple[int, str, str]], tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    code, out, err = generate(*(argument.replace("{binary}", str(tmp_path / "binary")) for argument in arguments))
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_without_anything_to_continue_it_says_how_to_give_it(
    generate: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    code, _, err = generate()
    assert code == 2 and "--prompt" in err


def test_an_interrupt_leaves_what_was_written(
    generate: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generate("--prompt", GREEK, "--max-tokens", 8)[1].rstrip("\n")
    steps = OnnxEngine.steps

    def interrupted(self: OnnxEngine, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Step]:
        for number, step in enumerate(steps(self, request, cancelled)):
            if number == 4:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr(OnnxEngine, "steps", interrupted)
    code, out, err = generate("--prompt", GREEK, "--max-tokens", 8)
    assert code == 130
    assert out.endswith("\n") and whole.startswith(out.rstrip("\n")) and out.strip()
    assert "wrote 4" in err and "ended when told to" in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal for one process")
def test_ctrl_c_in_a_terminal_ends_at_once_and_cleanly() -> None:
    command = [sys.executable, "-m", "engram_lsp.cli", "generate", "--prompt", GREEK, "--max-tokens", "30000"]
    # What a shell runs in the background inherits that such signals are ignored; a terminal's program does not.
    heeded = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heeded) as running:
        assert running.stdout is not None and running.stderr is not None
        first = running.stdout.read(1)
        os.kill(running.pid, signal.SIGINT)
        began = time.monotonic()
        rest, err = running.stdout.read(), running.stderr.read()
        assert running.wait(20) == 130 and time.monotonic() - began < 20
    assert first and rest.endswith(b"\n")
    assert b"ended when told to" in err and b"Traceback" not in err
