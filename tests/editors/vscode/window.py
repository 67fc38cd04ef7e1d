"""A window of VS Code as its user has it: keys and what is to be seen."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from editor_support import until
from editors.vscode.running import ADDRESS, PATIENCE

BAR = '.statusbar-item[id$="engram-ls.status"]'
# Every text of our item in the status bar, in order, however short it was there.
WATCH_BAR = """
window.seenInBar = [];
setInterval(() => {
  const item = document.querySelector('BAR');
  const text = item && item.textContent.trim();
  if (text && text !== window.seenInBar.at(-1)) window.seenInBar.push(text);
}, 20);
""".replace("BAR", BAR.replace("'", "\\'"))
PICTURES = Path(__file__).parents[3] / "editors" / "vscode" / "media" / "screenshots"


@dataclass
class Window:
    page: Any
    folder: Path
    shots: Path

    def load(self, name: str) -> "Window":
        """Opens the project, and a file of it, which starts our extension; waits until all is read."""
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.add_init_script(WATCH_BAR)
        self.page.goto(f"http://{ADDRESS}/?folder={quote(str(self.folder))}", wait_until="domcontentloaded")
        self.see(".explorer-folders-view .monaco-list-row")
        self.open(name)
        self.see(f"{BAR} .codicon-sparkle")
        return self

    # --- to be seen ---

    def see(self, selector: str, text: str | re.Pattern[str] | None = None) -> Any:
        """Waits until something is there, and gives the first of it."""
        found = self.page.locator(selector, has_text=text) if text else self.page.locator(selector)
        found.first.wait_for(state="attached")
        return found.first

    def gone(self, selector: str) -> None:
        until(lambda: self.page.locator(selector).count() == 0, f"{selector} to go", PATIENCE)

    def until(self, true: Callable[[], Any], what: str) -> Any:
        """Like `until`, letting playwright do its work meanwhile."""

        def looked() -> Any:
            self.page.wait_for_timeout(20)
            return true()

        return until(looked, what, PATIENCE)

    def ghost(self) -> str:
        """The ghost text that is shown: the rest of the line at the cursor, then further lines."""
        here = self.page.locator(".view-line .ghost-text-decoration").all_text_contents()
        below = self.page.locator(".suggest-preview-text .view-line")
        lines = ["".join(here), *below.all_text_contents()]
        return "\n".join(lines).replace("\xa0", " ").rstrip()

    def ghost_is(self, text: str) -> None:
        self.until(lambda: self.ghost() == text, f"ghost text that reads {text!r}")

    def saved_are(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            self.until(lambda name=name, text=text: self.saved(name) == text, f"{name} to be written")

    def shot(self, name: str, *, still: bool = True) -> None:
        """A picture for people; `still`: the pointer is put away first."""
        if still:
            self.page.mouse.move(600, 749)
        picture = self.page.screenshot(animations="disabled", caret="initial")
        (self.shots / f"{name}.png").write_bytes(picture)
        if os.environ.get("UPDATE_SHOTS"):
            (PICTURES / f"{name}.png").write_bytes(picture)

    # --- to be done ---

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def open(self, name: str) -> None:
        """Opens a file of the project and waits until it is there to be edited."""
        self.press("Control+P")
        self.see(".quick-input-widget:not(.hidden) input:focus")
        self.type(name)
        self.see(f'.quick-input-list .monaco-list-row.focused[aria-label^="{name.rsplit("/")[-1]}"]')
        self.press("Enter")
        self.see(f'.tab.active[data-resource-name="{name.rsplit("/")[-1]}"]')
        self.see(".editor-instance .monaco-editor.focused")

    def go(self, line: int, character: int) -> None:
        """Puts the cursor to a place in the open file; both from 0, in UTF-16 code units."""
        self.press("Control+G")
        self.see(".quick-input-widget:not(.hidden) input:focus")
        self.type(f"{line + 1}:{character + 1}")
        self.press("Enter")
        self.see(".editor-instance .monaco-editor.focused")

    def command(self, title: str) -> None:
        self.press("F1")
        self.see(".quick-input-widget:not(.hidden) input:focus")
        self.type(title)
        self.see(f'.quick-input-list .monaco-list-row.focused[aria-label^="{title}"]')
        self.press("Enter")

    def choose(self, text: str) -> None:
        """An entry of the list that is open."""
        self.see(".quick-input-widget:not(.hidden) .quick-input-list .monaco-list-row", text).click()

    def undo_all(self) -> None:
        """Undoes until the active file is as it was saved."""
        self.see(".tab.active.dirty")
        while self.page.locator(".tab.active.dirty").count():
            self.press("Control+Z")

    def save(self) -> None:
        self.press("Control+S")
        self.gone(".tab.active.dirty")

    def saved(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")
