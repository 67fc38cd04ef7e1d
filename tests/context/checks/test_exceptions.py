"""Handlers that never run."""

from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]


def handlers(*caught: str, head: str = "") -> str:
    return f"{head}try:\n    f()\n" + "".join(f"except{one}:\n    pass\n" for one in caught)


@pytest.mark.parametrize(
    "caught",
    [
        (" Exception", " ValueError"),
        (" OSError", " FileNotFoundError"),
        (" OSError", " IOError"),
        (" ValueError", " ValueError"),
        (" (KeyError, OSError)", " PermissionError"),
        (" LookupError as e", " (KeyError, IndexError)"),
        (" LookupError", " TypeError", " KeyError"),
        (" BaseException", " Exception"),
        (" ValueError", " Own"),
        (" Own", " Below"),
        (" ValueError", " UnicodeDecodeError"),
    ],
)
def test_a_handler_behind_a_broader_one_never_runs(check: Check, caught: tuple[str, ...]):
    head = "class Own(ValueError): ...\nclass Below(Own): ...\nraise Below\n"
    last = caught[-1].strip().strip("()")
    assert check(handlers(*caught, head=head), "unreachable-except") == [("main.py", "unreachable-except", last)]


@pytest.mark.parametrize(
    "caught",
    [
        (" ValueError", " Exception"),
        (" FileNotFoundError", " OSError"),
        (" KeyError", " IndexError"),
        (" LookupError", " (KeyError, TypeError)"),
        (" Unknown", " ValueError"),
        (" ValueError", " Unknown"),
        (" (ValueError, Unknown)", " TypeError"),
        (" ValueError", ""),
        (" classes()", " ValueError"),
        ("* OSError", "* FileNotFoundError"),
        (" ValueError", " Other"),
    ],
)
def test_handlers_that_may_run_are_let_be(check: Check, caught: tuple[str, ...]):
    head = "try:\n    from x import Other\nexcept ImportError:\n    Other = ValueError\n"
    assert check(handlers(*caught, head=head), "unreachable-except") == []


def test_what_others_define_is_looked_up(check: Check):
    source = """
    -- app.py --
    import json
    from errors import Broad, Narrow
    try:
        f()
    except ValueError:
        pass
    except json.JSONDecodeError:
        pass
    except Broad:
        pass
    except Narrow:
        raise Narrow
    -- errors.py --
    class Broad(Exception): ...
    class Narrow(Broad): ...
    raise Broad
    """
    assert [text for _, _, text in check(source, "unreachable-except")] == ["json.JSONDecodeError", "Narrow"]


def test_the_fix_puts_the_narrow_handler_first(all_findings: AllFindings):
    source = "try:\n    f()\nexcept OSError:\n    a\nexcept FileNotFoundError:\n    b\n    c\nfinally:\n    d\n"
    (found,) = [one for one in all_findings(source)["main.py"] if one.code == "unreachable-except"]
    (fix,) = found.fixes
    after = apply(Text.of(source), fix.edit.edits["main.py"]).decode()
    assert after == "try:\n    f()\nexcept FileNotFoundError:\n    b\n    c\nexcept OSError:\n    a\nfinally:\n    d\n"
    assert not [one for one in all_findings(after)["main.py"] if one.code == "unreachable-except"]


@pytest.mark.parametrize("body", ["pass", "x = 1", "x = 'a'\n    y = [x, (1, None)]", "x = y = 1", "...", "x"])
def test_a_try_that_does_nothing_raises_nothing(check: Check, body: str):
    source = f"try:\n    {body}\nexcept KeyError:\n    pass\n"
    assert check(source, "unraised-exception") == [("main.py", "unraised-exception", "KeyError")]


@pytest.mark.parametrize(
    "body",
    ["f()", "x.y", "x[1]", "x + y", "import x", "x.y = 1", "x, y = z", "f'{x}'", "{x}", "del x", "x = [*y]", "-x"],
)
def test_anything_else_may_raise_anything(check: Check, body: str):
    assert check(f"try:\n    {body}\nexcept KeyError:\n    pass\n", "unraised-exception") == []


@pytest.mark.parametrize(
    "caught", ["NameError", "Exception", "KeyboardInterrupt", "MemoryError", "Unknown", "(E, NameError)"]
)
def test_what_comes_anywhere_may_come_here(check: Check, caught: str):
    assert check(f"try:\n    x\nexcept {caught}:\n    pass\n", "unraised-exception") == []


OWN = """
-- app.py --
from errors import Own
try:
    f()
except Own:
    pass
-- errors.py --
class Own(Exception): ...
"""


def test_an_exception_that_the_project_only_defines_and_catches_is_hinted_at(all_findings: AllFindings):
    (found,) = [one for one in all_findings(OWN)["app.py"] if one.code == "unraised-exception"]
    assert (found.severity, found.message) == ("hint", "nothing in the project raises Own")
    assert found.related[0][0].path == "errors.py"


@pytest.mark.parametrize(
    "more",
    [
        "raise Own\n",
        "raise Own('no')\n",
        "x = Own\n",
        "class Below(Own): ...\nraise Below\n",
        "def f(kind=Own): ...\n",
        "-- other.py --\nimport errors\nraise errors.Own from None\n",
    ],
)
def test_an_exception_that_something_may_raise_is_let_be(check: Check, more: str):
    assert check(OWN + more, "unraised-exception") == []
