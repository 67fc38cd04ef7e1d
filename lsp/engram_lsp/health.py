"""How the server is, in a word, a number and a sentence: what an editor shows in its status bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engram_lsp import model

if TYPE_CHECKING:
    from engram_lsp.folder import Folder
    from engram_lsp.session import Session

State = Literal["starting", "reading", "ready", "paused", "problem"]


@dataclass(frozen=True, slots=True)
class Health:
    """`percent`: how much of what is being read has been, None where nothing is. `text` names no file."""

    state: State
    percent: int | None
    text: str
    model: str
    provider: str
    files: int

    def as_json(self) -> dict[str, Any]:
        return {"state": self.state, "percent": self.percent, "text": self.text}


def health(session: Session) -> Health:
    """Looks at what is at hand; asks nothing and waits for nothing."""
    folders = tuple(session.folders.values())
    files = sum(len(folder.snapshot.records) for folder in folders)
    predictor = session.predictor
    described = model.describe(None if predictor is None else predictor.engine)
    title = "opening" if predictor is None and not session.model_problem else model.title(described)
    state, percent, text = _state(session, folders, files)
    return Health(state, percent, text, title, described["provider"], files)


def _state(session: Session, folders: tuple[Folder, ...], files: int) -> tuple[State, int | None, str]:
    problem = next((folder.problem for folder in folders if folder.problem), session.model_problem)
    reading = [folder for folder in folders if not folder.loaded]
    if not session.started.is_set():
        return "starting", None, "starting"
    if session.paused:
        return "paused", None, f"reading is paused; {files:,} files are known"
    if reading:
        done, total = (sum(folder.progress[which] for folder in reading) for which in (0, 1))
        percent = 100 * done // total if total else 0
        return "reading", percent, f"reading {', '.join(folder.name for folder in reading)}: {percent} %"
    if not session.settings.index.enable:
        return "ready", None, "only open documents are known: reading projects is switched off"
    if problem:
        return "problem", None, problem
    if session.predictor is None:
        return "starting", None, f"{files:,} files are known; opening the model"
    return "ready", None, f"{files:,} files are known"
