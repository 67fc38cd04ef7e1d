"""An `Engine` on another machine: vLLM or SGLang with the real DeepSeek-V4, llama.cpp, DeepSeek's own service.

A server speaks text, because its tokenizer is not ours. Our byte-level one loses nothing on the way to text and back,
so the border is here: a prompt's ids are read back into prefix and suffix, and what the server writes becomes ids
again. What HTTP cannot do is left out: no distribution of the next token, so no prior; drafting is the server's affair.

A server that fails is left alone for a while that doubles, and is then tried in the background: who asks meanwhile is
refused at once. Nothing here follows redirects, uses proxies or reads credentials from anywhere but `Server`.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from engram_runtime import dialects, fim
from engram_runtime.dialects import Ask, Events, Kind, Piece
from engram_runtime.engine import Finish, Prediction, Request, Step, never
from engram_runtime.servers import RemoteError, Server
from engram_runtime.tokenizer import Tokenizer

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

# How often a caller's `cancelled` is looked at while nothing arrives, in seconds.
_POLL = 0.01
# How long finding out how a server wants to be asked may take, in seconds: it may have to load its model first.
_PROBE = 30.0
# After the first failure a server is left alone this long, in seconds, then twice as long, up to the last.
_FIRST_REST, _LONGEST_REST = 1.0, 60.0
# The most that is read of one answer, in bytes for each token asked for: events tell more than the token's text.
_BYTES_A_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: to a connection, from asking to the first text, and from one text to the next."""

    connect: float = 1.0
    first: float = 3.0
    between: float = 2.0


@dataclass(slots=True)
class _Health:
    """What is known about the server. `problem` is why it is not asked now."""

    kind: Kind | None = None
    problem: str = ""
    failures: int = 0
    again: float = 0.0
    probing: bool = False
    said: bool = False  # whether the log has heard of the trouble


@dataclass(slots=True)
class _Tally:
    finish: Finish = "cancelled"
    steps: int = 0


