"""The project that a command speaks about: found from a path, read with a progress bar, asked in this process."""

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_context.disk.indexing import Coding
from engram_context.project import Project
from engram_context.text import Place, Text
from engram_runtime.models import default_model

from engram_lsp.cli.terminal import UserError, progress
from engram_lsp.coding import coding_of

# A folder with one of these is the root of a project, the nearest one above the file that was named.
ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", ".engramignore")


@dataclass(frozen=True, slots=True)
class Spot:
    """FILE:LINE:COL as typed: line and column count from 1, the column in characters (Unicode code points)."""

    file: Path
    line: int
    column: int


def spot(argument: str) -> Spot:
    """Reads FILE:LINE:COL; for argparse."""
    file, _, column = argument.rpartition(":")
    file, _, line = file.rpartition(":")
    if not (file and line.isdigit() and column.isdigit() and int(line) and int(column)):
        raise argparse.ArgumentTypeError(f"{argument!r} is not FILE:LINE:COL with a line and a column from 1")
    return Spot(Path(file), int(line), int(column))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every command that reads a project."""
    parser.add_argument("--root", type=Path, help="the project's folder (default: found from the path)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="cache folder (default: the user's)")
    parser.add_argument("--interpreter", type=Path, help="Python whose packages the project uses (default: looked for)")
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of tables")


def root_of(path: Path) -> Path:
    """The project that holds `path`: the nearest folder upwards with a mark of one, else the path's own folder."""
    folder = path if path.is_dir() else path.parent
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in ROOT_MARKS):
            return candidate
    return folder


@contextmanager
def opened(
    path: Path, options: argparse.Namespace, coding: Coding | None = None, *, names_only: bool = False, **settings: Any
) -> Generator[Project]:
    """The project around `path`, read and up to date, in the default model's tokens if `coding` does not say others.
    `names_only`: without its n-gram memory. `settings` are keyword arguments of `Project`.

    Raises UserError when there is nothing to read.
    """
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path} does not exist")
    root = (options.root.expanduser() if options.root else root_of(path.resolve())).resolve()
    try:
        project = Project(
            root,
            coding or coding_of(default_model() / "tokenizer.json"),
            cache_folder=options.cache,
            interpreter=options.interpreter,
            **settings,
        )
    except NotADirectoryError as problem:
        raise UserError(str(problem)) from problem
    try:
        with progress(f"reading {root.name}", quiet=options.json) as advance:
            if names_only:
                project.load_names(advance)
            else:
                project.apply(project.load(advance))
        yield project
    finally:
        project.close_project()


def path_in(project: Project, file: Path) -> str:
    """The project's name of a file. Raises UserError, with the reason, when the file is not part of it."""
    file = file.expanduser().resolve()
    try:
        path = file.relative_to(project.root).as_posix()
    except ValueError:
        raise UserError(f"{file} is not in {project.root}; say --root") from None
    if project.snapshot.record(path) is None:
        raise UserError(f"{path} is not in the project memory: {project.why_not(path)}")
    return path


def place_of(project: Project, where: Spot) -> tuple[Place, Text]:
    """The place, and the text it is in. Raises UserError for a line or column that the file does not have."""
    path = path_in(project, where.file)
    text = project.text(path)
    if text is None:
        raise UserError(f"{path} cannot be read")
    if where.line > text.line_count:
        raise UserError(f"{path} has {text.line_count} lines, not {where.line}")
    columns = len(text.slice(text.line_span(where.line - 1)).rstrip("\r\n")) + 1
    if where.column > columns:
        raise UserError(f"line {where.line} of {path} has {columns - 1} characters; the last column is {columns}")
    return Place(path, text.offset(where.line - 1, where.column - 1, "utf-32")), text
