"""Which servers a prompt may be sent to: the user's own list, out of reach of any project.

A workspace may bring editor settings along, and these may name an endpoint. Code leaves the machine only for an origin
(scheme, host and port together) that stands in a file of the user's configuration folder, one a line, with the name of
the environment variable that holds its key where it wants one:

    https://api.deepseek.com DEEPSEEK_API_KEY
    http://gpu.lan:8000

A key belongs to its origin and is sent nowhere else. The file does not exist until the user writes it.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_config_path


class RemoteError(Exception):
    """The remote model cannot be asked, or did not answer. The message is for people and quotes no code."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A line of the user's list."""

    origin: str
    key_variable: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that may be asked. `base` is its address without a slash at the end; an empty `key` is not sent."""

    base: str
    origin: str
    key: str = field(default="", repr=False)
    key_variable: str = ""


def servers_file() -> Path:
    """The user's list."""
    return user_config_path("engram-ls", appauthor=False) / "servers"


def read_servers(file: Path) -> tuple[Allowed, ...]:
    """The list in a file; empty where there is none. Raises RemoteError for a line that is no origin."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as problem:
        raise RemoteError(f"{file} cannot be read, so no server is asked: {problem}") from problem
    allowed: list[Allowed] = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            base, origin = address(words[0])
        except RemoteError as problem:
            raise RemoteError(f"{file}, line {number}: {problem}") from problem
        if base != origin or len(words) > 2:
            raise RemoteError(f"{file}, line {number}: write scheme://host:port, and perhaps the variable of its key")
        allowed.append(Allowed(origin, words[1] if len(words) == 2 else ""))
    return tuple(allowed)


def find_server(
    endpoint: str, allowed: Iterable[Allowed], file: Path, environment: Mapping[str, str] = os.environ
) -> Server:
    """The server behind an endpoint, if the user's list has it. Raises RemoteError with what to do otherwise."""
    base, origin = address(endpoint)
    entry = next((entry for entry in allowed if entry.origin == origin), None)
    if entry is None:
        raise RemoteError(
            f"{origin} is not on your list of servers, so nothing is sent to it; "
            f"if you want it to see your code, add the line {origin} to {file}"
        )
    key = environment.get(entry.key_variable, "").strip() if entry.key_variable else ""
    if not (key.isascii() and key.isprintable()):
        raise RemoteError(f"the key in {entry.key_variable} has characters that no HTTP header can have")
    return Server(base, origin, key, entry.key_variable)


def address(endpoint: str) -> tuple[str, str]:
    """An endpoint's normal form and its origin, read by the library that sends the request: there must not be two
    opinions on what its host is. Raises RemoteError."""
    import httpx  # takes 0.1 s, and most never configure a server

    # Not quoted in errors: somebody may have put a password into it.
    try:
        url = httpx.URL(endpoint.strip())
        url = url.copy_with(scheme=url.scheme.lower(), host=url.host)
    except (httpx.InvalidURL, TypeError, ValueError) as problem:
        raise RemoteError("the endpoint is no address: write it like https://host:port") from problem
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise RemoteError("the endpoint must be like https://host:port or http://host:port/v1, and no more")
    if not 0 < (url.port or 1) < 65536:
        raise RemoteError("the endpoint's port must be between 1 and 65535")
    origin = str(url.copy_with(path="/")).rstrip("/")
    return str(url).rstrip("/"), origin
