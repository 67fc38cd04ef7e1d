"""What is read from the traces of Python: those that the interpreter itself prints, and what others make of them."""

import io
import linecache
import random
import traceback
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest
from engram_context.trace.parsing import parse
from engram_context.trace.values import Trace

SOURCE = """
def key(mapping, name):
    return mapping[name]

def wrapped():
    try:
        key({}, "a")
    except KeyError as error:
        raise ValueError("no a") from error

def handled():
    try:
        key({}, "a")
    except KeyError:
        key({}, "b")

def deep(n):
    return deep(n - 1) if n else key({}, "a")

def noted():
    try:
        key({}, "a")
    except KeyError as error:
        error.add_note("while looking for a")
        error.add_note("twice")
        raise

def spread():
    return key(
        {},
        "a",
    )

def grouped():
    errors = []
    for one in (wrapped, handled):
        try:
            one()
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup("several", [*errors, ExceptionGroup("inner", [TypeError("x")]), KeyError("z")])

class Box:
    def open(self):
        return (lambda: self.lid)()
"""
CODE: CodeType = compile(SOURCE, "/srv/app/box.py", "exec")
linecache.cache["/srv/app/box.py"] = (len(SOURCE), None, [*io.StringIO(SOURCE)], "/srv/app/box.py")


def raised(call: Callable[[dict[str, Any]], object]) -> BaseException:
    names: dict[str, Any] = {}
    exec(CODE, names)
    try:
        call(names)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def shape(trace: Trace) -> Any:
    """The part that a trace has in common with the exception it was printed of."""
    frames = [(frame.file, frame.line, frame.function) for frame in trace.frames for _ in range(1 + frame.repeated)]
    return trace.error, trace.message, frames, [(relation, shape(other)) for relation, other in trace.others]


def shape_of(error: BaseException) -> Any:
    """The same of the exception itself."""
    others: list[Any] = []
    if error.__cause__ is not None:
        others.append(("cause", shape_of(error.__cause__)))
    elif error.__context__ is not None and not error.__suppress_context__:
        others.append(("context", shape_of(error.__context__)))
    if isinstance(error, BaseExceptionGroup):
        others += [("member", shape_of(one)) for one in error.exceptions]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType]
    frames = [(one.filename, one.lineno, one.name) for one in traceback.extract_tb(error.__traceback__)]
    return type(error).__name__, str(error).partition("\n")[0], frames, others


