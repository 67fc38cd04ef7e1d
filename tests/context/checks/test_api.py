"""Uses that did not follow what changed since HEAD, in real repositories."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engram_context.checks.api import changes_of
from engram_context.checks.catalogue import findings
from engram_context.checks.whole import Whole
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.text import Text
from fixture import parse_fixture, snapshot_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git makes the repositories")
Ask = Callable[[str, str], list[tuple[str, str, str]]]
Findings = Callable[[str, str], dict[str, list[Finding]]]


def commit(at: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (at / path).parent.mkdir(parents=True, exist_ok=True)
        (at / path).write_text(text, encoding="utf-8", newline="")
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    outer = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = {**outer, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for arguments in (("init", "--quiet"), ("add", "--all", "."), ("commit", "--quiet", "--allow-empty", "-m", "x")):
        subprocess.run(["git", *arguments], cwd=at, env=environment, check=True, capture_output=True)


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Findings:
    """The findings, by file, after a commit of one project and a change to another."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(variable, raising=False)

    def ask(before: str, after: str) -> dict[str, list[Finding]]:
        old, new = parse_fixture(before).files, parse_fixture(after).files
        commit(tmp_path, old)
        snapshot, environment = snapshot_of({**old, **new}), Environment.discover(tmp_path)
        return {
            path: [one for one in findings(snapshot, path, environment) if one.code == "changed-signature"]
            for path in snapshot.paths
        }

    return ask


@pytest.fixture
def said(changed: Findings) -> Ask:
    def ask(before: str, after: str) -> list[tuple[str, str, str]]:
        texts = {**parse_fixture(before).files, **parse_fixture(after).files}
        return [
            (path, Text.of(texts[path]).slice(one.span), one.message)
            for path, found in changed(before, after).items()
            for one in found
        ]

    return ask


CALLERS = """
-- user.py --
import api
from api import send, send as post
send("a", "hello")
api.send("a", "hello", 2)
post("a", "hello")
send("a", text="hello")
send(*"ab")
send("a")
other.send("a", "b")
-- api.py --
"""


def test_an_argument_that_means_another_parameter_is_told(said: Ask):
    before = CALLERS + "def send(to, text, retries=3): pass\n"
    after = "-- api.py --\ndef send(to, retries=3, text=''): pass\n"
    message = "argument 2 of 'send' was 'text' and is 'retries' since the last commit: send(to, retries, text)"
    assert said(before, after) == [("user.py", name, message) for name in ("send", "send", "post")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("to, text, retries=3", "to, text, retries=3, more=1"),
        ("to, text, retries=3", "to, body, retries=3"),
        ("to, text, retries=3", "to, text, retries=5"),
        ("to, text, retries=3", "to, text"),
        ("to, text, retries=3", "to, *rest, text=1, retries=3"),
        ("to, text, retries=3", "to: str, text: str, retries: int = 3) -> None:  # (x"),
    ],
)
def test_what_means_what_it_meant_is_let_be(said: Ask, old: str, new: str):
    after = f"-- api.py --\ndef send({new}): pass\n".replace("(x): pass", "x\n    pass")
    assert said(CALLERS + f"def send({old}): pass\n", after) == []


def test_a_parameter_that_is_put_in_before_others_moves_them(said: Ask):
    before = CALLERS + "def send(to, text, retries=3): pass\n"
    found = said(before, "-- api.py --\ndef send(to, kind, text=1, retries=3): pass\n")
    assert len(found) == 3 and "argument 2 of 'send' was 'text' and is 'kind'" in found[0][2]


def test_methods_and_constructors_count(said: Ask):
    before = """
    -- api.py --
    class Box:
        def __init__(self, width, height): pass
        def put(self, what, where=0): pass
        @classmethod
        def make(cls, a, b): pass
        @staticmethod
        def join(a, b): pass
        def use(self): self.put(1, 2)
    class Chest(Box):
        def fill(self): self.put(3, 4)
    -- user.py --
    from api import Box, Chest
    box = Box(1, 2)
    box.put(1, 2)
    Box.make(1, 2)
    Box.join(1, 2)
    Chest(1, 2).put(5, 6)
    def f(unknown): unknown.put(7, 8)
    """
    after = """
    -- api.py --
    class Box:
        def __init__(self, height, width): pass
        def put(self, where=0, what=1): pass
        @classmethod
        def make(cls, b, a): pass
        @staticmethod
        def join(b, a): pass
        def use(self): self.put(1, 2)
    class Chest(Box):
        def fill(self): self.put(3, 4)
    """
    assert [(path, name) for path, name, _ in said(before, after)] == [
        ("api.py", "put"),
        ("api.py", "put"),
        ("user.py", "Box"),
        ("user.py", "put"),
        ("user.py", "make"),
        ("user.py", "join"),
        ("user.py", "put"),
    ]


