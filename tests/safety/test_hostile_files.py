"""Projects whose files are made to stop, to fill or to mislead a server: it goes on, and knows nothing from outside."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from engram_lsp.client import Client, ResponseError, where
from safety.sandbox import Sandbox, contents, labels, symbols

pytestmark = pytest.mark.wire

GOOD = "from shop.prices import price\n\ncost = price('tea')\n"
PRICES = "def price(item):\n    return len(item)\n"
BOUND = 1_500 << 20
"""Bytes that a server may take at most, whatever a project holds."""
OUTSIDE = "leaked_name_from_outside"


@pytest.fixture
def shop(sandbox: Sandbox) -> Sandbox:
    """A sandbox with a good project in it."""
    sandbox.write("shop/__init__.py")
    sandbox.write("shop/prices.py", PRICES)
    sandbox.write("shop/till.py", GOOD)
    return sandbox


def works(client: Client, sandbox: Sandbox) -> None:
    """A question about a good file is answered rightly, and the server has not grown without bound."""
    uri = client.open(sandbox.project / "shop" / "till.py")
    found = client.request("textDocument/definition", where(uri, 2, 8), 30)
    assert [one["uri"] for one in found] == [(sandbox.project / "shop" / "prices.py").as_uri()]
    assert "price" in labels(client, uri, 2, 9)
    client.close(uri)
    assert memory_of(client) < BOUND


def memory_of(client: Client) -> int:
    process = psutil.Process(client.process.pid)
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


def link(at: Path, target: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(target)


# --- what is no ordinary file ------------------------------------------------------------------------------------------

WAITED_FOR = (
    "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", ".isort.cfg", ".editorconfig", "ruff.toml", ".ruff.toml",
    "requirements.txt", "package.json", "tsconfig.json", "go.mod", "Cargo.toml", "pipe.py", "sub/.gitignore",
    "other/.engramignore", ".git/HEAD", ".git/config", ".git/packed-refs", ".venv/pyvenv.cfg",
    ".venv/lib/python3.11/site-packages/evil.pth", ".venv/lib/python3.11/site-packages/evil.egg-link",
    ".venv/lib/python3.11/site-packages/x.dist-info/top_level.txt",
    ".venv/lib/python3.11/site-packages/__editable___x_finder.py",
    ".venv/lib/python3.11/site-packages/waiting/__init__.py",
)  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_in_every_place_that_is_looked_at_are_not_waited_for(shop: Sandbox) -> None:
    for name in WAITED_FOR:
        (shop.project / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(shop.project / name)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening, contextlib.chdir(shop.project):
        listening.bind("socket.py")
        client = shop.start()
        works(client, shop)
        uri = client.open(
            shop.project / "shop" / "messy.py", "import os\nimport waiting\nimport abc\nprint(waiting.x)\n"
        )
        for kind in ("source.organizeImports", "source.fixAll"):
            everything = {"start": {"line": 0, "character": 0}, "end": {"line": 3, "character": 0}}
            client.request(
                "textDocument/codeAction",
                {"textDocument": {"uri": uri}, "range": everything, "context": {"diagnostics": [], "only": [kind]}},
            )
        client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
        client.request("workspace/diagnostic", {"previousResultIds": []})
        assert client.stop() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_lead_nowhere_outside(shop: Sandbox) -> None:
    outside = shop.folder / "outside"
    outside.mkdir()
    (outside / "private.py").write_text(f"def {OUTSIDE}(): ...\n", encoding="utf-8")
    (outside / "private.md").write_text(f"{OUTSIDE} is written here\n" * 3, encoding="utf-8")
    for name, target in (
        ("shop/file.py", outside / "private.py"),
        ("folder", outside),
        ("shop/up", shop.folder),
        ("loop", shop.project),
        ("shop/round.py", shop.project / "shop" / "round.py"),
        ("notes.md", outside / "private.md"),
        ("shop/nowhere.py", outside / "missing.py"),
        ("shop/zero.py", Path("/dev/zero")),
        ("shop/memory.py", Path("/proc/self/mem")),
    ):
        link(shop.project / name, target)
    client = shop.start()
    works(client, shop)
    uri = client.open(
        shop.project / "shop" / "other.py", "import shop.file\nfrom folder import private\nprivate.\nleak"
    )
    client.ready()
    assert symbols(client, "leaked") == []
    for line, column in ((2, 8), (3, 4)):
        assert not any("leaked" in label for label in labels(client, uri, line, column))
    for line, column in ((0, 14), (1, 22)):
        found = client.request("textDocument/definition", where(uri, line, column)) or []
        assert not [one for one in found if "outside" in one["uri"]]
    assert client.stop() == 0
    assert OUTSIDE.encode() not in contents(shop.cache)
    assert not [event for event in shop.events() if event.name == "open" and event.first.startswith(str(outside))]


@pytest.mark.skipif(sys.platform == "win32", reason="names are other ones there")
def test_names_of_files_are_only_names(shop: Sandbox) -> None:
    root = os.fsencode(shop.project)
    for name in (
        b"new\nline.py", b"esc\x1b[31m.py", "bidi\u202eyp.py".encode(), b"invalid\xff.py", b"a" * 250 + b".py", b"..py",
        b"...py", b"..\\..\\etc.py", b"%2e%2e%2fetc.py", b"-rf.py", b"$(touch x).py", b"`touch x`.py", b"a;b&c|d.py",
        b"con.py", b" .py", b"quote'\".py", b"tab\t.py", b"::error::x.py", b"[link](command:x).py", b"#.py", b"?.py",
    ):  # fmt: skip
        with Path(os.fsdecode(root + b"/" + name)).open("wb") as file:
            file.write(b"def strange_one(): ...\nundefined_thing\n")
    client = shop.start(arguments=["--verbose"])
    works(client, shop)
    found = client.request("workspace/symbol", {"query": "strange_one"})
    assert len(found) == 20  # all but the name that is no text
    for symbol in found:
        assert symbol["location"]["uri"].startswith(shop.project.as_uri() + "/")
        assert "/../" not in symbol["location"]["uri"]
        assert "\n" not in symbol["location"]["uri"]
    report = client.request("workspace/diagnostic", {"previousResultIds": []})
    assert report["items"]
    assert client.stop() == 0
    log = shop.log.read_text(encoding="utf-8")
    assert "\x1b" not in log
    assert all(line[:2] == "20" for line in log.splitlines())  # each begins with its time


# --- what is too much --------------------------------------------------------------------------------------------------


def test_files_without_end_are_left_alone(shop: Sandbox) -> None:
    """Sparse ones of 4 GB under every name that is looked at, and one line of 10 MB that is open."""
    for name in (
        "huge.py", "pyproject.toml", "setup.cfg", ".isort.cfg", "requirements.txt", "package.json", "sub/.gitignore",
        ".git/HEAD", ".git/packed-refs", ".venv/pyvenv.cfg", ".venv/lib/python3.11/site-packages/evil.pth",
    ):  # fmt: skip
        file = shop.write(name)
        os.truncate(file, 4 << 30)
    client = shop.start()
    works(client, shop)
    uri = client.open(shop.project / "line.py", "x = [" + "1, " * 3_000_000 + "]\n")
    for method in ("hover", "documentHighlight", "completion", "definition"):
        client.request(f"textDocument/{method}", where(uri, 0, 9_000_000), 30)
    for method in ("documentSymbol", "foldingRange", "documentLink", "diagnostic", "semanticTokens/full"):
        client.request(f"textDocument/{method}", {"textDocument": {"uri": uri}}, 30)
    client.change(uri, {"range": {"start": at(0, 5_000_000), "end": at(0, 5_000_003)}, "text": ""})
    works(client, shop)
    assert client.stop() == 0


def test_many_files_in_one_folder_are_read_near_the_root_first(shop: Sandbox) -> None:
    many = shop.project / "zoo"
    many.mkdir()
    for number in range(3_000):
        (many / f"f{number}.py").write_bytes(b"x = 1\n")
    client = shop.start(settings={"index.maxFiles": 500})
    works(client, shop)
    assert client.ready()["folders"][0]["files"] <= 500
    assert client.stop() == 0


def at(line: int, column: int) -> dict[str, int]:
    return {"line": line, "character": column}


# --- what is deep ------------------------------------------------------------------------------------------------------

DEEP = 30_000
NESTED: tuple[tuple[str, str, str], ...] = (
    ("parens.py", "python", "x = " + "(" * DEEP + ")" * DEEP),
    ("lists.py", "python", "x = " + "[" * DEEP),
    ("calls.py", "python", "x = a" + "(b)" * DEEP),
    ("attributes.py", "python", "x = a" + ".b" * DEEP),
    ("operators.py", "python", "x = " + "1 + " * DEEP + "1\ny = " + "-" * DEEP + "1"),
    ("strings.py", "python", "x = " + "f'{" * DEEP),
    ("defs.py", "python", "".join(" " * depth + f"def f{depth}():\n" for depth in range(700))),
    ("elifs.py", "python", "if a: pass\n" + "elif a: pass\n" * DEEP),
    ("lambdas.py", "python", "x = " + "lambda: " * DEEP + "1"),
    ("braces.js", "javascript", "{" * DEEP + "}" * DEEP),
    ("templates.js", "javascript", "x = " + "`${" * DEEP),
    ("types.ts", "typescript", "type A = " + "B<" * DEEP),
    ("tags.tsx", "typescriptreact", "x = " + "<a>" * DEEP),
    ("functions.go", "go", "package a\nvar x = " + "func(){" * DEEP),
    ("modules.rs", "rust", "mod a {" * DEEP),
    ("generics.java", "java", "class A { " + "List<" * DEEP),
    ("conditions.c", "c", "#if A\n" * DEEP),
    ("templates.cpp", "cpp", "A" + "<A" * (DEEP // 10)),
    ("objects.json", "json", '{"a":' * DEEP),
    ("tables.toml", "toml", "a = " + "[" * DEEP),
    ("text.md", "markdown", "> " * DEEP),
)


def questions(uri: str, line: int, column: int) -> Iterator[tuple[str, Any]]:
    """One of each kind that a client may ask about a document."""
    document, everything = {"textDocument": {"uri": uri}}, {"start": at(0, 0), "end": at(10_000, 0)}
    for method in ("hover", "definition", "completion", "signatureHelp", "documentHighlight", "prepareRename"):
        yield f"textDocument/{method}", where(uri, line, column)
    for method in ("documentSymbol", "foldingRange", "documentLink", "diagnostic", "semanticTokens/full", "codeLens"):
        yield f"textDocument/{method}", document
    yield "textDocument/selectionRange", {**document, "positions": [at(line, column)]}
    yield "textDocument/inlayHint", {**document, "range": everything}
    yield "textDocument/codeAction", {**document, "range": everything, "context": {"diagnostics": []}}
    yield "textDocument/references", {**where(uri, line, column), "context": {"includeDeclaration": True}}
    yield "textDocument/inlineCompletion", {**where(uri, line, column), "context": {"triggerKind": 1}}
    yield "textDocument/prepareCallHierarchy", where(uri, line, column)


def test_source_that_is_nested_without_end_is_survived_on_disk_and_in_an_editor(shop: Sandbox) -> None:
    for name, _, text in NESTED:
        shop.write(f"deep/{name}", text + "\n")
    client = shop.start(settings={"index.workers": 2}, ready=False)
    for name, language, text in NESTED:
        uri = client.open(shop.project / "deep" / name, text + "\n", language)
        asked = [client.send(method, params) for method, params in questions(uri, 0, min(len(text), 1000))]
        client.change(uri, text + "\nx\n")
        for pending in asked:
            with contextlib.suppress(ResponseError):  # refusals, and texts that changed meanwhile
                pending.result(60)
        client.close(uri)
    client.ready(60)
    works(client, shop)
    assert client.stop() == 0
