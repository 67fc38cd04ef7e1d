"""That what a change does not reach has the findings it had: of checks that look at the whole project. Dead code is
left out, which is found anew wherever it is asked about."""

from collections.abc import Iterable

import pytest
from edited import Edited
from engram_context.checks import dead
from engram_context.checks.catalogue import findings
from engram_context.outside.environment import Environment
from engram_context.snapshot import Snapshot
from fixture import parse_fixture
from hypothesis import given, settings
from hypothesis import strategies as st

PROJECT = """
    -- requirements.txt --
    requests
    tabulate
    -- setup.py --
    from setuptools import setup
    setup(name="shop", install_requires=["pyyaml"])
    -- notes.md --
    See _first and plugin.
    -- deploy.yaml --
    run: shop.jobs
    -- shop/__init__.py --
    from shop.prices import total
    -- shop/prices.py --
    from shop import taxes
    import requests
    def total(): return _first()
    def _first(): return _second()
    def _second(): return taxes.Rates()._of()
    def _third(): return _fourth()
    def _fourth(): return 4
    -- shop/taxes.py --
    from shop.base import Base
    _LIMIT = 1
    class Rates(Base):
        def _of(self): return _LIMIT
        def _other(self): return self._of()
        def step(self): return 1
    -- shop/base.py --
    class Base:
        def run(self): return self.step()
        def step(self): return 2
    -- shop/jobs.py --
    from shop.prices import total
    -- shop/_old.py --
    x = 1
    -- app.py --
    import shop
    from shop.taxes import Rates
    print(shop.total(), Rates().run())
"""
CHANGES = (
    ("_first()", "1"), ("_second()", "_third()"), ("_third", "_second"), ("_of()", "_other()"), ("_LIMIT", "2"),
    ("def step(self)", "def _step(self)"), ("class Base:", "class Base(Protocol):"), ("import requests", "import yaml"),
    ("from shop import taxes", "from shop import taxes, jobs"), ("x = 1", "from shop.prices import _fourth\n_fourth()"),
    ("", "from shop.prices import total\n"), ("", "import shop._old\n"), ("", "getattr(x, '_fo' + y)\n"),
    ("", "call('_third')\n"), ("", "import_module(x)\n"), ("", "print(__subclasses__)\n"), ("jobs", "_old"),
    ("print", "def f(): print"), ("requests", "tabulate"), ("pyyaml", "requests"), ("_first", "_fourth"),
    ("def ", "@keep\ndef "), ("Rates", "_Rates"), ("", "# nothing\n"), ("(Base)", ""), ("import ", "import tabulate, "),
    ("from shop.base import Base", "from app import Base"), ("", "def g(): return _third()\n"),
)  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment.discover(tmp_path_factory.mktemp("empty"))


DEAD = frozenset(code.name for code in dead.CHECK.codes)


class Reached(Edited):
    """The findings of every file, of which only those of the affected are found anew."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(PROJECT, environment)
        self.found = self._in(self.snapshot, self.snapshot.records)

    def _in(self, snapshot: Snapshot, paths: Iterable[str]) -> dict[str, list[tuple[object, ...]]]:
        """Without what tells of places in other files, which move with those."""
        return {
            path: [
                (one.code, one.severity, one.span, one.message)
                for one in findings(snapshot, path, self.environment)
                if one.code not in DEAD
            ]
            for path in paths
        }

    def follow(self, anew: frozenset[str]) -> None:
        kept = {path: found for path, found in self.found.items() if path in self.snapshot.records}
        self.found = kept | self._in(self.snapshot, anew)

    def check(self, steps: object) -> None:
        scratch = self.from_scratch()
        for path, found in self._in(scratch, scratch.records).items():
            assert self.found[path] == found, (path, steps)
        assert self.found.keys() == scratch.records.keys()


PATHS = tuple(parse_fixture(PROJECT).files)
edits = st.tuples(st.sampled_from(PATHS), st.sampled_from((None, "back", *CHANGES)))


@settings(max_examples=25, deadline=None)
@given(st.lists(edits, min_size=1, max_size=5))
def test_what_a_change_does_not_reach_has_the_findings_it_had(
    environment: Environment, steps: list[tuple[str, object]]
):
    project = Reached(environment)
    project.take(steps)
    project.check(steps)


def test_an_import_reaches_the_manifest_and_the_circle_that_it_closes(environment: Environment):
    project = Reached(environment)
    assert [code for code, *_ in project.found["requirements.txt"]] == ["unused-dependency"]
    text = project.source("shop/base.py")
    anew = project.write("shop/base.py", "import tabulate\nfrom shop.taxes import Rates\n" + text)
    assert {"requirements.txt", "shop/taxes.py"} <= anew
    assert not project.found["requirements.txt"]
    assert "import-cycle" in [code for code, *_ in project.found["shop/taxes.py"]]
    project.check("")


def test_an_edit_in_a_body_reaches_nothing(environment: Environment):
    project = Reached(environment)
    text = project.source("shop/prices.py")
    assert project.write("shop/prices.py", text.replace("return 4", "return 4 + 5")) == {"shop/prices.py"}
