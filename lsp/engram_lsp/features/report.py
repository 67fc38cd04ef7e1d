"""The commands engram.why and engram.report: what people ask when something is not as they expect."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engram_lsp import convert
from engram_lsp.belonging import verdict
from engram_lsp.machine import system
from engram_lsp.session import Session
from engram_lsp.settings import Settings


async def why(session: Session, arguments: Sequence[Any]) -> dict[str, Any]:
    """Argument: a file's URI. Whether the file is in the project memory, and the rule that decides."""
    uri = str(arguments[0]) if arguments else ""
    file = convert.path_of(uri)
    await session.until_listed()
    found = None if file is None else session.find_folder(file)
    if file is None or found is None:
        return _answer(uri, False, text="it is in no folder of the workspace: only what is open of it is known")
    folder, _ = found
    project = folder.project
    if project is None:
        return _answer(uri, False, text=f"{folder.name} is not read: {folder.problem}")
    said = await session.in_background(lambda _: verdict(project, file))
    reason = said.reason
    rule = f"{reason.source}:{reason.line}" if reason is not None and reason.source else reason and reason.kind
    text = said.words or "it is in the project memory"
    if reason is not None and reason.kind == "absent" and not folder.loaded:
        text = f"{folder.name} is still being read"
    return _answer(uri, reason is None, names_only=said.private, rule=rule, text=text)


def _answer(uri: str, indexed: bool, *, names_only: bool = False, rule: str | None = None, text: str) -> dict[str, Any]:
    return {"uri": uri, "indexed": indexed, "namesOnly": names_only, "rule": rule, "text": text}


async def report(session: Session, _: Sequence[Any]) -> str:
    """A report on the state of things in Markdown, for people and for bug reports: no name and no text of a file."""
    status = session.status()
    engine, remote, ghost = status["engine"], status["remote"], status["ghostText"]
    client = f"{status['client']['name'] or 'unknown'}, positions in {status['client']['positionEncoding']}"
    lines = [
        "# engram-ls report",
        "",
        f"- **engram-ls** {status['version']}, Python {platform.python_version()} on {system()}",
        f"- **editor** {client}",
        f"- **state** {status['health']['state']}: {status['health']['text']}",
        f"- **model** {status['model']}" + (f" ({engine['reason']})" if engine.get("reason") else ""),
        f"- **remote model** {remote.get('problem') or remote.get('endpoint', 'off')}",
        f"- **ghost text** {ghost['computed']} computed, {ghost['kept']} kept while typed, {ghost['ahead']} made ahead",
        f"- **documents** {status['documents']} open",
        "",
        "| folder | files | lines | tokens | memory | from cache | watched by | problem |",
        "|---|---:|---:|---:|---:|---:|---|---|",
        *(_row(folder) for folder in status["folders"]),
        "",
        "## Settings other than the defaults",
        "",
        *(_changed(session.settings) or ["none"]),
        "",
    ]
    return "\n".join(lines)


def _row(folder: dict[str, Any]) -> str:
    cells = (
        _home(folder["root"]), f"{folder['files']:,}", f"{folder['lines']:,}", f"{folder['tokens']:,}",
        f"{folder['memoryBytes'] / 1e6:.1f} MB", f"{folder['fromStore']:,}", folder.get("watching", "no"),
        folder.get("problem", ""),
    )  # fmt: skip
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _home(path: str) -> str:
    """The user's name is nobody's business."""
    home = str(Path.home())
    return "~" + path[len(home) :] if len(home) > 1 and path.startswith(home) else path


def _changed(settings: Settings) -> list[str]:
    found: list[str] = []
    for name, value in settings.changed():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        found.append(f"- `{name}`: `{_home(shown)}`")
    return found
