from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]
CODES = ("missing-argument", "unexpected-argument", "too-many-arguments", "duplicate-argument")


def found(check: Check, source: str) -> list[tuple[str, str]]:
    return [(code, text) for _, code, text in check(source, *CODES)]


def test_a_parameter_that_is_removed_shows_at_all_callers_in_other_files(check: Check):
    source = """
    -- lib/__init__.py --
    from .core import draw
    -- lib/core.py --
    def draw(shape, colour="red"): ...
    -- one.py --
    from lib import draw
    draw("circle", fill=True)
    -- two.py --
    import lib
    def paint():
        lib.draw("circle", "blue", True)
        lib.core.draw()
    """
    assert check(source, *CODES) == [
        ("one.py", "unexpected-argument", "fill"),
        ("two.py", "too-many-arguments", "True"),
        ("two.py", "missing-argument", "draw"),
    ]


@pytest.mark.parametrize(
    ("definition", "call", "expected"),
    [
        ("def f(a, b): ...", "f(1)", ("missing-argument", "f")),
        ("def f(a, *, b): ...", "f(1)", ("missing-argument", "f")),
        ("def f(a, *, b): ...", "f(1, 2, b=3)", ("too-many-arguments", "2")),
        ("def f(a, /): ...", "f(a=1)", ("unexpected-argument", "a")),
        ("def f(a, b=1): ...", "f(1, a=2)", ("duplicate-argument", "a")),
        ("def f(a): ...", "f(1, *x, z=2)", ("unexpected-argument", "z")),
        ("def f(a, *, b): ...", "f(*x)", ("missing-argument", "f")),
        ("def f(): ...", "f(1, 2)", ("too-many-arguments", "1")),
        ("async def f(a): ...", "f()", ("missing-argument", "f")),
        ("class f:\n    def __init__(self, a): ...", "f()", ("missing-argument", "f")),
        ("class f:\n    def __new__(cls, a): ...", "f()", ("missing-argument", "f")),
        ("class f: ...", "f(1)", ("too-many-arguments", "1")),
        ("class B:\n    def __init__(self, a): ...\nclass f(B): ...", "f(1, 2)", ("too-many-arguments", "2")),
        ("class A:\n    @staticmethod\n    def m(a): ...", "A.m()", ("missing-argument", "m")),
        ("class A:\n    @staticmethod\n    def m(a): ...", "A().m()", ("missing-argument", "m")),
        ("class A:\n    @classmethod\n    def m(cls, a): ...", "A.m(1, 2)", ("too-many-arguments", "2")),
        ("class A:\n    def m(self, a): ...", "A().m(b=1)", ("unexpected-argument", "b")),
        ("class A:\n    def m(self, a): ...", "A.m(1)", ("missing-argument", "m")),
        ("class A:\n    def __call__(self, a): ...", "A()()", ("missing-argument", "A()()")),
        ("import contextlib\n@contextlib.contextmanager\ndef f(a):\n    yield", "f()", ("missing-argument", "f")),
        ("from functools import cache\n@cache\ndef f(a): ...", "f()", ("missing-argument", "f")),
        ("from functools import partial\ndef f(a): ...", "partial(f, b=1)", ("unexpected-argument", "b")),
        ("from functools import partial\ndef f(a): ...", "partial(f, 1, 2)", ("too-many-arguments", "2")),
        ("from typing import NamedTuple\nclass P(NamedTuple):\n    a: int\n    b: int = 1", "P()", ("missing-argument", "P")),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    a: int", "P(b=1, a=2)", ("unexpected-argument", "b")),
        ("import os", "os.getcwd(1)", ("too-many-arguments", "1")),
        ("import os", "os.mkdir('a', mod=2)", ("unexpected-argument", "mod")),
        ("x = 'a'", "x.join()", ("missing-argument", "join")),
    ],
)  # fmt: skip
def test_a_call_that_does_not_fit_is_found(check: Check, definition: str, call: str, expected: tuple[str, str]):
    source = f"{definition}\nx = (0,)\n{call}\n" if "x =" not in definition else f"{definition}\n{call}\n"
    assert found(check, source)[:1] == [expected]


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b=1, *c, d=2, **e): ...\nf(1)\nf(1, 2, 3, 4, d=5, g=6)\nf(a=1)\n",
        "def f(a, b): ...\nx = {}\nf(**x)\nf(*x)\nf(1, **x)\n",
        "def f(a, /, **k): ...\nf(1, a=2)\n",
        "if input():\n    def f(a): ...\nelse:\n    def f(a, b): ...\nf(1)\nf(1, 2)\n",
        "def deco(g): ...\n@deco\ndef f(a): ...\nf()\n",
        "import functools\ndef deco(g):\n    @functools.wraps(g)\n    def inner(*a):\n        return g(*a)\n    return inner\n@deco\ndef f(a): ...\nf()\n",
        "def f(a): ...\nf = input(f)\nf()\n",
        "class A:\n    def m(self, a): ...\nclass B(A):\n    def m(self, a, b=1): ...\ndef g(x: A):\n    x.m(1, 2)\n",
        "class A:\n    def m(self, a): ...\n    def n(self):\n        self.m()\nclass B(A):\n    def m(self, a=1): ...\n",
        "class A:\n    @classmethod\n    def make(cls):\n        return cls(1)\nclass B(A):\n    def __init__(self, a): ...\n",
        "class M(type):\n    def __call__(cls, a): ...\nclass A(metaclass=M): ...\nA(1)\n",
        "from unknown import Base\nclass A(Base): ...\nA(1)\nA().m(1)\n",
        "from unknown import Base\nclass A(Base):\n    def n(self):\n        super().__init__(1)\n",
        "class A:\n    def m(self, a): ...\nA.m = lambda self: 1\nA().m()\n",
        "def f(a): ...\ntry:\n    f()\nexcept TypeError:\n    pass\n",
        "import pytest\ndef f(a): ...\ndef test():\n    pytest.raises(TypeError, lambda: f())\n",
        "from typing import overload\n@overload\ndef f(a: int) -> int: ...\n@overload\ndef f(a: str, b: int) -> str: ...\ndef f(a, b=0): ...\nf(1)\nf('a', 1)\n",
        "from enum import Enum\nclass E(Enum):\n    A = 1\nE(1)\n",
        "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    a: int\n    b: list = field(default_factory=list)\n    c: int = field(init=False)\n@dataclass\nclass B(A):\n    d: int = 1\nB(1, [], 2)\nB(a=1)\n",
        "from dataclasses import dataclass, KW_ONLY\n@dataclass(kw_only=True)\nclass A:\n    a: int = 1\n    b: int\nA(b=1)\n",
        "from typing import Protocol, TypedDict\nclass T(TypedDict):\n    a: int\nT(a=1)\n",
        "class A(Exception): ...\nA('a', 1)\n",
        "class A:\n    def m(*args): ...\nA().m(1, 2)\n",
        "class A(type):\n    def m(cls, a): ...\nfor x in object.__subclasses__(): ...\nobject.__setattr__(1, 'a', 2)\n",
        "class A:\n    def __new__(cls, a):\n        return super().__new__(cls)\nA(1)\n",
        "def f(a): ...\ndef g(f):\n    f()\n",
        "from functools import partial\ndef f(a, b): ...\npartial(f, 1)\npartial(f, b=1)\n",
        "class A:\n    def a(self, x): ...\nclass B:\n    def a(self): ...\nfor c in (A(), B()):\n    c.a()\n",
    ],
)  # fmt: skip
def test_a_call_that_may_fit_is_let_be(check: Check, source: str):
    assert found(check, source) == []


