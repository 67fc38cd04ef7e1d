"""textDocument/completion: what may stand here by the rules, in the order that habits and the model say."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from engram_context.completion.candidates import Candidate, is_silent
from engram_context.languages import language_of
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Asked, Session
from engram_lsp.suggestion import Suggestion, first_line

if TYPE_CHECKING:  # with the runtime behind it, it takes a while to import
    from engram_lsp.predictor import Predictor, Query

KINDS: dict[str, types.CompletionItemKind] = {
    "module": types.CompletionItemKind.Module,
    "class": types.CompletionItemKind.Class,
    "function": types.CompletionItemKind.Function,
    "method": types.CompletionItemKind.Method,
    "variable": types.CompletionItemKind.Variable,
    "constant": types.CompletionItemKind.Constant,
    "parameter": types.CompletionItemKind.Variable,
    "attribute": types.CompletionItemKind.Field,
    "import": types.CompletionItemKind.Module,
    "type-parameter": types.CompletionItemKind.TypeParameter,
    "type-alias": types.CompletionItemKind.Class,
    "interface": types.CompletionItemKind.Interface,
    "struct": types.CompletionItemKind.Struct,
    "enum": types.CompletionItemKind.Enum,
    "namespace": types.CompletionItemKind.Module,
    "keyword": types.CompletionItemKind.Keyword,
    "builtin": types.CompletionItemKind.Function,
}


_RECEIVER = re.compile(r"(?:[^\W\d]\w*|[\])}\"'>?!])\s*(?:\.|->|::)\s*\Z|\A\s*(?:from|import|use)\s[\w\s.,*:{]*\Z")
# How long to wait for names that only the memory knows, where there are no others to show, in seconds.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates in order, and perhaps a whole line."""

    candidates: Sequence[Candidate]
    line: Suggestion | None = None
    judged: bool = True  # False: there was no time to ask the model


async def completion(session: Session, params: types.CompletionParams) -> types.CompletionList | None:
    settings = session.settings.completion
    # Candidates read the text for themselves: waiting until the whole project has would take as long once more.
    asked = await session.asked(params.text_document, params.position, behind=True)
    if asked is None or not settings.enable:
        return None
    outdated = session.newest_ranking.ticket()
    reading = session.tasks.start("reading a prompt", read_ahead(session, asked, outdated))
    found = await session.in_background(lambda _: session.candidates.at(asked.snapshot, asked.place))
    if not session.is_current(asked):
        raise stale()
    found = [candidate for candidate in found if settings.auto_import or candidate.origin != "auto-import"]
    word = word_at(asked)
    ranking = await ranked(session, asked, found, word, reading, outdated)
    # A list is best effort: it stays right while the word it is for only grows, so a newer text does not void it.
    shown = ranking.candidates[: settings.limit]
    items = [to_protocol(session, asked, word, candidate, order) for order, candidate in enumerate(shown)]
    number = session.listed.keep(shown, asked.snapshot)
    for order, item in enumerate(items):
        item.data = [number, order]
    if ranking.line is not None and (line := first_line(ranking.line)) is not None:
        items.insert(0, whole_line(session, asked, line))
    # With another letter, other names of the project may be expected.
    recalled = any(candidate.origin == "recalled" for candidate in shown)
    incomplete = len(shown) < len(ranking.candidates) or not ranking.judged or ranking.line is not None or recalled
    return types.CompletionList(is_incomplete=incomplete, items=items)


def word_at(asked: Asked) -> Span:
    """The identifier that the cursor stands in or behind."""
    data = asked.text.data
    start = end = asked.offset
    while start and is_word_byte(data[start - 1]):
        start -= 1
    while end < len(data) and is_word_byte(data[end]):
        end += 1
    return Span(start, end)


def is_word_byte(byte: int) -> bool:
    return byte >= 0x80 or byte == 0x5F or 0x30 <= byte <= 0x39 or 0x41 <= byte & 0xDF <= 0x5A


def follows_receiver(text: Text, start: int, language: str = "python") -> bool:
    """Whether a name begins at `start` that some other file may know: in an import, or behind the dot of an expression,
    not of a number or of a sentence."""
    before = text.slice(Span(text.line_start(text.line_of(start)), start))
    return bool(_RECEIVER.search(before)) and not is_silent(text, start, language)


async def read_ahead(session: Session, asked: Asked, outdated: Cancelled) -> "Query | None":
    """The question to the model, which begins to read while the candidates are looked for."""
    predictor = session.predictor
    if predictor is None:
        return None

    def read(cancelled: Cancelled) -> "Query":
        query = session.query(asked, asked.text, asked.offset)
        predictor.read(query, lambda: cancelled() or outdated())
        return query

    return await session.in_model_thread(read, urgent=True)


