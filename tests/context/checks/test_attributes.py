from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]
CODE = "unknown-attribute"


def found(check: Check, source: str) -> list[str]:
    return [text for _, _, text in check(source, CODE)]


def test_what_a_file_loses_is_missed_in_the_others(check: Check):
    source = """
    -- lib/__init__.py --
    from . import core
    -- lib/core.py --
    class Shape:
        def draw(self): ...
    size = 1
    -- one.py --
    import lib.core
    print(lib.core.sizes, lib.core.size, lib.kore)
    lib.core.Shape().drow()
    -- two.py --
    from lib.core import Shape
    class Circle(Shape):
        def paint(self):
            self.draw()
            self.fill()
            super().draw()
            super().paint()
    """
    assert check(source, CODE) == [
        ("one.py", CODE, "sizes"),
        ("one.py", CODE, "kore"),
        ("one.py", CODE, "drow"),
        ("two.py", CODE, "fill"),
        ("two.py", CODE, "paint"),
    ]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import os\nos.getcwdd()\n", "getcwdd"),
        ("import json\njson.parse('1')\n", "parse"),
        ("'a'.upcase()\n", "upcase"),
        ("[].push(1)\n", "push"),
        ("x = {}\nx.has_key(1)\n", "has_key"),
        ("with open('a') as f:\n    f.readline_()\n", "readline_"),
        ("from enum import Enum\nclass E(Enum):\n    A = 1\nE.B\n", "B"),
        ("def f(): ...\nf.name\n", "name"),
        ("class A:\n    def m(self): ...\n    def n(self):\n        return self.m.value\n", "value"),
        ("class A:\n    @classmethod\n    def make(cls):\n        return cls.other()\n", "other"),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    a: int\ndef f(x: A):\n    return x.b\n", "b"),
        ("class A:\n    a = 1\ndef f(x: 'A | None' = None):\n    if x is not None:\n        x.b\n", "b"),
        ("class A:\n    def __init__(self):\n        self.__size = 1\n    def m(self):\n        return self.__siz\n", "__siz"),
        ("class A:\n    def __init__(self):\n        self.b = B()\n    def m(self):\n        self.b.c\nclass B: ...\n", "c"),
        ("try:\n    pass\nexcept OSError as e:\n    print(e.strreror)\n", "strreror"),
        ("def f(x: int):\n    x.bit_lenght()\n", "bit_lenght"),
    ],
)  # fmt: skip
def test_a_member_that_nothing_has_is_found(check: Check, source: str, name: str):
    assert found(check, source) == [name]


