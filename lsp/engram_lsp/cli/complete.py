"""`engram-ls complete FILE:LINE:COL`: what ghost text and the completion list would show there."""

import argparse
import time
from dataclasses import replace

from engram_context.completion.candidates import is_silent
from engram_context.languages import language_of
from engram_context.text import Span
from engram_runtime.servers import RemoteError
from engram_runtime.tokenizer import Tokenizer
from rich.markup import escape
from rich.table import Table
from rich.text import Text as Styled

from engram_lsp.cli import workspace
from engram_lsp.cli.terminal import UserError, notes, number, out, print_json
from engram_lsp.coding import coding_of
from engram_lsp.model import open_predictor, tokenizer_file
from engram_lsp.predictor import Query
from engram_lsp.prompt import finished
from engram_lsp.ranking import spread_of
from engram_lsp.remote import Remote
from engram_lsp.settings import ModelSettings, RemoteSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spot", type=workspace.spot, metavar="FILE:LINE:COL", help="line and column count from 1")
    parser.add_argument("--model", default="", metavar="FOLDER", help='a model folder, or "none" for the memory alone')
    parser.add_argument(
        "--endpoint", metavar="URL", help="ask the server there for the ghost text (see editors/docs/how-to/models.md)"
    )
    parser.add_argument("--endpoint-model", metavar="NAME", default="", help="the name of the model at that server")
    parser.add_argument(
        "--most",
        type=number(int, 0, 10_000),
        default=10,
        metavar="N",
        help="how many names to list (default: %(default)s)",
    )
    workspace.add_arguments(parser)


def _remote(options: argparse.Namespace, tokenizer: Tokenizer) -> Remote | None:
    """The server that is to be asked. Files that it must not see were refused before: the project leaves them out."""
    if not options.endpoint:
        return None
    try:
        settings = RemoteSettings(endpoint=options.endpoint, model=options.endpoint_model)
        remote = Remote.open(settings, tokenizer)
    except RemoteError as problem:
        raise UserError(str(problem)) from problem
    remote.connect()
    return remote


def run(options: argparse.Namespace) -> int:
    settings = ModelSettings(path=options.model)
    try:
        coding = coding_of(tokenizer_file(settings))
    except (OSError, ValueError) as problem:
        raise UserError(f"{tokenizer_file(settings)} cannot be read: {problem}") from problem
    with workspace.opened(options.spot.file, options, coding) as project:
        place, text = workspace.place_of(project, options.spot)
        predictor, problem = open_predictor(settings)
        if problem:
            notes.print(f"[yellow]{escape(problem)}[/]")
        known, at = finished(text, place.offset)
        memory = project.view(place.path, at, known)
        query = Query(place.path, text, place.offset, 0, memory, invoked=True)
        remote = _remote(options, predictor.tokenizer)
        began = time.perf_counter()
        suggestions = None if remote is None else remote.inline(replace(query, memory=None))
        if suggestions is None:
            if remote is not None:
                notes.print(f"[yellow]the server does not answer: {escape(remote.describe()['problem'])}[/]")
            suggestions = predictor.inline(query)
        if remote is not None:
            remote.close()
        inline_ms = (time.perf_counter() - began) * 1000
        began = time.perf_counter()
        snapshot = project.snapshot
        spread = None if is_silent(text, place.offset, language_of(place.path) or "python") else spread_of(snapshot)
        ranked = predictor.rank(query, snapshot.candidates(place), spread=spread)[: options.most]
        list_ms = (time.perf_counter() - began) * 1000
    line = text.slice(Span(text.line_start(text.line_of(place.offset)), place.offset)).lstrip()
    if options.json:
        print_json(
            {
                "ghost_text": [{"text": s.text, "probability": s.probability, "source": s.source} for s in suggestions],
                "list": [{"name": c.name, "kind": c.kind, "origin": c.origin, "score": s} for c, s in ranked],
                "ghost_text_ms": inline_ms,
                "list_ms": list_ms,
            }
        )
        return 0 if suggestions or ranked else 1
    table = Table(title=f"ghost text ({inline_ms:.0f} ms)", title_justify="left", show_header=False)
    for suggestion in suggestions:
        typed = place.offset - suggestion.span.start
        added = suggestion.text.encode()[typed:].decode()
        table.add_row(Styled(line) + Styled(added, style="green"), f"{suggestion.probability:.0%}", suggestion.source)
    out.print(table if suggestions else "no ghost text here")
    names = Table(title=f"names ({list_ms:.0f} ms)", title_justify="left", show_header=False)
    for candidate, score in ranked:
        names.add_row(candidate.name, candidate.kind, f"[dim]{candidate.origin}[/]", f"[dim]{score:.1f}[/]")
    if names.row_count:
        out.print(names)
    return 0 if suggestions or names.row_count else 1
