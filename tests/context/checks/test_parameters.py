"""Parameters that nothing reads."""

from collections.abc import Callable

import pytest
from engram_context.findings import Finding

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]


@pytest.mark.parametrize(
    "source",
    [
        "def _f(a, dead):\n    print(a)\n_f(1, 2)\n",
        "def _f(a, dead=1):\n    print(a)\n_f(1)\n",
        "def _f(a, *, dead):\n    print(a)\n_f(1, dead=2)\n",
        "def g():\n    def f(a, dead):\n        print(a)\n    f(1, 2)\n",
        "class C:\n    def _f(self, a, dead):\n        print(a)\n    def g(self):\n        self._f(1, 2)\n",
        "class C:\n    @staticmethod\n    def _f(dead, a):\n        print(a)\n    def g(self):\n        self._f(1, 2)\n",
        "def _f(a, dead):\n    dead = a\n    print(a)\n_f(1, 2)\n",
        "class C:\n    def _f(self, a, dead):\n        print(a)\nclass D(C):\n    def g(self):\n        self._f(1, 2)\n",
    ],
)
def test_a_parameter_of_a_private_function_that_nothing_reads_is_unused(check: Check, source: str):
    assert check(source, "unused-parameter") == [("main.py", "unused-parameter", "dead")]


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b):\n    print(a)\nf(1, 2)\n",
        "def _f(a, b):\n    print(a)\n",
        "def _f(a, b):\n    print(a)\nx = [_f]\n_f(1, 2)\n",
        "def _f(a, _b):\n    print(a)\n_f(1, 2)\n",
        "def _f(a, *b, **c):\n    print(a)\n_f(1, 2)\n",
        "def _f(a, b):\n    return locals()\n_f(1, 2)\n",
        "def _f(a, b):\n    return lambda: a + b\n_f(1, 2)\n",
        "def _f(a, b): ...\n_f(1, 2)\n",
        "def _f(a, b):\n    '''Later.'''\n    return None\n_f(1, 2)\n",
        "def _f(a, b):\n    raise NotImplementedError\n_f(1, 2)\n",
        "@d\ndef _f(a, b):\n    print(a)\n_f(1, 2)\n",
        "def g():\n    def f(a, b):\n        print(a)\n    return f\n",
        "if x:\n    def _f(a, b):\n        print(a)\nelse:\n    def _f(a, b):\n        print(b)\n_f(1, 2)\n",
        "x = lambda a: 1\nx(1)\n",
        "class C:\n    def __f__(self, a):\n        print(self)\n",
        "class C(Unknown):\n    def _f(self, a):\n        print(self)\n    def g(self):\n        self._f(1)\n",
        "class C:\n    def _f(self, a):\n        print(self)\n    def g(self):\n        self._f(1)\nclass D(C):\n    def _f(self, a):\n        print(a)\n",
        "class B:\n    def _f(self, a):\n        print(a)\nclass C(B):\n    def _f(self, a):\n        print(self)\n    def g(self):\n        self._f(1)\n",
        "class C:\n    def _f(self, a):\n        print(self)\n    def g(self):\n        on(self._f)\n        self._f(1)\n",
        "class C:\n    def _f(self, a):\n        print(self)\n    def g(self):\n        getattr(self, '_f')(1)\n        self._f(1)\n",
    ],
)
def test_functions_that_others_may_decide_about_are_let_be(check: Check, source: str):
    assert check(source, "unused-parameter") == []


def test_other_files_that_pass_a_private_function_on_count(check: Check):
    source = """
    -- lib.py --
    def _one(a, b):
        print(a)
    def _two(a, b):
        print(a)
    _one(1, 2)
    _two(1, 2)
    -- app.py --
    from lib import _one, _two
    _one(1, 2)
    handlers = [_two]
    """
    assert check(source, "unused-parameter") == [("lib.py", "unused-parameter", "b")]


def test_it_is_a_hint_that_greys_the_parameter_out(all_findings: AllFindings):
    (found,) = all_findings("def _f(a, dead):\n    print(a)\n_f(1, 2)\n")["main.py"]
    assert (found.severity, found.tags) == ("hint", {"unnecessary"})
    assert found.message == "parameter 'dead' of '_f' is never read"
