"""Definitions and modules that nothing uses."""

import random
from collections.abc import Callable

import pytest
from engram_context.checks.catalogue import findings
from engram_context.checks.dead import CHECK
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from fixture import parse_fixture, snapshot_of

AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]
CODES = frozenset(code.name for code in CHECK.codes)


@pytest.fixture
def dead(all_findings: AllFindings) -> Callable[[str], list[str]]:
    """The names of what is dead, in all files."""

    def ask(source: str) -> list[str]:
        files = parse_fixture(source).files
        return [
            Text.of(files[path]).slice(finding.span) if finding.code != "unused-module" else path
            for path, found in all_findings(source).items()
            for finding in found
            if finding.code in CODES
        ]

    return ask


Dead = Callable[[str], list[str]]


def test_what_nothing_mentions_is_dead(dead: Dead):
    source = """
    def _unused(value): return value
    class _Unused: pass
    class Used:
        def _unused_method(self): pass
        @property
        def _unused_property(self): return 1
        @_unused_property.setter
        def _unused_property(self, value): pass
    _UNUSED = 1
    def outer():
        def inner(): pass
        return Used()
    print(outer())
    """
    assert dead(source) == ["_unused", "_Unused", "_unused_method", "_unused_property", "_UNUSED", "inner"]


def test_the_finding_stands_on_the_name_and_says_how_sure_it_is(all_findings: AllFindings):
    [finding] = all_findings("import os\nprint(os)\n\n\ndef _zq_unused_helper(value):\n    return [value]\n")["main.py"]
    assert finding.code == "unused-function" and finding.severity == "information"
    assert finding.message == "private function '_zq_unused_helper' is never used (95% sure)"
    assert finding.confidence == 0.95 and finding.tags == {"unnecessary"}


def test_what_only_the_dead_use_is_dead(dead: Dead, all_findings: AllFindings):
    source = """
    def _first(n): return _second(n) + _first(n - 1)
    def _second(n): return _third(n) or _first(n)
    def _third(n): return n + _alive()
    def _alive(): return 1
    print(_alive())
    """
    assert dead(source) == ["_first", "_second", "_third"]
    assert [finding.message for finding in all_findings(source)["main.py"]] == [
        f"private function '_{name}' is used only by other unused code (95% sure)"
        for name in ("first", "second", "third")
    ]
    assert dead(source + "    print(_second)\n") == []


def test_what_is_in_the_dead_is_not_told_apart(dead: Dead):
    assert dead("class _Unused:\n    def _method(self):\n        def inner(): pass\n") == ["_Unused"]


@pytest.mark.parametrize(
    "use",
    [
        "print(_it)",
        "x = [_it]",
        "def f(): return _it()\nf()",
        "class C(_it): pass\nC()",
        "def f(x: _it): pass\nf(1)",
        "def f(x: 'list[_it]'): pass\nf(1)",
        "getattr(module, '_it')",
        "run('pkg.module:_it')",
        "__all__ = ['_it']",
        "import main\nmain._it()",
        "def f(x): return x._it\nf(1)",
        "globals()['_' + name]()",
        "print(_it) if x else None",
        "@_it\ndef f(): pass\nf()",
        "lambda: _it",
    ],
)
def test_any_use_keeps_it_alive(dead: Dead, use: str):
    assert dead(f"def _it(): pass\n{use}\n") == []


def test_a_name_that_means_something_else_is_no_use(dead: Dead):
    source = """
    -- a.py --
    def _it(): pass
    -- b.py --
    def _it(): pass
    print(_it())
    -- c.py --
    from b import _it
    import b
    def f(_it): return _it
    print(f(_it=b._it))
    print("text".join([]))
    """
    assert dead(source) == ["_it"]


@pytest.mark.parametrize(
    "use",
    [
        "-- b.py --\nfrom a import _it\n",
        "-- p/__init__.py --\nfrom a import _it\n",
        "-- b.py --\nimport a\na._it()\n",
        "-- b.py --\nimport a as x\nx._it()\n",
        "-- settings.yaml --\nhandler: a._it\n",
        "-- page.html --\n{{ _it }}\n",
        "-- pyproject.toml --\n[project.scripts]\nit = 'a:_it'\n",
        "-- b.py --\nload('a._it')\n",
        "-- setup.py --\nsetup(entry_points={'console_scripts': ['it = a:_it']})\n",
        "-- a.pyi --\ndef _it(): ...\n",
        "-- b.py --\ndef f(x):\n    # type: (a._it) -> None\n    print('it is {x._it!r} there'.format(x=x))\nf(1)\n",
        "-- tests/test_a.py --\nfrom a import _it\n",
        "-- b.py --\ndef f(o): getattr(o, '_i' + 't' + x)\n",
    ],
)
def test_other_files_keep_it_alive(dead: Dead, use: str):
    name = "_it" if "'_i'" not in use else "_item"
    use = use.replace("'_i'", "'_ite'")
    found = dead(f"-- a.py --\ndef {name}(): pass\n{use}")
    assert name not in found


