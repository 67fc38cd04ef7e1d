from collections.abc import Callable

import pytest
from engram_context.findings import Finding

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]
CODE = "incompatible-override"


def severities(all_findings: AllFindings, source: str) -> list[str]:
    return [one.severity for found in all_findings(source).values() for one in found if one.code == CODE]


@pytest.mark.parametrize(
    ("base", "override"),
    [
        ("def m(self, a, b): ...", "def m(self, a): ..."),
        ("def m(self, a): ...", "def m(self, a, b): ..."),
        ("def m(self, a): ...", "def m(self, a, *, b): ..."),
        ("def m(self, a): ...", "@staticmethod\n    def m(a): ..."),
        ("@classmethod\n    def m(cls): ...", "def m(self): ..."),
        ("@property\n    def m(self): ...", "def m(self): ..."),
        ("def m(self): ...", "async def m(self): ..."),
    ],
)
def test_what_is_called_otherwise_than_its_base_is_a_hint(all_findings: AllFindings, base: str, override: str):
    source = f"class A:\n    {base}\nclass B(A):\n    {override}\n"
    assert severities(all_findings, source) == ["hint"]


@pytest.mark.parametrize(
    ("base", "override"),
    [
        ("def m(self, a): ...", "def m(self, a, b=1, *c, d=2, **e): ..."),
        ("def m(self, a, b): ...", "def m(self, *args, **kwargs): ..."),
        ("def m(self, a): ...", "def m(self, b): ..."),
        ("def m(self, *args): ...", "def m(self, a): ..."),
        ("def m(self, a, *, b): ...", "def m(self, a, b): ..."),
        ("def __init__(self, a): ...", "def __init__(self): ..."),
        ("def __m(self, a): ...", "def __m(self): ..."),
        ("def m(self, a): ...", "m = print"),
        ("@unknown\n    def m(self, a): ...", "def m(self): ..."),
        ("if input():\n        def m(self, a): ...\n    else:\n        def m(self): ...", "def m(self): ..."),
        (
            "@property\n    def m(self): ...\n    @m.setter\n    def m(self, value): ...",
            "@property\n    def m(self): ...",
        ),
    ],
)
def test_what_takes_all_that_its_base_takes_is_let_be(all_findings: AllFindings, base: str, override: str):
    source = f"from unknown import unknown\nclass A:\n    {base}\nclass B(A):\n    {override}\n"
    assert severities(all_findings, source) == []


def test_a_call_that_is_inherited_and_refused_is_a_warning(all_findings: AllFindings):
    source = """
    -- base.py --
    class Job:
        def start(self):
            self.run("now", times=2)
        def run(self, when, times=1): ...
    -- one.py --
    from base import Job
    class Backup(Job):
        def run(self, when): ...
    -- two.py --
    from base import Job
    class Other(Job):
        def start(self): ...
        def run(self, when): ...
    """
    found = all_findings(source)
    (one,) = (each for each in found["one.py"] if each.code == CODE)
    assert one.severity == "warning"
    assert [where.path for where, _ in one.related] == ["base.py", "base.py"]
    assert [each.severity for each in found["two.py"] if each.code == CODE] == ["hint"]


def test_what_an_abstract_method_asks_for_is_asked_for(all_findings: AllFindings):
    source = """
    from abc import ABC, abstractmethod
    class Job(ABC):
        @abstractmethod
        def run(self, when): ...
    class Backup(Job):
        def run(self): ...
    """
    assert severities(all_findings, source) == ["warning"]
