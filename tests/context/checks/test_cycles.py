"""Imports that close a circle, and which circles break."""

import importlib
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from engram_context.checks.cycles import Cycles, _Run, cycles_of
from engram_context.checks.whole import Whole
from engram_context.findings import Finding
from engram_context.imports import ModuleMap
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from fixture import snapshot_of

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]


def found(all_findings: AllFindings, source: str) -> list[tuple[str, str, str]]:
    return [
        (path, finding.severity, finding.message)
        for path, findings in all_findings(source).items()
        for finding in findings
        if finding.code == "import-cycle"
    ]


def test_a_name_that_is_taken_before_it_is_defined_is_an_error(all_findings: AllFindings):
    said = found(
        all_findings,
        """
        -- a.py --
        from b import there
        def here(): return there()
        -- b.py --
        from a import here
        def there(): return here()
        """,
    )
    assert said == [
        ("a.py", "error", "import cycle: a → b → a; 'there' is not defined yet when b is imported first"),
        ("b.py", "error", "import cycle: b → a → b; 'here' is not defined yet when a is imported first"),
    ]


def test_a_circle_that_takes_no_names_or_those_that_are_there_is_a_hint(all_findings: AllFindings):
    said = found(
        all_findings,
        """
        -- a.py --
        def here(): return b.there()
        import b
        -- b.py --
        from a import here
        def there(): return here()
        """,
    )
    assert [severity for _, severity, _ in said] == ["hint", "hint"]
    assert {message for _, _, message in said} == {"import cycle: a → b → a", "import cycle: b → a → b"}


def test_every_import_of_a_longer_circle_is_told_with_the_whole_of_it(all_findings: AllFindings):
    said = found(
        all_findings,
        """
        -- a.py --
        import b
        -- b.py --
        import c, outside
        -- c.py --
        import a
        -- outside.py --
        import a
        """,
    )
    assert [(path, message) for path, _, message in said] == [
        ("a.py", "import cycle: a → b → c → a"),
        ("b.py", "import cycle: b → c → a → b"),
        ("b.py", "import cycle: b → outside → a → b"),
        ("c.py", "import cycle: c → a → b → c"),
        ("outside.py", "import cycle: outside → a → b → outside"),
    ]


@pytest.mark.parametrize(
    "later",
    [
        "def f():\n    from a import here\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import here\n",
        "def __getattr__(name):\n    from a import here\n    return here\n",
        "if __name__ == '__main__':\n    from a import here\n",
        "class C:\n    def f(self):\n        import a\n",
    ],
)
def test_what_is_imported_later_makes_no_circle(all_findings: AllFindings, later: str):
    assert not found(all_findings, f"-- a.py --\nimport b\ndef here(): pass\n-- b.py --\n{later}")


def test_a_class_body_runs_with_its_module(all_findings: AllFindings):
    assert found(all_findings, "-- a.py --\nimport b\n-- b.py --\nclass C:\n    import a\n")


def test_modules_of_a_package_may_import_from_it_what_are_modules(all_findings: AllFindings):
    package = "-- p/__init__.py --\nfrom .one import x\n-- p/two.py --\ny = 1\n-- p/one.py --\n"
    assert not found(all_findings, package + "from . import two\nimport p.two\nfrom p import two as t\nx = 1\n")
    needs = package.replace("__init__.py --\n", "__init__.py --\nname = 1\n") + "from . import name\nx = 1\n"
    assert [severity for _, severity, _ in found(all_findings, needs)] == ["hint", "hint"]
    early = package.replace("import x\n", "import x\nname = 1\n") + "from . import name\nx = 1\n"
    assert ("p/one.py", "error") in [(path, severity) for path, severity, _ in found(all_findings, early)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("try:\n    from b import there\nexcept ImportError:\n    there = None\nhere = 1\n", "from a import here\n"),
        ("from b import there\nhere = 1\n", "try:\n    from a import here\nexcept ImportError: pass\nthere = 1\n"),
        ("from b import *\nhere = 1\n", "from a import *\nthere = 1\n"),
        ("def __getattr__(name): return 1\nimport b\nhere = 1\n", "from a import here\n"),
        ("import b\nhere = 1\n", "import a\nthere = 1\n"),
        ("if x:\n    here = 1\nimport b\nhere = 1\n", "from a import here\n"),
    ],
)
def test_what_need_not_break_is_no_error(all_findings: AllFindings, first: str, second: str):
    said = found(all_findings, f"-- a.py --\n{first}-- b.py --\n{second}")
    assert said and all(severity == "hint" for _, severity, _ in said)


def test_the_first_package_decides_in_which_order_modules_are_imported(all_findings: AllFindings):
    # By itself p.b would break when it is first; but p imports p.a before, and then everything is there.
    said = found(
        all_findings,
        """
        -- p/__init__.py --
        from p.a import here
        -- p/a.py --
        def here(): pass
        from p.b import there
        -- p/b.py --
        from p.a import here
        def there(): pass
        """,
    )
    assert said and all(severity == "hint" for _, severity, _ in said)


