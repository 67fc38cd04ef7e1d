"""Ghost text from a server, by a real connection to one on loopback."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engram_context.text import Text
from engram_lsp.cli import main
from engram_lsp.predictor import Query
from engram_lsp.remote import Remote
from engram_lsp.settings import RemoteSettings
from engram_runtime.models import default_model
from engram_runtime.remote import RemoteEngine
from engram_runtime.servers import RemoteError, Server
from engram_runtime.tokenizer import Tokenizer
from loopback import Asked, Connection, Handler, Loopback

TOKENIZER = Tokenizer.read(default_model() / "tokenizer.json")
STORY = "def area(width, height):\n    return width * height  # größe\n"


def writes(story: str, log_prob: float | None = math.log(0.99), *, ends: bool = True) -> Handler:
    """Goes on with `story` wherever a prompt stops, three characters at a time; one that does not end just hangs."""

    async def handler(asked: Asked, client: Connection) -> None:
        if asked.path != "/v1/completions":
            await client.json({}, 404)
            return
        written = asked.body["prompt"].removeprefix("# app.py\n")
        rest = story[len(written) :] if story.startswith(written) else "!" * 9
        told = {} if log_prob is None else {"logprobs": {"token_logprobs": [log_prob]}}
        if not asked.body["stream"]:
            await client.json({"choices": [{"text": "1", "finish_reason": "length"}]})
            return
        await client.begin_events()
        for start in range(0, len(rest), 3):
            await client.event({"choices": [{"text": rest[start : start + 3], "finish_reason": None, **told}]})
        if not ends:
            await client.until_gone()
            raise ConnectionError
        await client.event({"choices": [{"text": "", "finish_reason": "stop"}]})
        await client.end_events()

    return handler


def remote(server: Loopback) -> Remote:
    return Remote(RemoteEngine(TOKENIZER, Server(server.base, server.base), kind="suffix"))


def ask(before: str, after: str = "", *, invoked: bool = False) -> Query:
    return Query("app.py", Text.of(before + after), len(before.encode()), 7, None, invoked)


@pytest.mark.parametrize("cut", [29, 30, 32, 35, 36, 39, 41, 43, 48, 55, 58])
def test_the_rest_of_the_line_is_suggested_wherever_it_is_cut(cut: int) -> None:
    """Also inside a word: the server is shown what was typed as text and spells it as it likes."""
    with Loopback(writes(STORY, ends=False)) as server:
        asked = remote(server)
        (suggestion,) = asked.inline(ask(STORY[:cut])) or ()
        start = len(STORY[:cut].encode()[: suggestion.span.start].decode())
        assert STORY[:start] + suggestion.text == STORY.rstrip()
        assert suggestion.span.end == len(STORY[:cut].encode())
        assert suggestion.revision == 7
        assert server.asked[-1].body["prompt"] == "# app.py\n" + STORY[:cut]
        assert server.gone.wait(5), "the server need not write another line"
        asked.close()


def test_what_follows_the_cursor_is_told_apart() -> None:
    with Loopback(writes(STORY)) as server:
        asked = remote(server)
        assert asked.inline(ask(STORY[:36], "\n\nprint(area(2, 3))\n", invoked=True))
        assert server.asked[-1].body["suffix"] == "\n\nprint(area(2, 3))\n"
        asked.close()


def test_a_suggestion_that_the_server_holds_improbable_is_shown_only_when_asked_for() -> None:
    with Loopback(writes(STORY, math.log(0.7))) as server:
        asked = remote(server)
        assert asked.inline(ask(STORY[:36])) == ()
        (suggestion,) = asked.inline(ask(STORY[:36], invoked=True)) or ()
        assert 0 < suggestion.probability < 0.4
        asked.close()
    with Loopback(writes(STORY, None)) as server:
        asked = remote(server)
        assert asked.inline(ask(STORY[:36])), "what tells no probabilities is not held back"
        asked.close()


def test_a_server_sees_more_of_the_file_than_the_small_model_does_but_not_all() -> None:
    before = "".join(f"value_{i} = {i}\n" for i in range(5000))
    with Loopback(writes("")) as server:
        asked = remote(server)
        asked.inline(ask(before + "x = ", "\n" + before))
        sent: dict[str, Any] = server.asked[-1].body
        assert "value_4850 =" in sent["prompt"] and len(sent["prompt"]) < 20_000
        assert "value_50 =" in sent["suffix"] and len(sent["suffix"]) < 5_000
        asked.close()


def test_a_server_that_fails_is_told_from_one_that_has_nothing_to_say() -> None:
    async def silent(_: Asked, client: Connection) -> None:
        await client.json({"choices": [{"text": "", "finish_reason": "stop"}]})

    async def broken(_: Asked, client: Connection) -> None:
        await client.json({}, 500)

    with Loopback(silent) as server:
        asked = remote(server)
        assert asked.inline(ask("x = ")) == ()
        asked.close()
    with Loopback(broken) as server:
        asked = remote(server)
        assert asked.inline(ask("x = ")) is None
        assert "HTTP 500" in asked.connect()
        assert "HTTP 500" in asked.describe()["problem"]
        asked.close()


def test_settings_name_a_server_but_only_the_users_list_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = tmp_path / "servers"
    with Loopback(writes(STORY)) as server:
        settings = RemoteSettings(endpoint=server.base + "/v1", kind="suffix", model="v4")
        with pytest.raises(RemoteError, match=r"not on your list.* add the line http://127\.0\.0\.1"):
            Remote.open(settings, TOKENIZER, servers)
        servers.write_text(f"{server.base} OUR_KEY\n", encoding="utf-8")
        monkeypatch.setenv("OUR_KEY", "k")
        asked = Remote.open(settings, TOKENIZER, servers)
        assert server.connections == 0
        assert asked.connect() == ""
        assert (server.asked[0].headers["authorization"], server.asked[0].body["model"]) == ("Bearer k", "v4")
        described = asked.describe()
        assert described["key"] == "from OUR_KEY"
        assert described["kind"] == "suffix"
        asked.close()


def test_the_library_that_asks_is_not_even_loaded_where_no_server_is_configured() -> None:
    code = "import sys, engram_lsp.server, engram_lsp.cli.serve; print({'httpx', 'httpcore', 'ssl'} & {*sys.modules})"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() in ("set()", "{'ssl'}")  # asyncio may load ssl


# On the command line


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """The exit code, and what was written to either stream, on one line."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), " ".join((said.out + said.err).split())


