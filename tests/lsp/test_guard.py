"""A failing handler answers nothing and says so in one line."""

import asyncio
import logging

import pytest
from engram_lsp import guard
from engram_lsp.guard import WithoutArguments, guarded, refused
from pygls.exceptions import JsonRpcException


def fails(text: str) -> str:
    raise KeyError(text)


async def fails_later(text: str) -> str:
    raise KeyError(text)


def test_a_failure_is_no_answer_and_one_log_line_without_the_users_text(caplog: pytest.LogCaptureFixture) -> None:
    assert guarded("textDocument/hover", fails)("secret") is None
    assert asyncio.run(guarded("textDocument/rename", fails_later)("secret")) is None
    assert guarded("x", fails, nothing=())("secret") == ()
    assert [line.split(" at ")[0] for line in caplog.messages] == [
        "textDocument/hover failed: KeyError",
        "textDocument/rename failed: KeyError",
        "x failed: KeyError",
    ]
    assert "secret" not in caplog.text


def test_refusals_and_cancellations_pass_through() -> None:
    def refuses() -> None:
        raise refused("not here")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(JsonRpcException) as caught:
        guarded("x", refuses)()
    assert (caught.value.code, caught.value.message) == (guard.REQUEST_FAILED, "not here")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(guarded("x", cancelled)())


def test_library_messages_are_logged_without_their_arguments() -> None:
    try:
        fails("secret")
    except KeyError as error:
        record = logging.LogRecord("pygls", logging.ERROR, "f.py", 1, "bad message %s: %r", ("secret", 1), None)
        record.exc_info = (KeyError, error, error.__traceback__)
    line = WithoutArguments().format(record)
    assert line.startswith("error pygls: bad message …: … (KeyError at test_guard.py")
    assert "secret" not in line