def test_the_base_of_a_class_is_made_as_the_base_wants_it(check: Check):
    source = """
    -- base.py --
    class Shape:
        def __init__(self, name): ...
    -- app.py --
    from base import Shape
    class Circle(Shape):
        def __init__(self):
            super().__init__()
            Shape.__init__(self)
    class Left(Shape): ...
    class Right(Shape):
        def __init__(self, name, side): ...
    class Both(Left, Right):
        def __init__(self):
            super().__init__("both")
    class Beside(Left):
        def __init__(self):
            super().__init__("a", "b")
    class Last(Beside, Right): ...
    """
    assert check(source, *CODES) == [
        ("app.py", "missing-argument", "__init__"),
        ("app.py", "missing-argument", "__init__"),
        ("app.py", "missing-argument", "__init__"),
    ]


def after_fixes(all_findings: AllFindings, source: str) -> list[tuple[str, str]]:
    text = Text.of(source)
    return [
        (fix.title, apply(text, fix.edit.edits["main.py"]).decode().splitlines()[-1])
        for finding in all_findings(source)["main.py"]
        if finding.code in CODES
        for fix in finding.fixes
    ]


def test_fixes_rename_remove_and_give_arguments(all_findings: AllFindings):
    assert after_fixes(all_findings, "def f(colour, size=1): ...\nf(color=1)\n") == [
        ("Change to 'colour'", "f(colour=1)"),
        ("Remove 'color'", "f()"),
    ]
    assert after_fixes(all_findings, "def f(a): ...\nf(1, 2)\n") == [("Remove the argument", "f(1)")]
    assert after_fixes(all_findings, "def f(a): ...\nf(1, a=2)\n") == [("Remove 'a'", "f(1)")]
    assert after_fixes(all_findings, "def f(a, b): ...\nb = 1\nf(1)\n") == [("Give 'b'", "f(1, b=b)")]
    assert after_fixes(all_findings, "def f(a): ...\na = 1\nf()\n") == [("Give 'a'", "f(a=a)")]


