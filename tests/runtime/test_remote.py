"""The engine that asks a server: against servers that answer as the real ones do, and against broken ones.

All of them are real HTTP servers on loopback; `test_transformers_serves_deepseek_v4` starts transformers' own.
"""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from string import ascii_letters
from typing import Any

import pytest
from engram_runtime import fim
from engram_runtime.engine import Engine, Request
from engram_runtime.models import default_model
from engram_runtime.remote import RemoteEngine, Timeouts
from engram_runtime.servers import RemoteError, Server
from engram_runtime.tokenizer import BEGIN, END, PAD, Tokenizer
from loopback import Asked, Connection, DropError, Handler, Loopback

TOKENIZER = Tokenizer.read(default_model() / "tokenizer.json")
PATIENT = Timeouts(connect=5, first=10, between=10)
HASTY = Timeouts(connect=5, first=0.3, between=0.3)
PREFIX, SUFFIX, MIDDLE = (
    "def area(width, height):\n    return ",
    "\n\nprint(area(2, 3))\n",
    "width * height  # größe 🙂",
)


def prompt(prefix: str = PREFIX, suffix: str = SUFFIX, header: str = "# app.py\n") -> list[int]:
    encode = TOKENIZER.encode
    return fim.prompt(TOKENIZER, encode(prefix), encode(suffix), encode(header))


def request(**changes: Any) -> Request:
    return replace(Request(prompt(), max_tokens=64), **changes)


def text(tokens: Any) -> str:
    return TOKENIZER.decode(list(tokens))


def connect(server: Loopback, timeouts: Timeouts = PATIENT, path: str = "", **options: Any) -> RemoteEngine:
    return RemoteEngine(TOKENIZER, Server(server.base + path, server.base, "secret"), timeouts=timeouts, **options)


def completion(piece: str, finish: str | None = None, log_prob: float | None = None) -> dict[str, Any]:
    told = None if log_prob is None else {"tokens": [piece], "token_logprobs": [log_prob], "text_offset": [0]}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "v4",
        "choices": [{"index": 0, "text": piece, "logprobs": told, "finish_reason": finish}],
    }


def words(answer: str) -> Iterator[str]:
    for i, word in enumerate(answer.split(" ")):
        yield word if not i else " " + word


async def stream(client: Connection, answer: str, log_prob: float | None = -0.25) -> None:
    await client.begin_events()
    for word in words(answer):
        await client.event(completion(word, log_prob=log_prob))
    await client.event(completion("", "stop"))
    await client.event({"choices": [], "usage": {"prompt_tokens": 20}})
    await client.event("[DONE]")
    await client.end_events()


# Servers as they are


async def vllm(asked: Asked, client: Connection) -> None:
    """No /infill, no suffix; counts tokens as a vocabulary with DeepSeek's tokens does."""
    if asked.path != "/v1/completions":
        await client.json({"detail": "Not Found"}, 404)
    elif asked.body.get("suffix"):
        await client.json({"error": {"message": "suffix is not currently supported", "code": 400}}, 400)
    elif asked.body["stream"]:
        await stream(client, MIDDLE)
    else:
        await client.json(completion("1", "length") | {"usage": {"prompt_tokens": 8, "completion_tokens": 1}})


