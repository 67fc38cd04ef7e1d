"""Ghost text from a model on a server, where the user has configured one. Everything else stays with the local model:
ordering a completion list takes a distribution over our own tokens, and answers in milliseconds."""

from pathlib import Path
from typing import Any

from engram_runtime.engine import never
from engram_runtime.remote import RemoteEngine, Timeouts
from engram_runtime.servers import RemoteError, find_server, read_servers, servers_file
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.predictor import Cancelled, Predictor, Query, Style
from engram_lsp.prompt import Limits
from engram_lsp.settings import RemoteSettings
from engram_lsp.suggestion import Suggestion

# Such a model reads more than the one in the package was trained on. One suggestion: each is a request. Often it tells
# no probabilities, so that unasked it only finishes the statement.
STYLE = Style(
    limits=Limits(lines_before=192, lines_after=64, bytes_before=16_384, bytes_after=4096),
    line_tokens=64,
    block_tokens=192,
    further=2.0,
    candidates=1,
)


class Remote:
    """A server that is asked for suggestions. Any thread but the event loop's may do so."""

    def __init__(self, engine: RemoteEngine) -> None:
        self._engine = engine
        self._predictor = Predictor(engine.tokenizer, engine, STYLE)

    @classmethod
    def open(cls, settings: RemoteSettings, tokenizer: Tokenizer, servers: Path | None = None) -> "Remote":
        """The server that the settings name; nothing is sent yet. `servers`: the user's list, by default where it
        usually is. Raises RemoteError unless the server is on it."""
        file = servers or servers_file()
        server = find_server(settings.endpoint, read_servers(file), file)
        timeouts = Timeouts(settings.connect_ms / 1000, settings.first_ms / 1000, settings.between_ms / 1000)
        kind = None if settings.kind == "auto" else settings.kind
        return cls(RemoteEngine(tokenizer, server, settings.model, kind, timeouts))

    def connect(self, cancelled: Cancelled = never) -> str:
        """Finds out how the server wants to be asked; what is wrong with it, if anything, which may pass."""
        try:
            self._engine.probe(cancelled)
        except RemoteError as problem:
            return str(problem)
        return ""

    def inline(self, query: Query, cancelled: Cancelled = never) -> tuple[Suggestion, ...] | None:
        """As `Predictor.inline`; None where the server does not answer, so that somebody else should be asked.

        The engine notes failures, in its log and for `describe`.
        """
        try:
            return self._predictor.inline(query, cancelled)
        except RemoteError:
            return None

    def describe(self) -> dict[str, Any]:
        return self._engine.describe()

    def close(self) -> None:
        self._engine.close()
