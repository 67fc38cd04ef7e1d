from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]


def test_an_import_that_nothing_uses_is_unused(check: Check):
    source = """
    import os, sys
    import os.path as p
    from json import dumps, loads as load
    def f():
        import re
        return sys
    """
    assert check(source, "unused-import", "unused-variable") == [
        ("main.py", "unused-import", "os"),
        ("main.py", "unused-import", "os.path as p"),
        ("main.py", "unused-import", "dumps"),
        ("main.py", "unused-import", "loads as load"),
        ("main.py", "unused-import", "re"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import os as os\nfrom json import loads as loads\n",
        "from json import loads\n__all__ = ['loads']\n",
        "from json import loads\n__all__ = []\n__all__ += ['loads']\n",
        "import json\n__all__ = list(json.__all__)\n" and "from json import loads\n__all__ = [n for n in ()]\n",
        "from __future__ import annotations\n",
        "from typing import List\nx: 'List[int]' = []\n",
        "from typing import List, cast\nx = cast('List[int]', 1)\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from json import JSONDecoder\ndef f(x: 'JSONDecoder'): ...\n",
        "import os\nos = os\n",
        "try:\n    import fast\nexcept ImportError:\n    HAVE_FAST = False\nelse:\n    HAVE_FAST = True\n",
        "import os  # noqa\n",
        "import os  # noqa: F401\n",
        "import os  # noqa: E501,F401 kept for others\n",
        "from json import (  # noqa: F401\n    loads,\n    dumps,\n)\n",
        "import os  # engram: ignore[unused-import]\n",
        "import os  # pylint: disable=unused-import\n",
        "# flake8: noqa\nimport os\n",
        "import os\nx = []  # type: os.PathLike\n",
        "import typing as t\nx: \"t.Literal['\\\\n']\" = 1\n",
        "import xml.dom\nimport xml.sax\nprint(xml)\n",
        "import logging as log\nimport logging.handlers\nlog.handlers\n",
        "import os\nclass A:\n    os = os\n",
        "class A:\n    import os\n",
        "import os\ndef f():\n    global os\n    os = 1\n",
        "import os\ndel os\n",
        "from json import loads\nfrom json import dumps\n",  # a module of imports alone is a façade
    ],
)  # fmt: skip
def test_imports_with_a_use_or_an_excuse_are_let_be(check: Check, source: str):
    assert check(source, "unused-import") == []


def test_what_another_file_takes_from_a_module_is_used(check: Check):
    source = """
    -- pkg/__init__.py --
    from .deep import one
    import json
    x = 1
    -- pkg/compat.py --
    from json import loads, dumps, JSONDecoder, JSONEncoder
    x = 1
    -- pkg/deep.py --
    one = 1
    -- app.py --
    from pkg.compat import loads
    import pkg.compat
    from pkg import compat as c
    print(loads, pkg.compat.dumps, c.JSONDecoder)
    """
    assert check(source, "unused-import", "unused-variable") == [
        ("pkg/__init__.py", "unused-import", "json"),
        ("pkg/compat.py", "unused-import", "JSONEncoder"),
    ]


def test_a_module_that_others_star_in_has_no_unused_public_imports(check: Check):
    source = """
    -- app.py --
    from lib import *
    print(loads)
    -- lib.py --
    from json import loads, dumps
    x = 1
    """
    assert check(source, "unused-import") == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\nx = 1\n", "x = 1\n"),
        ("x = 1\nimport os", "x = 1\n"),
        ("import os  # why\r\nx = 1\r\n", "x = 1\r\n"),
        ("import os, json\njson\n", "import json\njson\n"),
        ("import json, os\njson\n", "import json\njson\n"),
        ("from os import (\n    path,\n    sep,\n)\npath\n", "from os import (\n    path,\n)\npath\n"),
        ("from os import (\n    path,\n    sep,\n)\nsep\n", "from os import (\n    sep,\n)\nsep\n"),
        ("def f():\n    import os\n", "def f():\n    pass\n"),
        ("def f():\n    import os\n    return 1\n", "def f():\n    return 1\n"),
        ("import os; x = 1\n", "x = 1\n"),
        ("x = 1; import os\n", "x = 1\n"),
        ("if 1: import os\nx = 1\n", "if 1: pass\nx = 1\n"),
    ],
)
def test_the_fix_takes_the_import_away_and_leaves_working_code(all_findings: AllFindings, source: str, expected: str):
    (finding,) = [f for f in all_findings(source)["main.py"] if f.code == "unused-import"]
    after = apply(Text.of(source), finding.fixes[0].edit.edits["main.py"]).decode()
    assert after == expected
    compile(after, "main.py", "exec")


def test_a_local_that_nothing_reads_is_unused(check: Check):
    source = """
    def f():
        plain = 1
        typed: int = 2
        if (walrus := 3): pass
        a = b = 4
        return a
    """
    assert check(source) == [("main.py", "unused-variable", name) for name in ("plain", "typed", "walrus", "b")]