def test_a_caller_that_changed_too_has_followed(said: Ask):
    before = CALLERS + "def send(to, text, retries=3): pass\n"
    after = "-- api.py --\ndef send(to, retries=3, text=''): pass\n-- user.py --\nfrom api import send\nsend('a', 3)\n"
    assert said(before, after) == []


def test_the_fix_passes_the_arguments_by_name(changed: Findings):
    source = "-- api.py --\ndef send(to, text, retries=3): pass\nsend('a', f(1, 2), 3, )\n"
    after = "-- api.py --\ndef send(to, retries, text): pass\nsend('a', f(1, 2), 3, )\n"
    [finding] = changed(source, after)["api.py"]
    text = Text.of(parse_fixture(after).files["api.py"])
    assert (
        apply(text, finding.fixes[0].edit.edits["api.py"]).decode().endswith("send('a', text=f(1, 2), retries=3, )\n")
    )
    assert [(location.path, words) for location, words in finding.related] == [
        ("api.py", "the last commit had send(to, text, retries)")
    ]
    positional = after.replace("text): pass", "text, /): pass")
    [finding] = changed(source, positional)["api.py"]
    assert not finding.fixes


def test_a_name_that_became_another_one_is_told_where_it_is_still_used(changed: Findings, said: Ask):
    before = """
    -- api.py --
    def total(prices, rate):
        found = sum(prices)
        return found * (1 + rate)
    class Box:
        def height_of(self, side):
            return self.sides[side].height
    def own(): return total([], 1)
    -- user.py --
    import api
    from api import total, Box
    print(total([1], 2), api.total([1], 2), Box().height_of(1))
    def f(unknown): return unknown.height_of(1)
    """
    after = (
        before.partition("    -- user.py")[0].replace("def total", "def amount").replace("def height_of", "def height")
    )
    found = said(before, after)
    assert [(path, name) for path, name, _ in found] == [
        ("api.py", "total"),
        ("user.py", "total"),
        ("user.py", "total"),
        ("user.py", "height_of"),
    ]
    assert {message for _, _, message in found} == {
        "'total' is 'amount' since the last commit",
        "'Box.height_of' is 'height' since the last commit",
    }
    assert [one.fixes[0].title for one in changed(before, after)["user.py"]] == [
        "Rename to 'amount' here, too",
        "Rename to 'amount' here, too",
        "Rename to 'height' here, too",
    ]


def test_values_and_attributes_that_became_others_are_told(said: Ask):
    before = """
    -- api.py --
    LIMIT = compute(10)
    class Box:
        sides = 4
        def __init__(self, lid):
            self.lid = lid
            self.kept = []
    -- user.py --
    from api import LIMIT, Box
    box = Box(LIMIT)
    print(box.lid, box.sides, box.kept)
    def f(unknown): return unknown.lid
    """
    after = before.partition("    -- user.py")[0].replace("LIMIT", "MOST").replace("self.lid", "self.cover")
    after = after.replace("        sides = 4\n", "")
    assert said(before, after) == [
        ("user.py", "LIMIT", "'LIMIT' is 'MOST' since the last commit"),
        ("user.py", "lid", "'Box.lid' is 'cover' since the last commit"),
        ("user.py", "sides", "'Box.sides' was removed from api.py since the last commit"),
    ]


def test_what_went_or_moved_is_told(said: Ask):
    before = (
        "-- api.py --\ndef total(prices): return sum(prices)\ndef other(): pass\n-- user.py --\nfrom api import total\n"
    )
    assert said(before, "-- api.py --\ndef other(): pass\n") == [
        ("user.py", "total", "'total' was removed from api.py since the last commit")
    ]
    moved = "-- api.py --\ndef other(): pass\n-- sums.py --\ndef total(prices): return sum(prices)\n"
    assert said(before, moved) == [("user.py", "total", "'total' is in sums.py since the last commit")]
    kept = "-- api.py --\nfrom sums import total\ndef other(): pass\n-- sums.py --\ndef total(prices): return sum(prices)\n"
    assert said(before, kept) == []


