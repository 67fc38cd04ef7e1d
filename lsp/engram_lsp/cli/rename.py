"""`engram-ls rename FILE:LINE:COL NEW`: the rename as a diff; `--write` applies it."""

import argparse
import difflib
import io
import os
from pathlib import Path

from engram_context.edits import EditError, ProjectEdit, Refusal
from engram_context.project import Project
from engram_context.renames.rename import rename
from engram_context.text import Text
from rich.syntax import Syntax

from engram_lsp.cli import workspace
from engram_lsp.cli.terminal import UserError, error, notes, out, print_json
from engram_lsp.harmless import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spot", type=workspace.spot, metavar="FILE:LINE:COL", help="line and column count from 1")
    parser.add_argument("new", metavar="NEW", help="the new name")
    parser.add_argument("--write", action="store_true", help="apply the edits that are certain")
    parser.add_argument("--unproven", action="store_true", help="also the edits that ask for confirmation")
    workspace.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    with workspace.opened(options.spot.file, options) as project:
        place, _ = workspace.place_of(project, options.spot)
        edit = rename(project.snapshot, place, options.new, project.environment)
        if isinstance(edit, Refusal):
            if options.json:
                print_json({"refused": edit.reason})
            else:
                error(edit.reason)
            return 1
        unproven = sum(one.annotation is not None for edits in edit.edits.values() for one in edits)
        chosen = edit if options.unproven else edit.certain
        before, after = texts_of(project, chosen)
        diff = "".join(diff_of(path, before[path], after[path]) for path in sorted(after))
        diff += "".join(f"rename from {old}\nrename to {new}\n" for old, new in edit.moves)
        if options.json:
            counts = {"edits": len(chosen), "unproven": unproven}
            print_json({"files": sorted(after), **counts, "moves": [list(move) for move in edit.moves], "diff": diff})
        elif out.is_terminal:
            out.print(Syntax(visible(diff).rstrip("\n"), "diff", background_color="default"))
        else:
            out.file.write(diff)
        if options.write:
            write_texts(project, before, after)
            _move(project, edit)
            notes.print(f"{len(chosen)} edits in {len(after)} files written")
        if unproven and not options.unproven:
            notes.print(f"[yellow]{unproven} more mentions may be meant; --unproven includes them[/]")
    return 0


def _move(project: Project, edit: ProjectEdit) -> None:
    """Moves files and folders, once their imports are written."""
    for old, new in edit.moves:
        target = project.root / new
        if target.exists():
            raise UserError(f"{new} is there already: {old} was not moved")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            (project.root / old).rename(target)
        except OSError as problem:
            raise UserError(f"{problem}: {old} was not moved") from problem


def texts_of(project: Project, edit: ProjectEdit) -> tuple[dict[str, Text], dict[str, Text]]:
    """The texts that an edit changes, before and after it."""
    before = {path: text for path in edit.edits if (text := project.text(path)) is not None}
    try:
        return before, edit.texts_after(before)
    except EditError as problem:
        raise UserError(str(problem)) from problem


def diff_of(path: str, before: Text, after: Text) -> str:
    """A unified diff that `patch` and `git apply` take; line endings are those of the file."""
    # Not splitlines: it also breaks at form feeds and other characters that `patch` takes for part of a line.
    old, new = (list(io.StringIO(text.decode(), newline="\n")) for text in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def write_texts(project: Project, before: dict[str, Text], after: dict[str, Text]) -> None:
    """Writes all files or none: each is written beside the original first, then all are moved into place."""
    written: list[tuple[Path, Path]] = []
    try:
        for path, text in after.items():
            file = project.root / path
            raw = file.read_bytes()
            if raw.removeprefix(b"\xef\xbb\xbf") != before[path].data:
                raise UserError(f"{path} is not plain UTF-8, or changed meanwhile: nothing was written")
            mark = raw[: len(raw) - len(before[path].data)]
            beside = file.with_name(f".{file.name}.engram-{os.getpid()}")
            written.append((beside, file))
            beside.write_bytes(mark + text.data)
            beside.chmod(file.stat().st_mode)
        for beside, file in written:
            beside.replace(file)
    except OSError as problem:
        raise UserError(f"{problem}: nothing more was written") from problem
    finally:
        for beside, _ in written:
            beside.unlink(missing_ok=True)
