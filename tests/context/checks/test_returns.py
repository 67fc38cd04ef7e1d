from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]
CODE = "missing-return"


def found(check: Check, source: str) -> list[str]:
    return [text for _, _, text in check(source, CODE)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def f(x) -> int:\n    if x:\n        return 1\n", "f"),
        ("def f(x) -> int:\n    for y in x:\n        return y\n", "f"),
        ("def f(x) -> 'list[int]':\n    print(x)\n", "f"),
        ("def f(x) -> int | str:\n    try:\n        return int(x)\n    except ValueError:\n        print(x)\n", "f"),
        ("async def f(x) -> int:\n    print(x)\n", "f"),
        ("class A:\n    def m(self) -> bool:\n        print(self)\n", "m"),
        ("def f(x) -> int:\n    if x:\n        return\n    return 1\n", "return"),
        ("def f(x) -> int:\n    if x:\n        return None\n    return 1\n", "return None"),
        ("def f(x) -> int:\n    if x:\n        return (None)\n    return 1\n", "return (None)"),
        ("class A: ...\ndef f(x) -> A:\n    print(x)\n", "f"),
    ],
)
def test_none_where_it_is_not_declared_is_found(check: Check, source: str, text: str):
    assert found(check, source) == [text]


@pytest.mark.parametrize(
    "source",
    [
        "def f(x) -> int | None:\n    if x:\n        return 1\n",
        "from typing import Optional, Any\ndef f(x) -> Optional[int]:\n    if x:\n        return 1\ndef g() -> Any:\n    print()\n",
        "def f(x) -> None:\n    return None\n",
        "def f(x) -> object:\n    print(x)\n",
        "from typing import TypeVar\nT = TypeVar('T')\ndef f(x: T) -> T:\n    print(x)\n",
        "Maybe = int | None\ndef f(x) -> Maybe:\n    print(x)\n",
        "from unknown import Thing\ndef f(x) -> Thing:\n    print(x)\n",
        "from collections.abc import Iterator\ndef f(x) -> Iterator[int]:\n    if x:\n        return\n    yield 1\n",
        "def f(x) -> int: ...\ndef g(x) -> int:\n    'text'\ndef h(x) -> int:\n    pass\n",
        "def f(x) -> int:\n    raise NotImplementedError\ndef g(x) -> int:\n    raise ValueError(x)\n",
        "from abc import abstractmethod\nclass A:\n    @abstractmethod\n    def m(self) -> int:\n        print(self)\n",
        "from typing import Protocol\nclass P(Protocol):\n    def m(self) -> int:\n        print(self)\n",
        "import sys\ndef f(x) -> int:\n    if x:\n        return 1\n    sys.exit(1)\n",
        "def stop():\n    raise ValueError\ndef f(x) -> int:\n    if x:\n        return 1\n    stop()\n",
        "def f(x) -> int:\n    if x:\n        return 1\n    else:\n        return 2\n",
        "def f(x) -> int:\n    while True:\n        if x:\n            return 1\n",
        "def f(x) -> int:\n    with open(x) as y:\n        return y.read()\n",
        "def f(x) -> int:\n    def g():\n        return\n    return g\n",
        "from unknown import deco\n@deco\ndef f(x) -> int:\n    print(x)\n",
        "import sys\ndef f(x) -> int:\n    if sys.platform == 'linux':\n        return 1\n",
    ],
)  # fmt: skip
def test_none_that_is_declared_or_never_given_is_let_be(check: Check, source: str):
    assert found(check, source) == []


def test_the_fix_declares_it(all_findings: AllFindings):
    source = "def f(x) -> int:\n    if x:\n        return 1\n"
    (one,) = (one for one in all_findings(source)["main.py"] if one.code == CODE)
    after = apply(Text.of(source), one.fixes[0].edit.edits["main.py"]).decode()
    assert after.startswith("def f(x) -> int | None:\n")
    assert not any(one.code == CODE for one in all_findings(after)["main.py"])