async def llama(asked: Asked, client: Connection) -> None:
    """llama.cpp: its own form, pings while it thinks, everything about the request once more at the end."""
    if asked.path != "/infill":
        await client.json({"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}, 404)
        return
    last = {"content": "", "stop": True, "stop_type": "eos", "prompt": "…" * 9000, "timings": {"predicted_n": 3}}
    if not asked.body["stream"]:
        await client.json(last | {"content": "1", "stop_type": "limit", "tokens_evaluated": 90})
        return
    await client.begin_events()
    await client.chunk(b": ping\n\n")
    for word in words(MIDDLE):
        told = [{"id": 7, "token": word, "logprob": -0.5, "top_logprobs": []}]
        await client.event({"index": 0, "content": word, "stop": False, "completion_probabilities": told})
    await client.event(last)
    await client.end_events()


async def deepseek(asked: Asked, client: Connection) -> None:
    """The beta service: a key, a model and a suffix; elsewhere it knows no completions."""
    if asked.headers.get("authorization") != "Bearer secret":
        await client.json({"error": {"message": "Authentication Fails", "type": "authentication_error"}}, 401)
    elif asked.path != "/beta/completions" or not asked.body.get("model"):
        await client.json({"error": {"message": "completions api is only available when using beta api"}}, 400)
    elif asked.body["stream"]:
        await stream(client, MIDDLE)
    else:
        await client.json(completion("1", "length") | {"usage": {"prompt_tokens": 90}})


async def deaf(asked: Asked, client: Connection) -> None:
    """Takes a suffix and leaves it out of the prompt, as servers do that copied the form and not the meaning."""
    if asked.path != "/v1/completions":
        await client.json({}, 404)
    elif asked.body["stream"]:
        await stream(client, MIDDLE, None)
    else:
        tokens = 4 if asked.body.get("suffix") else 9
        await client.json(completion("1", "length") | {"usage": {"prompt_tokens": tokens}})


@pytest.mark.parametrize(
    ("handler", "options", "kind", "asked_at"),
    [
        (vllm, {}, "completions", ["/infill", "/v1/completions", "/v1/completions", "/v1/completions"]),
        (vllm, {"path": "/v1"}, "completions", ["/infill", "/v1/completions", "/v1/completions", "/v1/completions"]),
        (vllm, {"kind": "completions"}, "completions", ["/v1/completions"] * 2),
        (llama, {}, "infill", ["/infill"] * 2),
        (llama, {"path": "/v1"}, "infill", ["/infill"] * 2),
        (deepseek, {"kind": "deepseek", "model": "deepseek-v4-pro"}, "deepseek", ["/beta/completions"] * 2),
        (deepseek, {"kind": "deepseek", "model": "deepseek-v4-pro", "path": "/beta"}, "deepseek", None),
        (deaf, {}, "completions", ["/infill", "/v1/completions", "/v1/completions", "/v1/completions"]),
    ],
)
def test_it_finds_out_how_a_server_wants_to_be_asked(
    handler: Handler, options: dict[str, Any], kind: str, asked_at: list[str] | None
) -> None:
    with Loopback(handler) as server, connect(server, **options) as engine:
        prediction = engine.predict(request())
        assert text(prediction.tokens) == MIDDLE
        assert prediction.finish == "stop"
        assert engine.describe()["kind"] == kind
        assert asked_at is None or [asked.path for asked in server.asked] == asked_at
        assert all(asked.headers["authorization"] == "Bearer secret" for asked in server.asked)
        last = server.asked[-1].body
        before, after = "# app.py\n" + PREFIX, SUFFIX
        if kind == "infill":
            assert (last["input_prefix"], last["input_suffix"]) == (before, after)
        elif kind == "deepseek":
            assert (last["prompt"], last["suffix"]) == (before, after)
        else:
            assert last["prompt"] == f"<｜fim▁begin｜>{before}<｜fim▁hole｜>{after}<｜fim▁end｜>"
            assert "suffix" not in last


def test_it_is_an_engine_whose_steps_add_up_to_its_prediction() -> None:
    with Loopback(vllm) as server, connect(server) as remote:
        engine: Engine = remote
        prediction, steps = engine.predict(request()), tuple(engine.steps(request()))
        assert len(steps) == prediction.steps == len(list(words(MIDDLE)))
        assert tuple(token for step in steps for token in step.tokens) == prediction.tokens
        assert sum(prediction.log_probs) == pytest.approx(-0.25 * len(steps))
        assert engine.next_log_probs(prompt()) is None


def test_where_the_server_tells_no_probabilities_nothing_counts_as_improbable() -> None:
    with Loopback(deaf) as server, connect(server) as engine:
        assert set(engine.predict(request()).log_probs) == {0.0}


def test_a_connection_is_used_again_once_an_answer_was_read_to_its_end() -> None:
    with Loopback(vllm) as server, connect(server) as engine:
        for _ in range(3):
            engine.predict(request())
            time.sleep(0.05)
        assert server.connections == 1


def test_a_server_that_does_not_stream_is_understood() -> None:
    async def whole(_: Asked, client: Connection) -> None:
        await client.json(completion(MIDDLE, "stop"))

    with Loopback(whole) as server, connect(server, kind="completions") as engine:
        assert text(engine.predict(request()).tokens) == MIDDLE


def test_threads_that_ask_at_once_get_each_their_own_answer() -> None:
    async def echo(asked: Asked, client: Connection) -> None:
        if not asked.body["stream"]:
            await client.json(completion("1", "length"))
            return
        await client.begin_events()
        for letter in asked.body["prompt"][-20:]:
            await client.event(completion(letter))
            await asyncio.sleep(0)
        await client.event(completion("", "stop"))
        await client.end_events()

    def ask(number: int) -> tuple[str, str]:
        prefix = f"{number:020}"
        return prefix, text(engine.predict(request(prompt=prompt(prefix))).tokens)

    with Loopback(echo) as server, connect(server, kind="suffix") as engine, ThreadPoolExecutor(6) as threads:
        for expected, said in threads.map(ask, range(40)):
            assert said == expected


# Where an answer ends


def forever(*pieces: str, pause: float = 0.005) -> Handler:
    """Streams until the client leaves, and notices that it does."""

    async def handler(asked: Asked, client: Connection) -> None:
        if not asked.body["stream"]:
            await client.json(completion("1", "length"))
            return
        await client.begin_events()

        async def write() -> None:
            for i in count():
                await client.event(completion(pieces[min(i, len(pieces) - 1)]))
                await asyncio.sleep(pause)

        writing = asyncio.create_task(write())
        await client.until_gone()
        writing.cancel()
        raise ConnectionError

    return handler


def ends_line(tokens: Any) -> bool:
    return "\n" in text(tokens)


@pytest.mark.parametrize(
    ("pieces", "changes", "answer", "finish"),
    [
        (("a", "b\nc"), {"stop": ends_line}, "ab\n", "stop"),
        (("a b c d",), {"max_tokens": 2}, "a b", "length"),
        (("one", " two<｜end▁of▁sentence｜> three"), {}, "one two", "stop"),
    ],
)
def test_the_stream_is_closed_where_the_request_ends(
    pieces: tuple[str, ...], changes: dict[str, Any], answer: str, finish: str
) -> None:
    with Loopback(forever(*pieces)) as server, connect(server, kind="suffix") as engine:
        prediction = engine.predict(request(**changes))
        assert text(prediction.tokens) == answer
        assert prediction.finish == finish
        assert server.gone.wait(5)
        assert engine.describe()["problem"] == ""


def test_a_cancel_closes_the_connection_while_text_arrives() -> None:
    with Loopback(forever("a")) as server, connect(server, kind="suffix") as engine:
        enough = threading.Event()
        for number, _ in enumerate(engine.steps(request(max_tokens=10**6), enough.is_set), 1):
            if number == 3:
                enough.set()
            assert number <= 3
        assert enough.is_set()
        assert server.gone.wait(5)
        assert engine.predict(request(max_tokens=1)).finish == "length", "a cancel is nobody's failure"


def test_a_cancel_closes_the_connection_while_nothing_arrives() -> None:
    waiting = threading.Event()

    async def silent(asked: Asked, client: Connection) -> None:
        if not asked.body["stream"]:
            await client.json(completion("1", "length"))
            return
        waiting.set()
        await client.until_gone()
        raise ConnectionError

    with Loopback(silent) as server, connect(server, kind="suffix") as engine:
        prediction = engine.predict(request(), waiting.is_set)
        assert (prediction.tokens, prediction.finish) == ((), "cancelled")
        assert server.gone.wait(5)
        assert engine.describe()["problem"] == ""


def test_a_generator_that_is_dropped_closes_the_connection() -> None:
    with Loopback(forever("a")) as server, connect(server, kind="suffix") as engine:
        steps = engine.steps(request())
        next(steps)
        del steps
        assert server.gone.wait(5)


def test_closing_the_engine_ends_what_waits_and_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    with Loopback(forever("a", "")) as server:
        engine = connect(server, kind="suffix")
        steps = engine.steps(request())
        next(steps)
        threading.Timer(0.1, engine.close).start()
        with pytest.raises(RemoteError, match="closed"):
            list(steps)
        assert server.gone.wait(5)
        with pytest.raises(RemoteError, match="closed"):
            engine.probe()
    with Loopback(hangs_before_headers) as server:
        engine = connect(server)
        threading.Timer(0.1, engine.close).start()
        with pytest.raises(RemoteError, match="closed"):
            engine.probe()
        assert server.gone.wait(5)
    assert not [record for record in caplog.records if record.name.startswith("engram")]


# Servers that are broken


def after_a_good_probe(handler: Handler) -> Handler:
    async def answer(asked: Asked, client: Connection) -> None:
        if asked.body["stream"]:
            await handler(asked, client)
        else:
            await client.json(completion("1", "length"))

    return answer


def replies(*chunks: bytes, whole: bool = True) -> Handler:
    """A stream of these chunks; without `whole` it is cut off."""

    async def handler(_: Asked, client: Connection) -> None:
        await client.begin_events()
        for chunk in chunks:
            await client.chunk(chunk)
        if not whole:
            raise DropError
        await client.end_events()

    return handler


async def hangs_before_headers(_: Asked, client: Connection) -> None:
    await client.until_gone()
    raise ConnectionError


async def hangs_mid_stream(_: Asked, client: Connection) -> None:
    await client.begin_events()
    await client.event(completion("a"))
    await client.until_gone()
    raise ConnectionError


def drips(data: bytes) -> Handler:
    """Sends something that is no text, often enough for a time-out between bytes never to happen."""

    async def handler(_: Asked, client: Connection) -> None:
        await client.begin_events()
        while not client.writer.is_closing():
            await client.chunk(data)
            await asyncio.sleep(0.02)

    return handler


async def drips_bytes(_: Asked, client: Connection) -> None:
    await client.begin_events()
    for byte in b"data: " + b'{"choices": [{"text": "' + b"a" * 10_000:
        await client.chunk(bytes([byte]))
        await asyncio.sleep(0.02)


async def floods(_: Asked, client: Connection) -> None:
    await client.begin_events()
    while not client.writer.is_closing():
        await client.chunk(b": " + b"x" * 65_534 + b"\n")


def answers(status: int, *headers: str, value: Any = None) -> Handler:
    async def handler(_: Asked, client: Connection) -> None:
        await client.json(value or {"error": {"message": "secret code in a message"}}, status, *headers)

    return handler


EVENT = b'data: {"choices": [{"index": 0, "text": "a", "finish_reason": null}]}\n\n'
BROKEN: dict[str, tuple[Handler, str]] = {
    "400": (answers(400), "HTTP 400"),
    "401": (answers(401), "refuses the key"),
    "403": (answers(403), "refuses the key"),
    "429": (answers(429), "HTTP 429"),
    "500": (answers(500), "HTTP 500"),
    "503": (answers(503), "HTTP 503"),
    "204": (answers(204), "HTTP 204"),
    "redirect": (answers(307, "Location: http://127.0.0.1:9/v1/completions"), "redirects"),
    "hangs before headers": (hangs_before_headers, "too long"),
    "hangs mid-stream": (hangs_mid_stream, "too long"),
    "comments only": (drips(b": ping\n\n"), "too long"),
    "empty texts": (drips(b'data: {"choices": [{"text": ""}]}\n\n'), "too long"),
    "usage only": (drips(b'data: {"choices": []}\n\n'), "too long"),
    "a byte now and then": (drips_bytes, "too long"),
    "drops mid-stream": (replies(EVENT, whole=False), "connection broke"),
    "ends without an end": (replies(EVENT), "broke off"),
    "says nothing": (replies(), "broke off"),
    "garbage": (replies(EVENT, b"data: {nonsense\n\n"), "no JSON"),
    "no utf-8": (replies(EVENT, b'data: {"choices": [{"text": "\xff\xfe"}]}\n\n'), "no JSON"),
    "deep nonsense": (replies(b"data: " + b"[" * 100_000 + b"\n\n"), "no JSON"),
    "an error event": (replies(EVENT, b'data: {"error": {"message": "cuda"}}\n\n'), "error of its own"),
    "an error field": (replies(EVENT, b'error: {"message": "cuda"}\n\n'), "error of its own"),
    "a list": (replies(b"data: [1]\n\n"), "expected form"),
    "no choices": (replies(b"data: {}\n\n"), "expected form"),
    "choices of strings": (replies(b'data: {"choices": ["a"]}\n\n'), "expected form"),
    "choices as number": (replies(b'data: {"choices": 7}\n\n'), "expected form"),
    "text as number": (replies(b'data: {"choices": [{"text": 7}]}\n\n'), "expected form"),
    "odd log probabilities": (replies(b'data: {"choices": [{"text": "a", "logprobs": [7]}]}\n\n'), "expected form"),
    "a web page": (replies(b"<html>" * 9, b"</html>\n"), "broke off"),
    "an event without an end": (replies(*[b"data: " + b"x" * 2**20] * 2), "without an end"),
    "a flood": (floods, "more than it was asked for"),
    "json without a text": (answers(200, value={"choices": [{}]}), "broke off"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_answer_is_an_error_in_words_that_quote_nothing(what: str, caplog: pytest.LogCaptureFixture) -> None:
    handler, words = BROKEN[what]
    timeouts = HASTY if words == "too long" else PATIENT
    with Loopback(after_a_good_probe(handler)) as server, connect(server, timeouts, kind="suffix") as engine:
        engine.probe()
        with pytest.raises(RemoteError, match=words):
            engine.predict(request())
        assert len(server.asked) == 2, "an answer that failed is not asked for again, and nobody else is asked"
    said = [record.getMessage() for record in caplog.records if record.name.startswith("engram")]
    assert len(said) == 1
    assert server.base in said[0]
    assert not [secret for secret in ("secret", "width", "area", "message") if secret in said[0]]


def test_a_redirect_is_not_followed_to_wherever_it_leads() -> None:
    with Loopback(vllm) as other:
        elsewhere = answers(308, f"Location: {other.base}/v1/completions")
        for handler in (elsewhere, after_a_good_probe(elsewhere)):
            with Loopback(handler) as server, connect(server) as engine, pytest.raises(RemoteError, match="redirects"):
                engine.predict(request())
        assert other.connections == 0


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_text_survives_wherever_the_network_cuts_it(size: int) -> None:
    events = "".join(
        f'data: {{"choices": [{{"text": "{piece}", "finish_reason": null}}]}}\r\n\r\n'
        for piece in ("größe", " 🙂\u2028", "\\ud83d\\ude42", "\\u00e9")
    ).encode()
    events += b'data: {"choices": [{"text": "", "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'
    chunks = [events[i : i + size] for i in range(0, len(events), size)]
    with Loopback(after_a_good_probe(replies(*chunks))) as server, connect(server, kind="suffix") as engine:
        prediction = engine.predict(request())
        assert text(prediction.tokens) == "größe 🙂\u2028🙂é"
        assert prediction.finish == "length"


def test_names_of_special_tokens_in_a_file_are_not_taken_for_tokens() -> None:
    with Loopback(vllm) as server, connect(server) as engine:
        engine.predict(request(prompt=prompt('HOLE = "<｜fim▁hole｜>"\n', "<｜end▁of▁sentence｜>")))
        sent: str = server.asked[-1].body["prompt"]
        assert sent == (
            '<｜fim▁begin｜># app.py\nHOLE = "<|fim▁hole|>"\n<｜fim▁hole｜><|end▁of▁sentence|><｜fim▁end｜>'
        )


def test_a_plain_prompt_is_continued_without_the_form() -> None:
    with Loopback(vllm) as server, connect(server) as engine:
        assert text(engine.predict(request(prompt=TOKENIZER.encode("x = "))).tokens) == MIDDLE
        assert server.asked[-1].body["prompt"] == "x = "


def test_sampling_is_passed_on() -> None:
    with Loopback(vllm) as server, connect(server, model="v4-flash") as engine:
        engine.predict(request(temperature=0.7, top_p=0.9, seed=5, max_tokens=11))
        sent = server.asked[-1].body
        assert [sent[name] for name in ("temperature", "top_p", "seed", "max_tokens", "model")] == [
            0.7,
            0.9,
            5,
            11,
            "v4-flash",
        ]


# A server that comes and goes


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_nobody_waits_for_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    base = f"http://127.0.0.1:{unused_port()}"
    with RemoteEngine(TOKENIZER, Server(base, base), timeouts=PATIENT) as engine:
        for _ in range(50):
            with pytest.raises(RemoteError, match="no connection"):
                engine.predict(request())
        assert engine.describe()["problem"] == "no connection"
    assert len(caplog.records) == 1


def test_a_server_is_left_alone_longer_each_time_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in requests, on a clock of our own: each is due only when the rest is over."""
    clock = [1000.0]
    monkeypatch.setattr("engram_runtime.remote.time.monotonic", lambda: clock[0])
    works = threading.Event()

    async def sometimes(asked: Asked, client: Connection) -> None:
        await (vllm if works.is_set() else answers(500))(asked, client)

    with Loopback(sometimes) as server, connect(server, kind="completions") as engine:

        def ask() -> int:
            with suppress(RemoteError):
                engine.predict(request())
            while engine._health.probing:
                time.sleep(0.005)
            return len(server.asked)

        def rests(*seconds: float) -> None:
            before = ask()
            for attempts, rest in enumerate(seconds):
                clock[0] += rest - 0.01
                assert ask() == before + attempts
                clock[0] += 0.01
                assert ask() == before + attempts + 1

        rests(1, 2, 4, 8, 16, 32, 60, 60)
        works.set()
        clock[0] += 60
        ask()  # finds in the background that it answers again
        assert engine.predict(request()).tokens
        works.clear()
        rests(1, 2)


def test_a_server_that_comes_back_is_found_in_the_background_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engram_runtime.remote._FIRST_REST", 0.01)
    broken = threading.Event()

    async def sometimes(asked: Asked, client: Connection) -> None:
        await (answers(500) if broken.is_set() else vllm)(asked, client)

    with Loopback(sometimes) as server, connect(server) as engine:
        assert engine.predict(request()).tokens
        broken.set()
        for _ in range(5):
            with pytest.raises(RemoteError, match="HTTP 500"):
                engine.predict(request())
        broken.clear()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                engine.predict(request())
                break
            except RemoteError:
                time.sleep(0.02)
        assert text(engine.predict(request()).tokens) == MIDDLE
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 2
    assert "HTTP 500" in said[0]
    assert said[1].endswith(": it answers again")


def test_what_cannot_fill_in_code_is_said_kind_by_kind() -> None:
    async def chat_only(_: Asked, client: Connection) -> None:
        await client.json({"detail": "Not Found"}, 404)

    async def other_model(asked: Asked, client: Connection) -> None:
        suffix = asked.path == "/infill" or asked.body.get("suffix")
        usage = {"usage": {"prompt_tokens": 31}}  # it spells the names of the tokens
        await client.json({} if suffix else completion("1", "length") | usage, 400 if suffix else 200)

    for handler, words in (
        (chat_only, "infill: HTTP 404; suffix: HTTP 404; completions: HTTP 404"),
        (other_model, "does not know DeepSeek's fill-in-the-middle tokens"),
    ):
        with Loopback(handler) as server, connect(server) as engine, pytest.raises(RemoteError, match=words):
            engine.probe()


def test_proxies_and_other_sources_of_keys_are_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    with Loopback(vllm) as proxy, Loopback(vllm) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.base)
        with RemoteEngine(TOKENIZER, Server(server.base, server.base)) as engine:
            assert engine.predict(request()).tokens
        assert proxy.connections == 0
        assert not any("authorization" in asked.headers for asked in server.asked)


# A real server


def write_random_v4(folder: Path) -> None:
    """A checkpoint of two random layers, which prefers tokens of one ASCII letter: its answers can be compared as text."""
    import torch
    import transformers
    from small_model import byte_tokenizer

    tokenizer_file = folder.parent / "plain.json"
    tokenizer_file.write_text(byte_tokenizer().to_json(), encoding="utf-8")
    names = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file), **names)
    torch.manual_seed(5)
    model = transformers.DeepseekV4ForCausalLM(
        transformers.DeepseekV4Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            qk_rope_head_dim=16,
            q_lora_rank=16,
            o_groups=1,
            o_lora_rank=16,
            n_routed_experts=4,
            num_experts_per_tok=2,
            n_shared_experts=1,
            moe_intermediate_size=16,
            sliding_window=64,
            index_n_heads=2,
            index_head_dim=32,
            index_topk=512,
            layer_types=["sliding_attention", "compressed_sparse_attention"],
            mlp_layer_types=["hash_moe", "moe"],
            max_position_embeddings=2048,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2:
                weight.copy_(torch.randn_like(weight) * weight.shape[-1] ** -0.5)
            elif "norm" not in name:
                weight.add_(torch.randn_like(weight) * 0.1)
        letters = [tokenizer.convert_tokens_to_ids(letter) for letter in ascii_letters]
        others = sorted(set(range(len(tokenizer))) - set(letters))
        model.lm_head.weight[others] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def transformers_serve(folder: Path, log: Path) -> Iterator[str]:
    port = unused_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + 180
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < until, log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.wire
def test_transformers_serves_deepseek_v4(tmp_path: Path) -> None:
    """A server of another project with a V4 network: it takes a suffix without showing it to the model, which has to be
    noticed, and is then told everything in the prompt. What arrives is what the network says."""
    import torch
    import transformers

    folder = tmp_path / "v4"
    write_random_v4(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    form = f"<｜fim▁begin｜># app.py\n{PREFIX}<｜fim▁hole｜>{SUFFIX}<｜fim▁end｜>"
    ids = theirs(form, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = model.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
    with transformers_serve(folder, tmp_path / "log") as base:
        server = Server(base, base)
        with RemoteEngine(TOKENIZER, server, timeouts=PATIENT) as engine:
            assert engine.probe() == "completions"
            whole = engine.predict(request(max_tokens=24))
            assert text(whole.tokens) == theirs.decode(expected, skip_special_tokens=True)
            assert len(set(text(whole.tokens))) > 3
            steps = engine.steps(request(max_tokens=500))
            next(steps)
            steps.close()
            assert text(engine.predict(request(max_tokens=3)).tokens) == text(whole.tokens)[:3]
        with RemoteEngine(TOKENIZER, server, kind="infill") as engine, pytest.raises(RemoteError, match="HTTP 404"):
            engine.probe()
