"""What a project says is shown, and does nothing where it is shown: not in a terminal, not on a CI machine, not in an
editor, and no edit leads out of the project."""

import json
import re
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from engram_context.text import Span
from engram_context.views.hover import HoverText
from engram_lsp import harmless
from engram_lsp.cli import reports
from engram_lsp.client import ResponseError, where
from engram_lsp.features.hover import contents
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from safety.sandbox import Sandbox, command

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
NAMES = (
    "::error file=x::a\nb.py",
    "esc\x1b[31m.py",
    "bidi\u202e.py",
    "[bold].py",
    "per%0Acent,:.py",
    "a\r::set-output.py",
)


@pytest.fixture
def shop(sandbox: Sandbox) -> Sandbox:
    sandbox.write("pyproject.toml")
    return sandbox


@pytest.mark.wire
@pytest.mark.skipif(sys.platform == "win32", reason="names are other ones there")
@pytest.mark.parametrize("form", ["text", "github", "sarif", "json"])
def test_names_of_files_give_no_orders_to_terminals_and_ci_machines(shop: Sandbox, form: str) -> None:
    for name in NAMES:
        shop.write(name, "print(undefined_thing)\n")
    done = shop.run("check", ".", "--format", form, cwd=shop.project)
    said = done.stdout.decode()
    assert done.returncode == 1
    if form in ("text", "github"):
        lines = said.splitlines()
        assert len(lines) == len(NAMES)
        assert not UNSEEN.search(said.replace("\n", ""))
        expected = (
            r"::error file=[^:]*,line=1,col=7,.*::'undefined_thing' is not defined"
            if form == "github"
            else r"(?!\s*::).*:1:7: error: .*"
        )
        assert [line for line in lines if not re.fullmatch(expected, line)] == []
    else:
        value = json.loads(said)
        found = value if form == "json" else value["runs"][0]["results"]
        assert len(found) == len(NAMES)
    if form == "sarif":
        uris = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in found]
        assert all(re.fullmatch(r"[\w./%~-]+", uri) for uri in uris)
    assert not UNSEEN.search(done.stderr.decode().replace("\n", ""))


@pytest.mark.wire
@pytest.mark.skipif(sys.platform == "win32", reason="names are other ones there")
def test_traces_and_reasons_give_no_orders_either(shop: Sandbox) -> None:
    file = shop.write("esc\x1b[31m.py", "def f():\n    return 1 / 0\n")
    shop.write("::warning::x.py", "")
    trace = f'Traceback (most recent call last):\n  File "{file}", line 2, in f\x1b]0;title\x07\n    return 1 / 0\nValueError: \x1b[2J ::error::\u202e\n'
    done = shop.run("trace", "-", cwd=shop.project, input=trace.encode())
    why = shop.run("why", ".", cwd=shop.project)
    for process in (done, why):
        said = (process.stdout + process.stderr).decode()
        assert not UNSEEN.search(said.replace("\n", ""))
        assert not [line for line in said.splitlines() if line.lstrip().startswith("::")]


