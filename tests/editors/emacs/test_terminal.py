"""Emacs as it is seen and typed at in a terminal: ghost text, its keys, its mode line."""

import re
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from editor_support import BEGUN, EXPECTED_REST, Server, until

HERE = Path(__file__).parent
LAST = BEGUN.rpartition("\n")[2].strip()  # the line that a suggestion is to complete
COLUMNS, ROWS = 120, 40


class Terminal:
    """A program in a terminal of its own, by tmux: keys go in, the screen comes out."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = f"engram-{uuid.uuid4().hex}"
        shell = shlex.join(["env", "TERM=xterm-256color", *command])
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), shell, environment=environment)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: "M-f", "Tab", "C-x"."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def screen(self, *, colours: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def until(self, true: Callable[[str], object], what: str) -> str:
        """Waits until the screen is so; the screen."""
        try:
            until(lambda: true(self.screen()), what)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.screen()}") from None
        return self.screen()

    def ended(self) -> bool:
        return self._run("has-session").returncode != 0

    def close(self) -> None:
        self._run("kill-server")

    def _tmux(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        done = self._run(*arguments, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *arguments: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["tmux", "-u", "-L", self.name, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )


@pytest.fixture
def terminal(emacs, project: Path) -> Iterator[Terminal]:
    """Emacs with shop/handlers.py, whose last function is begun; the server has read everything."""
    load = ["-L", str(HERE.parents[2] / "editors" / "emacs"), "-l", str(HERE / "init.el")]
    handlers = project / "shop" / "handlers.py"
    handlers.write_text(f"{handlers.read_text(encoding='utf-8')}\n\n{BEGUN}", encoding="utf-8", newline="\n")
    terminal = Terminal([*emacs.command, "-nw", *load, str(handlers)], emacs.environment, project)
    try:
        terminal.until(ready, "the server to have read the project")
        terminal.press("M->")
        terminal.until(begun, "the end of the file")
        yield terminal
        terminal.press("C-x", "C-c")
        terminal.press("n", *"yes", "Enter")
        until(terminal.ended, "Emacs to end")
    finally:
        terminal.close()


def ready(screen: str) -> bool:
    """The mode line names us, and nothing that goes on."""
    return re.search(r"\(Python Engram[ )]", screen) is not None


def begun(screen: str) -> str:
    """The line that is being typed, with what is suggested for it."""
    lines = [line for line in screen.splitlines() if LAST in line]
    return lines[-1][lines[-1].index(LAST) :].rstrip() if "handle_cancel" in screen and lines else ""


def completed(screen: str) -> bool:
    """That line is seen whole, typed or suggested."""
    return begun(screen) == LAST + EXPECTED_REST


def saved(project: Path, terminal: Terminal) -> str:
    """The file's last lines, once the buffer was saved."""
    terminal.press("C-x", "C-s")
    terminal.until(lambda screen: "Wrote" in screen, "the file to be written")
    text = (project / "shop" / "handlers.py").read_text(encoding="utf-8")
    return text[text.rindex("def handle_cancel") :]


def test_ghost_text_is_seen_while_typing_and_tab_accepts_it(terminal: Terminal, project: Path) -> None:
    terminal.type(" %")
    terminal.until(completed, "ghost text")
    assert re.search(r"handling %\x1b\[", terminal.screen(colours=True)), "ghost text looks as typed text does"
    # Typed through: what is left stays where it is.
    terminal.type("s of")
    terminal.until(completed, "the rest of it")
    shown = terminal.screen()
    terminal.press("Tab")
    terminal.press("Space")
    terminal.until(completed, "the accepted text")
    assert LAST + EXPECTED_REST in saved(project, terminal), shown


def test_words_and_lines_are_accepted_by_their_keys(terminal: Terminal, project: Path) -> None:
    terminal.type(" ")
    terminal.until(completed, "ghost text")
    terminal.press("M-f")
    terminal.press("M-f")
    terminal.until(completed, "the rest of it")
    terminal.press("C-g")
    terminal.until(lambda screen: begun(screen) == f"{LAST} %s", "two words")
    terminal.press("M-x")
    terminal.type("engram-suggest\r")
    terminal.until(completed, "ghost text that was asked for")
    terminal.press("C-e")
    assert saved(project, terminal).splitlines()[2].strip() == LAST + EXPECTED_REST


def test_it_is_hidden_by_moving_away_and_by_a_list_of_completions(terminal: Terminal) -> None:
    terminal.type(" ")
    terminal.until(completed, "ghost text")
    terminal.press("Left")
    terminal.until(lambda screen: not completed(screen), "the ghost text to go")
    terminal.press("C-e")
    terminal.type("%")
    terminal.until(completed, "ghost text again")
    terminal.press("M-x")
    terminal.type("completion-at-point\r")
    terminal.until(lambda screen: not completed(screen) or "*Completions*" not in screen, "one of the two at most")
    terminal.press("C-g")


def test_none_comes_by_itself_once_that_is_switched_off(terminal: Terminal, server: Server) -> None:
    terminal.press("M-:")
    terminal.type("(setq engram-automatic nil)\r")
    terminal.type(" ")
    terminal.press("M-x")
    terminal.type("engram-suggest\r")
    terminal.until(completed, "ghost text that was asked for")
    kinds = [
        message["params"]["context"]["triggerKind"] for message in server.messages("textDocument/inlineCompletion")
    ]
    assert kinds == [1]