def test_people_can_ask_a_server_for_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    servers, file = tmp_path / "servers", tmp_path / "app.py"
    monkeypatch.setattr("engram_lsp.remote.servers_file", lambda: servers)
    file.write_text(STORY[:36] + "\n", encoding="utf-8")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "app.py").write_text(STORY[:36], encoding="utf-8")
    (tmp_path / ".engramignore").write_text("secret/\n", encoding="utf-8")

    def complete(spot: object) -> tuple[int, str]:
        asking = ("--endpoint", server.base, "--model", "none", "--cache", tmp_path / "cache", "--root", tmp_path)
        return run(capsys, "complete", spot, *asking, "--json")

    with Loopback(writes(STORY)) as server:
        code, said = complete(f"{file}:2:12")
        assert code == 2 and "is not on your list" in said
        assert server.connections == 0
        servers.write_text(server.base, encoding="utf-8")
        code, said = complete(f"{tmp_path / 'secret' / 'app.py'}:2:12")
        assert code == 2 and ".engramignore:1: secret/" in said
        assert server.connections == 0
        code, said = complete(f"{file}:2:12")
        assert code == 0 and '"text": "width * height # größe"' in said
    code, said = complete(f"{file}:2:12")
    assert "the server does not answer: no connection" in said


def test_doctor_says_which_servers_are_allowed_and_tries_one_only_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = tmp_path / "servers"
    for module in ("engram_lsp.remote", "engram_runtime.servers"):
        monkeypatch.setattr(f"{module}.servers_file", lambda: servers)
    assert f"no server is listed in {servers}" in run(capsys, "doctor", "--json")[1]
    with Loopback(writes(STORY)) as server:
        servers.write_text(f"{server.base} NO_SUCH_KEY\n", encoding="utf-8")
        said = run(capsys, "doctor", "--json")[1]
        assert f"allows {server.base}" in said and "not set here: NO_SUCH_KEY" in said
        assert server.connections == 0
        said = run(capsys, "doctor", "--json", "--endpoint", server.base)[1]
        assert f"{server.base} answers, asked as suffix, key none" in said
        assert len(server.asked) == 2
    code, said = run(capsys, "doctor", "--json", "--endpoint", server.base)
    assert code == 1 and "no connection" in said
    servers.write_text("what is this", encoding="utf-8")
    assert "line 1" in run(capsys, "doctor", "--json")[1]
