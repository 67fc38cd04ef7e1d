from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]


def test_a_name_that_nothing_binds_is_undefined(check: Check):
    assert check("print(totl)\n") == [("main.py", "undefined-name", "totl")]
    assert check("def f(total):\n    return totl\n") == [("main.py", "undefined-name", "totl")]
    assert check("del gone\n") == [("main.py", "undefined-name", "gone")]


@pytest.mark.parametrize(
    "source",
    [
        "print(__file__, __name__, __doc__, __spec__)\n",
        "try:\n    long\nexcept NameError:\n    long = int\n",
        "try:\n    unicode\nexcept NameError:\n    pass\n",
        "def f():\n    return later\nlater = 1\n",
        "if x := 1:\n    print(x)\n",
        "print([y for x in [[1]] for y in x if (z := y)], z)\n",
        "def f():\n    global made\n    made = 1\ndef g():\n    return made\n",
        "def f():\n    global nowhere\n    return nowhere\n",
        "class A:\n    def f(self):\n        return __class__\n    name = __qualname__\n",
        "class A:\n    x = 1\n    y = [x for _ in range(x)]\n    def f(self, n=x): ...\n" and "class A:\n    x = 1\n    def f(self, n=x): ...\n",
        "def f[T](x: T) -> T: ...\nclass A[T]:\n    x: T\ntype B[T] = list[T]\n",
        "match [1]:\n    case [first, *rest] if first:\n        print(first, rest)\n    case {'a': v, **more}:\n        print(v, more)\n",
        "try:\n    pass\nexcept* ValueError as group:\n    print(group)\n",
        "import os.path\nprint(os)\n",
        "def f(a, /, b, *args, c, **kwargs):\n    return a, b, args, c, kwargs\n",
        "lambda x, *y: (x, y)\n",
        "from unknown_module import *\nprint(anything)\n",
        "globals()['made'] = 1\nprint(made)\n",
        "exec('made = 1')\nprint(made)\n",
        "import sys\nif sys.version_info[0] == 2:\n    text = unicode\nelse:\n    text = str\n",
        "x: 'int | undefined_is_not_looked_at_in_no_string' if False else int\n" and "x: 'int'\n",
        "with open('f') as f, open('g') as (g, h):\n    print(f, g, h)\n",
        "for i, (j, *k) in []:\n    print(i, j, k)\nelse:\n    print(i)\n",
        "nums = [1]\nfor nums[0] in []: pass\n",
        "__all__ = ['made']\ndef __getattr__(name): ...\n",
        "def deco(f): return f\n@deco\nclass A: ...\n",
        "class A:\n    B = 1\n    def f(self, x: B) -> B: ...\n",
        "async def f():\n    async with a() as b:\n        return [x async for x in b]\nfrom asyncio import run as a\n",
        "print(f'{len(__name__)!r:>{10}}')\n",
        "from sqlalchemy import cast\ncast('plain text', int)\n",
    ],
)  # fmt: skip
def test_what_python_finds_is_defined(check: Check, source: str):
    assert check(source, "undefined-name", "undefined-export") == []


def test_class_names_are_not_seen_inside_functions_and_comprehensions(check: Check):
    assert check("class A:\n    x = 1\n    def f(self):\n        return x\n") == [("main.py", "undefined-name", "x")]
    found = check("class A:\n    x = 1\n    y = [x for _ in range(3)]\n")
    assert found == [("main.py", "undefined-name", "x")]


def test_comprehension_names_do_not_leak(check: Check):
    assert check("[i for i in range(3)]\nprint(i)\n") == [("main.py", "undefined-name", "i")]


def test_names_in_annotations_and_their_strings_are_looked_up(check: Check):
    assert check("def f(x: 'Nod') -> Nod2: ...\n") == [
        ("main.py", "undefined-name", "Nod"),
        ("main.py", "undefined-name", "Nod2"),
    ]
    assert check("from typing import Literal\nx: Literal['Nod']\n") == []


def test_star_imports_of_the_project_bring_their_names_and_no_others(check: Check):
    source = """
    -- app.py --
    from lib import *
    print(one, _two, three, four)
    -- lib.py --
    from deep import *
    one = 1
    _two = 2
    -- deep.py --
    __all__ = ["three"]
    three = four = 1
    """
    assert check(source, "undefined-name") == [
        ("app.py", "undefined-name", "_two"),
        ("app.py", "undefined-name", "four"),
    ]


def test_all_lists_only_what_is_there(check: Check):
    source = """
    -- pkg/__init__.py --
    from .part import work
    __all__ = ["work", "part", "other", "missing"]
    -- pkg/part.py --
    def work(): ...
    __all__ = ["work", "wrok"]
    -- pkg/other.py --
    """
    assert check(source, "undefined-export") == [
        ("pkg/__init__.py", "undefined-export", "missing"),
        ("pkg/part.py", "undefined-export", "wrok"),
    ]


def test_half_written_code_gives_only_the_syntax_error(check: Check):
    assert {code for _, code, _ in check("import os\ndef f(:\n    return undefined\n")} == {"syntax-error"}


def test_an_undefined_name_offers_the_nearest_name_and_imports(
    all_findings: Callable[[str], dict[str, tuple[Finding, ...]]],
):
    source = """
    -- app.py --
    def f(total):
        return totl + greet() + os.sep
    -- lib.py --
    def greet(): ...
    """
    found = all_findings(source)["app.py"]
    assert [[fix.title for fix in finding.fixes] for finding in found] == [
        ["Change to 'total'"],
        ["Import 'greet' from 'lib'"],
        ["Import 'os'"],
    ]
    text = Text.of("def f(total):\n    return totl + greet() + os.sep\n")
    after = apply(text, found[1].fixes[0].edit.edits["app.py"])
    assert after.decode().startswith("from lib import greet\n")


def test_a_misspelt_local_name_shows_even_where_a_module_makes_names_of_its_own(check: Check):
    source = """
    def add(cls):
        for name in dir(cls):
            globals()[name.lower()] = getattr(cls, name)
    def total(prices):
        return sum(pricse) + vat
    """
    assert check(source, "undefined-name") == [("main.py", "undefined-name", "pricse")]
