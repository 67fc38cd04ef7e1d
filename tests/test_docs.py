"""What the documents say about commands, settings and files is what the code has.

`UPDATE_DOCS=1` rewrites the parts that are made from the code, and what commands printed under examples without "…".
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import docs_support as docs
import pytest
from docs_support import DOCS, ROOT, Block, blocks, pages, prose
from engram_context.checks.catalogue import CODES
from engram_lsp import server
from engram_lsp.cli import COMMANDS
from engram_lsp.client import Client, where
from engram_lsp.settings import table

UPDATE = bool(os.environ.get("UPDATE_DOCS"))
PAGES = [page.relative_to(ROOT).as_posix() for page in pages()]
OURS = [name for name in PAGES if name == "README.md" or name.startswith("editors/")]
EXAMPLES = [
    name for name in PAGES if name.startswith("editors/docs/") and "```console" in (ROOT / name).read_text("utf-8")
]
TUTORIAL = DOCS / "tutorial.md"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --- what is made from the code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PAGES if "made by tests/test_docs.py" in read(name)])
def test_what_is_made_from_the_code_is_current(name: str) -> None:
    text, made = read(name), docs.current(read(name))
    if UPDATE:
        (ROOT / name).write_text(made, encoding="utf-8")
    assert text == made, "run UPDATE_DOCS=1 pytest tests/test_docs.py"


def test_every_part_is_shown_somewhere() -> None:
    together = "".join(map(read, PAGES))
    assert [part for part in docs.MADE if f"<!-- {part}: made by" not in together] == []


@pytest.mark.parametrize("command", sorted(name for name, _ in server.COMMANDS))
def test_every_command_of_the_server_has_a_section(command: str) -> None:
    assert f"## `{command}`\n" in read("editors/docs/reference/commands.md")


def test_every_variable_that_is_looked_at_is_named() -> None:
    text = read("editors/docs/reference/files.md")
    assert {name for name in docs.environment_variables() if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_readme_names_every_command(command: str) -> None:
    assert re.search(rf"`(engram-ls )?{command}\b", read("README.md"))


# --- names that pages mention -----------------------------------------------------------------------------------------

SETTINGS = {name for name, *_ in table()}
# Names of files and folders, and one that the user's own configuration defines.
OTHERS = {"engram.el", "engram.lua", "engram.txt", "engram.npy", "engram.references", "engram.Keys"}


def mentioned(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text))


@pytest.mark.parametrize("name", PAGES)
def test_settings_and_commands_that_are_mentioned_exist(name: str) -> None:
    known = SETTINGS | {command for command, _ in server.COMMANDS} | set(docs.vscode_settings()) | OTHERS
    groups = {setting.rpartition(".")[0] for setting in known}
    found = mentioned(r"(?<![\w/.-])engram\.[a-zA-Z]\w*(?:\.[a-zA-Z]\w*)*", read(name))
    assert {each for each in found if each not in known | groups} == set()
    inside = {one["command"] for one in docs.vscode_manifest()["commands"]}
    files = {"engram-ls.vsix", "engram-ls.health", "engram-ls.exe", "engram-ls.severity"}
    assert mentioned(r"(?<![\w/.-])engram-ls\.[a-z]\w*", read(name)) <= inside | files


@pytest.mark.parametrize("name", OURS)
def test_commands_of_the_clients_that_are_mentioned_exist(name: str) -> None:
    text = read(name)
    assert mentioned(r":Engram ([a-z][a-z-]*)", text) <= set(docs.neovim_commands())
    assert mentioned(r"M-x (engram[\w-]*)", text) <= set(docs.emacs_commands())
    titles = {f"{one['category']}: {one['title']}" for one in docs.vscode_manifest()["commands"]}
    assert mentioned(r"\*\*(Engram: [^*]+)\*\*", text) <= titles


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith("editors/docs/") or name == "README.md"])
def test_codes_that_pages_silence_exist(name: str) -> None:
    found = mentioned(r"engram: ignore\[([\w-]+)\]", read(name)) - {"code"}
    assert found <= set(CODES)


# --- commands that pages show -----------------------------------------------------------------------------------------


def invocations(text: str) -> Iterator[list[str]]:
    """The arguments of engram-ls in blocks of code, fenced or indented."""
    shown = [block.text for block in blocks(text) if block.language in ("", "sh", "console", "text", "yaml")]
    shown += re.findall(r"(?m)^ {4}(?! )(.+)$", text)
    for line in "\n".join(shown).splitlines():
        for part in re.split(r"\s*(?:&&|\|\|?|;)\s*", line.strip().removeprefix("$ ")):
            match = re.match(r"(?:- run: |entry: |uv run |uvx )?engram-ls (.*)", re.sub(r"\s\d?>.*", "", part))
            if match:
                yield shlex.split(match[1].partition("   #")[0].partition(" # ")[0].replace("…", ""))


@pytest.mark.parametrize("name", OURS)
def test_commands_in_blocks_are_understood(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command, *arguments in invocations(read(name)):
        if command == "--version":
            continue
        try:
            docs.parser_of(command).parse_args(arguments)
        except SystemExit:
            pytest.fail(f"engram-ls {command} {' '.join(arguments)}: {capsys.readouterr().err}")


@pytest.mark.parametrize("name", OURS)
def test_commands_in_sentences_exist_with_their_options(name: str) -> None:
    for said in re.findall(r"`engram-ls ((?:-*\w)[^`]*)`", prose(read(name))):
        command, *rest = said.split()
        assert command in COMMANDS or command == "--version", said
        options = {word for word in rest if word.startswith("--")}
        known = (
            {option for action in docs.parser_of(command)._actions for option in action.option_strings}
            if options
            else set()
        )
        assert options <= known, said


def runs(name: str) -> list[tuple[Block, list[tuple[str, str]]]]:
    """The blocks of a page that do something: files to write, and commands with what they print."""
    found: list[tuple[Block, list[tuple[str, str]]]] = []
    page = blocks(read(name))
    if "<!-- in the project of the tutorial -->" in read(name):
        first = next(
            i
            for i, block in enumerate(blocks(read(TUTORIAL.relative_to(ROOT).as_posix())))
            if block.language == "console"
        )
        page = blocks(read(TUTORIAL.relative_to(ROOT).as_posix()))[:first] + page
    for block in page:
        if block.about.startswith("title="):
            found.append((block, []))
        elif block.language == "console":
            parts = re.split(r"(?m)^\$ (.*)\n", block.text)[1:]
            found.append((block, list(zip(parts[::2], parts[1::2], strict=True))))
    return found


def alike(shown: str, printed: str) -> bool:
    """Whether a command printed what the page shows: "…" stands for anything, alone on a line for any lines. How long
    something took, and how wide a table is for that, does not matter."""

    def plain(text: str) -> str:
        text = re.sub(r"\d+(?:\.\d+)? (ms|s)\b", r"N \1", text)
        return "\n".join(re.sub(r"[ \t─]+", " ", line).strip() for line in text.strip().splitlines())

    pattern = re.escape(plain(shown)).replace("\\\n", "\n")
    pattern = re.sub(r"(?m)^…$", "(?:.*\n)*?.*", pattern)
    pattern = pattern.replace("…", ".*?")
    return re.fullmatch(pattern, plain(printed)) is not None


def replaced(text: str, pairs: list[tuple[str, str]]) -> str:
    """Each first one by its second one, in the order in which they stand there."""
    at = 0
    for old, new in pairs:
        at = text.index(old, at)
        text = text[:at] + new + text[at + len(old) :]
        at += len(new)
    return text


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_print_what_pages_show(name: str, tmp_path: Path) -> None:
    root, wrong, rewritten = tmp_path / "shop", [], []
    root.mkdir()
    # Commands that ran in this process have made it keep the current folder out of Python's path.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment = {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{name: str(tmp_path / "cache") for name in ("XDG_CACHE_HOME", "LOCALAPPDATA")},
        "COLUMNS": "100", "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1", "TERM": "dumb",
    }  # fmt: skip
    for block, commands in runs(name):
        if block.about:
            file = root / block.about.removeprefix("title=")
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        for command, shown in commands:
            ran = subprocess.run(
                command, shell=True, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            printed = ran.stdout.decode().replace(str(root), "/home/you/shop")
            if not alike(shown, printed):
                wrong.append((command, shown, printed))
                lines = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
                rewritten.append((f"$ {command}\n{shown}", f"$ {command}\n{shown if '…' in shown else lines}"))
            else:
                rewritten.append((f"$ {command}\n{shown}", f"$ {command}\n{shown}"))
    if UPDATE:
        (ROOT / name).write_text(replaced(read(name), rewritten), encoding="utf-8")
    assert wrong == [], "run UPDATE_DOCS=1 pytest tests/test_docs.py, or change what is described"


def test_the_ghost_text_of_the_tutorial_comes_unasked(tmp_path: Path) -> None:
    root, name = tmp_path / "shop", "shop/orders.py"
    for block, commands in runs(TUTORIAL.relative_to(ROOT).as_posix()):
        if commands:
            break
        file = root / block.about.removeprefix("title=")
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(block.text, encoding="utf-8")
    text = (root / name).read_text(encoding="utf-8").rstrip("\n") + " "
    settings = {"index": {"cacheFolder": str(tmp_path / "cache")}}
    with Client([sys.executable, "-m", "engram_lsp.cli", "serve"], configuration=settings) as client:
        client.initialize(
            root, capabilities={"textDocument": {"inlineCompletion": {}}, "workspace": {"configuration": True}}
        )
        client.ready(60)
        uri = client.open(root / name, text)
        place = where(uri, text.count("\n"), len(text.rpartition("\n")[2]))
        answer = client.send("textDocument/inlineCompletion", {**place, "context": {"triggerKind": 2}}).result(60)
        assert [item["insertText"] for item in answer["items"]] == ["= time.perf_counter()"]


# --- what else can be wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page, broken = ROOT / name, []
    text = prose(read(name))
    targets = re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text) + re.findall(
        r"(?:src|href|srcset)=\"([^\"]+)\"", text
    )
    for target in targets:
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        known = (
            docs.anchors(file.read_text(encoding="utf-8"))
            if anchor and file.suffix == ".md" and file.is_file()
            else None
        )
        if not file.exists() or (known is not None and anchor not in known):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(page.read_text(encoding="utf-8")))
        waiting += ((page.parent / link).resolve() for link in links if "://" not in link)
    assert {page for page in DOCS.rglob("*.md") if page not in seen} == set()


@pytest.mark.parametrize("name", OURS)
def test_snippets_of_configuration_are_well_formed(name: str) -> None:
    for block in blocks(docs.without_made(read(name))):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)


def test_settings_in_snippets_exist() -> None:
    """Also where they are nested, as in `"engram": {"inline": {"automatic": false}}`."""
    for name in OURS:
        for block in blocks(read(name)):
            if block.language == "json":
                for setting in nested(json.loads(block.text)):
                    assert setting in SETTINGS or setting in docs.vscode_settings(), f"{name}: {setting}"


def nested(value: object, inside: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not inside and key.startswith("engram."):
                yield key
            elif inside or (key == "engram" and isinstance(inner, dict) and inner.keys() & GROUPS):
                dotted = f"{inside}.{key}" if inside else key
                if dotted in SETTINGS or not isinstance(inner, dict):
                    yield dotted
                else:
                    yield from nested(inner, dotted)
            else:
                yield from nested(inner)


def test_defaults_that_pages_repeat_are_right() -> None:
    defaults = {name: value for name, _, value, _ in table()}
    repeated = re.findall(r"\| `(engram\.[\w.]+)` \| ([\d,]+) \|", "".join(map(read, OURS)))
    assert {name: defaults[name] for name, _ in repeated} == {
        name: int(value.replace(",", "")) for name, value in repeated
    }
    assert repeated


GROUPS = {name.split(".")[1] for name in SETTINGS}


def test_messages_that_troubleshooting_quotes_exist() -> None:
    """Lines of blocks called `text message`; "…" stands for what differs."""
    known = docs.constants()
    for block in blocks(read("editors/docs/troubleshooting.md")):
        if block.about == "message":
            for line in block.text.splitlines():
                for part in filter(None, map(str.strip, line.split("…"))):
                    assert part in known, part


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_documents_name_exist(document: str) -> None:
    """Full paths, and names of modules that ARCHITECTURE.md lists by folder."""
    text = read(document)
    named = set(re.findall(r"`((?:lsp|context|runtime|tests|editors)/[\w./-]+\w)`", text))
    assert {name for name in named if "..." not in name and not (ROOT / name).exists()} == set()
    modules = {path.stem for package in ("lsp", "context", "runtime") for path in (ROOT / package).rglob("*.py")}
    named = set(re.findall(r"`(\w+)\.py`", text))
    assert named <= modules | {"fixture"}


@pytest.mark.parametrize("name", ["memory.svg", "demo.svg"])
def test_pictures_are_small_and_carry_nothing_that_runs(name: str) -> None:
    picture = (DOCS / name).read_text(encoding="utf-8")
    assert picture.startswith("<svg") and len(picture) < 300_000
    assert not re.search(r"<script|\son\w+=|href=\"http", picture)
