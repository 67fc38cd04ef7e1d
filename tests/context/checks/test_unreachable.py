"""Statements that nothing reaches."""

from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]


@pytest.mark.parametrize(
    "body",
    [
        "return\nDEAD",
        "return; DEAD",
        "raise E\nDEAD",
        "for b in a:\n    continue\n    DEAD",
        "for b in a:\n    break\n    DEAD",
        "while True:\n    f()\nDEAD",
        "while 1:\n    if a: return\nDEAD",
        "if a:\n    return\nelse:\n    raise E\nDEAD",
        "if a:\n    return\nelif b:\n    return\nelse:\n    sys.exit()\nDEAD",
        "sys.exit(1)\nDEAD",
        "os._exit(1)\nDEAD",
        "self.fail('no')\nDEAD",
        "pytest.skip('no')\nDEAD",
        "parser.error('no')\nDEAD",
        "try:\n    return f()\nexcept E:\n    return\nDEAD",
        "try:\n    f()\nfinally:\n    return\nDEAD",
        "try:\n    return f()\nfinally:\n    g()\nDEAD",
        "match a:\n    case 1: return\n    case _: raise E\nDEAD",
        "while True:\n    for b in a:\n        break\nDEAD",
        "return a  # why\n# and\nDEAD",
        "class A:\n    def m(self):\n        return\n        DEAD",
        "stop()\nDEAD",
        "def g(): return\nreturn\nDEAD",
    ],
)
def test_what_stands_behind_a_statement_that_leaves_is_unreachable(check: Check, body: str):
    assert check(function(body), "unreachable-code") == [("main.py", "unreachable-code", "DEAD")]


@pytest.mark.parametrize(
    "body",
    [
        "if a:\n    return\nDEAD",
        "if a:\n    return\nelif b:\n    return\nDEAD",
        "while True:\n    if a: break\nDEAD",
        "while a:\n    f()\nDEAD",
        "for b in a:\n    if b: continue\n    DEAD",
        "for b in a:\n    break\nelse:\n    return\nDEAD",
        "for b in a:\n    return\nDEAD",
        "try:\n    return f()\nexcept E:\n    pass\nDEAD",
        "try:\n    return f()\nexcept E:\n    f()\nDEAD",
        "with suppress(E):\n    raise E\nDEAD",
        "with pytest.raises(E):\n    raise E\nDEAD",
        "with unknown():\n    return f()\nDEAD",
        "match a:\n    case 1: return\n    case 2: return\nDEAD",
        "match a:\n    case 1: return\n    case _ if b: return\nDEAD",
        "return\nyield",
        "raise E\nyield DEAD",
        "raise NotImplementedError\nDEAD",
        "while True:\n    f()\nraise AssertionError",
        "if False:\n    DEAD",
        "if True:\n    return\nDEAD",
        "while False:\n    DEAD",
        "def g():\n    return\nDEAD",
        "lambda: sys.exit()\nDEAD",
        "x = sys.exit\nDEAD",
        "log.error('no')\nDEAD",
        "while True:\n    try:\n        f()\n    except E:\n        break\nDEAD",
        "while True:\n    try:\n        break\n    finally:\n        f()\nDEAD",
        "while True:\n    with f():\n        break\nDEAD",
        "starts()\nDEAD",
    ],
)
def test_what_may_be_reached_is_let_be(check: Check, body: str):
    assert check(function(body), "unreachable-code") == []


@pytest.mark.parametrize(
    ("body", "expected", "is_safe"),
    [
        ("return a\nDEAD\nb()", "return a", True),
        ("return a; DEAD", "return a", True),
        ("if a:\n    return 1\n    DEAD\nreturn 2", "if a:\n    return 1\nreturn 2", True),
        ("return a\na = 1", "return a", True),
        ("return f\nf = 1", "return f", False),
        ("return a\nfor _ in a:\n    DEAD\nelse:\n    b()  # why", "return a", False),
    ],
)
def test_the_fix_takes_the_statements_away(all_findings: AllFindings, body: str, expected: str, is_safe: bool):
    source = function(body)
    (finding,) = [one for one in all_findings(source)["main.py"] if one.code == "unreachable-code"]
    assert (finding.severity, finding.tags) == ("hint", {"unnecessary"})
    (fix,) = finding.fixes
    assert fix.is_safe == is_safe
    assert apply(Text.of(source), fix.edit.edits["main.py"]).decode() == function(expected)


def test_all_statements_of_a_block_are_one_finding(check: Check):
    found = check(function("return\nfirst\nif a:\n    return\n    second\nthird"), "unreachable-code")
    assert [text for _, _, text in found] == ["first\n    if a:\n        return\n        second\n    third"]


def function(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = "import os, sys, pytest\nfrom typing import NoReturn\nfrom m import *\n"
    return f"{head}def stop() -> NoReturn: ...\ndef starts() -> None: ...\ndef h(self, a, b):\n{lines}"
