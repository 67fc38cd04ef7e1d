"""Definitions, parameters and keys that are there twice."""

from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]


@pytest.mark.parametrize(
    "source",
    [
        "def f(): ...\ndef f(): ...\n",
        "class f: ...\ndef f(): ...\n",
        "class C:\n    def f(self): ...\n    def f(self): ...\n",
        "def g():\n    def f(): ...\n    def f(): ...\n    return f\n",
        "def f(): ...\ndef g(): f()\ndef f(): ...\n",
        "def f(): ...\n@d\ndef f(): ...\n",
        "class C:\n    @staticmethod\n    def f(): ...\n    def f(self): ...\n",
        "if x:\n    def f(): ...\n    def f(): ...\n",
        "def f(): return f\ndef f(): ...\n",
        "from a import f\nfrom b import f\n",
        "from a import f\ndef f(): ...\n",
        "import f\nclass f: ...\n",
    ],
)
def test_what_is_replaced_before_it_is_used_is_a_duplicate(all_findings: AllFindings, source: str):
    found = [one for one in all_findings(source)["main.py"] if one.code == "duplicate-definition"]
    assert [one.severity for one in found] == ["warning"]


@pytest.mark.parametrize(
    "source",
    [
        "def f(): ...\nf()\ndef f(): ...\n",
        "def f(): ...\ng = [f]\ndef f(): ...\n",
        "def f(): ...\ndef g(): f()\ng()\ndef f(): ...\n",
        "if x:\n    def f(): ...\nelse:\n    def f(): ...\n",
        "try:\n    from a import f\nexcept ImportError:\n    def f(): ...\n",
        "try:\n    import f\nexcept ImportError:\n    import g as f\n",
        "def f(): ...\nif x:\n    def f(): ...\n",
        "from typing import overload\n@overload\ndef f(a: int): ...\n@overload\ndef f(a: str): ...\ndef f(a): ...\n",
        "class C:\n    @property\n    def f(self): ...\n    @f.setter\n    def f(self, x): ...\n    @f.deleter\n    def f(self): ...\n",
        "from functools import singledispatch\n@singledispatch\ndef f(a): ...\n@f.register\ndef _(a: int): ...\n@f.register\ndef _(a: str): ...\n",
        "@app.route('/a')\ndef f(): ...\n@app.route('/b')\ndef f(): ...\n",
        "class C:\n    def f(self): ...\n    g = f\n    def f(self): ...\n",
        "class C:\n    def f(self): ...\nclass D:\n    def f(self): ...\n",
        "def f(): ...\nf = wrap(f)\n",
        "def f(): ...\ndel f\ndef f(): ...\n",
        "import a.b\nimport a.c\n",
        "def f(): ...\n@f.extend\ndef f(): ...\n",
        "def f(): ...\nx = lambda: f()\nx()\ndef f(): ...\n",
        "def f(): ...\ndef f(): ...  # noqa: F811\n",
    ],
)
def test_what_is_used_or_chosen_between_is_let_be(check: Check, source: str):
    assert check(source, "duplicate-definition") == []


def test_the_same_import_twice_is_a_hint_with_a_safe_fix(all_findings: AllFindings):
    source = "from a import f, g\nfrom a import f\nprint(f, g)\n"
    (found,) = [one for one in all_findings(source)["main.py"] if one.code == "duplicate-definition"]
    assert found.severity == "hint"
    assert found.fixes[0].is_safe
    after = apply(Text.of(source), found.fixes[0].edit.edits["main.py"]).decode()
    assert after == "from a import g\nfrom a import f\nprint(f, g)\n"


def test_a_test_that_never_runs_is_told_so_and_can_be_removed(all_findings: AllFindings):
    source = "def test_a():\n    pass\n\n\ndef test_a():\n    return\n"
    (found,) = [one for one in all_findings(source)["main.py"] if one.code == "duplicate-definition"]
    assert "never runs" in found.message
    assert apply(Text.of(source), found.fixes[0].edit.edits["main.py"]).decode() == "\n\ndef test_a():\n    return\n"


def test_two_parameters_of_one_name_are_an_error(check: Check):
    code = "duplicate-parameter"
    assert check("def f(a, b, a): ...\n", code) == [("main.py", code, "a")]
    assert check("f = lambda a, *a: 1\n", code) == [("main.py", code, "a")]
    assert check("def f(a, b):\n    a = b\ndef g(a): ...\n", code) == []


@pytest.mark.parametrize(
    ("key", "other"),
    [("'a'", '"a"'), ("1", "1"), ("a", "a"), ("a.b", "a.b"), ("b'a'", "b'a'"), ("None", "None"), ("0x10", "16")],
)
def test_a_key_that_is_there_twice_loses_its_first_value(check: Check, key: str, other: str):
    assert check(f"x = {{{key}: 1, c: 2, {other}: 3}}\n", "duplicate-key") == [("main.py", "duplicate-key", other)]


@pytest.mark.parametrize(
    "source",
    [
        "{'a': 1, 'b': 2}",
        "{'a': 1, b'a': 2}",
        "{1: 1, '1': 2}",
        "{a(): 1, a(): 2}",
        "{f'{a}': 1, f'{a}': 2}",
        "{'a': 1, **b, 'a': 2}",
        "{'a': {'a': 1}}",
        "{'a': 1 for a in b}",
        "{'a', 'a'}",
        "{**a, **a}",
    ],
)
def test_keys_that_differ_or_may_differ_are_let_be(check: Check, source: str):
    assert check(f"x = {source}\n", "duplicate-key") == []


@pytest.mark.parametrize(
    ("source", "expected", "is_safe"),
    [
        ("x = {'a': 1, 'b': 2, 'a': 3}\n", "x = {'b': 2, 'a': 3}\n", False),
        ("x = {\n    'a': 1,\n    'a': 1,\n}\n", "x = {\n    'a': 1,\n}\n", True),
        ("x = {'a': 1, 'b': 2, 'a': 1}\n", "x = {'a': 1, 'b': 2}\n", True),
        (
            "x = {\n    'a': (1, 2),\n    'b': 2,\n    'a': (1, 2)\n}\n",
            "x = {\n    'a': (1, 2),\n    'b': 2\n}\n",
            True,
        ),
    ],
)
def test_the_fix_takes_the_pair_away_that_says_nothing_and_leaves_the_order(
    all_findings: AllFindings, source: str, expected: str, is_safe: bool
):
    (found,) = all_findings(source)["main.py"]
    assert (found.severity == "hint", found.fixes[0].is_safe) == (is_safe, is_safe)
    assert apply(Text.of(source), found.fixes[0].edit.edits["main.py"]).decode() == expected


def test_what_is_called_twice_is_not_called_once_by_a_safe_fix(all_findings: AllFindings):
    (found,) = all_findings("x = {'a': f(), 'a': f()}  # noqa: F821\n")["main.py"]
    assert not found.fixes[0].is_safe