async def ranked(
    session: Session,
    asked: Asked,
    found: Sequence[Candidate],
    word: Span,
    reading: "asyncio.Task[Query | None]",
    outdated: Cancelled,
) -> Ranking:
    """The candidates that go on with the typed word, as the model orders them if it can do so in time."""
    from engram_lsp.ranking import matches

    typed = asked.text.slice(Span(word.start, asked.offset))
    fitting = [candidate for candidate in found if matches(typed, candidate.name)]
    unordered = Ranking(fitting, judged=False)
    free = bool(found) or follows_receiver(asked.text, word.start, language_of(asked.path) or "python")
    line_wanted = not session.client.inline_completion and session.settings.completion.whole_line
    if session.predictor is None or not (fitting or free or line_wanted):
        return Ranking(fitting)
    patience = session.settings.completion.wait_ms / 1000
    patience = patience if fitting else max(patience, _PATIENCE)
    elsewhere = line_elsewhere(session, asked, outdated, patience) if line_wanted else None

    def rank(query: "Query", cancelled: Cancelled) -> Ranking:
        predictor = session.predictor

        def ended() -> bool:
            return cancelled() or outdated()

        if predictor is None or ended():
            return unordered
        order = listed(predictor, query, asked.snapshot, fitting, free, ended)
        lines = predictor.inline(query, ended) if line_wanted and not ended() else ()
        return Ranking(order, lines[0] if lines else None)

    async def ordered() -> Ranking:
        query = await asyncio.shield(reading)
        if query is None:
            return unordered
        return await session.in_model_thread(partial(rank, query), urgent=True)

    # The model thread may be busy: an unordered list now is better than one too late, not than none.
    try:
        ranking = await asyncio.wait_for(ordered(), patience)
        lines = await elsewhere if elsewhere is not None else None
    except TimeoutError:
        return unordered
    finally:
        if elsewhere is not None:
            elsewhere.cancel()
    return ranking if lines is None else replace(ranking, line=lines[0] if lines else None)


def listed(
    predictor: "Predictor",
    query: "Query",
    snapshot: Snapshot,
    fitting: Sequence[Candidate],
    free: bool,
    cancelled: Cancelled = lambda: False,
) -> Sequence[Candidate]:
    """The candidates in order, and, where the place is `free` for other names, those of the project that are expected
    though nothing allows them. In strings and comments no place is."""
    from engram_lsp.ranking import spread_of

    spread = spread_of(snapshot) if free else None
    return [candidate for candidate, _ in predictor.rank(query, fitting, cancelled, spread)]


def line_elsewhere(
    session: Session, asked: Asked, outdated: Cancelled, patience: float
) -> "asyncio.Task[tuple[Suggestion, ...] | None]":
    """Asks the remote model, if there is one, while the local one ranks; None where it has not answered in time."""

    async def ask() -> tuple[Suggestion, ...] | None:
        try:
            return await asyncio.wait_for(session.elsewhere(asked, asked.text, asked.offset, outdated), patience)
        except TimeoutError:
            return None

    return asyncio.get_running_loop().create_task(ask())


def to_protocol(session: Session, asked: Asked, word: Span, candidate: Candidate, order: int) -> types.CompletionItem:
    name = f"{candidate.name}=" if candidate.origin == "argument" else candidate.name
    item = plain(session, asked, word, name, order)
    known = candidate.origin != "recalled"
    item.kind = KINDS.get(candidate.kind) if known else types.CompletionItemKind.Text
    if session.client.label_details and candidate.origin == "auto-import":
        item.label_details = types.CompletionItemLabelDetails(description=candidate.detail)
    else:
        item.detail = candidate.detail or None
    if candidate.import_edit is not None:
        item.additional_text_edits = convert.text_edits(asked.text, [candidate.import_edit], session.unit)
    return item


def plain(session: Session, asked: Asked, word: Span, name: str, order: int) -> types.CompletionItem:
    insert = convert.range_of(asked.text, Span(word.start, asked.offset), session.unit)
    edit: types.TextEdit | types.InsertReplaceEdit = types.TextEdit(insert, name)
    if session.client.insert_replace:
        edit = types.InsertReplaceEdit(name, insert, convert.range_of(asked.text, word, session.unit))
    return types.CompletionItem(label=name, filter_text=name, sort_text=f"{order + 1:05}", text_edit=edit)


def whole_line(session: Session, asked: Asked, suggestion: Suggestion) -> types.CompletionItem:
    """The model's suggestion as the first item, for editors that have no ghost text."""
    return types.CompletionItem(
        label=suggestion.text,
        kind=types.CompletionItemKind.Snippet,
        detail="engram",
        filter_text=suggestion.text,
        sort_text="00000",
        insert_text_format=types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(convert.range_of(asked.text, suggestion.span, session.unit), suggestion.text),
    )