@pytest.mark.parametrize(
    "source",
    [
        "class A: ...\na = A()\na.b = 1\ndef f(x: A):\n    return x.b\n",
        "class A: ...\ndef f(x: A):\n    return hasattr(x, 'b') and x.b\n",
        "class A: ...\ndef f(x: A):\n    try:\n        return x.b\n    except AttributeError:\n        return None\n",
        "class A: ...\nclass B(A):\n    b = 1\ndef f(x: A):\n    return x.b\n",
        "class Mixin:\n    def m(self):\n        return self.b\nclass B:\n    b = 1\nclass C(Mixin, B): ...\n",
        "class AMixin:\n    def m(self):\n        return self.b\n",
        "from abc import abstractmethod\nclass A:\n    @abstractmethod\n    def n(self): ...\n    def m(self):\n        return self.b\n",
        "class A:\n    def __getattr__(self, name): ...\nA().b\n",
        "class M(type):\n    def __getattr__(cls, name): ...\nclass A(metaclass=M): ...\nA.b\n",
        "from unknown import Base\nclass A(Base): ...\nA().b\n",
        "from unknown import deco\n@deco\nclass A: ...\nA().b\nA.b\n",
        "class A: ...\nfor name in ('b', 'c'):\n    setattr(A, name, 1)\nA().b\n",
        "class A:\n    def __init__(self, **k):\n        self.__dict__.update(k)\nA().b\n",
        "class A:\n    __slots__ = ('b',)\nA().b\n",
        "from typing import NamedTuple\nclass A(NamedTuple):\n    a: int\nA(1)._replace(a=2).count(1)\n",
        "from typing import Any, Protocol\nclass P(Protocol):\n    a: int\ndef f(x: P, y: Any):\n    return x.b, y.b\n",
        "import sys\nif sys.platform == 'win32':\n    import os\n    os.startfile('a')\n",
        "import os\nos.startfile('a')\n",
        "def f(): ...\nf.b = 1\nprint(f.b)\n",
        "from functools import lru_cache\n@lru_cache\ndef f(): ...\nf.cache_clear()\n",
        "def f(x=None):\n    return x.b\n",
        "def f(x: object):\n    return x.b\n",
        "def f(p):\n    n = 0\n    for x in p:\n        n = n + x\n    return n.quantize(1)\n",
        "class A:\n    def __init__(self):\n        self.n = 0\n    def m(self):\n        return self.n.quantize(1)\n",
        "def f(a, b):\n    return (a == b).all()\n",
        "x = 'B{}'.format(1)\n",
        "class A:\n    x = None\n    def m(self):\n        return self.x.b\n",
        "import xml\nxml.etree\n",
        "A = type('A', (), {})\nA.b\n",
        "def f(x):\n    x.anything\n    if isinstance(x, str):\n        return x.joyn\n    return ''.join\n",
    ],
)  # fmt: skip
def test_a_member_that_may_be_there_is_let_be(check: Check, source: str):
    assert found(check, source) in ([], ["joyn"])


def test_objects_that_are_given_away_may_get_members_by_computed_names(check: Check):
    source = """
    -- machine.py --
    def fill(model, names):
        for name in names:
            setattr(model, f"may_{name}", 1)
    -- app.py --
    from machine import fill
    class Model:
        def may(self): ...
    model = Model()
    fill(model, ["go"])
    model.may_go
    other = Model()
    other.may_go
    """
    assert check(source, CODE) == [("app.py", CODE, "may_go")]


def test_a_module_beside_one_of_the_library_may_be_either(check: Check):
    source = """
    -- pkg/random.py --
    import random
    random.choice([1])
    -- pkg/other.py --
    import random
    random.choice([1])
    """
    assert check(source, CODE) == []


def test_the_nearest_name_is_offered_and_severity_tells_whose_it_is(all_findings: AllFindings):
    source = "import os\nclass A:\n    def draw(self): ...\nA().drow()\nos.getcwdd()\n"
    ours, others = (one for one in all_findings(source)["main.py"] if one.code == CODE)
    assert (ours.severity, others.severity) == ("error", "warning")
    assert [(where.path, where.span.start) for where, _ in ours.related] == [("main.py", source.index("A:"))]
    text = Text.of(source)
    assert [fix.title for fix in ours.fixes] == ["Change to 'draw'"]
    assert apply(text, ours.fixes[0].edit.edits["main.py"]).decode().count("A().draw()") == 1


def test_a_class_that_lacks_several_members_is_there_to_be_mixed_in(check: Check):
    source = """
    class Listing:
        def one(self):
            return self.rows
        def two(self):
            return self.columns
    class Sized:
        def size(self):
            return self.length
    """
    assert check(source, CODE) == [("main.py", CODE, "length")]


def test_fields_of_a_base_that_is_made_by_a_call_are_not_known(check: Check):
    source = """
    import typing
    class Url(typing.NamedTuple("Url", [("host", str), ("port", int)])):
        def __str__(self): return self.host
    def parse(text) -> Url: ...
    print(parse("").host, parse("").port)
    """
    assert check(source, "unknown-attribute") == []


def test_what_a_test_asks_for_may_be_what_no_annotation_says(check: Check):
    source = """
    def get(key: str):
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        return key.lower()
    """
    assert check(source, "unknown-attribute") == []


def test_abstract_classes_of_the_library_register_others(check: Check):
    source = """
    from collections.abc import MutableMapping
    class Results: ...
    MutableMapping.register(Results)
    """
    assert check(source, "unknown-attribute") == []