CALLS: dict[str, Callable[[dict[str, Any]], object]] = {
    "plain": lambda names: names["key"]({}, "a"),
    "cause": lambda names: names["wrapped"](),
    "context": lambda names: names["handled"](),
    "recursion": lambda names: names["deep"](30),
    "notes": lambda names: names["noted"](),
    "several lines": lambda names: names["spread"](),
    "groups": lambda names: names["grouped"](),
    "lambda": lambda names: names["Box"]().open(),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_the_interpreter_prints_is_read_as_it_was_raised(name: str) -> None:
    error = raised(CALLS[name])
    (trace,) = parse(f"Something went wrong.\n{printed(error)}\nThe end.\n")
    assert shape(trace) == shape_of(error)


PREFIXES: dict[str, Callable[[int, str], str]] = {
    "build server": lambda n, line: f"2026-01-01T00:00:{n % 60:02}.1234567Z {line}",
    "worker": lambda _, line: f"[worker 1] {line}",
    "logger on each line": lambda n, line: f"2026-01-01 00:00:00,{n:03} ERROR app.views: {line}",
    "logger on the first line": lambda n, line: f"ERROR:root:{line}" if not n else line,
    "container": lambda _, line: f"web-1  | {line}",
    "quoted": lambda _, line: f"> {line}",
    "indented": lambda _, line: f"        {line}" if line else line,
    "colours": lambda _, line: f"\x1b[31m{line}\x1b[0m",
    "windows": lambda _, line: f"{line}\r",
    "time and worker": lambda n, line: f"[12:00:{n % 60:02}] [gw3] {line}",
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", ["plain", "cause", "groups"])
def test_what_stands_before_every_line_makes_no_difference(name: str, prefix: str) -> None:
    error = raised(CALLS[name])
    put = PREFIXES[prefix]
    (trace,) = parse("\n".join(put(at, line) for at, line in enumerate(printed(error).splitlines())))
    assert shape(trace) == shape_of(error)


def test_a_structured_log_holds_a_trace_in_one_line() -> None:
    error = raised(CALLS["cause"])
    escaped = printed(error).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    (trace,) = parse(f'{{"level": "error", "exception": "{escaped}"}}')
    assert shape(trace)[1:] == shape_of(error)[1:]


def test_several_traces_of_one_log_are_told_apart() -> None:
    errors = [raised(call) for call in CALLS.values()]
    traces = parse("\n".join(f"INFO start {at}\n{printed(error)}INFO end" for at, error in enumerate(errors)))
    assert [shape(trace) for trace in traces] == [shape_of(error) for error in errors]


def test_the_marked_part_of_a_line_is_known() -> None:
    (trace,) = parse(printed(raised(CALLS["plain"])))
    frame = trace.frames[-1]
    assert frame.code == "return mapping[name]" and frame.columns is not None
    assert frame.code[slice(*frame.columns)] == "mapping[name]"


def test_notes_stand_behind_the_message() -> None:
    (trace,) = parse(printed(raised(CALLS["notes"])))
    assert (trace.message, trace.notes) == ("'a'", ("while looking for a", "twice"))


def test_a_text_that_python_cannot_read_is_a_frame_without_a_function() -> None:
    error = raised(lambda _: compile("x = (\n", "/srv/app/broken.py", "exec"))
    (trace,) = parse(printed(error))
    assert (trace.kind, trace.error) == ("syntax", "SyntaxError")
    assert (trace.frames[-1].file, trace.frames[-1].line, trace.frames[-1].function) == ("/srv/app/broken.py", 1, "")


def test_a_trace_whose_beginning_was_cut_off_is_read_from_where_it_begins() -> None:
    lines = printed(raised(CALLS["plain"])).splitlines()
    (trace,) = parse("\n".join(lines[3:]))
    assert trace.error == "KeyError" and trace.frames[-1].function == "key"


def test_a_failure_of_unittest_names_its_test() -> None:
    heading = "=" * 70 + "\nFAIL: test_open (tests.test_box.BoxTest.test_open)\n" + "-" * 70 + "\n"
    (trace,) = parse(heading + printed(raised(CALLS["plain"])))
    assert trace.test == "tests.test_box.BoxTest.test_open"


def test_a_docstring_that_says_otherwise_is_a_claim_that_failed() -> None:
    (trace,) = parse(
        "*" * 70 + '\nFile "/srv/app/box.py", line 12, in box.Box.open\nFailed example:\n    Box().open()\n'
        "Expected:\n    2\nGot:\n    3\n" + "*" * 70
    )
    assert (trace.kind, trace.message, trace.values) == ("assertion", "expected 2, got 3", (("Box().open()", "3"),))
    assert [(frame.file, frame.line, frame.code) for frame in trace.frames] == [("/srv/app/box.py", 12, "Box().open()")]


def test_a_docstring_that_raises_is_read_to_where_it_was_raised() -> None:
    inner = "".join(f"    {line}\n" for line in printed(raised(CALLS["plain"])).splitlines())
    (trace,) = parse(
        '*****\nFile "/srv/app/box.py", line 12, in box.key\nFailed example:\n    key({}, "a")\n'
        f"Exception raised:\n{inner}*****\n"
    )
    assert trace.error == "KeyError" and trace.frames[0].line == 12 and trace.frames[-1].function == "key"


def test_a_drawn_trace_is_read_from_its_box() -> None:
    (trace,) = parse(
        "╭─────────────── Traceback (most recent call last) ────────────────╮\n"
        "│ /srv/app/box.py:12 in open                                       │\n"
        "│                                                                  │\n"
        "│   11 │   def open(self):                                         │\n"
        "│ ❱ 12 │   │   return self.lid                                     │\n"
        "╰──────────────────────────────────────────────────────────────────╯\n"
        "AttributeError: 'Box' object has no attribute 'lid'\n"
    )
    assert trace.error == "AttributeError"
    assert [(one.file, one.line, one.function, one.code) for one in trace.frames] == [
        ("/srv/app/box.py", 12, "open", "return self.lid")
    ]


# --- whatever comes ----------------------------------------------------------------------------------------------------

PIECES = [
    "Traceback (most recent call last):", '  File "', '  File "a.py", line 3, in f', "    x = y", "    ~~~^^^",
    "KeyError: 'a'", "  + Exception Group Traceback (most recent call last):", "  | ", "  +-+---- 1 ----",
    "    +---- 2 ----", "    +------", "During handling of the above exception, another exception occurred:", "E   x",
    ">   f()", "a.py:3: KeyError", "a.py:3: in f", "____ test ____", "=====", "    at f (a.js:1:2)", "f@a.js:1:2",
    "\tat a.b.C.m(C.java:1)", "Caused by: a.B: c", "panic: x", "goroutine 1 [running]:", "main.f()", "\t/a.go:1 +0x1",
    "thread 'main' panicked at a.rs:1:2:", "stack backtrace:", "   0: a::b", "             at a.rs:1:2", "[cause]: x",
    "╭── Traceback (most recent call last) ──╮", "│ a.py:1 in f │", "Failed example:", "Got:", "", "\x1b[31m", "\\n  File \\\"",
    "[Previous line repeated 3 more times]", "ExceptionGroup: a (2 sub-exceptions)", "\ud800", "é" * 3,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_no_text_makes_reading_fail(seed: int) -> None:
    rng = random.Random(seed)
    lines = ["".join(rng.choice(PIECES) for _ in range(rng.choice((1, 1, 1, 2)))) for _ in range(120)]
    for trace in parse("\n".join(lines)):
        assert all(frame.line >= 0 for one in trace.walk() for frame in one.frames)


HOSTILE = [
    "(" * 1_000_000, "a." * 500_000, "at " * 300_000, "[" * 1_000_000, '"' * 1_000_000, "\x1b[" * 400_000, ": " * 500_000,
    "  | " * 250_000, "\\n  File \\\"" * 90_000, "\n".join(["  | x"] * 200_000), "\n".join(["____ a ____"] * 80_000),
    "\n".join(["    at f (a:1:2)"] * 60_000), "\n".join(["Traceback (most recent call last):"] * 30_000),
    "\n".join("  " * at + "+ Exception Group Traceback (most recent call last):" for at in range(700)),
    "\n".join(f"{'  ' * at}+-+---- 1 ----\n{'  ' * at}  | a: b" for at in range(1, 700)),
    "\n".join(["panic: x"] * 100_000), "\n".join(["E   x"] * 200_000), "goroutine 1 [running]:\n" * 40_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=map(str, range(len(HOSTILE))))
def test_a_megabyte_of_anything_is_read(text: str) -> None:
    """Whoever makes this hang has written a reader, or a pattern, that looks at a line again and again."""
    assert len(parse(text)) <= 200