@pytest.mark.parametrize(
    ("statement", "repaired"),
    [
        ("from shop.prices import total", "from shop.costs import total"),
        ("from .prices import total", "from .costs import total"),
        ("from shop import prices", "from shop import costs as prices"),
        ("from . import prices as p", "from . import costs as p"),
        ("import shop.prices as p", "import shop.costs as p"),
        ("import shop.prices", None),
    ],
)
def test_a_module_that_has_another_name_is_told_where_it_is_imported(
    tmp_path: Path, environment: Environment, statement: str, repaired: str | None
):
    text = "def total(prices):\n    return sum(prices)\n\n\nLIMIT = 10\n"
    files = {"shop/__init__.py": "", "shop/prices.py": text, "shop/user.py": statement + "\n"}
    commit(tmp_path, files)
    del files["shop/prices.py"]
    files["shop/costs.py"] = text.replace("10", "20")
    files["shop/other.py"] = "import os\nprint(os.getcwd())\n"
    found = findings(snapshot_of(files), "shop/user.py", Environment.discover(tmp_path))
    [finding] = [one for one in found if one.code == "changed-signature"]
    user = Text.of(files["shop/user.py"])
    assert user.slice(finding.span) == "prices"
    assert finding.message == "module 'prices' is 'shop.costs' since the last commit"
    said = [apply(user, fix.edit.edits["shop/user.py"]).decode().strip() for fix in finding.fixes]
    assert said == ([] if repaired is None else [repaired])


def test_a_coroutine_that_nobody_waits_for_is_told(said: Ask):
    before = """
    -- api.py --
    def load(path): pass
    -- user.py --
    import asyncio
    from api import load
    def one(): load("x")
    def two(): return load("x")
    def three(): print(load("x").name)
    async def four(): await load("x")
    async def five(): await asyncio.gather(load("x"), load("y"))
    """
    message = "'load' is a coroutine since the last commit, and is not awaited here"
    found = said(before, "-- api.py --\nasync def load(path): pass\n")
    assert found == [("user.py", "load", message)] * 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@wrapped\ndef send(to, text): pass\n", "@wrapped\ndef send(text, to): pass\n"),
        ("if x:\n    def send(to, text): pass\nelse:\n    def send(to, text): pass\n", "def send(text, to): pass\n"),
        ("def send(to, text): pass\n", "def send(text, to: pass\n"),
        ("def send(to, text: pass\n", "def send(text, to): pass\n"),
    ],
)
def test_what_cannot_be_said_plainly_is_not_said(said: Ask, old: str, new: str):
    assert said(CALLERS + old, f"-- api.py --\n{new}") == []


def test_without_a_repository_there_is_nothing_to_find(tmp_path: Path):
    whole = Whole(snapshot_of({"a.py": "def f(a, b): pass\n"}), Environment.discover(tmp_path))
    assert changes_of(whole).history is None


def test_what_changed_after_edits_is_what_changed_from_scratch(tmp_path: Path):
    choices = random.Random(9)
    options = {
        path: [
            "def f(a, b): pass\ndef g(c): pass\n",
            "def f(b, a): pass\n",
            "async def f(a, b): pass\nclass C:\n    def f(self, x): pass\n",
            "class C:\n    def f(self, y, x): pass\n    def k(self, x): return [x, x, x]\ndef h(c): pass\n",
            "class C:\n    def l(self, x): return [x, x, x]\n",
            "def f(\n",
        ]
        for path in ("one.py", "two.py", "p/three.py")
    }
    files = {path: texts[0] for path, texts in options.items()}
    commit(tmp_path, files)
    environment = Environment.discover(tmp_path)
    snapshot = snapshot_of(files)
    seen = 0
    for step in range(60):
        path = choices.choice(list(options))
        files[path] = choices.choice(options[path])
        texts = {at: Text.of(text) for at, text in files.items()}
        snapshot = snapshot.after({path: read_record(texts[path], "python")})
        object.__setattr__(snapshot, "read", texts.get)
        if step % 20 == 19:
            commit(tmp_path, files)
        fast, slow = changes_of(Whole(snapshot, environment)), changes_of(Whole(snapshot_of(files), environment))
        assert (fast.changed, fast.removed) == (slow.changed, slow.removed)
        seen += len(fast.changed) + len(fast.removed)
    assert seen > 40