@pytest.mark.parametrize(
    "source",
    [
        "def test_it(): pass\ndef pytest_configure(config): pass\nclass TestIt:\n    def test_that(self): pass\n",
        "import pytest\n@pytest.fixture\ndef shop(): pass\n",
        "from app import route\n@route('/')\ndef index(): pass\n",
        "import unittest\nclass Case(unittest.TestCase):\n    def setUp(self): pass\n    def helper(self): pass\n",
    ],
)
def test_what_frameworks_find_is_alive(dead: Dead, source: str):
    assert dead(f"-- tests/test_x.py --\n{source}") == []


@pytest.mark.parametrize(
    "source",
    [
        "import ast\nclass V(ast.NodeVisitor):\n    def visit_Name(self, node): pass\nV()\n",
        "class Base:\n    def run(self): self.step()\n    def step(self): pass\nclass Sub(Base):\n    def step(self): pass\nSub().run()\n",
        "from typing import Protocol\nclass P(Protocol):\n    def close(self): ...\nclass File:\n    def close(self): pass\ndef f(p: P): p.close()\nf(File())\n",
        "from unknown import Base\nclass Sub(Base):\n    def hook(self): pass\nSub()\n",
        "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def step(self): ...\nprint(A)\n",
        "class C:\n    def go(self, kind): return getattr(self, 'on_' + kind)()\n    def on_key(self): pass\nC().go('key')\n",
        "class C:\n    def go(self, kind): return getattr(self, f'on_{kind}')()\n    def on_key(self): pass\nC().go('key')\n",
        "class C(dict):\n    def __missing__(self, key): pass\n    def keys(self): pass\nC()\n",
        "class C(metaclass=M):\n    pass\n",
        "class C:\n    class Meta: pass\nC()\n",
        "def f():\n    def inner(): pass\n    return locals()\nf()\n",
    ],
)
def test_what_is_found_without_being_named_is_alive(dead: Dead, source: str):
    assert dead(source) == []


def test_a_method_is_used_by_classes_above_and_below(dead: Dead):
    source = """
    class Base:
        def run(self): return self._one()
        def _one(self): return 1
        def _two(self): return 2
        def _three(self): return 3
    class Sub(Base):
        def go(self): return self._two()
    class Other:
        def _three(self): return 4
        def go(self): return self._three()
    print(Sub().run(), Sub().go(), Other().go())
    """
    assert dead(source) == ["_three"]


LIBRARY = '-- pyproject.toml --\n[project]\nname = "shop"\n'


def test_public_names_are_let_be_where_nothing_says_what_the_project_is(dead: Dead):
    assert dead("-- shop.py --\ndef total(): pass\ndef _sum(): pass\n") == ["_sum"]


def test_public_names_of_a_library_are_let_be(dead: Dead):
    source = "-- shop/__init__.py --\nimport shop.basket\n-- shop/basket.py --\ndef total(): pass\ndef _sum(): pass\n"
    assert dead(LIBRARY + source) == ["_sum"]
    assert dead("-- requirements.txt --\nrequests\n" + source) == ["total", "_sum"]
    assert dead(LIBRARY + source.replace("basket", "_basket")) == ["total", "_sum"]
    assert dead(LIBRARY + "-- tests/helpers.py --\ndef helper(): pass\n") == ["helper"]


def test_docs_make_it_less_sure(all_findings: AllFindings):
    source = "-- requirements.txt --\nrequests\n-- shop.py --\ndef total(): pass\n"
    [sure] = all_findings(source)["shop.py"]
    [less] = all_findings(source + "-- README.md --\nCall total.\n")["shop.py"]
    assert sure.confidence > less.confidence > 0.6


def test_modules_that_nothing_imports(dead: Dead):
    package = (
        "-- requirements.txt --\n-- app/__init__.py --\n-- app/one.py --\nimport app.two\n-- app/two.py --\nx = 1\n"
    )
    assert dead(package) == ["app/one.py"]
    assert dead(package + "-- run.py --\nfrom app import one\n") == []
    assert dead(package + "-- tox.ini --\ncommands = python -m app.one\n") == []
    assert dead(package + "-- run.py --\nfrom importlib import import_module\nimport_module('app.' + x)\n") == []
    assert dead(package.replace("two\n-- ", "two\nif __name__ == '__main__': print(1)\n-- ")) == []
    assert dead(LIBRARY + package) == []


