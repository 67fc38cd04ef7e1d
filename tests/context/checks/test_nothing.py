from collections.abc import Callable

import pytest

Check = Callable[..., list[tuple[str, str, str]]]


def found(check: Check, source: str, code: str = "none-attribute") -> list[str]:
    return [text for _, _, text in check(source, code)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def f():\n    print()\nf().x\n", "f()"),
        ("def f():\n    print()\nx = f()\nprint(x[0])\n", None),
        ("def f():\n    print()\ndef g():\n    x = f()\n    return x[0]\n", "x"),
        ("def f():\n    print()\nfor x in f(): ...\n", "f()"),
        ("def f():\n    print()\nf()()\n", "f()"),
        ("def f():\n    print()\na, b = f()\n", "f()"),
        ("def f():\n    print()\nwith f() as x: ...\n", "f()"),
        ("def f() -> None: ...\nf().x\n", "f()"),
        ("[].sort().x\n", "[].sort()"),
        ("def f(a):\n    if a:\n        return\n    raise ValueError\nf(1).x\n", "f(1)"),
        ("class A:\n    def m(self):\n        print()\nA().m().x\n", "A().m()"),
        ("def g():\n    x = None\n    return x.y\n", "x"),
    ],
)
def test_what_is_none_on_every_way_is_found(check: Check, source: str, text: str | None):
    assert found(check, source) == ([] if text is None else [text])


@pytest.mark.parametrize(
    "source",
    [
        "def f(a):\n    if a:\n        return 1\nf(1).x\n",
        "def f():\n    raise NotImplementedError\nf().x\n",
        "def f():\n    raise ValueError\nf().x\n",
        "def f():\n    while True:\n        print()\nf().x\n",
        "def f(): ...\nf().x\n",
        "def f():\n    pass\nf().x\n",
        "def f():\n    yield\nf().x\n",
        "async def f():\n    print()\nf().x\n",
        "class A:\n    def m(self):\n        print()\nclass B(A):\n    def m(self):\n        return 1\ndef g(a: A):\n    a.m().x\n",
        "def deco(g): ...\n@deco\ndef f():\n    print()\nf().x\n",
        "x = None\ndef f():\n    return x.y\n",
        "def f():\n    x = None\n    for y in []:\n        x = y\n    return x.y\n",
        "def f():\n    x = None\n    try:\n        return x.y\n    except AttributeError: ...\n",
        "x = None\nx.__class__\n",
    ],
)  # fmt: skip
def test_what_may_be_something_is_let_be(check: Check, source: str):
    assert found(check, source) == []


def test_a_result_that_is_none_must_be_read_to_be_missed(check: Check):
    source = "def f():\n    print()\nx = f()\ny = f()\nprint(x)\nz = [].sort()\nprint(z)\n"
    assert found(check, source, "no-return-value") == ["f()", "[].sort()"]
