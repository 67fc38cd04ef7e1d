"""What the commands print on: rich consoles, progress, and errors that a person can act on.

Standard output carries answers, standard error carries everything else, so that pipes and `--json` stay clean.

Names and texts of a project are a stranger's: what would move the cursor, turn the writing round, or give an order to a
terminal or to the machine of a CI service is shown instead (`harmless.py`).
"""

import argparse
import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from engram_lsp.harmless import on_one_line, visible


def name_of(path: str) -> str:
    """A path, or another text of a project, on one line, and never the beginning of a command to GitHub's runners
    (`::error::`)."""
    shown = on_one_line(path)
    return f"./{shown}" if shown.lstrip().startswith("::") else shown


class Screen(Console):
    """A console on which nothing that is printed does anything but appear."""

    def render_str(self, text: str, **options: Any) -> Text:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().render_str(visible(text), **options)

    def diff(self, text: str) -> None:
        """A diff, to the byte where a program reads it."""
        self.file.write(visible(text) if self.is_terminal else text)


out = Screen(highlight=False, emoji=False)
notes = Screen(stderr=True, highlight=False, emoji=False)

_EVERY = 0.1
"""Seconds between two looks of a progress bar."""

# (done, total, what is being read now); total is 0 while it is not known.
OnProgress = Callable[[int, int, str], None]


class UserError(Exception):
    """The command or its input was wrong; the text, plain and without markup, says what to do about it."""


def error(message: str) -> None:
    """`message` is plain text: brackets in it, as in the names of files, are shown."""
    notes.print(f"[bold red]engram-ls:[/] {escape(message)}", soft_wrap=True)


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def number(kind: type[int] | type[float], least: float, most: float) -> Callable[[str], float]:
    """A number of `least` to `most`, for argparse."""

    def read(written: str) -> float:
        try:
            value = kind(written)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{written} is not a number of {least:g} to {most:g}")
        return value

    return read


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Generator[OnProgress]:
    """A progress bar on standard error, and nothing at all where nobody watches."""
    with Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[path]}"),
        console=notes,
        transient=True,
        auto_refresh=False,  # no thread of its own: a process with threads cannot be split
        disable=quiet or not notes.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=None, path="")
        shown = 0.0

        def advance(done: int, total: int, path: str) -> None:
            nonlocal shown
            now = monotonic()
            refresh, shown = (True, now) if now - shown > _EVERY else (False, shown)
            bar.update(task, completed=done, total=total or None, path=escape(name_of(path)[-50:]), refresh=refresh)

        yield advance
