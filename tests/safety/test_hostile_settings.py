"""Settings, repositories, environments and rules of a stranger's project: read, and neither believed nor obeyed."""

import tomllib
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from engram_context import toml
from engram_context.checks.requirements import read_manifest
from engram_context.disk.history import History
from engram_context.disk.ignore import Ignore
from engram_context.disk.patterns import pattern_of
from engram_context.outside.environment import Environment
from engram_context.text import Text
from engram_context.trace.parsing import parse
from engram_lsp.client import where
from engram_lsp.import_order import of_ruff, settings_of
from engram_lsp.project_settings import severities
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safety.sandbox import Sandbox, command, symbols

GOOD = "import os\nimport abc\nfrom shop.prices import price\n\ncost = price('tea')\n"
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def shop(sandbox: Sandbox) -> Sandbox:
    sandbox.write("shop/__init__.py")
    sandbox.write("shop/prices.py", "def price(item):\n    return len(item)\n")
    sandbox.write("shop/till.py", GOOD)
    return sandbox


# --- everything at once, to the real server ----------------------------------------------------------------------------


@pytest.mark.wire
def test_nothing_that_a_project_says_of_itself_is_run(shop: Sandbox) -> None:
    """Hooks and programs of git, plug-ins and patterns of isort, entry points, `.pth` files, interpreters and modules
    with names that Python looks for."""
    run = f"#!/bin/sh\necho run >> {shop.executed}\n"
    for name in ("sitecustomize", "usercustomize", "conftest", "engram_lsp", "json", "isort", "evil_plugin", "setup"):
        shop.write(f"{name}.py", shop.payload)
    for kind in ("isort.profiles", "isort.formatters", "isort.sort_function", "pytest11", "console_scripts"):
        shop.write("evil.dist-info/entry_points.txt", f"[{kind}]\nevil = evil_plugin:load\n")
    shop.write("evil.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    shop.write(
        "pyproject.toml",
        '[build-system]\nrequires = []\nbuild-backend = "evil_plugin"\nbackend-path = ["."]\n'
        '[tool.isort]\nprofile = "evil"\nformatter = "evil"\nsort_order = "evil"\nsrc_paths = ["/", "../**", "**"]\n'
        'known_first_party = ["(a+)+$", "/etc/"]\nskip_gitignore = true\nindent = "99999999999"\n',
    )
    shop.write(
        ".git/config",
        f'[core]\n\tfsmonitor = "{shop.executed}.sh"\n\tsshCommand = touch {shop.executed}\n\tpager = touch {shop.executed}\n'
        f'[filter "x"]\n\tclean = touch {shop.executed}\n[include]\n\tpath = /etc/passwd\n',
    )
    shop.write(".git/HEAD", "ref: refs/heads/main\n")
    shop.write(".git/objects/info/alternates", "/etc\n//remote/share\n/dev\n../../..\n")
    shop.write(".gitattributes", "* filter=x diff=x merge=x\n")
    programs = [shop.write(f".git/hooks/{name}", run) for name in ("post-checkout", "fsmonitor-watchman", "pre-commit")]
    site = ".venv/lib/python3.11/site-packages"
    shop.write(
        ".venv/pyvenv.cfg", f"home = {shop.project}/bin\nversion = 3.11.0\ninclude-system-site-packages = true\n"
    )
    shop.write(f"{site}/evil.pth", f"import os; os.system('touch {shop.executed}')\nimport evil_plugin\n")
    shop.write(
        f"{site}/__editable___evil_finder.py", f"{shop.payload}MAPPING = {{'evil': __import__('os').system('x')}}\n"
    )
    shop.write(f"{site}/evil/__init__.pyi", shop.payload + "def answer() -> int: ...\n")
    shop.write("requirements.txt", "-r requirements.txt\n-r ../../../../etc/passwd\n-e .\n--pre\n")
    programs += [shop.write(f".venv/bin/{name}", run) for name in ("python", "python3", "git")]
    programs += [shop.write(f"bin/{name}", run) for name in ("python", "python3", "git", "node")]
    for program in programs:
        program.chmod(0o755)
    client = shop.start(cwd=shop.project, settings={"diagnostics.scope": "workspace"})
    uri = client.open(shop.project / "shop" / "till.py")
    found = client.request("textDocument/definition", where(uri, 4, 8))
    assert [one["uri"] for one in found] == [(shop.project / "shop" / "prices.py").as_uri()]
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 5, "character": 0}}
    context = {"diagnostics": [], "only": ["source.organizeImports"]}
    client.request("textDocument/codeAction", {"textDocument": {"uri": uri}, "range": everything, "context": context})
    evil = client.open(shop.project / "evil_user.py", "import evil\nevil.answer()\n")
    client.request("textDocument/hover", where(evil, 1, 6))
    client.request("workspace/diagnostic", {"previousResultIds": []})
    command(
        client,
        "trace",
        f'Traceback (most recent call last):\n  File "{shop.project}/setup.py", line 1, in x\nValueError: x\n',
    )
    assert client.stop() == 0
    done = shop.run("check", ".", cwd=shop.project)
    assert done.returncode == 1
    assert not [event for event in shop.events() if event.name == "open" and event.first.startswith("/etc/passwd")]


