"""The conversation with one client: the one mutable owner on the event loop.

A handler asks the session where a question stands (`asked`), asks the snapshot it finds there, and converts the answer.
"""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engram_context.completion.candidates import Candidates
from engram_context.disk.builtin_rules import is_private
from engram_context.disk.ignore import Ignore
from engram_context.disk.indexing import Coding
from engram_context.disk.watcher import Watcher
from engram_context.memory.excerpts import Excerpt
from engram_context.project import Change, Project
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text, Unit
from lsprotocol import types

from engram_lsp import convert, guard, heap, model
from engram_lsp.capabilities import Client
from engram_lsp.coding import coding_of, read_tokenizer
from engram_lsp.documents import Document, Documents
from engram_lsp.folder import Folder, Loose, is_read
from engram_lsp.health import health
from engram_lsp.hinting import Hints
from engram_lsp.offers import Offers
from engram_lsp.pace import Pace
from engram_lsp.progress import Progress
from engram_lsp.prompt import Pieces, beginning, finished
from engram_lsp.schedule import Cancelled, Desk, Newest, Rest, Tasks, in_worker
from engram_lsp.sent import SentList, SentTokens
from engram_lsp.settings import Settings
from engram_lsp.suggestion import Suggestion
from engram_lsp.traced import Traced

