"""An HTTP server on loopback whose every byte a test decides: how real servers answer, and how broken ones do."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request. `body` is its JSON."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Connection:
    """What an answer is written to."""

    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int, content_type: str = "application/json", *more: str) -> None:
        lines = [f"HTTP/1.1 {status} Something", f"Content-Type: {content_type}", *more]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def json(self, value: Any, status: int = 200, *more: str) -> None:
        data = json.dumps(value).encode()
        await self.head(status, "application/json", f"Content-Length: {len(data)}", *more)
        await self.send(data)

    async def begin_events(self) -> None:
        await self.head(200, "text/event-stream; charset=utf-8", "Transfer-Encoding: chunked")

    async def chunk(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, value: Any) -> None:
        data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        await self.chunk(f"data: {data}\n\n".encode())

    async def end_events(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def until_gone(self) -> None:
        """Until the client closes its side."""
        await self.reader.read()


Handler = Callable[[Asked, Connection], Awaitable[None]]


@dataclass
class Loopback:
    """Serves on a free port while entered. A handler that wants the connection closed raises ConnectionError."""

    handler: Handler
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a handler saw its client leave (it waited for that, or wrote to nobody)."""

    def __enter__(self) -> "Loopback":
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            self._loop.run_until_complete(serve())
            self._loop.run_forever()
            self._loop.run_until_complete(end())
            self._loop.close()

        async def end() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = Connection(writer, reader)
        try:
            while True:
                asked = await _request(reader)
                self.asked.append(asked)
                await self.handler(asked, connection)
        except (ConnectionError, asyncio.IncompleteReadError) as problem:
            if not isinstance(problem, DropError):
                self.gone.set()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()


class DropError(ConnectionError):
    """Raised by a handler to close the connection."""


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(first.split()[1], headers, json.loads(data) if data else None)
