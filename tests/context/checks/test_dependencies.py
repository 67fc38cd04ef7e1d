"""Dependencies: declared and not used, used and not declared, declared in the wrong group."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from engram_context.checks.catalogue import findings
from engram_context.checks.dependencies import declared_by, imported_by
from engram_context.checks.requirements import read_manifest
from engram_context.checks.whole import Whole
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.text import Text
from fixture import parse_fixture, snapshot_of

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]
CODES = ("unused-dependency", "undeclared-dependency", "misplaced-dependency")


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Environment]:
    """An environment that has some distributions: their files, requirements and entry points."""

    def make(**distributions: dict[str, str]) -> Environment:
        site = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
        site.mkdir(parents=True)
        (tmp_path / "env" / "pyvenv.cfg").write_text("version = 3.11.4\n")
        for name, facts in distributions.items():
            name = name.replace("_", "-")
            files = facts.get("files", f"{name}/__init__.py").split()
            for file in files:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).touch()
            info = site / f"{name.replace('-', '_')}-2.3.4.dist-info"
            info.mkdir()
            needs = "".join(f"Requires-Dist: {need}\n" for need in facts.get("needs", "").split("|") if need)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.3.4\n{needs}\nText\n")
            (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
            (info / "entry_points.txt").write_text(facts.get("points", ""))
        return Environment.discover(tmp_path, tmp_path / "env")

    return make


def ask(source: str, environment: Environment) -> list[tuple[str, str, str, str]]:
    files = parse_fixture(source).files
    snapshot = snapshot_of(files)
    return [
        (path, finding.code, finding.severity, Text.of(files[path]).slice(finding.span))
        for path in files
        for finding in findings(snapshot, path, environment)
        if finding.code in CODES
    ]


def fixed(source: str, environment: Environment, code: str) -> str:
    """The manifest after the first fix of the one finding."""
    files = parse_fixture(source).files
    snapshot = snapshot_of(files)
    [finding] = [one for path in files for one in findings(snapshot, path, environment) if one.code == code]
    [(path, edits)] = finding.fixes[0].edit.edits.items()
    return apply(Text.of(files[path]), edits).decode()


@pytest.mark.parametrize(
    ("path", "manifest"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["requests", "tabulate>=0.9"]\n'),
        ("pyproject.toml", "[project]\ndependencies = [ # why\n  'requests', # a\n  'tabulate>=0.9',\n]\n"),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\npython = "^3.11"\nrequests = {version = "2"}\ntabulate = "^0.9"\n',
        ),
        ("requirements.txt", "requests\n# for tables\ntabulate>=0.9 # really\n-r other.txt\n-e .\n"),
        ("requirements/base.in", "requests\ntabulate>=0.9\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n    requests\n    tabulate>=0.9\nzip_safe = false\n"),
        ("setup.py", "from setuptools import setup\nsetup(name='x', install_requires=['requests', 'tabulate>=0.9'])\n"),
        (
            "setup.py",
            "import setuptools\nneeds = ['requests', 'tabulate>=0.9']\nsetuptools.setup(install_requires=needs)\n",
        ),
    ],
)
def test_what_nothing_imports_is_unused_in_every_kind_of_manifest(check: Check, path: str, manifest: str):
    said = check(f"-- {path} --\n{manifest}-- shop.py --\nimport requests\n", *CODES)
    assert [(at, code) for at, code, _ in said] == [(path, "unused-dependency")]
    assert said[0][2].startswith("tabulate")


@pytest.mark.parametrize(
    ("path", "manifest", "without"),
    [
        (
            "pyproject.toml",
            '[project]\ndependencies = ["tabulate",\n  "requests"]\n',
            '[project]\ndependencies = [\n  "requests"]\n',
        ),
        (
            "pyproject.toml",
            '[project]\ndependencies = ["requests", "tabulate"]\n',
            '[project]\ndependencies = ["requests"]\n',
        ),
        ("pyproject.toml", '[project]\ndependencies = ["tabulate"]\n', "[project]\ndependencies = []\n"),
        (
            "pyproject.toml",
            "[project]\ndependencies = [\n  'requests', # a\n  'tabulate>=0.9',  # b\n]\n",
            "[project]\ndependencies = [\n  'requests', # a\n]\n",
        ),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\nrequests = "2"\ntabulate = {version = "0.9"}\n',
            '[tool.poetry.dependencies]\nrequests = "2"\n',
        ),
        ("requirements.txt", "requests\ntabulate>=0.9 # really\n", "requests\n"),
        (
            "setup.cfg",
            "[options]\ninstall_requires =\n    requests\n    tabulate\n",
            "[options]\ninstall_requires =\n    requests\n",
        ),
        (
            "setup.py",
            "from setuptools import setup\nsetup(install_requires=['requests', 'tabulate'])\n",
            "from setuptools import setup\nsetup(install_requires=['requests'])\n",
        ),
    ],
)
def test_the_fix_takes_the_requirement_out(environment: Environment, path: str, manifest: str, without: str):
    source = f"-- {path} --\n{manifest}-- shop.py --\nimport requests\n"
    assert fixed(source, environment, "unused-dependency") == without
    assert [one.name for one in read_manifest(path, Text.of(without)).requirements] in (["requests"], [])


@pytest.mark.parametrize(
    "also",
    [
        "-- a.py --\nimport tabulate.version\n",
        "-- a.py --\ndef f():\n    from tabulate import x\n",
        "-- a.py --\nload('tabulate.x')\n",
        "-- tox.ini --\ncommands = tabulate --all\n",
        "-- a.yaml --\n- tabulate\n",
        "-- tests/test_a.py --\ntry:\n    import tabulate\nexcept ImportError: pass\n",
    ],
)
def test_what_is_imported_or_named_anywhere_is_used(check: Check, also: str):
    manifest = '-- pyproject.toml --\n[project]\ndependencies = ["tabulate"]\n'
    assert check(manifest + "-- shop.py --\nimport os\n", "unused-dependency")
    assert not check(manifest + also, "unused-dependency")


@pytest.mark.parametrize("comment", ["# tabulate is nice", "# engram: ignore"])
def test_a_comment_is_no_use(check: Check, comment: str):
    found = check(f'-- pyproject.toml --\n[project]\n{comment}\ndependencies = ["tabulate"]\n', "unused-dependency")
    assert [code for _, code, _ in found] == ["unused-dependency"]


def test_a_comment_on_its_line_silences_a_requirement(check: Check):
    assert not check('-- pyproject.toml --\n[project]\ndependencies = ["tabulate"] # engram: ignore\n', *CODES)


def test_tools_plugins_stubs_and_what_a_tool_wrote_are_let_be(check: Check):
    names = "pytest-cov types-requests mypy ruff hatchling pandas-stubs gunicorn sphinx-rtd-theme"
    listed = ", ".join(f'"{name}"' for name in names.split())
    assert not check(
        f"-- pyproject.toml --\n[project]\ndependencies = [{listed}]\n[build-system]\nrequires = ['tabulate']\n", *CODES
    )
    assert not check("-- requirements.txt --\n# autogenerated by pip-compile\nsix==1\ntabulate==2\n", *CODES)
    pinned = "".join(f"package{number}==1.0\n" for number in range(20))
    assert not check(f"-- requirements.txt --\n{pinned}", *CODES)


def test_an_import_is_known_by_the_files_that_a_distribution_brings(installed: Callable[..., Environment]):
    environment = installed(
        odd_name={"files": "strange/__init__.py strange/inner.py lone.py"},
        spaced={"files": "shared/ours/__init__.py"},
        other={"files": "shared/theirs/__init__.py"},
    )
    manifest = '-- pyproject.toml --\n[project]\ndependencies = ["Odd_Name", "spaced", "other"]\n'
    assert (
        ask(manifest + "-- shop.py --\nimport lone\nimport shared.ours\nfrom shared import theirs\n", environment) == []
    )
    assert ask(manifest + "-- shop.py --\nimport strange.inner\nimport shared.ours\n", environment) == [
        ("pyproject.toml", "unused-dependency", "warning", "other")
    ]


def test_what_is_there_by_chance_is_undeclared(installed: Callable[..., Environment]):
    environment = installed(web={"needs": "wire>=1|nice; extra == 'more'"}, wire={}, nice={})
    manifest = '-- pyproject.toml --\n[project]\ndependencies = ["web"]\n-- shop.py --\nimport web\n'
    assert ask(manifest + "import wire.x, nice\n", environment) == [
        ("shop.py", "undeclared-dependency", "warning", "wire"),
        ("shop.py", "undeclared-dependency", "warning", "nice"),
    ]
    assert ask(manifest.replace('"web"', '"web[more]"') + "import nice\n", environment) == []
    assert ask(manifest + "def f():\n    import wire\n", environment)[0][2] == "information"
    for guarded in ("try:\n    import wire\nexcept ImportError: pass\n", "if TYPE_CHECKING:\n    import wire\n"):
        assert ask(manifest + "from typing import TYPE_CHECKING\n" + guarded, environment)[0][2] == "hint"
    assert ask(manifest + "-- tests/test_a.py --\nimport wire\n", environment)[0][2] == "hint"


def test_without_declared_dependencies_nothing_is_undeclared(installed: Callable[..., Environment]):
    environment = installed(wire={})
    for manifest in (
        "-- readme.md --\nhello\n",
        '-- pyproject.toml --\n[project]\ndynamic = ["dependencies"]\n',
        "-- pyproject.toml --\n[tool.black]\nline-length = 100\n",
        "-- setup.py --\nfrom setuptools import setup\nsetup(install_requires=read())\n",
        "-- pyproject.toml --\n[project\n",
        '-- environment.yml --\ndependencies: [wire]\n-- pyproject.toml --\n[project]\nname = "shop"\n',
        '-- other/pyproject.toml --\n[project]\nname = "other"\n',
    ):
        assert ask(manifest + "-- shop.py --\nimport wire\n", environment) == []
    assert ask('-- pyproject.toml --\n[project]\nname = "shop"\n-- shop.py --\nimport wire\n', environment)


def test_modules_of_the_project_and_of_the_standard_library_need_no_declaration(installed: Callable[..., Environment]):
    environment = installed(shop={}, wire={})
    source = """
    -- pyproject.toml --
    [project]
    name = "shop"
    dependencies = ["wire"]
    -- src/shop/__init__.py --
    import os.path, tomllib, shop.inner, helper
    from wire import x
    from . import inner
    -- src/shop/inner.py --
    import shop
    -- helper.py --
    """
    assert ask(source, environment) == []


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["web"]\n', '[project]\ndependencies = ["web", "wire>=2.3"]\n'),
        ("pyproject.toml", "[project]\ndependencies = []\n", '[project]\ndependencies = ["wire>=2.3"]\n'),
        (
            "pyproject.toml",
            '[project]\ndependencies = [\n    "web" # it\n]\n',
            '[project]\ndependencies = [\n    "web",\n    "wire>=2.3", # it\n]\n',
        ),
        (
            "pyproject.toml",
            '[project]\ndependencies = [\n    "web",\n]\n',
            '[project]\ndependencies = [\n    "web",\n    "wire>=2.3",\n]\n',
        ),
        ("pyproject.toml", '[project]\nname = "x"\n', '[project]\nname = "x"\ndependencies = ["wire>=2.3"]\n'),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\nweb = "^1"\n\n[tool.x]\n',
            '[tool.poetry.dependencies]\nweb = "^1"\nwire = ">=2.3"\n\n[tool.x]\n',
        ),
        ("requirements.txt", "web\n# end\n", "web\nwire>=2.3\n# end\n"),
        (
            "setup.cfg",
            "[options]\ninstall_requires =\n    web\n",
            "[options]\ninstall_requires =\n    web\n    wire>=2.3\n",
        ),
    ],
)
def test_the_fix_adds_the_requirement(installed: Callable[..., Environment], path: str, before: str, after: str):
    environment = installed(web={}, wire={})
    source = f"-- {path} --\n{before}-- shop.py --\nimport web\nimport wire\n"
    source = source.replace("import web\n", "") if "web" not in before else source
    assert fixed(source, environment, "undeclared-dependency") == after
    names = [one.name for one in read_manifest(path, Text.of(after)).requirements]
    assert names[-1] == "wire"


def test_what_is_installed_with_the_project_may_not_need_what_only_tests_have(installed: Callable[..., Environment]):
    environment = installed(wire={}, web={})
    source = """
    -- pyproject.toml --
    [project]
    dependencies = ["web"]
    [dependency-groups]
    test = ["wire>=2"]
    -- shop/__init__.py --
    import wire, web
    -- tests/test_shop.py --
    import wire
    """
    assert ask(source, environment) == [("shop/__init__.py", "misplaced-dependency", "warning", "wire")]
    assert fixed(source, environment, "misplaced-dependency") == (
        '[project]\ndependencies = ["web", "wire>=2"]\n[dependency-groups]\ntest = []\n'
    )
    assert ask(source.replace("test = [", 'dev = [{include-group = "test"}]\n    fast = ['), environment)


def test_what_only_tests_import_may_move_to_their_group(installed: Callable[..., Environment]):
    environment = installed(wire={}, web={})
    source = """
    -- pyproject.toml --
    [project]
    dependencies = ["web", "wire"]
    [dependency-groups]
    test = []
    -- shop/__init__.py --
    import web
    -- tests/test_shop.py --
    import wire
    """
    assert ask(source, environment) == [("pyproject.toml", "misplaced-dependency", "hint", "wire")]
    assert fixed(source, environment, "misplaced-dependency") == (
        '[project]\ndependencies = ["web"]\n[dependency-groups]\ntest = ["wire"]\n'
    )


def test_extras_are_for_users(installed: Callable[..., Environment]):
    environment = installed(wire={})
    source = '-- pyproject.toml --\n[project]\noptional-dependencies = {net = ["wire"]}\n-- shop/__init__.py --\nimport wire\n'
    assert ask(source, environment) == []


@pytest.mark.parametrize("path", ["pyproject.toml", "requirements.txt", "setup.cfg", "setup.py"])
def test_garbage_is_an_empty_manifest(path: str):
    choices = random.Random(3)
    for _ in range(200):
        text = "".join(
            choices.choices(
                "[]{}=\"'\n #,.:project dependencies install_requires setup( a-b>=1 \\ü\0", k=choices.randrange(60)
            )
        )
        read_manifest(path, Text.of(text))
    assert read_manifest(path, Text.of("")).requirements == ()


def test_what_is_known_after_edits_is_what_is_known_from_scratch(environment: Environment):
    choices = random.Random(11)
    options = {
        "pyproject.toml": ['[project]\ndependencies = ["a", "b"]\n', "[project]\n", "", '[project]\nname = "c"\n'],
        "requirements.txt": ["a\nb\n", "a # via b\n", ""],
        "x.py": ["import a\n", "from a.b import c\n", "", "import b.d\n"],
        "tests/test_x.py": ["import b\n", ""],
    }
    files = {path: texts[0] for path, texts in options.items()}
    snapshot = snapshot_of(files)
    for _ in range(50):
        path = choices.choice(list(options))
        files[path] = choices.choice(options[path])
        texts = {at: Text.of(text) for at, text in files.items()}
        record = read_record(texts[path], language_of(path) or "text")
        snapshot = snapshot_of(files).after({}) if choices.random() < 0.1 else snapshot.after({path: record})
        object.__setattr__(snapshot, "read", texts.get)
        fast, slow = Whole(snapshot, environment), Whole(snapshot_of(files), environment)
        assert declared_by(fast) == declared_by(slow)
        assert imported_by(fast) == imported_by(slow)


def test_a_name_that_a_module_exports_is_its_own_and_no_use_of_a_distribution(check: Check):
    source = """
    -- pyproject.toml --
    [project]
    name = "shop"
    dependencies = ["tabulate"]
    -- shop.py --
    __all__ = ["tabulate"]
    def tabulate(rows): ...
    """
    assert check(source, *CODES) == [("pyproject.toml", "unused-dependency", "tabulate")]
