"""Emacs as it is seen and typed at in a terminal: ghost text, its keys, its mode line."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from editor_support import BEGUN, EXPECTED_REST, Server, until
from terminal_support import Terminal

HERE = Path(__file__).parent
LAST = BEGUN.rpartition("\n")[2].strip()  # the line that a suggestion is to complete


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
        with suppress(AssertionError):  # it asks about what is not saved, and is gone at once where all is
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
    assert re.search(r"handling(?:\x1b\[[\d;]*m)* %\x1b\[", terminal.screen(colours=True)), (
        "ghost text looks as typed text does"
    )
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
    # C-g would throw away keys that Emacs has not read yet.
    until(lambda: re.search(r"%s\x1b\[", terminal.screen(colours=True)), "ghost text behind two words")
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