def test_related_are_the_other_imports_of_the_circle(all_findings: AllFindings):
    [finding] = all_findings("-- a.py --\nimport b\n-- b.py --\nimport c\n-- c.py --\nimport a\n")["a.py"][:1]
    assert [(location.path, message) for location, message in finding.related] == [
        ("b.py", "imports c"),
        ("c.py", "imports a"),
    ]


def test_a_comment_silences_it(check: Check):
    source = "-- a.py --\nimport b  # engram: ignore[import-cycle]\nprint(b)\n-- b.py --\nimport a  # pylint: disable=cyclic-import\nprint(a)\n"
    assert check(source, "import-cycle") == []


SURE = ("from {0} import x", "from {0} import y", "import {0}", "from q_p import c", "from q_p import d as z")
UNSURE = (
    "try:\n    from {0} import x as z\nexcept ImportError:\n    pass",
    "if len('a'):\n    from {0} import y",
    "from {0} import *",
    "def __getattr__(name):\n    if name == 'y':\n        return 1\n    raise AttributeError(name)",
    "def f():\n    from {0} import x",
    "class C:\n    from {0} import y",
    "if not len('a'):\n    y = 2",
    "del x; x = 3",
)


@pytest.mark.parametrize("is_sure", [True, False])
def test_a_circle_breaks_when_python_cannot_import_it(environment: Environment, tmp_path: Path, is_sure: bool):
    """Run for real, whichever module is imported first: what is foretold happens, and where no import stands under a
    condition, nothing else does."""
    choices = random.Random(21)
    names = ["q_a", "q_b", "q_p/__init__", "q_p/c", "q_p/d"]
    dotted = {name: name.replace("/__init__", "").replace("/", ".") for name in names}
    failed = 0
    for number in range(40):
        root = tmp_path / str(number)
        files: dict[str, str] = {}
        for name in names:
            lines = [f"{letter} = 1" for letter in "xy"]
            for _ in range(choices.randrange(3)):
                other = dotted[choices.choice([one for one in names if one != name])]
                kind = choices.choice(SURE if is_sure else SURE + UNSURE)
                lines.insert(choices.randrange(len(lines) + 1), kind.format(other))
            files[f"{name}.py"] = "\n".join(lines) + "\n"
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        snapshot = snapshot_of(files)
        cycles = cycles_of(Whole(snapshot, environment))
        for name in names:
            path = f"{name}.py"
            foretold = _run(cycles, path, snapshot.modules, frozenset())
            within = next((one for one in cycles.members if path in one), frozenset[str]())
            fails = _fails(root, dotted[name])
            assert foretold == fails if is_sure else fails or not foretold, (files, name)
            assert foretold or not _run(cycles, path, snapshot.modules, within), (files, name)
            failed += foretold
    assert failed > 5


def _run(cycles: Cycles, first: str, modules: ModuleMap, circle: frozenset[str]) -> bool:
    return _Run(cycles.programs, cycles.edges, modules, circle).start(first) is not None


def _fails(root: Path, name: str) -> bool:
    before = set(sys.modules)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        importlib.import_module(name)
    except (ImportError, NameError):
        return True
    finally:
        sys.path.remove(str(root))
        for one in set(sys.modules) - before:
            del sys.modules[one]
    return False


def test_circles_after_edits_are_those_found_from_scratch(environment: Environment, tmp_path: Path):
    choices = random.Random(7)
    names = ["a", "b", "c", "p/__init__", "p/d", "p/e"]
    dotted = {name: name.replace("/__init__", "").replace("/", ".") for name in names}

    def source() -> str:
        lines: list[str] = []
        for _ in range(choices.randrange(4)):
            other = dotted[choices.choice(names)]
            lines.append(
                choices.choice(
                    [
                        f"import {other}",
                        f"from {other} import x",
                        f"from {other} import d",
                        "x = 1",
                        "d = 1",
                        "from . import e",
                    ]
                )
            )
        return "\n".join(lines) + "\n"

    files = {f"{name}.py": source() for name in names}
    snapshot = snapshot_of(files)
    for _ in range(60):
        path = f"{choices.choice(names)}.py"
        if choices.random() < 0.2 and path in files:
            del files[path]
            record = None
        else:
            files[path] = source()
            record = read_record(Text.of(files[path]), "python")
        snapshot = Snapshot.after(snapshot, {path: record})
        fast = cycles_of(Whole(snapshot, environment))
        slow = cycles_of(Whole(snapshot_of(files), environment))
        assert fast.edges == slow.edges and fast.circle.keys() == slow.circle.keys()
        assert set(fast.members) == set(slow.members)
        assert fast.breaks == slow.breaks
