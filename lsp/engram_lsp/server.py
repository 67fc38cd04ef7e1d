"""The server on standard input and output: which handler answers what, and how a conversation begins and ends."""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import psutil
from lsprotocol import types
from pygls.exceptions import FeatureRequestError
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from engram_lsp import announced, guard, harmless
from engram_lsp.capabilities import Client
from engram_lsp.documents import Document
from engram_lsp.features import (
    code_action,
    completion,
    completion_resolve,
    configuration,
    definition,
    diagnostics,
    elsewhere,
    execute_command,
    folders,
    hover,
    inline_completion,
    model_hints,
    references,
    refresh,
    rename,
    report,
    status,
    symbols,
    synchronization,
    trace,
    watched_files,
    will_rename_files,
    workspace_diagnostic,
)
from engram_lsp.protocol import Protocol
from engram_lsp.session import Session
from engram_lsp.settings import Settings

log = logging.getLogger(__name__)

# Looks whether the editor is still there, every so many seconds: it may have died without closing our input.
_PARENT_CHECK = 2.0
# How long saving may take once the client has gone, in seconds.
_LAST_PATIENCE = 3.0

Handler = Callable[[Session, Any], Any]

# Everything we answer: the method, who answers, what is said about it in the capabilities.
ROUTES: tuple[tuple[str, Handler, Any], ...] = (
    (
        types.TEXT_DOCUMENT_COMPLETION,
        completion.completion,
        types.CompletionOptions(trigger_characters=["."], resolve_provider=True),
    ),
    (types.COMPLETION_ITEM_RESOLVE, completion_resolve.resolve, None),
    # Without options pygls does not advertise it.
    (types.TEXT_DOCUMENT_INLINE_COMPLETION, inline_completion.inline_completion, types.InlineCompletionOptions()),
    (types.TEXT_DOCUMENT_DEFINITION, definition.definition, None),
    (types.TEXT_DOCUMENT_REFERENCES, references.references, None),
    (types.TEXT_DOCUMENT_HOVER, hover.hover, None),
    (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, symbols.document_symbol, None),
    (types.WORKSPACE_SYMBOL, symbols.workspace_symbol, None),
    (types.TEXT_DOCUMENT_PREPARE_RENAME, rename.prepare_rename, None),
    (types.TEXT_DOCUMENT_RENAME, rename.rename, None),
    (types.WORKSPACE_WILL_RENAME_FILES, will_rename_files.will_rename_files, will_rename_files.FILTERS),
    (
        types.TEXT_DOCUMENT_CODE_ACTION,
        code_action.code_action,
        types.CodeActionOptions(code_action_kinds=code_action.KINDS),
    ),
    (types.TEXT_DOCUMENT_DID_SAVE, synchronization.did_save, types.SaveOptions(include_text=False)),
    (types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS, folders.did_change_workspace_folders, None),
    (types.WORKSPACE_DID_CHANGE_CONFIGURATION, configuration.did_change_configuration, None),
    (types.WORKSPACE_DID_CHANGE_WATCHED_FILES, watched_files.did_change_watched_files, None),
)
# Answered to whoever asks, and advertised where the user wants to see the problems of the whole workspace.
WORKSPACE = (types.WORKSPACE_DIAGNOSTIC, workspace_diagnostic.pull)
# What is said instead of null where null is no answer, when a handler fails.
NOTHING: dict[str, Any] = {
    types.TEXT_DOCUMENT_DIAGNOSTIC: types.RelatedFullDocumentDiagnosticReport(items=[]),
    types.WORKSPACE_DIAGNOSTIC: types.WorkspaceDiagnosticReport(items=[]),
}
COMMANDS: tuple[tuple[str, Handler], ...] = (
    ("engram.status", execute_command.status),
    ("engram.rebuildMemory", execute_command.rebuild_memory),
    ("engram.pauseReading", execute_command.pause_reading),
    ("engram.resumeReading", execute_command.resume_reading),
    ("engram.why", report.why),
    ("engram.report", report.report),
    ("engram.suggestNames", rename.suggest),
    ("engram.renameTo", rename.rename_to),
    ("engram.trace", trace.trace),
    ("engram.trace.clear", trace.clear),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How the command line wants the server to run."""

    log_file: str | Path | None = None
    verbose: bool = False


class Server(LanguageServer):
    """pygls' server with a session. `began` says that initialize was seen."""

    protocol: Protocol  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self) -> None:
        super().__init__(
            "engram-ls", version("engram-ls"), protocol_cls=Protocol, converter_factory=default_converter, max_workers=2
        )
        self.began = False
        self.session = Session(self)
        self.opened = self._guarded("textDocument/didOpen", synchronization.did_open)
        self.changed = self._guarded("textDocument/didChange", synchronization.did_change)
        self.closed = self._guarded("textDocument/didClose", synchronization.did_close)

    def _guarded(self, what: str, handler: Handler) -> Callable[[Any], Any]:
        return guard.guarded(what, partial(handler, self.session), NOTHING.get(what))

    def route(self, method: str, handler: Handler, options: Any = None) -> None:
        self.feature(method, options)(self._guarded(method, handler))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Faults are nothing to interrupt the user for. Those of a request are answered, and logged by pygls."""
        if source is not FeatureRequestError:
            guard.report("a message", error)


def build_server() -> Server:
    """A server with every route, to be started on some transport."""
    server = Server()
    for method, handler, options in ROUTES:
        server.route(method, handler, options)
    for name, handler in COMMANDS:
        command = guard.guarded(name, partial(handler, server.session))
        server.command(name)(_as_they_come(command))
    server.route(types.INITIALIZE, initialize)
    server.route(types.INITIALIZED, initialized)
    server.route(types.SHUTDOWN, shutdown)
    return server


def _as_they_come(command: Callable[..., Any]) -> Callable[..., Any]:
    """Takes a command's arguments as they come, where pygls would look at the parameters' names and types."""

    async def run(*arguments: Any) -> Any:
        answer = command(arguments)
        return await answer if asyncio.iscoroutine(answer) else answer

    return run


def initialize(session: Session, params: types.InitializeParams) -> None:
    session.server.began = True
    leave_when_asked(session)
    session.client = Client.of(params)
    session.documents.unit = session.client.unit
    session.initial = params.initialization_options
    settings, warnings = Settings.read(session.initial)
    for warning in warnings:
        log.warning("%s", warning)
    session.settings = settings
    session.when_changed = partial(changed, session)
    session.when_closed = partial(closed, session)
    session.when_status = partial(status.schedule, session)
    session.roots = folders.roots_of(params)
    if session.client.pulls_diagnostics:  # to the others they are pushed
        whole = settings.diagnostics.scope == "workspace"
        options = types.DiagnosticOptions(
            inter_file_dependencies=True, workspace_diagnostics=whole, identifier="engram"
        )
        session.server.route(types.TEXT_DOCUMENT_DIAGNOSTIC, diagnostics.pull, options)
    documents = params.capabilities.text_document
    for field, method, handler, options in announced.ROUTES:
        if getattr(documents, field, None) is not None:
            session.server.route(method, announced.later(handler), options())


def changed(session: Session, document: Document | None) -> None:
    """What is shown of documents may be out of date."""
    session.change.set()
    session.change = asyncio.Event()
    diagnostics.schedule(session, document)
    elsewhere.schedule(session, document)
    model_hints.schedule(session, document)
    refresh.schedule(session, document)
    trace.recheck(session)


def closed(session: Session, document: Document) -> None:
    diagnostics.withdraw(session, document)
    elsewhere.closed(session, document)


async def initialized(session: Session, _: types.InitializedParams) -> None:
    session.server.route(*WORKSPACE)
    for route in announced.ROUTES:
        if route[1] not in session.server.protocol.fm.features:
            session.server.route(route[1], announced.later(route[2]))
    if session.client.process_id is not None:
        session.tasks.start("watching the parent", leave_with(session, session.client.process_id))
    # The settings decide where the memory is kept and which model answers, so they come first.
    if session.client.configuration:
        await configuration.pull(session)
    session.start()
    session.tasks.start("registering for the configuration", configuration.register(session))
    session.tasks.start("registering for files", watched_files.register(session))


async def shutdown(session: Session, _: Any) -> None:
    """Saves now: some clients kill the server as soon as this is answered."""
    await session.close()


async def leave_with(session: Session, parent: int) -> None:
    """Ends the server once the editor's process is gone. A number that is none of our ancestors' was given to some
    other process on the machine that the editor runs on (a container, ssh): it is not waited for."""
    try:
        editor = next((one for one in psutil.Process().parents() if one.pid == parent), None)
    except psutil.Error:
        return
    if editor is None:
        return
    while is_alive(editor):
        await asyncio.sleep(_PARENT_CHECK)
    log.warning("the editor is gone")
    await leave(session)


async def leave(session: Session) -> NoReturn:
    """Saves and ends the process, whose input may well stay open."""
    await session.close()
    os._exit(1)


def leave_when_asked(session: Session) -> None:
    """Ends in order on Ctrl-C and on a polite kill. (On Windows there is no such thing.)"""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, lambda: session.tasks.start("leaving", leave(session)))


def is_alive(process: psutil.Process) -> bool:
    """Not so when it ended and nobody has asked for its exit code yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def serve_stdio(options: Options | None = None) -> NoReturn:
    """Serves until the client leaves, and leaves too: with 0 only after an orderly shutdown."""
    configure_logging(options or Options())
    server = build_server()
    faulthandler.enable()  # should native code crash, standard error says where
    # Reading a project keeps a thread busy; the loop has to get its turn often enough to answer at once all the same.
    sys.setswitchinterval(0.001)
    reading, writing = private_stdio()
    server.start_io(reading, writing)
    orderly = server.session.closed
    # A thread that does not end (a hanging disk, say) must not keep a server that nobody talks to.
    killer = threading.Timer(_LAST_PATIENCE, os._exit, [0 if orderly else 1])
    killer.daemon = True
    killer.start()
    server.session.close_at_once()
    logging.shutdown()
    # Nothing is left to do that the system would not do faster.
    os._exit(0 if orderly else 1)


def private_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Our input and output, out of reach of whatever else reads or prints: a stray print would break the protocol, and
    a child process that inherits the input could swallow it."""
    reading, writing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return reading, writing


def configure_logging(options: Options) -> None:
    """To standard error and perhaps a file. Libraries log whole messages, so only their templates are let through."""
    ours = harmless.OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s")
    theirs = guard.WithoutArguments()
    level = logging.INFO if options.verbose else logging.WARNING
    for formatter, least, names in (
        (ours, level, ("engram_lsp", "engram_context", "engram_runtime")),
        (theirs, logging.WARNING, ("pygls", "asyncio", "watchdog")),
    ):
        handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
        if options.log_file:
            handlers.append(logging.FileHandler(options.log_file, encoding="utf-8", delay=True))
        for handler in handlers:
            handler.setFormatter(formatter)
            if formatter is theirs:
                handler.addFilter(guard.is_failure)
        for name in names:
            logger = logging.getLogger(name)
            logger.setLevel(least)
            logger.propagate = False
            logger.handlers = handlers


if __name__ == "__main__":
    serve_stdio()