def test_the_definition_is_related_and_what_is_outside_the_project_is_a_warning(all_findings: AllFindings):
    source = "import os\ndef f(a): ...\nf()\nos.getcwd(1)\n"
    inside, outside = (one for one in all_findings(source)["main.py"] if one.code in CODES)
    assert inside.severity == "error"
    assert [(where.path, where.span.start, words) for where, words in inside.related] == [
        ("main.py", source.index("f(a)"), "'f' is defined here")
    ]
    assert outside.severity == "warning"


def test_a_decorator_of_the_project_that_hands_on_what_it_is_given_changes_no_parameters(check: Check):
    source = """
    -- deco.py --
    import functools
    def locked(function):
        @functools.wraps(function)
        def inner(self, *args, **kwargs):
            print("locked")
            return function(self, *args, **kwargs)
        return inner
    def retried(times):
        def outer(function):
            @functools.wraps(function)
            def inner(*args, **kwargs):
                return function(*args, **kwargs)
            return inner
        return outer
    def filled(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(1, *args, **kwargs)
        return inner
    -- app.py --
    from deco import filled, locked, retried
    class Store:
        @locked
        def get(self, key): ...
    @retried(3)
    def load(path): ...
    @filled
    def save(one, two): ...
    Store().get()
    load()
    save(2)
    """
    assert check(source, *CODES) == [
        ("app.py", "missing-argument", "get"),
        ("app.py", "missing-argument", "load"),
    ]


def test_a_member_that_is_likely_the_projects_must_fit_one_of_that_name(check: Check):
    source = """
    -- lib.py --
    class Store:
        def fetch(self, key, default): ...
    class Other:
        def fetch(self, key): ...
    class Cache:
        def look_up(self, key, default): ...
        def drop(self): ...
    -- app.py --
    from lib import Cache, Store
    def f(cache=Cache(), store=Store(), unknown=None):
        cache.look_up(1)
        unknown.look_up(1)
        store.fetch(1)
        unknown.fetch()
    class App:
        def __init__(self):
            self.drop = len
            self.cache = Cache()
        def m(self):
            self.drop(1, 2)
    """
    assert check(source, *CODES) == [
        ("app.py", "missing-argument", "look_up"),
        ("app.py", "missing-argument", "fetch"),
    ]


def test_a_class_that_is_named_is_that_class_and_cls_may_be_one_below(check: Check):
    source = """
    class A:
        @classmethod
        def make(cls, size): ...
        @classmethod
        def again(cls):
            cls.make()
    class B(A):
        @classmethod
        def make(cls, size=1): ...
    A.make()
    """
    assert found(check, source) == [("missing-argument", "make")]
    assert check(source, *CODES)[0][0] == "main.py"


def test_another_name_of_an_overloaded_function_takes_what_any_overload_does(check: Check):
    source = """
    -- lib.pyi --
    from typing import overload
    @overload
    def around(a: int, out: None = None) -> int: ...
    @overload
    def around(a: int, *, out: list[int]) -> list[int]: ...
    round = around
    -- app.py --
    import lib
    lib.round(1)
    lib.round(1, out=[])
    lib.round(1, nope=2)
    """
    assert check(source, "missing-argument", "unexpected-argument") == [("app.py", "unexpected-argument", "nope")]


def test_a_method_of_a_metaclass_is_given_the_class(check: Check):
    source = """
    class Meta(type):
        def _create(cls, *args, **kwargs):
            return super().__call__(*args, **kwargs)
    class Task(metaclass=Meta):
        def __init__(self, name): ...
    Task._create(name="a")
    Task._create("a")
    """
    assert check(source, "missing-argument", "unexpected-argument") == []
