"""pygls' protocol with our own documents, with one answer to every request, and with nothing kept of what is done."""

import logging
import uuid
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol, lsp_method

if TYPE_CHECKING:
    from engram_lsp.server import Server

log = logging.getLogger(__name__)


class Protocol(LanguageServerProtocol):
    _server: "Server"  # pyright: ignore[reportIncompatibleVariableOverride]

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:  # type: ignore[override]
        self._server.opened(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:  # type: ignore[override]
        self._server.changed(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:  # type: ignore[override]
        self._server.closed(params)

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Generator[Any, Any, None]:
        """What is still being answered is answered by a cancellation."""
        yield self.fm.features[types.SHUTDOWN], args, None
        self._shutdown = True
        for number, future in tuple(self._request_futures.items()):  # each leaves as it is cancelled
            if number != self.msg_id and not future.done():
                future.cancel()

    # Receiving

    def structure_message(self, data: dict[str, Any]) -> Any:
        """pygls asks this of every object inside a message, and an argument of a command may well look like one."""
        return data

    def handle_message(self, message: Any) -> None:
        """A message as it was parsed."""
        if isinstance(message, dict):
            self._handle(message)
        else:
            log.warning("ignored what is no message")

    def _handle(self, data: dict[str, Any]) -> None:
        number, method = data.get("id"), data.get("method")
        fault = self._fault(data)
        if method is not None and self.get_message_type(str(method)) is None:
            data.setdefault("params", None)
        if fault is None:
            try:
                structured: Any = super().structure_message(data)
            except JsonRpcException:  # pygls has logged it
                fault = JsonRpcInvalidParams()
            else:
                super().handle_message(structured)
                return
        if method is None:
            self._drop(number, fault)
        elif number is not None:
            self._send_response(number, error=fault.to_response_error())

    def _fault(self, data: dict[str, Any]) -> JsonRpcException | None:
        """What is wrong with a message before anybody looks into it."""
        method = data.get("method")
        if data.get("error", ...) is None:  # some clients write both members
            del data["error"]
        if data.get("jsonrpc") != self.VERSION or (method is None and "id" not in data):
            return JsonRpcInvalidRequest("this is no message of JSON-RPC 2.0")
        if method == types.EXIT:
            return None
        if self._shutdown:
            return JsonRpcInvalidRequest("the server is shutting down")
        if method == types.INITIALIZE and self._server.began:
            return JsonRpcInvalidRequest("the server is initialized already")
        if method not in (None, types.INITIALIZE) and not self._server.began:
            return JsonRpcServerNotInitialized("the first request must be initialize")
        return None

    def _drop(self, number: Any, fault: JsonRpcException) -> None:
        """An answer to a request of ours that says nothing."""
        future = self._request_futures.get(number) if isinstance(number, (str, int)) else None
        if future is not None and not future.done():
            future.set_exception(fault)

    # What pygls would keep

    def _execute_handler(
        self,
        msg_id: str | int,
        handler: Callable[..., Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        def done(future: Future[Any]) -> None:
            if self._request_futures.get(msg_id) is future:
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, done, args, kwargs)

    def send_request(
        self,
        method: str,
        params: Any | None = None,
        callback: Callable[[Any], None] | None = None,
        msg_id: str | int | None = None,
    ) -> Future[Any]:
        """A request to the client. Who stops waiting for its answer cancels the future; an answer is ignored then."""
        msg_id = msg_id or str(uuid.uuid4())
        future = super().send_request(method, params, callback, msg_id)
        future.add_done_callback(partial(self._forget, msg_id))
        return future

    def _forget(self, msg_id: str | int, _: Future[Any]) -> None:
        self._request_futures.pop(msg_id, None)
        self._result_types.pop(msg_id, None)