def removed(source: str, environment: Environment) -> str:
    snapshot = snapshot_of({"a.py": source})
    [finding] = [one for one in findings(snapshot, "a.py", environment) if one.code in CODES]
    return apply(Text.of(source), finding.fixes[0].edit.edits["a.py"]).decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "import os\n\nprint(os)\n\n\n# about it\n# more\n@property\ndef _it():\n    pass\n\n\nx = 1\n",
            "import os\n\nprint(os)\n\n\nx = 1\n",
        ),
        ("x = 1\n_it = 2  # two\ny = 3\n", "x = 1\ny = 3\n"),
        ("class C:\n    def _it(self): pass\nC()\n", "class C:\n    pass\nC()\n"),
        (
            "class C:\n    x = 1\n\n    # why\n    def _it(self):\n        pass\n\n    y = 2\nC()\n",
            "class C:\n    x = 1\n\n    y = 2\nC()\n",
        ),
        ("# about the file\ndef _it(): pass\nx = 1\n", "# about the file\nx = 1\n"),
        (
            "class C:\n    @property\n    def _it(self): pass\n    @_it.setter\n    def _it(self, v): pass\n    x = 1\nC()\n",
            "class C:\n    x = 1\nC()\n",
        ),
    ],
)
def test_the_fix_takes_the_definition_away(environment: Environment, before: str, after: str):
    assert removed(before, environment) == after


def test_a_constant_that_is_assigned_with_others_has_no_fix(environment: Environment):
    snapshot = snapshot_of({"a.py": "_it, x = 1, 2\nprint(x)\n"})
    [finding] = findings(snapshot, "a.py", environment)
    assert finding.code == "unused-constant" and not finding.fixes


def test_a_comment_silences_it(dead: Dead):
    assert dead("def _it():  # engram: ignore[unused-function]\n    pass\n") == []


def test_what_is_dead_after_edits_is_what_is_dead_from_scratch(environment: Environment):
    choices = random.Random(5)
    names = ["_a", "_b", "_c", "d"]
    paths = ["one.py", "two.py", "p/__init__.py", "p/three.py", "notes.yaml"]

    def source(path: str) -> str:
        if path.endswith(".yaml"):
            return choices.choice(["", "x: _a\n", "y: one.d\n"])
        lines: list[str] = []
        for _ in range(choices.randrange(5)):
            one, other = choices.sample(names, 2)
            lines.append(
                choices.choice(
                    [
                        f"def {one}(): return {other}()",
                        f"class {one}:\n    def {other}(self): return self.{one}",
                        f"from one import {one}",
                        "import two",
                        f"two.{one}()",
                        f"call('{one}')",
                        f"print({one})",
                    ]
                )
            )
        return "\n".join(lines) + "\n"

    files = {path: source(path) for path in paths}
    snapshot = snapshot_of(files)
    said = 0
    for _ in range(80):
        path = choices.choice(paths)
        files[path] = source(path)
        texts = {at: Text.of(text) for at, text in files.items()}
        snapshot = Snapshot.after(snapshot, {path: read_record(texts[path], language_of(path) or "text")})
        object.__setattr__(snapshot, "read", texts.get)
        scratch = snapshot_of(files)
        for at in files:
            fast, slow = (
                [one for one in findings(each, at, environment) if one.code in CODES] for each in (snapshot, scratch)
            )
            assert fast == slow
            said += len(slow)
    assert said > 20


def _mention(homes: dict[str, str], name: str, path: str) -> str:
    return f"{name}()" if homes[name] == path else f"{homes[name][0]}.{name}()"


def test_alive_is_what_can_be_reached_from_code_that_runs(environment: Environment):
    choices = random.Random(17)
    for _ in range(60):
        names = [f"_f{number}" for number in range(choices.randrange(2, 9))]
        homes = {name: choices.choice(["a.py", "b.py"]) for name in names}
        calls = {name: choices.sample(names, choices.randrange(min(3, len(names)))) for name in names}
        started = choices.sample(names, choices.randrange(2))
        files = {path: f"import {other}\n" for path, other in (("a.py", "b"), ("b.py", "a"))}

        for name in names:
            said = "; ".join(_mention(homes, other, homes[name]) for other in calls[name]) or "pass"
            files[homes[name]] += f"def {name}(): {said}\n"
        files["b.py"] += "".join(f"print({_mention(homes, name, 'b.py')})\n" for name in started)
        alive: set[str] = set()
        waiting = list(started)
        while waiting:
            name = waiting.pop()
            if name not in alive:
                alive.add(name)
                waiting.extend(calls[name])
        snapshot = snapshot_of(files)
        order = [*files]
        choices.shuffle(order)
        dead = {
            Text.of(files[path]).slice(one.span)
            for path in order
            for one in findings(snapshot, path, environment)
            if one.code == "unused-function"
        }
        assert dead == set(names) - alive, files
