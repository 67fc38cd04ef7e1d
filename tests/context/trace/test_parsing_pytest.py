"""What pytest prints, in each of its styles, is read as the same failures."""

import subprocess
import sys
from pathlib import Path

import pytest
from engram_context.trace.parsing import parse
from engram_context.trace.values import Trace

BOX = """\
class Box:
    def __init__(self, size):
        self.size = size

    def area(self):
        return self.size * self.width

def find(data, key):
    try:
        return data[key]
    except KeyError as error:
        raise ValueError(f"no {key}") from error
"""
TESTS = """\
import pytest
from box import Box, find

def test_area():
    box = Box(3)
    assert box.area() == 9

def test_find():
    find({}, "k")

class TestSize:
    @pytest.mark.parametrize("size", [1, 2])
    def test_size(self, size):
        assert Box(size).size == 4

def test_raises():
    with pytest.raises(ValueError):
        Box(1)

@pytest.fixture
def broken():
    raise RuntimeError("fixture")

def test_fixture(broken):
    pass
"""
STYLES = ("long", "short", "native", "auto")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is printed, by style."""
    root = tmp_path_factory.mktemp("boxes")
    (root / "box.py").write_text(BOX)
    (root / "test_box.py").write_text(TESTS)
    return {style: run(root, style) for style in (*STYLES, "line")}


def run(root: Path, style: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--tb={style}", "test_box.py"]
    return subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8").stdout


def of_test(traces: tuple[Trace, ...], name: str) -> Trace:
    return next(trace for trace in traces if name in trace.test)


def own(trace: Trace) -> list[tuple[str, int, str]]:
    """The frames in the two files; the interpreter's style has pytest's own, too."""
    found = [(Path(frame.file).name, frame.line, frame.function) for frame in trace.frames]
    return [frame for frame in found if frame[0] in ("box.py", "test_box.py")]


@pytest.mark.parametrize("style", STYLES)
def test_each_style_gives_each_failure(outputs: dict[str, str], style: str) -> None:
    traces = parse(outputs[style])
    assert len(traces) == 6
    area = of_test(traces, "test_area")
    assert (area.error, area.message) == ("AttributeError", "'Box' object has no attribute 'width'")
    assert own(area) == [("test_box.py", 6, "test_area"), ("box.py", 6, "area")]
    find = of_test(traces, "test_find")
    assert (find.error, find.message) == ("ValueError", "no k") and find.cause is not None
    assert own(find) == [("test_box.py", 9, "test_find"), ("box.py", 12, "find")]
    assert find.cause.error == "KeyError" and own(find.cause)[-1] == ("box.py", 10, "find")
    assert own(of_test(traces, "test_fixture"))[-1] == ("test_box.py", 22, "broken")


@pytest.mark.parametrize("style", STYLES)
def test_failures_bear_the_ids_of_their_tests(outputs: dict[str, str], style: str) -> None:
    assert {trace.test for trace in parse(outputs[style])} == {
        "test_box.py::test_area",
        "test_box.py::test_find",
        "test_box.py::TestSize::test_size[1]",
        "test_box.py::TestSize::test_size[2]",
        "test_box.py::test_raises",
        "test_box.py::test_fixture",
    }


@pytest.mark.parametrize("style", ["long", "short", "auto"])
def test_what_pytest_says_of_the_values_is_kept(outputs: dict[str, str], style: str) -> None:
    failed = of_test(parse(outputs[style]), "test_size[2]")
    assert (failed.kind, failed.message) == ("assertion", "assert 2 == 4")
    assert any(expression.endswith(".size") and value == "2" for expression, value in failed.values)


def test_arguments_are_kept_in_the_long_style(outputs: dict[str, str]) -> None:
    assert dict(of_test(parse(outputs["long"]), "test_find").values)["key"] == "'k'"


def test_the_line_style_gives_the_place_of_each_error(outputs: dict[str, str]) -> None:
    found = [(trace.error, own(trace)[0][:2]) for trace in parse(outputs["line"])]
    assert ("AttributeError", ("box.py", 6)) in found and ("ValueError", ("box.py", 12)) in found


def test_warnings_and_linters_that_name_places_are_no_traces() -> None:
    assert parse("box.py:3: DeprecationWarning: old\nbox.py:4:1: E501 line too long\nbox.py:5: error: no\n") == ()


def test_a_failure_that_was_pasted_without_its_heading_is_read() -> None:
    pasted = ">       return self.size * self.width\nE       AttributeError: no width\n\nbox.py:6: AttributeError\n"
    (trace,) = parse(pasted)
    assert (trace.error, trace.message) == ("AttributeError", "no width")
    assert [(frame.file, frame.line, frame.code) for frame in trace.frames] == [
        ("box.py", 6, "return self.size * self.width")
    ]
