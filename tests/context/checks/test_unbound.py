"""Names that are read before they are bound."""

from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]

CODES = ("unbound-name", "possibly-unbound")


@pytest.mark.parametrize(
    "body",
    [
        "print(x)\nx = 1",
        "x += 1",
        "x: int\nreturn x",
        "del a\nreturn a",
        "x = 1\ndel x\nreturn x",
        "try:\n    pass\nexcept E as x:\n    pass\nreturn x",
        "for y in x:\n    x = y",
        "if a:\n    return x\nx = 1",
        "print([x for _ in a])\nx = 1",
        "class A:\n    y = x\nx = 1",
        "def g(b=x): ...\nx = 1",
        "import json\nx = x.json",
    ],
)
def test_a_read_that_no_binding_can_reach_is_an_error(check: Check, body: str):
    found = check(function(body), *CODES)
    assert [code for _, code, _ in found] == ["unbound-name"], found


@pytest.mark.parametrize(
    "body",
    [
        "if a:\n    x = 1\nreturn x",
        "if a:\n    x = 1\nelif b:\n    x = 2\nreturn x",
        "for x in a: pass\nreturn x",
        "while a:\n    x = a.pop()\nreturn x",
        "try:\n    x = f()\nexcept E:\n    log.error('no')\nreturn x",
        "try:\n    x = f()\nfinally:\n    x.close()",
        "with suppress(E):\n    x = f()\nreturn x",
        "match a:\n    case 1: x = 1\nreturn x",
        "x = 1\nif a:\n    del x\nreturn x",
        "try:\n    import x\nexcept ImportError:\n    print('no')\nreturn x",
        "if a:\n    x = 1\nelse:\n    y = 1\nreturn x if not a else 1",
        "if a:\n    x = 1\na = f()\nif a:\n    return x",
        "try:\n    y = f()\n    x = g()\nexcept E:\n    return x",
        "if a:\n    x = 1\nb.raise_for_status()\nreturn x",
        "if a:\n    x = 1\nself.assertTrue(b)\nreturn x",
        "if a:\n    x = 1\nexec(b)\nreturn x",
        "if a:\n    x = 1\nreturn any(x for _ in b)",
        "for b in a:\n    if b:\n        x = b\n        break\nelse:\n    print('none')\nreturn x",
    ],
)
def test_a_read_that_some_way_reaches_without_a_binding_is_a_hint(all_findings: AllFindings, body: str):
    found = [one for one in all_findings(function(body))["main.py"] if one.code in CODES]
    assert [(one.code, one.severity) for one in found] == [("possibly-unbound", "hint")]


@pytest.mark.parametrize(
    "body",
    [
        "if a:\n    x = 1\nelse:\n    x = 2\nreturn x",
        "if a:\n    x = 1\nelse:\n    return\nreturn x",
        "if a:\n    x = 1\nelse:\n    raise E\nreturn x",
        "if a:\n    x = 1\nelse:\n    sys.exit(1)\nreturn x",
        "if a:\n    x = 1\nelse:\n    assert False\nreturn x",
        "while True:\n    x = f()\n    if x: break\nreturn x",
        "while True:\n    try:\n        x = f()\n    except E:\n        continue\n    break\nreturn x",
        "for i in range(3):\n    x = i\nreturn x",
        "for x in (1, 2): pass\nreturn x",
        "for x in range(0x20): pass\ndel x",
        "for b in a:\n    x = b\n    break\nelse:\n    return\nreturn x",
        "with open(a) as f:\n    x = f.read()\nreturn x",
        "try:\n    x = f()\nexcept E:\n    return\nreturn x",
        "try:\n    x = f()\nexcept E:\n    x = None\nreturn x",
        "try:\n    f()\nexcept E:\n    return\nelse:\n    x = 1\nreturn x",
        "try:\n    x = 1\nfinally:\n    f()\nreturn x",
        "try:\n    x = None\n    f()\nexcept E:\n    return x",
        "match a:\n    case 1: x = 1\n    case _: x = 2\nreturn x",
        "match a:\n    case 1: x = 1\n    case 2: x = 2\nreturn x",
        "if (x := f()) and x.y: return x",
        "return [y for b in a if (y := b)]",
        "z = (x for _ in a)\nx = 1\nreturn list(z)",
        "x = lambda: y\ny = 1\nreturn x()",
        "def g(): return x\nx = 1\nreturn g",
        "try:\n    x\nexcept NameError:\n    x = 1\nreturn x",
        "if 'x' in locals(): return x\nx = 1",
        "nonlocal_ = 1\nfor _ in a:\n    def g():\n        nonlocal x\n        x = 1\n    x = 1\nreturn x if nonlocal_ else g",
        "x: 'x' = 1\nreturn x",
        "if sys.platform == 'win32':\n    import x\nif sys.platform == 'win32':\n    x.y()",
        "import x.y\nimport x.z\nreturn x",
        "try:\n    x = f()\nexcept E:\n    self.fail('no')\nreturn x",
        "del a[0]\nreturn a",
    ],
)
def test_what_is_bound_on_every_way_is_let_be(check: Check, body: str):
    assert check(function(body), *CODES) == []