# --- a manifest of any shape -------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(
        st.booleans().map(lambda value: str(value).lower()),
        st.integers(-(10**20), 10**20).map(str),
        st.sampled_from(
            ['""', '"a"', '"(a+)+$"', '"/etc/"', '"../.."', "1979-05-27", "nan", '"\\u0000"', '"x' + "*" * 50 + '"']
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        inner.map(lambda value: f"{{ a = {value}, python = {value} }}"),
    ),
    max_leaves=6,
)
TABLES = (
    "tool.engram-ls", "tool.engram-ls.severity", "project", "project.optional-dependencies", "project.scripts",
    "tool.poetry", "tool.poetry.dependencies", "tool.poetry.group.dev.dependencies", "dependency-groups", "build-system",
    "tool.isort", "tool.ruff", "tool.ruff.lint.isort", "tool.pdm.dev-dependencies", "tool.uv",
)  # fmt: skip
KEYS = (
    "name", "dependencies", "severity", "unused-import", "dev", "requires", "sections", "known_first_party", "src_paths",
    "profile", "line-length", "line_length", "indent", "lines_after_imports", "multi_line_output", "known-first-party",
    "default_section", "py_version", "force_single_line", "dev-dependencies", "dynamic", "version", "packages",
    "wrap_length", "comment_prefix", "line_ending", "force_grid_wrap", "lines_between_types",
)  # fmt: skip


@given(table=st.sampled_from(TABLES), key=st.sampled_from(KEYS), value=VALUES)
@SLOW
def test_wrong_types_in_any_table_are_nothing(tmp_path: Path, table: str, key: str, value: str) -> None:
    import isort

    source = f"[{table}]\n{key} = {value}\n"
    (tmp_path / "pyproject.toml").write_text(source, encoding="utf-8")
    assert set(severities(tmp_path).values()) <= {"error", "warning", "information", "hint", "off"}
    read_manifest("pyproject.toml", Text.of(source))
    for told in (settings_of(tmp_path), of_ruff(tmp_path)):
        # No section for a module is isort's own complaint: nothing is sorted then.
        with suppress(isort.exceptions.MissingSection):
            isort.code("import b\nimport a\n", config=isort.Config(**(told or {})))


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "setup.cfg", "setup.py", "requirements.txt", "requirements/dev.txt"]
)
@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000, "a" + ".a" * 50_000 + " = 1", "[" * 50_000, "[a]\n" * 50_000, "x = (" * 50_000,
        "[options]\ninstall_requires =\n" + "  a\n" * 50_000, "-r requirements.txt\n" * 20_000, "%(x)s" * 20_000,
        "[a]\nx = %(y)s%(y)s\ny = %(x)s%(x)s\n", "setup(" + "install_requires=[" * 10_000, "\\\n" * 50_000, "#" * 100_000,
    ],
)  # fmt: skip
def test_manifests_without_end_are_read_to_an_end(name: str, text: str, tmp_path: Path) -> None:
    read_manifest(name, Text.of(text))
    (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    severities(tmp_path)
    settings_of(tmp_path)


# --- rules, repositories, environments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 40 + "b", "a" * 250), ("**/a/" * 40 + "b", "a/" * 1_500 + "c"), ("**/*a*a/" * 20 + "b", "aaaa/" * 500 + "c"),
        ("*?" * 60 + "b", "a" * 250), ("[a-z]*" * 50 + "0", "a" * 250), ("a" * 100_000, "a"), ("*a" * 100_000, "a" * 250),
    ],
)  # fmt: skip
def test_a_pattern_is_compared_in_the_time_of_its_length(pattern: str, path: str) -> None:
    found = pattern_of(pattern)
    assert found is None or not found.matches(path, path.rpartition("/")[2], False)