def test_as_names_are_only_hinted_at(all_findings: AllFindings):
    source = "def f():\n    try:\n        with open('x') as handle: pass\n    except OSError as error: pass\n"
    found = all_findings(source)["main.py"]
    assert [(finding.severity, finding.message) for finding in found] == [
        ("hint", "'handle' is never used"),
        ("hint", "'error' is never used"),
    ]
    assert all("unnecessary" in finding.tags for finding in found)


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    x = 1\n    return lambda: x\n",
        "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    return g\n",
        "def f():\n    x = 1\n    return locals()\n",
        "def f():\n    x = 1\n    return eval('x')\n",
        "def f():\n    _ = 1\n    _ignored = 2\n    __tracebackhide__ = True\n",
        "def f():\n    x = 0\n    x += 1\n",
        "def f():\n    x, y = 1, 2\n    for z in []: pass\n    [a, *b] = []\n",
        "def f():\n    x = 1\n    del x\n",
        "def f():\n    x: int\n",
        "def f(v):\n    match v:\n        case [x, y]: pass\n",
        "def f():\n    global x\n    x = 1\n",
        "def f():\n    x = 1\n    class A:\n        y = x\n    return A\n",
        "x = 1\nclass A:\n    y = 2\n",
        "def f():\n    x = 1  # noqa: F841\n",
        "def f():\n    x = 1\n    return f'{x!r}'\n",
        "def f():\n    x = 1\n    return [i for i in range(3) if i == x]\n",
    ],
)
def test_locals_with_a_use_or_an_excuse_are_let_be(check: Check, source: str):
    assert check(source, "unused-variable") == []


@pytest.mark.parametrize(
    ("body", "expected", "is_safe"),
    [
        ("x = 1", "pass", True),
        ("x = [a, 'b', (1, None)]\nreturn a", "return a", True),
        ("x: int = 1\nreturn a", "return a", True),
        ("x = f(a)", "f(a)", False),
        ("x = a.b", "a.b", False),
        ("x: int = f(a)", "f(a)", False),
        ("x = f'{a}'", "f'{a}'", False),
        ("x = yield a", "yield a", False),
        ("x = a = f()\nreturn a", "a = f()\nreturn a", True),
        ("a = x = f()\nreturn a", "a = f()\nreturn a", False),
        ("a = x = 1\nreturn a", "a = 1\nreturn a", True),
        ("if (x := f()): pass", "if (f()): pass", False),
        ("with f() as x: pass", "with f(): pass", False),
        ("try: f()\nexcept E as x: pass", "try: f()\nexcept E: pass", True),
        ("x = 1; return a", "return a", True),
    ],
)
def test_the_fix_keeps_what_may_have_effects(all_findings: AllFindings, body: str, expected: str, is_safe: bool):
    def function(body: str) -> str:
        return "def h(a, f, E):\n" + "".join(f"    {line}\n" for line in body.splitlines())

    source = function(body)
    (finding,) = [one for one in all_findings(source)["main.py"] if one.code == "unused-variable"]
    (fix,) = finding.fixes
    after = apply(Text.of(source), fix.edit.edits["main.py"]).decode()
    assert (after, fix.is_safe) == (function(expected), is_safe)
    compile(after, "main.py", "exec")


def test_comments_silence_only_what_they_name(check: Check):
    assert check("import os  # noqa: E501\n" + "x = 1\n") == [("main.py", "unused-import", "os")]
    assert check("import os  # engram: ignore[undefined-name]\nx = 1\n") == [("main.py", "unused-import", "os")]
    assert check("import os  # type: ignore\nx = 1\n") == [("main.py", "unused-import", "os")]
    assert check("print(nope)  # type: ignore\n") == []
    assert check("print(nope)  # engram: ignore\n") == []


def test_unknown_files_and_stale_records_have_no_findings(all_findings: AllFindings):
    assert all_findings("-- notes.txt --\nimport os\n") == {"notes.txt": ()}


def test_a_star_import_takes_only_what_the_module_exports(check: Check):
    source = """
    -- pkg/__init__.py --
    from .deep import *
    -- pkg/deep.py --
    import calendar
    from json import loads
    __all__ = ["loads", "one"]
    def one(): ...
    """
    assert check(source, "unused-import") == [("pkg/deep.py", "unused-import", "calendar")]


def test_a_bare_noqa_speaks_to_linters_and_not_of_modules_that_are_not_there(check: Check):
    assert check("-- a/__init__.py --\nfrom .gone import *  # noqa\n") == [
        ("a/__init__.py", "unresolved-import", "gone")
    ]
    assert check("-- a/__init__.py --\nfrom .gone import *  # engram: ignore\n") == []
