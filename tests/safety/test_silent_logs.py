"""What is said of a project goes to the editor that asked: no log, no cache of secrets, no report holds a text of it."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client, ResponseError, where
from loopback import Asked, Connection, Loopback
from safety.sandbox import Sandbox, command, contents, ghost, labels, symbols
from wire_support import age

pytestmark = pytest.mark.wire

# Unique, and of a kind each: none of them may ever be logged.
TEXT, NAME, DOC, BROKEN = "canary_text_7f3a", "canary_name_7f3b", "canary_doc_7f3c", "canary_broken_7f3d"
TRACED, SETTING, SECRET, KEY = "canary_trace_7f3e", "canary_setting_7f3f", "canary_secret_7f40", "canary_key_7f41"
CANARIES = (TEXT, NAME, DOC, BROKEN, TRACED, SETTING, SECRET, KEY)

SOURCE = f'''"""{DOC}"""

def {NAME}(argument):
    value = "{TEXT}"
    return {NAME}(value) + argument.{NAME}


{NAME}(1)
'''
FAULTY = f"def {BROKEN}(:\n    {BROKEN} = = '{TEXT}'\n  {BROKEN}\n'''{TEXT}\n"
SECRETS = (".env", "server.pem", "id_rsa", "secrets.yaml", "config/credentials.json", ".npmrc", "terraform.tfstate")


@pytest.fixture
def house(sandbox: Sandbox) -> Sandbox:
    sandbox.write("app/__init__.py")
    sandbox.write("app/main.py", SOURCE)
    sandbox.write("app/broken.py", FAULTY)
    sandbox.write("notes.md", f"# {TEXT}\n\n{DOC} is written here.\n")
    # Latin letters without a cookie: a decoder's message would quote them.
    sandbox.write("app/latin.py", b"x = '\xe9 " + TEXT.encode() + b"'\n")
    sandbox.write(
        "pyproject.toml",
        f'[project]\nname = "{SETTING}"\ndependencies = ["{SETTING}>=1"]\n[tool.engram-ls.severity]\n{SETTING} = "{SETTING}"\n'
        f'unused-import = "{SETTING}"\n[tool.isort]\nsections = ["{SETTING}"]\nprofile = "{SETTING}"\nknown_{SETTING} = ["x"]\n',
    )
    for name in SECRETS:
        sandbox.write(name, f"{SECRET}_password = {KEY}\n" * 3)
    sandbox.write("app/credentials.py", f'token = "{KEY}"\n')
    age(sandbox.project)
    return sandbox


def provoke(client: Client, root: Path) -> None:
    """A session in which as much as possible goes wrong, with canaries in everything that is sent."""
    uri = client.open(root / "app" / "main.py")
    broken = client.open(root / "app" / "broken.py")
    for method in ("hover", "definition", "completion", "signatureHelp", "rename", "references", "prepareRename"):
        for line, column in ((2, 6), (10**9, 10**9), (7, 3), (0, 2**31 - 1), (-1, -5)):
            question = {
                **where(uri, line, column),
                "newName": f"{NAME} {TEXT}",
                "context": {"includeDeclaration": True},
            }
            attempt(client, f"textDocument/{method}", question)
    for params in (
        {"textDocument": TEXT},
        {"textDocument": {"uri": f"file:///{TEXT}/\0{NAME}"}, "position": {"line": TEXT, "character": NAME}},
        {"textDocument": {"uri": f"{NAME}:{TEXT}%zz"}, "position": {"line": 0, "character": 0}},
        [TEXT, {NAME: TEXT}],
        TEXT,
    ):
        for method in ("textDocument/hover", "textDocument/completion", "textDocument/codeAction", "workspace/symbol",
                       "completionItem/resolve", "workspace/executeCommand", NAME, "textDocument/diagnostic"):  # fmt: skip
            attempt(client, method, params)
    for arguments in ([TEXT], [{NAME: TEXT}], [[TEXT]], [None], [f"file:///{TEXT}"], [uri, {"line": TEXT}, NAME]):
        for name in ("why", "trace", "suggestNames", "renameTo", "report", "status", TEXT):
            attempt(client, "workspace/executeCommand", {"command": f"engram.{name}", "arguments": arguments})
    for method, params in (
        ("textDocument/didChange", {"textDocument": {"uri": uri, "version": 9}, "contentChanges": [{"text": 5, NAME: TEXT}]}),
        ("textDocument/didChange", {"textDocument": {"uri": f"file:///{NAME}", "version": 1}, "contentChanges": [{"text": TEXT}]}),
        ("textDocument/didOpen", {"textDocument": {"uri": TEXT}}),
        ("textDocument/didClose", {"textDocument": {"uri": f"file:///{NAME}.py"}}),
        ("workspace/didChangeWatchedFiles", {"changes": [{"uri": f"file:///{TEXT}\0", "type": 2}, {"uri": NAME, "type": 9}]}),
        ("workspace/didChangeConfiguration", {"settings": {TEXT: NAME}}),
        (f"$/{NAME}", {TEXT: NAME}),
        ("$/setTrace", {"value": TEXT}),
    ):  # fmt: skip
        client.notify(method, params)
    for body in (f'{{"{TEXT}": ', f'{{"jsonrpc":"2.0","id":"{NAME}","method":5}}', f'"{TEXT}"', f'[{{"x":"{NAME}"}}]'):
        client.write_raw(body.encode())
    trace = f'Traceback (most recent call last):\n  File "{root}/app/main.py", line 5, in {NAME}\n    {TRACED}\nKeyError: {TRACED}\n'
    command(client, "trace", trace)
    for _ in range(3):
        client.send("textDocument/references", {**where(uri, 2, 6), "context": {"includeDeclaration": True}}).cancel()
    client.change(uri, SOURCE + f"\nimport {NAME}.{TEXT}\n")
    for document in (uri, broken):
        for kind in ("", "source.organizeImports", "source.fixAll"):
            everything = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
            context = {"diagnostics": [], **({"only": [kind]} if kind else {})}
            attempt(
                client,
                "textDocument/codeAction",
                {"textDocument": {"uri": document}, "range": everything, "context": context},
            )
    attempt(client, "workspace/diagnostic", {"previousResultIds": []})


def attempt(client: Client, method: str, params: Any) -> None:
    with contextlib.suppress(ResponseError):
        client.request(method, params, 60)


def test_no_text_of_a_project_is_ever_logged(house: Sandbox) -> None:
    log = house.folder / "engram.log"
    if hasattr(os, "geteuid") and os.geteuid():
        (house.write("app/forbidden.py", SOURCE)).chmod(0)
    client = house.start(
        arguments=["--verbose", "--log", str(log)],
        settings={SETTING: SETTING, "completion.limit": SETTING, "index.exclude": [3, SETTING], "trace": {SETTING: 1}},
        model=True,
    )
    provoke(client, house.project)
    client.ready(60)
    assert client.request("shutdown") is None
    client.kill()
    said = log.read_text(encoding="utf-8") + house.log.read_text(encoding="utf-8")
    assert "must be" in said  # there is something to look at
    # What a setting of the user's own is called is no text of a file.
    lines = [line for line in said.splitlines() if "unknown setting" not in line]
    assert [line for line in lines if any(canary in line for canary in CANARIES)] == []


def test_secrets_are_in_no_answer_no_memory_no_report_and_no_cache(house: Sandbox) -> None:
    client = house.start(arguments=["--verbose"], model=True)
    opened = [client.open(house.project / name, language="plaintext") for name in SECRETS]
    uri = client.open(house.project / "app" / "other.py", f"{SECRET}_pass\ncanary_\n")
    client.ready(60)
    said: list[Any] = [symbols(client, "canary_secret"), symbols(client, "canary_key")]
    for document in (uri, *opened):
        said += [sorted(labels(client, document, 0, 18)), ghost(client, document, 0, 18)]
        said.append(client.request("textDocument/hover", where(document, 0, 5)))
    report = command(client, "report")
    said += [report, command(client, "status")]
    said += [command(client, "why", document) for document in opened]
    assert "engram-ls" in report
    assert client.stop() == 0
    told = json.dumps(said)
    assert f"{SECRET}_password" not in told
    assert KEY not in told
    kept = contents(house.cache)
    assert SECRET.encode() not in kept
    assert KEY.encode() not in kept
    assert KEY not in house.log.read_text(encoding="utf-8")
    # The report says nothing of any file.
    assert not any(canary in report for canary in CANARIES)
    assert "main.py" not in report


@pytest.mark.skipif(sys.platform == "win32", reason="the user's configuration folder cannot be another one there")
def test_a_remote_model_is_never_shown_a_secret(house: Sandbox) -> None:
    async def answers(asked: Asked, client: Connection) -> None:
        await client.json({"choices": [{"text": "shown()\n", "finish_reason": "stop"}]})

    servers = house.home / ".config" / "engram-ls" / "servers"
    servers.parent.mkdir(parents=True)
    with Loopback(answers) as server:
        servers.write_text(f"{server.base}\n", encoding="utf-8")
        remote = {"remote.endpoint": server.base, "remote.kind": "suffix", "inline.debounceMs": 0}
        client = house.start(settings=remote)
        for name in (*SECRETS, "app/credentials.py"):
            ghost(client, client.open(house.project / name), 0, 8)
        # A file that may be shown is, and what stands near its words in secret ones is not.
        text = f"token = {SECRET}_password\n{KEY[:10]}"
        ghost(client, client.open(house.project / "app" / "asked.py", text), 1, 10)
        assert client.stop() == 0
        asked = [one for one in server.asked if one.body]
        assert asked
        for one in asked:
            assert KEY not in json.dumps(one.body)
            assert ".env" not in json.dumps(one.body)