if TYPE_CHECKING:  # with the runtime behind them, these take a while to import: no first answer waits for them
    from engram_lsp.features.elsewhere import Told
    from engram_lsp.predictor import Predictor, Query
    from engram_lsp.remote import Remote
    from engram_lsp.server import Server

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# How long a document rests before it is read anew unasked, in seconds; a question brings that forward.
_REST = 0.05
# How long changes wait before they are written to the cache folder, in seconds.
_SAVE_AFTER = 10.0
# How long after a folder left all memory is looked through, in seconds.
_TIDY_AFTER = 5.0
# How long the model waits behind the first questions, in seconds.
_MODEL_AFTER = 0.1
# How long tests that were ended have to clean up, in seconds.
_TESTS_END = 2.0
# Stands for the folder of documents that are no files; they are known there by their URIs.
NOWHERE = Path(os.path.sep)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question is about: an offset in one version of a document, and the project as it was just then."""

    document: Document
    folder: Folder
    path: str
    offset: int
    snapshot: Snapshot

    @property
    def place(self) -> Place:
        return Place(self.path, self.offset)

    @property
    def text(self) -> Text:
        return self.document.text


class Session:
    """Everything that one conversation needs. Only the event loop calls its methods."""

    def __init__(self, server: "Server") -> None:
        # Said once, when the conversation begins.
        self.server = server
        self.client = Client()
        self.initial: object = None  # initializationOptions
        self.roots: list[Path] = []  # folders to be taken in once we have started
        # What wants to know that a document (or, None, anything else) changed, and that one was closed.
        self.when_changed: Callable[[Document | None], object] = lambda _: None
        self.when_closed: Callable[[Document], object] = lambda _: None
        # What wants to know that there is something new to say about how we are.
        self.when_status: Callable[[], object] = lambda: None
        # As it stands.
        self.settings = Settings()
        self.documents = Documents()
        self.folders: dict[Path, Folder] = {}
        self.loose: dict[Path, Folder] = {}
        self.predictor: Predictor | None = None
        self.remote: Remote | None = None
        self.model_problem = ""  # why there is no model although one is wanted
        self.remote_refusal = ""  # why there is none although one is configured
        self.opening: asyncio.Task[None] | None = None  # the model
        self.connecting: asyncio.Task[None] | None = None  # to the remote one
        self.configuring: asyncio.Task[None] | None = None
        self.asking: asyncio.Task[None] | None = None  # the client for its configuration
        self.started = asyncio.Event()
        self.closed = False
        self.paused = False  # no project is read
        # Ongoing.
        self.background = ThreadPoolExecutor(2, "engram questions")
        self.decorating = ThreadPoolExecutor(1, "engram decorations")
        self.reading = ThreadPoolExecutor(1, "engram reading")
        self.model_thread = ThreadPoolExecutor(1, "engram model")
        self.model_desk = Desk(self.model_thread)
        self.pieces = Pieces(self.background.submit)
        self.candidates = Candidates()
        self.remote_threads = ThreadPoolExecutor(2, "engram remote")
        self.testing = ThreadPoolExecutor(1, "engram tests")
        self.leaving = threading.Event()  # what runs tests ends them and cleans up
        self.tasks = Tasks()
        self.rest = Rest()
        self.newest_inline = Newest()
        self.offers = Offers()
        self.hints = Hints()
        self.pace = Pace()
        self.newest_ranking = Newest()
        # Set, and replaced by a new one, whenever anything changes.
        self.change = asyncio.Event()
        self.asks_for_workspace = False  # the client asks about the whole workspace by itself
        # Sent last.
        self.told: dict[Folder, Told] = {}
        self.told_status: dict[str, Any] = {}
        self.tokens = SentTokens()
        self.listed = SentList()
        self.traced = Traced()

    @property
    def unit(self) -> Unit:
        return self.client.unit

    # Questions

    async def asked(
        self, item: types.TextDocumentIdentifier, position: types.Position | None = None, *, behind: bool = False
    ) -> Asked | None:
        """What a question is about, once the project has read the document; None for one that is not open.

        `behind`: the question is about the text, and the record of an earlier one will do. Raises ContentModified when
        the text changes before it is read.
        """
        document = self.documents.get(item.uri)
        if document is None or not document.is_read:
            return None
        offset = 0 if position is None else convert.offset(document.text, position, self.unit)
        folder, path = await self._listed(document)
        if behind and folder.snapshot.record(path) is not None:
            return Asked(document, folder, path, offset, folder.snapshot)
        # Answers may depend on every open document, as it was when we were asked.
        waiting = folder.holder.behind
        while waiting & folder.holder.behind:
            await self.caught_up(folder)
            if not self.is_open(document):
                raise guard.stale()
        return Asked(document, folder, path, offset, folder.snapshot)

    async def _listed(self, document: Document) -> tuple[Folder, str]:
        """A document's folder, once its files are known. Raises ContentModified when the text changes before."""
        if self.roots:  # they are taken in when we have started
            await self.started.wait()
            self._still_open(document)
        folder, _ = self.folder_of(document)
        await folder.listed.wait()
        self._still_open(document)
        return self.folder_of(document)

    def _still_open(self, document: Document) -> None:
        """Raises ContentModified where it is not: asking for its folder would make one that nobody closes."""
        if not self.is_open(document):
            raise guard.stale()

    async def until_listed(self) -> None:
        """Waits until it is known which files there are."""
        if self.roots:
            await self.started.wait()
        for folder in tuple(self.folders.values()):
            await folder.listed.wait()

    def is_current(self, asked: Asked) -> bool:
        """Whether the document still is the version that was asked about."""
        return self.is_open(asked.document)

    def is_open(self, document: Document) -> bool:
        newest = self.documents.get(document.uri)
        return newest is not None and newest.revision == document.revision

    def query(self, asked: Asked, text: Text, offset: int, *, invoked: bool = False) -> "Query":
        """A question to the predictor about `text`, which may be the document with something accepted in it.

        Reads the document's tokens, so it belongs on the model thread.
        """
        from engram_lsp.predictor import Query

        project = asked.folder.project
        known, at = finished(text, offset)
        memory = project.view(asked.path, at, known) if project is not None and self.coding is not None else None
        return Query(
            asked.path, text, offset, asked.document.revision, memory, invoked, self._excerpts(asked, text, offset)
        )

    def _excerpts(self, asked: Asked, text: Text, offset: int) -> tuple[Excerpt, ...]:
        project = asked.folder.project
        if project is None or self.predictor is None:
            return ()
        limits = self.predictor.style.limits
        start, budget = beginning(text, offset, limits), limits.bytes_excerpts
        # Twice as many as there is room for: what is shown stays while it is still among the good ones.
        return self.pieces.of(
            asked.document.uri, start, budget, lambda: project.excerpts_at(asked.path, text, offset, 2 * budget)
        )

    async def elsewhere(
        self, asked: Asked, text: Text, offset: int, outdated: Cancelled, *, invoked: bool = False
    ) -> tuple[Suggestion, ...] | None:
        """What the remote model suggests; None where there is none, or it does not answer, or must not see the file:
        then the local one is asked.

        Off the model thread: waiting for a server must not keep completion lists from being ordered.
        """
        remote, root, exclude = self.remote, asked.folder.root, self.settings.index.exclude
        if remote is None or asked.folder.project is None:
            return None
        from engram_lsp.predictor import Query

        query = Query(asked.path, text, offset, asked.document.revision, None, invoked)

        def ask(cancelled: Cancelled) -> tuple[Suggestion, ...] | None:
            # What the project leaves out (ignored files, secrets) stays on this machine, by the rules as they are now.
            if is_private(asked.path.rpartition("/")[2]) or Ignore(root, exclude).why(asked.path) is not None:
                return None
            return remote.inline(query, lambda: cancelled() or outdated())

        return await in_worker(self.remote_threads, ask)

    async def in_background(self, work: Callable[[Cancelled], Result], *, decorates: bool = False) -> Result:
        """`work` on a worker. What only `decorates` a document has one of its own: no question waits behind it."""
        return await in_worker(self.decorating if decorates else self.background, work)

    async def in_model_thread(self, work: Callable[[Cancelled], Result], *, urgent: bool = False) -> Result:
        """`urgent` work comes first, and between the steps of what is being done: a list cannot wait for ghost text."""
        return await (self.model_desk.do_soon(work) if urgent else self.model_desk.do(work))

    def tell(self, message: str, kind: types.MessageType = types.MessageType.Info) -> None:
        """Says something to the person: only what they asked about or have to act on."""
        self.server.window_show_message(types.ShowMessageParams(kind, message))

    # Documents

    def changed(self, document: Document) -> None:
        """A document was opened or edited."""
        if not document.is_read:
            return
        folder, path = self.folder_of(document)
        folder.holder.edit(path, document.text)
        self._document_changed(folder, document)

    def was_closed(self, document: Document) -> None:
        if not document.is_read:
            return
        folder, path = self.folder_of(document)
        folder.holder.close(path)
        self.pieces.forget(document.uri)
        self.when_closed(document)
        self._document_changed(folder, None)
        self._forget_loose()

    def _document_changed(self, folder: Folder, document: Document | None) -> None:
        self._refresh_soon(folder)
        self.when_changed(document)

    def document_at(self, folder: Folder, path: str) -> Document | None:
        if folder.root == NOWHERE:
            return self.documents.get(path)
        return next((found for file in folder.files_of(path) if (found := self.documents.at(file)) is not None), None)

    def uri_of(self, folder: Folder, path: str) -> str:
        """A file's URI, as its client spells it when it is open."""
        document = self.document_at(folder, path)
        return document.uri if document is not None else convert.uri_of(folder.root / path)

    # Reading

    def _refresh_soon(self, folder: Folder) -> None:
        self.rest.after(_REST, ("refresh", folder.root), lambda: self.refreshed(folder))

    def refreshed(self, folder: Folder) -> "asyncio.Task[None]":
        """Reads what is behind in a folder. Whoever asks while that is going on waits for the same reading."""
        if folder.refreshing is None or folder.refreshing.done():
            folder.refreshing = self.tasks.start("reading a document", self._refresh(folder))
        return folder.refreshing

    async def caught_up(self, folder: Folder) -> None:
        """Waits for a reading; cancelling one who waits does not cancel the reading. Raises what the reading raised."""
        reading = self.refreshed(folder)
        await asyncio.wait([reading])
        reading.result()

    async def until_read(self, folder: Folder) -> None:
        """Waits until a folder has been read, however that ended, and its open documents have."""
        await folder.settled()
        while folder.holder.behind:
            await self.caught_up(folder)

    async def _refresh(self, folder: Folder) -> None:
        if folder.holder.behind:
            folder.holder.apply(await self.in_background(lambda _: folder.holder.refresh()))
        if folder.holder.behind:  # edited again meanwhile
            self._refresh_soon(folder)

    def files_changed(self, files: Iterable[Path]) -> None:
        """Files may have changed on disk, says the client or a watcher."""
        files = tuple(files)
        for folder in self.folders.values():
            if folder.project is not None and (paths := folder.paths_of(files)):
                self._read_files(folder, folder.project, paths)

    def _read_files(self, folder: Folder, project: Project, paths: frozenset[str]) -> None:
        self.tasks.start("reading changed files", self._apply_files(folder, project, paths))

    async def _apply_files(self, folder: Folder, project: Project, paths: frozenset[str]) -> None:
        await folder.listed.wait()
        if self.paused:
            return  # whoever goes on reads all that changed
        change = await self.in_background(lambda _: project.files_changed(paths))
        if project.apply(change):
            self._project_changed(folder)
        for portion in await in_worker(self.reading, lambda cancelled: project.late_tokens(change, cancelled)):
            project.apply_tokens(portion)
            await asyncio.sleep(0)

    def _project_changed(self, folder: Folder) -> None:
        self.when_changed(None)
        self.when_status()
        self.rest.after(_SAVE_AFTER, ("save", folder.root), lambda: self.tasks.start("saving", self._save(folder)))

    async def _save(self, folder: Folder) -> None:
        if (project := folder.project) is not None:
            await self.in_background(lambda _: (project.save(), heap.give_back()))

    def _tidy_soon(self) -> None:
        """A folder left, or is read anew: its memory is given back once nothing of it is in use."""

        def tidy() -> None:
            self.tasks.start("giving memory back", self.in_background(lambda _: heap.tidy()))

        self.rest.after(_TIDY_AFTER, "tidy", tidy)

    # Folders

    def folder_of(self, document: Document) -> tuple[Folder, str]:
        """The folder that a document belongs to, and its path there; a loose one where no workspace folder holds it."""
        if document.path is None:
            return self._loose(NOWHERE), document.uri
        return self.find_folder(document.path) or (self._loose(document.path.parent), document.path.name)

    def folder_at(self, root: str) -> Folder | None:
        """The folder with that root, a loose one too."""
        return self.folders.get(Path(root)) or self.loose.get(Path(root))

    def find_folder(self, file: Path) -> tuple[Folder, str] | None:
        """The innermost workspace folder that holds a file, and the file's path in it."""
        held = ((folder, folder.path_of(file)) for folder in self.folders.values())
        found = [(folder, path) for folder, path in held if path is not None]
        return min(found, key=lambda item: len(item[1]), default=None)

    def add_folder(self, root: Path) -> None:
        """Takes a folder into the workspace and reads it, as soon as we have started."""
        if not self.started.is_set():
            self.roots.append(root)
        elif root not in self.folders:
            with self._moving_documents():
                self.folders[root] = self._folder(root)
            self.when_status()
            self._load(self.folders[root])

    def remove_folder(self, root: Path) -> None:
        if root in self.roots:
            self.roots.remove(root)
        if root in self.folders:
            with self._moving_documents():
                folder = self.folders.pop(root)
            self.when_status()
            self.when_changed(None)  # what is shown of its files is withdrawn
            self.tasks.start("closing a folder", self._leave(folder))
            self._tidy_soon()

    @contextmanager
    def _moving_documents(self) -> Generator[None]:
        """Hands each open document over to the folder that it belongs to afterwards."""
        documents = [document for document in self.documents if document.is_read]
        before = [self.folder_of(document) for document in documents]
        yield
        for document, (folder, path) in zip(documents, before, strict=True):
            if self.folder_of(document)[0] is not folder:
                folder.holder.close(path)
                self.changed(document)
        self._forget_loose()

    async def rebuild(self, folder: Folder) -> None:
        """Forgets what is kept on disk about a folder and reads it again."""
        project = folder.project
        if project is None:
            return
        await folder.settled()
        await in_worker(self.reading, lambda _: project.forget())
        self._load(folder)
        await folder.settled()

    def pause(self, paused: bool) -> None:
        """Stops reading projects, or goes on. Questions are answered meanwhile, from what was read."""
        if paused is not self.paused:
            self.paused = paused
            for folder in self.folders.values() if not paused else ():
                self._load(folder)
            self.when_status()

    def _folder(self, root: Path) -> Folder:
        if not self.settings.index.enable:
            return Folder.of(root, Loose(root, self.settings.interpreter), "reading projects is switched off")
        try:
            return Folder.of(root, self._project(root))
        except OSError as problem:
            log.warning("%s is not read: %s", root, problem)
            return Folder.of(root, Loose(root, self.settings.interpreter), str(problem))

    def _project(self, root: Path) -> Project:
        index = self.settings.index
        return Project(
            root,
            self.coding,
            cache_folder=self.settings.cache_folder,
            interpreter=self.settings.interpreter,
            exclude=index.exclude,
            workers=index.workers or None,
            largest=index.max_file_kb * 1024,
            most=index.max_files,
        )

    def _loose(self, root: Path) -> Folder:
        if root not in self.loose:
            self.loose[root] = Folder.of(root, Loose(root, self.settings.interpreter))
        return self.loose[root]

    def _forget_loose(self) -> None:
        """Loose folders whose documents have all gone."""
        held = {id(self.folder_of(document)[0]) for document in self.documents if document.is_read}
        self.loose = {root: folder for root, folder in self.loose.items() if id(folder) in held}

    def _load(self, folder: Folder) -> None:
        if (project := folder.project) is not None:
            if folder.loading is not None:
                self._tidy_soon()  # what it knew was kept out of the collector's way
            folder.loading = self.tasks.start(f"reading {folder.root}", self._read_whole(folder, project))
            folder.loading.add_done_callback(lambda _: self.when_status())

    async def _read_whole(self, folder: Folder, project: Project) -> None:
        work = Progress(self.server, f"engram: reading {folder.name}", self.client.progress)
        self.tasks.start("showing progress", work.begin())
        folder.read, folder.progress = 0, (0, 0)
        self.when_status()
        loop = asyncio.get_running_loop()

        def note(done: int, total: int, path: str) -> None:
            before, folder.read, folder.progress = folder.progress, total, (done, total)
            if total and 100 * done // total != 100 * before[0] // total:
                loop.call_soon_threadsafe(self.when_status)
            work.report(done, total, path)

        def load(cancelled: Cancelled) -> None:
            for change in project.stages(note, lambda: cancelled() or work.cancelled() or self.paused):
                loop.call_soon_threadsafe(self._take, folder, project, change)

        try:
            await in_worker(self.reading, load)
            # What was read stays: the collector need not look at all of it again and again.
            gc.freeze()
            await self.in_background(lambda _: heap.give_back())
        except OSError as problem:
            folder.problem = str(problem)
            log.warning("%s is not read: %s", folder.root, problem)
        finally:
            folder.listed.set()
            work.end()
        if folder.watching is not None:
            await asyncio.wait([folder.watching])

    def _take(self, folder: Folder, project: Project, change: Change) -> None:
        """One stage of reading a folder is done."""
        project.apply(change)
        folder.listed.set()
        self._project_changed(folder)
        if (change.disk or change.memory is not None) and folder.watching is None:
            folder.watching = self.tasks.start("watching", self._watch(folder, project))

    async def _watch(self, folder: Folder, project: Project) -> None:
        if not self.settings.index.watch:
            return
        loop = asyncio.get_running_loop()

        def batch(paths: frozenset[str]) -> None:
            loop.call_soon_threadsafe(self._read_files, folder, project, paths)

        def problem(said: str) -> None:
            loop.call_soon_threadsafe(self.tell, f"engram: {said}", types.MessageType.Warning)

        index = self.settings.index
        watcher = Watcher(
            project.root,
            is_read,
            batch,
            project.states,
            exclude=index.exclude,
            polling=index.poll_seconds or None,
            on_problem=problem,
        )
        await self.in_background(lambda _: watcher.start())
        if self.folders.get(folder.root) is not folder or self.leaving.is_set():
            await self.in_background(lambda _: watcher.stop())  # the folder left meanwhile
            return
        folder.watcher = watcher
        watcher.rescan()  # for what happened since the files were listed

    async def _leave(self, folder: Folder) -> None:
        """Saves a folder that is not ours any more, or that is about to be read anew."""
        for timer in ("refresh", "save"):
            self.rest.forget((timer, folder.root))
        if folder.loading is not None:
            folder.loading.cancel()
        await in_worker(self.reading, lambda _: folder.leave())

    # The model

    @cached_property
    def coding(self) -> Coding | None:
        """How the memory turns text into tokens; None without a tokenizer, and then there is no memory."""
        try:
            return coding_of(model.tokenizer_file(self.settings.model))
        except (OSError, ValueError) as problem:
            log.warning("no tokenizer, so neither memory nor model: %s", problem)
            return None

    async def _open_model(self) -> None:
        await self.until_listed()
        await asyncio.sleep(_MODEL_AFTER)
        wanted = self.settings.model
        if self.coding is None:
            return
        predictor, problem = await self.in_model_thread(lambda _: model.open_predictor(wanted))
        if wanted != self.settings.model:
            return
        self.predictor, self.model_problem = predictor, problem
        self.when_status()
        self.offers.clear()
        self.hints.clear()
        if problem:
            log.warning("%s", problem)
            if wanted.path:
                self.tell(problem, types.MessageType.Warning)

    async def _open_remote(self) -> None:
        """Connects to the server that the settings name; until that is done, the local model is asked."""
        if self.remote is not None:
            self.remote.close()
        self.remote, self.remote_refusal = None, ""
        wanted = self.settings.remote
        if not wanted.endpoint or self.coding is None:
            return
        from engram_runtime.servers import RemoteError

        from engram_lsp.remote import Remote

        tokenizer = read_tokenizer(str(model.tokenizer_file(self.settings.model)))
        try:
            remote = await in_worker(self.remote_threads, lambda _: Remote.open(wanted, tokenizer))
        except RemoteError as problem:
            self.remote_refusal = str(problem)
            log.warning("no remote model: %s", problem)
            self.tell(f"engram: no remote model: {problem}", types.MessageType.Warning)
            return
        await in_worker(self.remote_threads, remote.connect)
        if wanted == self.settings.remote and not self.closed:
            self.remote = remote
        else:
            remote.close()

    # Beginning, changing one's mind, ending

    def start(self) -> None:
        """Reads the folders and opens the model. Questions are answered meanwhile from what there is."""
        self.opening = self.tasks.start("opening the model", self._open_model())
        self.connecting = self.tasks.start("connecting to the remote model", self._open_remote())
        self.started.set()
        self.when_status()
        for root in dict.fromkeys(self.roots):
            self.add_folder(root)
        self.roots.clear()

    def configure(self, settings: Settings) -> None:
        """Takes other settings into use. What depends on them is opened anew."""
        before, self.settings = self.settings, settings
        self.offers.clear()
        self.pace = Pace()
        if before.model != settings.model:
            self.__dict__.pop("coding", None)
            if self.started.is_set():
                self.opening = self.tasks.start("opening the model", self._open_model())
        if self.started.is_set() and (before.remote, before.model.path) != (settings.remote, settings.model.path):
            self.connecting = self.tasks.start("connecting to the remote model", self._open_remote())
        if (before.index, before.python, before.model.path) != (settings.index, settings.python, settings.model.path):
            for root in tuple(self.folders):
                self.remove_folder(root)
                self.add_folder(root)
        self.when_changed(None)

    async def until_ready(self) -> None:
        """Waits until the folders are read and the model is open."""
        await self.started.wait()
        if self.configuring is not None:
            await asyncio.wait([self.configuring])
        if self.opening is not None:
            await asyncio.wait([self.opening])
        if self.connecting is not None:
            await asyncio.wait([self.connecting])
        for folder in tuple(self.folders.values()):
            await self.until_read(folder)

    def status(self) -> dict[str, Any]:
        """What the server knows and runs on, for people."""
        engine = self.predictor.engine if self.predictor is not None else None
        described = model.describe(engine)
        return {
            "version": self.server.version,
            "health": health(self).as_json(),
            "model": model.title(described),
            "engine": described,
            "remote": self.remote.describe() if self.remote is not None else {"problem": self.remote_refusal or "off"},
            "folders": [folder.status() for folder in self.folders.values()],
            "paused": self.paused,
            "documents": len(self.documents),
            "ghostText": asdict(self.offers.tally),
            "client": {"name": self.client.name, "positionEncoding": self.unit},
        }

    async def close(self) -> None:
        """Saves everything; afterwards the server may be killed at any moment."""
        if self.closed:
            return
        self.leaving.set()
        self.rest.clear()
        self.newest_inline.ticket()
        self.newest_ranking.ticket()
        self.offers.stop()
        await asyncio.gather(*(self._leave(folder) for folder in self.folders.values()), return_exceptions=True)
        # Only now: tests that are ended take a moment, and some clients do not wait.
        with suppress(TimeoutError):
            work = in_worker(self.background, lambda _: self.testing.shutdown(cancel_futures=True))
            await asyncio.wait_for(work, _TESTS_END)
        self.closed = True

    def close_at_once(self) -> None:
        """Saves without a loop: it has ended, in order or not."""
        self.leaving.set()
        self.newest_inline.ticket()
        self.newest_ranking.ticket()
        for folder in self.folders.values():
            if not self.closed:
                try:
                    folder.leave()
                except Exception as problem:
                    guard.report("saving", problem)
        if self.remote is not None:
            self.remote.close()
        for executor in (self.background, self.decorating, self.reading, self.model_thread, self.remote_threads):
            executor.shutdown(wait=False, cancel_futures=True)
        self.testing.shutdown(cancel_futures=True)