def test_a_hundred_thousand_rules_are_a_table_or_too_many(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"f{number}.py").write_bytes(b"")
    (tmp_path / ".gitignore").write_text("".join(f"n{number}\n" for number in range(100_000)) + "f7.py\n!f8.py\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "kept.py").write_bytes(b"")
    (tmp_path / "sub" / ".engramignore").write_text("".join(f"*{number}x\n" for number in range(6_000)))
    walked = {path for path, _ in Ignore(tmp_path).walk(lambda path: path.endswith(".py"))}
    assert walked == {f"f{number}.py" for number in range(300) if number != 7}
    assert "more than 5,000 patterns" in (Ignore(tmp_path).why("sub/kept.py") or "")


@pytest.mark.parametrize(
    "head",
    [
        "ref: ../../../etc/passwd",
        "ref: refs/../../../etc/passwd",
        "ref: refs/heads/main",
        "a" * 40,
        "x" * 5000,
        "\0",
        "",
    ],
)
def test_a_repository_that_leads_away_or_in_circles_is_none(tmp_path: Path, head: str) -> None:
    git = tmp_path / ".git"
    (git / "objects" / "pack").mkdir(parents=True)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(head)
    (git / "refs" / "heads" / "main").write_text("ref: refs/heads/main\n")
    (git / "objects" / "info").mkdir()
    (git / "objects" / "info" / "alternates").write_text("..\n.\n/etc\n//host/share\n" * 1_000)
    index = b"\xfftOc\0\0\0\2" + (0xFFFFFFFF).to_bytes(4, "big") * 256
    (git / "objects" / "pack" / f"pack-{'a' * 40}.idx").write_bytes(index)
    (git / "objects" / "pack" / f"pack-{'a' * 40}.pack").write_bytes(b"PACK" + b"\xff" * 100)
    assert History.of(tmp_path) is None


def test_what_lies_on_another_machine_is_not_asked_for(tmp_path: Path) -> None:
    """On Windows a path can name a server, and opening it tells that who asks: no file of a project leads there."""
    there = tmp_path / "there"
    (there / "pkg").mkdir(parents=True)
    site = tmp_path / "project" / ".venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    remote = f"/{there}"  # begins with two slashes
    (site / "a.pth").write_text(f"{remote}\n\\\\host\\share\n{there}\n")
    (site / "__editable___b_finder.py").write_text(f"MAPPING = {{'b': '{remote}/pkg'}}\n")
    (tmp_path / "project" / ".venv" / "pyvenv.cfg").write_text(f"home = {remote}/bin\nversion = 3.11.1\n")
    found = Environment.discover(tmp_path / "project")
    assert there in found.search
    assert not [place for place in (*found.search, *found.stdlib) if str(place).startswith(("//", "\\\\"))]
    assert found.editable == ()


# --- traces ------------------------------------------------------------------------------------------------------------

SHAPES = (
    "Traceback (most recent call last):\n", '  File "a.py", line 1, in f\n    x\n', "  + Exception Group Traceback (most recent call last):\n",
    "╭─ Traceback (most recent call last) ─╮\n", "    at a.b.c(d.java:1)\n", "goroutine 1 [running]:\n", "panic: x\n", "E   ",
    "thread 'main' panicked at a.rs:1:1:\n", "a.", "(", " ", "\t", "\r", "_", "=", '"', "\x1b[31m", "\x1b[1;", "2024-01-01 00:00:00,000 ",
    "During handling of the above exception, another exception occurred:\n\n", "  | ", "a(", "/", "x = 1\n", "Caused by: a.B: c\n",
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte_of_one_shape_is_parsed(shape: str) -> None:
    """What looks at a line twice would take minutes."""
    assert len(parse(shape * ((1 << 20) // len(shape)))) <= 200


@pytest.mark.wire
def test_a_trace_of_four_megabytes_is_answered(shop: Sandbox) -> None:
    client = shop.start()
    heads = SHAPES[0] + f'  File "{shop.project}/shop/prices.py", line 2, in price\n' * 2_000 + "TypeError: x\n"
    found = command(client, "trace", (heads + SHAPES[2] * 40_000 + SHAPES[3] * 20_000)[: 4 << 20], timeout=60)
    assert found["traces"][0]["error"] == "TypeError"
    assert symbols(client, "price") == ["price"]
    assert client.stop() == 0
    assert shop.log.stat().st_size < 1 << 20


# --- TOML with many dots -----------------------------------------------------------------------------------------------

DOTTED = ".".join("a" * 60)


@pytest.mark.parametrize(
    "text",
    [
        f'a = """\n{DOTTED}\n"""\n',
        f"a = '''\n{DOTTED}\n[{DOTTED}]\n'''\n",
        f'a = """\\"""\n{DOTTED}""""\nb = "[{DOTTED}"\n',
        f"# it's\n# [{DOTTED}\na = 1\n",
        f'a = [\'{{{DOTTED}\', """x\n{DOTTED}"""]\n',
    ],
)
def test_dots_in_strings_and_comments_of_toml_are_no_keys(text: str) -> None:
    assert toml.parsed(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{DOTTED} = 1",
        f"[{DOTTED}]",
        f"[[ {DOTTED}]]",
        f"x = {{ b = 1, {DOTTED} = 1 }}",
        f'x = """a"""""\n{DOTTED} = 1',
        f"x = '''a''''\n{DOTTED} = 1",
        f'x = "a\\"" # it\'s """\n{DOTTED} = 1',
        ".".join(['"a"', "'b'", " c "] * 30) + " = 1",
        "a" + ".a" * 50_000 + " = 1",
    ],
)
def test_keys_of_many_parts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="too many parts"):
        toml.parsed(text)


@pytest.mark.parametrize("text", ['"""\\', "'''a", '"""a""""', "'", '"\\', '\\"""', "#", '""', '"a".'])
def test_strings_of_toml_without_end_take_no_long_time(text: str) -> None:
    began = monotonic()
    with pytest.raises(ValueError):
        toml.parsed("=" + text * (400_000 // len(text)))
    assert monotonic() - began < 5