@pytest.mark.parametrize(
    "body",
    [
        "if a:\n    x = 1\nif a:\n    return x",
        "if a:\n    x = 1\nif not a:\n    return\nreturn x",
        "if a:\n    x = 1\nreturn x if a else 0",
        "if a:\n    x = 1\nreturn a and x",
        "if a and b:\n    x = 1\nif a and b:\n    return x",
        "if a:\n    x = 1\nif a and b:\n    return x",
        "if a is None:\n    x = 1\nif a is not None:\n    return\nreturn x",
        "if a is None:\n    x = 1\nif a:\n    return\nif a is not None:\n    return\nreturn x",
        "found = False\nfor b in a:\n    if b:\n        x = b\n        found = True\nif found:\n    return x",
        "done = None\nif a:\n    done, x = 1, 2\nif done is not None:\n    return x",
        "if not a:\n    return\nfor x in a: pass\nreturn x",
        "if len(a) == 0:\n    return\nfor x in a: pass\nreturn x",
        "for b in a:\n    x = b\nfor b in a:\n    print(x)",
        "if a == 'p':\n    x = 1\nelif a == 'q':\n    x = 2\nif a in ('p', 'q'):\n    return x",
        "if a == 'p':\n    x = 1\nif a == 'q':\n    return\nif a == 'p':\n    return x",
        "err = None\ntry:\n    x = f()\nexcept E as e:\n    err = e\nif err is None:\n    return x",
        "err = None\ntry:\n    x = f()\nexcept E:\n    err = ValueError(a)\nif err:\n    raise err\nreturn x",
        "y = None\nif a:\n    x = 1\n    y = []\nif y is not None:\n    return x",
        "with warnings.catch_warnings():\n    x = f()\nreturn x",
        "ok = True\ntry:\n    x = f()\nexcept E:\n    ok = False\nif ok:\n    return x",
        "if self.a:\n    x = 1\nself.b()\nif self.a:\n    return x",
    ],
)
def test_tests_that_ask_the_same_twice_agree(check: Check, body: str):
    assert check(function(body), *CODES) == []


def test_functions_of_the_project_that_always_raise_do_not_return(check: Check):
    source = """
    -- main.py --
    from helpers import complain, note, never
    def f(a):
        try:
            x = a()
        except ValueError:
            complain(a)
        return x
    def g(a):
        try:
            x = a()
        except ValueError:
            note(a)
        return x
    def h(a):
        try:
            x = a()
        except ValueError:
            never(a)
        return x
    -- helpers.py --
    from typing import NoReturn
    def complain(a):
        if a:
            raise ValueError(a)
        else:
            raise TypeError(a)
    def note(a):
        if a:
            raise ValueError(a)
    def never(a) -> NoReturn: ...
    """
    assert check(source, *CODES) == [("main.py", "possibly-unbound", "x")]


def test_a_function_of_another_file_that_says_what_it_returns_is_believed(check: Check):
    source = """
    -- main.py --
    from helpers import say
    def f(a):
        try:
            x = a()
        except ValueError:
            say(a)
        return x
    -- helpers.py --
    def say(a) -> None:
        raise ValueError(a)
    """
    assert check(source, *CODES) == [("main.py", "possibly-unbound", "x")]


def test_a_module_is_looked_at_like_a_function(check: Check):
    assert check("print(x)\nx = 1\n", *CODES) == [("main.py", "unbound-name", "x")]
    assert check("def f():\n    return x\nx = 1\n", *CODES) == []
    assert check("def f():\n    global x\n    x = 1\nf()\nprint(x)\nx = 2\n", *CODES) == []
    assert check("try:\n    unicode\nexcept NameError:\n    unicode = str\n", *CODES) == []
    assert check("from other import *\nprint(x)\nx = 1\n", *CODES) == []


def test_the_fix_binds_the_variable_before_the_statement_that_may(all_findings: AllFindings):
    source = "def f(a):\n    if a:\n        x = 1\n    return x\n"
    (finding,) = [one for one in all_findings(source)["main.py"] if one.code == "possibly-unbound"]
    (fix,) = finding.fixes
    assert not fix.is_safe
    after = apply(Text.of(source), fix.edit.edits["main.py"]).decode()
    assert after == "def f(a):\n    x = None\n    if a:\n        x = 1\n    return x\n"


def function(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"import sys\nfrom m import E, f, g, log, suppress\ndef h(self, a, b):\n{lines}"


def test_targets_are_bound_from_the_left(check: Check):
    source = """
    def f(pair):
        one, one.reason = pair
        two = two.next = pair
        three.next = three = pair
        return one, two
    """
    assert check(source, "unbound-name") == [("main.py", "unbound-name", "three")]