class RemoteEngine:
    """An `Engine` that asks a server. Any thread may call it.

    `kind` None: found out by asking. Nothing is sent before the first call. Log probabilities are 0 (certain) where the
    server does not tell them, so that nothing is held back for being improbable.
    """

    gate = None  # a prior is not mixed into what a server says

    def __init__(
        self,
        tokenizer: Tokenizer,
        server: Server,
        model: str = "",
        kind: Kind | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.server = server
        self.model = model
        self.timeouts = timeouts or Timeouts()
        self._wanted: Kind | None = kind
        self._health = _Health()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    # The protocol

    def steps(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Step]:
        """One step for each piece of text that arrives; ending or cancelling it closes the connection.

        Raises RemoteError when the server cannot be asked now or fails, even after some steps: half an answer is none.
        """
        return self._steps(request, cancelled, _Tally())

    def predict(self, request: Request, cancelled: Callable[[], bool] = never) -> Prediction:
        tally = _Tally()
        steps = tuple(self._steps(request, cancelled, tally))
        tokens = tuple(token for step in steps for token in step.tokens)
        log_probs = tuple(log_prob for step in steps for log_prob in step.log_probs)
        return Prediction(
            tokens=tokens,
            log_probs=log_probs,
            finish=tally.finish,
            prefilled=0,
            reused=0,
            steps=tally.steps,
            drafted=0,
            accepted=0,
        )

    def next_log_probs(self, prompt: Sequence[int], cancelled: Callable[[], bool] = never) -> np.ndarray | None:
        """Always None: servers do not tell the probabilities of tokens that are not theirs."""
        return None

    # What is known about the server

    def probe(self, cancelled: Callable[[], bool] = never) -> Kind | None:
        """Asks the server for one token to find out how it wants to be asked, however it fared before; None when
        cancelled. Takes up to half a minute, for it may have to load its model first.

        Raises RemoteError with what is wrong.
        """
        loop = self._running()
        probing = asyncio.run_coroutine_threadsafe(self._probe(), loop)
        try:
            while True:
                try:
                    kind = probing.result(_POLL)
                    break
                except TimeoutError:
                    if cancelled():
                        probing.cancel()
                        return None
                    self._running()  # raises when the engine was closed
        except RemoteError as problem:
            self._failed(problem)
            raise
        except CancelledError:
            raise RemoteError("the engine is closed") from None
        with self._lock:
            self._health.kind, self._health.problem = kind, ""
        return kind

    def describe(self) -> dict[str, Any]:
        """Where prompts go and how, for people. Asks nothing."""
        with self._lock:
            kind, problem = self._health.kind, self._health.problem
        return {
            "provider": "remote",
            "endpoint": self.server.base,
            "model": self.model,
            "kind": kind or self._wanted or "auto",
            "key": f"from {self.server.key_variable}" if self.server.key else "none",
            "problem": problem,
        }

    def close(self) -> None:
        """Closes every connection; the engine cannot be asked again."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready(self, cancelled: Callable[[], bool]) -> Kind | None:
        """How to ask; None when cancelled. A server that rests is refused at once, and tried in the background once it
        has rested."""
        with self._lock:
            health = self._health
            if not health.problem and health.kind is not None:
                return health.kind
            if health.problem:
                if not health.probing and time.monotonic() >= health.again:
                    health.probing = True
                    threading.Thread(target=self._try_again, name="engram remote probe", daemon=True).start()
                raise RemoteError(health.problem)
        return self.probe(cancelled)

    def _try_again(self) -> None:
        try:
            self.probe()
        except RemoteError:
            pass  # `probe` took note of it
        finally:
            with self._lock:
                self._health.probing = False

    def _failed(self, problem: RemoteError) -> None:
        with self._lock:
            if self._closed:
                return
            health = self._health
            rest = min(_FIRST_REST * 2**health.failures, _LONGEST_REST)
            health.failures = min(health.failures + 1, 16)
            health.again = time.monotonic() + rest
            health.problem = str(problem)
            first, health.said = not health.said, True
        if first:
            log.warning("remote model at %s: %s; it is not asked until it answers again", self.server.origin, problem)

    def _succeeded(self) -> None:
        with self._lock:
            health = self._health
            again, health.said = health.said, False
            health.failures, health.problem = 0, ""
        if again:
            log.warning("remote model at %s: it answers again", self.server.origin)

    # Asking

    def _steps(self, request: Request, cancelled: Callable[[], bool], tally: _Tally) -> Iterator[Step]:
        if request.max_tokens < 1:
            raise ValueError(f"max_tokens is {request.max_tokens}: ask for at least one token")
        parts = fim.parts(self.tokenizer, request.prompt)
        ask = Ask(
            parts.header + parts.prefix,
            parts.suffix,
            request.max_tokens,
            request.temperature,
            request.top_p,
            request.seed,
        )
        kind = None if cancelled() else self._ready(cancelled)
        if kind is None:
            return
        generated: list[int] = []
        with closing(self._pieces(kind, ask, cancelled)) as pieces:
            for piece in pieces:
                text, ended = dialects.without_specials(piece.text)
                step, finish = self._step(request, text, piece.log_prob or 0.0, generated)
                finish = finish or ("stop" if ended else piece.finish)
                if finish:
                    tally.finish = finish
                if step is not None:
                    tally.steps += 1
                    yield step
                if finish:
                    return

    def _step(
        self, request: Request, text: str, log_prob: float, generated: list[int]
    ) -> tuple[Step | None, Finish | None]:
        """A piece of text in our tokens, which join `generated`, up to where the request ends. The first of them has
        the probability of them all."""
        new: list[int] = []
        finish: Finish | None = None
        for token in self.tokenizer.encode(text):
            if token in request.stop_tokens:
                finish = "stop"
                break
            new.append(token)
            generated.append(token)
            if request.stop is not None and request.stop(generated):
                finish = "stop"
            elif len(generated) >= request.max_tokens:
                finish = "length"
            if finish:
                break
        return (Step(tuple(new), (log_prob, *[0.0] * (len(new) - 1))) if new else None), finish

    def _pieces(self, kind: Kind, ask: Ask, cancelled: Callable[[], bool]) -> Generator[Piece]:
        """The server's answer as it arrives, the last piece with `finish`; notes how it went. The connection is closed
        when this is, or when it is cancelled."""
        arrived: SimpleQueue[Piece | RemoteError] = SimpleQueue()
        loop = self._running()
        reading = asyncio.run_coroutine_threadsafe(self._read(kind, ask, arrived), loop)
        finished = False
        try:
            while not finished:
                try:
                    item = arrived.get(timeout=_POLL)
                except Empty:
                    if cancelled():
                        return
                    self._running()  # raises when the engine was closed
                    continue
                if cancelled():
                    return
                if isinstance(item, RemoteError):
                    self._failed(item)
                    raise item
                finished = item.finish is not None
                yield item
            self._succeeded()
        except GeneratorExit:  # who asked has heard enough
            self._succeeded()
            raise
        finally:
            if not finished:
                reading.cancel()

    # On the loop's thread

    async def _read(self, kind: Kind, ask: Ask, arrived: "SimpleQueue[Piece | RemoteError]") -> None:
        """Puts the answer's pieces, ending with one that has `finish` or with an error."""
        finished = False
        most = dialects.LONGEST_EVENT + ask.max_tokens * _BYTES_A_TOKEN
        now = asyncio.get_running_loop().time
        try:
            async with (
                asyncio.timeout(self.timeouts.first) as limit,
                self._answer(kind, ask, stream=True) as response,
                aclosing(_events(response, most)) as events,
            ):
                async for event in events:
                    if finished:  # a connection whose answer was read to its end is used again
                        continue
                    piece = _LAST if event is None else dialects.piece(kind, event)
                    if piece.text or piece.finish:  # anything else is no progress
                        limit.reschedule(now() + self.timeouts.between)
                        arrived.put(piece)
                    finished = piece.finish is not None
            problem = RemoteError("it broke off in the middle of an answer")
        except TimeoutError:
            problem = RemoteError("it took too long to answer")
        except RemoteError as known:
            problem = known
        except Exception as unknown:
            problem = _explained(unknown)
        if not finished:
            arrived.put(problem)

    async def _probe(self) -> Kind:
        """The first kind that the server understands."""
        refusals: list[str] = []
        try:
            async with asyncio.timeout(_PROBE):
                for kind in dialects.kinds_for(self.server.base, self._wanted):
                    async with self._answer(kind, dialects.probes(kind), stream=False) as response:
                        answer = await _whole(response, dialects.LONGEST_EVENT)
                    try:
                        doubt = _doubt(kind, response.status_code, answer)
                        # Who names the kind knows better than a guess from counts of tokens.
                        refusal = "" if self._wanted else doubt
                    except RemoteError as problem:
                        refusal = str(problem)
                    if not refusal:
                        return kind
                    refusals.append(f"{kind}: {refusal}")
        except TimeoutError:
            raise RemoteError(f"no answer in {_PROBE:.0f} s") from None
        except RemoteError:
            raise
        except Exception as problem:
            raise _explained(problem) from problem
        asked = f"for {self.model}" if self.model else "without the name of a model"
        raise RemoteError(f"it cannot fill in code, asked {asked} ({'; '.join(refusals)})")

    @asynccontextmanager
    async def _answer(self, kind: Kind, ask: Ask, *, stream: bool) -> "AsyncGenerator[httpx.Response]":
        """The response to one request, its head read: status 200, in a probe also one that says "not in this way"."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(None, connect=self.timeouts.connect),
                follow_redirects=False,
                trust_env=False,  # a proxy is one more server, and .netrc one more source of keys
                verify=httpx.create_ssl_context(),  # which does look for SSL_CERT_FILE
            )
        headers = {"Accept-Encoding": "identity"}
        if self.server.key:
            headers["Authorization"] = f"Bearer {self.server.key}"
        url, body = dialects.url_of(kind, self.server.base), dialects.body(kind, self.model, ask, stream=stream)
        async with self._client.stream("POST", url, json=body, headers=headers) as response:
            status = response.status_code
            if status in (401, 403):
                where = f"the variable {self.server.key_variable}" if self.server.key else "your list of servers"
                raise RemoteError(f"it refuses the key (HTTP {status}): look at {where}")
            if response.is_redirect:
                raise RemoteError(f"it redirects (HTTP {status}), which is not followed: name the address it leads to")
            if status != 200 and (stream or status not in dialects.UNSUPPORTED):
                raise RemoteError(f"it answers HTTP {status}")
            yield response

    def _running(self) -> asyncio.AbstractEventLoop:
        """The loop, on a thread of its own from the first question on."""
        with self._lock:
            if self._closed:
                raise RemoteError("the engine is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._run, args=[self._loop], name="engram remote", daemon=True).start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_forever()  # until `close`
        loop.run_until_complete(self._end())
        loop.close()

    async def _end(self) -> None:
        """Cancels what is being read, so that who waits for it is told, and closes the connections."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()


_LAST = Piece("", None, "stop")


async def _events(response: "httpx.Response", most: int) -> AsyncGenerator[object]:
    """The JSON values of an answer, None for the end of a stream. A server that does not stream has a single one."""
    if "json" in response.headers.get("content-type", ""):
        yield dialects.read_json(await _whole(response, most))
        return
    events, size = Events(), 0
    async for data in response.aiter_bytes():
        size += len(data)
        if size > most:
            raise RemoteError("it sends more than it was asked for")
        for event in events.feed(data):
            yield event


async def _whole(response: "httpx.Response", most: int) -> bytes:
    data = bytearray()
    async for part in response.aiter_bytes():
        data += part
        if len(data) > most:
            raise RemoteError("it sends more than it was asked for")
    return bytes(data)


def _doubt(kind: Kind, status: int, answer: bytes) -> str:
    """What speaks against asking in this way, from the answer to a probe. Raises RemoteError where it cannot be."""
    if status != 200:
        raise RemoteError(f"HTTP {status}")
    return dialects.understood(kind, dialects.read_json(answer))


def _explained(problem: Exception) -> RemoteError:
    """What went wrong in words, without anything that was sent or received."""
    import httpx

    if isinstance(problem, httpx.ConnectTimeout | httpx.ConnectError):
        return RemoteError("no connection")
    if isinstance(problem, httpx.TransportError):
        return RemoteError("the connection broke")
    return RemoteError(f"{type(problem).__name__} while asking it")
