"""That what a change does not reach has the findings it had: of checks that look at the whole project. Dead code is
left out, which is found anew wherever it is asked about."""

import pytest
from engram_context.checks import dead, findings
from engram_context.checks.incremental import affected
from engram_context.findings import Finding
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Text
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


class Edited:
    """A project whose files are edited, with the findings of every file, of which only the affected are found anew."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.texts = {path: Text.of(text) for path, text in parse_fixture(PROJECT).files.items()}
        self.snapshot = self._from_scratch()
        self.found = self._found(self.snapshot)

    def _record(self, path: str):
        return read_record(self.texts[path], language_of(path) or "text")

    def _from_scratch(self) -> Snapshot:
        return Snapshot.empty(dict(self.texts).get).after({path: self._record(path) for path in self.texts})

    def _found(self, snapshot: Snapshot) -> dict[str, list[Finding]]:
        return {path: self._findings(snapshot, path) for path in snapshot.records}

    def _findings(self, snapshot: Snapshot, path: str) -> list[tuple[object, ...]]:
        """Without what tells of places in other files, which move with those."""
        found = findings(snapshot, path, self.environment)
        return [(one.code, one.severity, one.span, one.message) for one in found if one.code not in DEAD]

    def write(self, path: str, text: str | None) -> frozenset[str]:
        record = None
        if text is None:
            self.texts.pop(path, None)
        else:
            self.texts[path] = Text.of(text)
            record = self._record(path)
        one = self.snapshot
        before, after = one, Snapshot(
            one.revision, one.records, dict(self.texts).get, one.modules, one.index, one.definers, one.library
        ).after({path: record})  # fmt: skip
        anew = affected(before, after, self.environment)
        kept = {at: found for at, found in self.found.items() if at in after.records and at not in anew}
        self.found = kept | {at: self._findings(after, at) for at in anew}
        self.snapshot = after
        return anew

    def check(self, steps: object) -> None:
        scratch = self._found(self._from_scratch())
        for path, found in scratch.items():
            assert self.found[path] == found, (path, steps)
        assert self.found.keys() == scratch.keys()


DEAD = frozenset(code.name for code in dead.CHECK.codes)
PATHS = tuple(parse_fixture(PROJECT).files)
edits = st.tuples(st.sampled_from(PATHS), st.sampled_from((None, "back", *CHANGES)))


@settings(max_examples=25, deadline=None)
@given(st.lists(edits, min_size=1, max_size=5))
def test_what_a_change_does_not_reach_has_the_findings_it_had(
    environment: Environment, steps: list[tuple[str, object]]
):
    project = Edited(environment)
    original = parse_fixture(PROJECT).files
    for path, change in steps:
        if change is None:
            project.write(path, None)
        elif change == "back":
            project.write(path, original[path])
        elif path in project.texts:
            assert isinstance(change, tuple)
            text = project.texts[path].data.decode()
            project.write(path, text.replace(change[0], change[1]) if change[0] else change[1] + text)
    project.check(steps)


def test_an_import_reaches_the_manifest_and_the_circle_that_it_closes(environment: Environment):
    project = Edited(environment)
    assert [code for code, *_ in project.found["requirements.txt"]] == ["unused-dependency"]
    text = project.texts["shop/base.py"].data.decode()
    anew = project.write("shop/base.py", "import tabulate\nfrom shop.taxes import Rates\n" + text)
    assert {"requirements.txt", "shop/taxes.py"} <= anew
    assert not project.found["requirements.txt"]
    assert "import-cycle" in [code for code, *_ in project.found["shop/taxes.py"]]
    project.check("")


def test_an_edit_in_a_body_reaches_nothing(environment: Environment):
    project = Edited(environment)
    text = project.texts["shop/prices.py"].data.decode()
    assert project.write("shop/prices.py", text.replace("return 4", "return 4 + 5")) == {"shop/prices.py"}