def does(said: str) -> list[str]:
    """What a Markdown program makes of a text, but text, code and links to pages."""
    program = MarkdownIt("commonmark").enable("table")
    program.validateLink = lambda url: True
    done: list[str] = []
    for block in program.parse(said):
        for token in (block, *(block.children or ())):
            target = str(token.attrs.get("href", ""))
            if token.type == "image" or re.match(r"(?!https?:)[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
                done.append(f"{token.type} {target}")
            if token.type.startswith("html") and re.search(r"(?<!\\)<(?:img|input)\b", token.content):
                done.append(token.content)
    return done


@given(st.text(alphabet="[]()!<>:`\\ \nacommandhtp/s.#\"'\x1b", max_size=60))
def test_documentation_has_no_picture_no_tag_and_no_link_but_to_pages(text: str) -> None:
    assert does(harmless.documentation(text)) == []


PIECES = (
    *(
        "`",
        "``",
        "```",
        "~~~",
        "````",
        "```py\n",
        "\n```\n",
        "\n~~~\n",
        "\n",
        "\n\n",
        "    ",
        "  ",
        " ",
        "\t",
        "- ",
        "1. ",
    ),
    *(
        "> ",
        "# ",
        "|",
        "\n-|-\n",
        "a",
        "b c",
        "\\",
        "<",
        ">",
        "<b>",
        '<b c="',
        "<!--",
        "-->",
        "<pre>",
        "</pre>",
        "<div>",
    ),
    *("[a]", "[a]: ", "(b)", '"', "'", "(", ")", "[", "]", "<https://a.", "!", "\r\n", "===", "---"),
    *("![x](y)", "[x](command:e)", "<img src=x>", "<command:e>", "\n[x]: command:e\n", "[x]"),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_what_is_taken_for_code_is_code_to_a_markdown_program_too(text: str) -> None:
    assert does(harmless.documentation(text)) == []


@pytest.mark.parametrize(
    "text", ["```|a\n-|-\n![x](y)", "~~~ a|b\n-|-\n<command:e>", "<pre>\n```\n</pre>\n![x](y)\n```"]
)
def test_what_only_some_programs_take_for_code_is_none(text: str) -> None:
    assert does(text)
    assert does(harmless.documentation(text)) == []


def test_the_markdown_program_of_the_test_sees_what_a_text_does() -> None:
    for text in ("![x](y)", "[x](command:e)", "<img src=x>", "<command:e>", "[x]\n\n[x]: command:e"):
        assert does(text)


@pytest.mark.parametrize(
    "code",
    [
        "a `List<Object>` and ``vec![`1`]``",
        "`<input>` or `[x](y:z)`, a line\nand `<a\nb>`",
        "rust:\n\n```rust\nvec![1]\n\n<input>\n```",
        "~~~~ html\n<img>\n~~~\n```\n<a>\n~~~~\nend",
        "code:\n\n    vec![1]\n\n    <img>\n\tx<input>",
        "- an item:\n  ```\n  vec![1]\n  ```",
        "see [t](x.md), [t](x.md#a), [t](x.md \"T\"), [t](#a), [t](https://a.org/x#y 'T')",
    ],
)
def test_code_and_links_to_pages_stay(code: str) -> None:
    assert harmless.documentation(code) == code
    assert harmless.documentation(f"{code}\n\n![x](y)") == f"{code}\n\n\\!\\[x](y)"


def test_a_block_of_documentation_that_has_no_end_gets_one() -> None:
    assert harmless.documentation("a\n````py\nvec![1]\n```") == "a\n````py\nvec![1]\n```\n````"
    assert harmless.documentation("- a\n  ```\n  b![\n![x](y)") == "- a\n  ```\n  b![\n  ```\n\\!\\[x](y)"


def test_code_that_has_no_end_is_none() -> None:
    assert harmless.documentation("a ` ![x](y)") == "a ` \\!\\[x](y)"
    assert harmless.documentation("a `b\n\n![x](y)` c") == "a `b\n\n\\!\\[x](y)` c"


@pytest.mark.parametrize(
    "piece", ["`a` ", "`a\n", "[x](y ", "](", "\\", "```\n", "<a", "- ```\n", "`" * 9 + " ", '](x "']
)
def test_long_documentation_takes_no_long_time(piece: str) -> None:
    began = monotonic()
    harmless.documentation(piece * (200_000 // len(piece)))
    assert monotonic() - began < 5


def test_ends_of_lines_of_two_characters_are_ends_of_lines() -> None:
    assert harmless.visible("a\r\nb\rc\r\r\n") == "a\r\nb\\rc\\r\r\n"
    assert harmless.on_one_line("a\r\nb\rc") == "a\\r\\nb\\rc"


@pytest.mark.parametrize(
    "text",
    [
        "[x](command:evil)",
        "![x](https://t/a.png)",
        "<img src=x>",
        "<command:evil>",
        "[x]: command:evil",
        "[x]( <command:e>)",
    ],
)
def test_each_way_to_do_something_is_closed(text: str) -> None:
    assert harmless.documentation(text) != text


@pytest.mark.parametrize(
    "text", ["see [the page](https://a.org/x)", "list[int] and a[0](x)", "<https://a.org>", "a `b<c>` d"]
)
def test_documentation_as_people_write_it_stays(text: str) -> None:
    assert harmless.documentation(text) == text


def test_no_code_ends_the_block_that_it_is_shown_in() -> None:
    found = HoverText(Span(0, 1), "x = '```\n[a](command:b)\n````'", "", "[m](command:x)")
    shown = contents(found, True).value
    fence = shown.partition("python")[0]
    assert shown.count(fence) == 2
    assert shown.endswith("*\\[m\\](command:x)*")


@pytest.mark.wire
def test_no_edit_leads_out_of_the_project(shop: Sandbox) -> None:
    shop.write("shop/__init__.py")
    shop.write("shop/prices.py", "def price(item):\n    return item\n")
    shop.write("shop/till.py", "import shop.prices\n\nshop.prices.price(1)\n")
    outside = shop.folder / "outside"
    outside.mkdir()
    client = shop.start()
    uri = client.open(shop.project / "shop" / "till.py")
    for name in ("../evil", "..", "a/b", "/etc/passwd", "a\nb", "a.b", "C:\\x", "", "a\0b", "import", "\u202e"):
        for line, column in ((0, 13), (2, 13)):
            try:
                edit = client.request("textDocument/rename", {**where(uri, line, column), "newName": name})
            except ResponseError:
                continue
            assert not edit or edit_stays(edit, shop.project), name
        with pytest.raises(ResponseError):
            command(client, "renameTo", uri, {"line": 2, "character": 13}, name)
    for target in (outside / "prices.py", Path("/etc/evil.py"), shop.project / "shop" / ".." / ".." / "evil.py"):
        edit = client.request(
            "workspace/willRenameFiles",
            {"files": [{"oldUri": (shop.project / "shop/prices.py").as_uri(), "newUri": target.as_uri()}]},
        )
        assert not edit or edit_stays(edit, shop.project)
    client.kill()


def edit_stays(edit: dict, root: Path) -> bool:
    """Whether every file that an edit speaks of is in a folder."""
    uris = re.findall(r'"(?:uri|newUri|oldUri)": "([^"]*)"', json.dumps(edit)) + list(edit.get("changes", {}))
    return all(uri.startswith(root.as_uri() + "/") and ".." not in uri for uri in uris)


@pytest.mark.wire
def test_what_is_inserted_is_text_and_no_snippet_of_a_strangers(shop: Sandbox) -> None:
    shop.write("app.js", "export function $pay_$1_${2}() {}\nexport const $total = 1;\n")
    client = shop.start()
    uri = client.open(shop.project / "use.js", "import { $total } from './app';\n$t\n", "javascript")
    answer = client.request("textDocument/completion", where(uri, 1, 2))
    items = answer["items"] if isinstance(answer, dict) else answer or []
    default = (answer.get("itemDefaults") or {}).get("insertTextFormat", 1) if isinstance(answer, dict) else 1
    for item in items:
        if "$" in item["label"]:
            assert item.get("insertTextFormat", default) == 1
    client.kill()


def test_sarif_messages_hold_no_links() -> None:
    assert reports._UNLINKED.sub(r"\\[\1\\](", "see [a](https://b)") == r"see \[a\](https://b)"


def test_the_recorder_sees_what_is_done(sandbox: Sandbox) -> None:
    """What all tests of this folder rest on."""
    code = "import socket, os, subprocess, sys; open('made', 'w'); os.rename('made', 'moved'); socket.socket().bind(('127.0.0.1', 0)); subprocess.run([sys.executable, '-c', ''])"
    import os

    subprocess.run([sys.executable, "-c", code], cwd=sandbox.cwd, env={**os.environ, **sandbox.environment}, check=True)
    names = {event.name for event in sandbox.events()}
    assert names >= {"open", "os.rename", "socket.bind", "subprocess.Popen", "exec", "import"}
    assert Path("made") in sandbox.written()
