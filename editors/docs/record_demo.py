"""Records `engram-ls demo` as the animated picture demo.svg: `python editors/docs/record_demo.py [PROJECT]`.

Needs engram-ls (and with it rich) in the Python that runs it, and nothing else. Lines and figures are what the command
printed; only the pauses between lines are made shorter, and those behind a table long enough to read it.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

TARGET = Path(__file__).parent / "demo.svg"
COLUMNS, ROWS = 100, 30
# Pixels.
WIDE, HIGH, MARGIN, BAR = 8.43, 19.0, 14.0, 30.0
# Seconds: between lines of one block at most, behind a block to read it, for each line of it, and at the end.
LINE, BLOCK, READING, END = 0.06, 1.0, 0.2, 5.0
BACKGROUND, FOREGROUND = "#16191f", "#d7dae0"
THEME = TerminalTheme(
    (0x16, 0x19, 0x1F), (0xD7, 0xDA, 0xE0),
    [(0x3A, 0x3F, 0x4B), (0xE0, 0x6C, 0x75), (0x8B, 0xC3, 0x76), (0xE5, 0xC0, 0x7B),
     (0x6C, 0xB0, 0xF0), (0xC6, 0x8A, 0xE0), (0x5F, 0xC0, 0xCC), (0xD7, 0xDA, 0xE0)],
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    text: Text
    at: float  # seconds since the start


def recorded(command: list[str]) -> list[Line]:
    """What a command prints, line by line as it comes, with its colours."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONUNBUFFERED": "1"}
    environment.pop("NO_COLOR", None)
    began, decoder = time.monotonic(), AnsiDecoder()
    lines = [Line(Text.assemble(("$ ", "green"), ("engram-ls demo", "bold")), 0.0)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        lines += (
            Line(decoder.decode_line(raw.decode().rstrip("\n")), time.monotonic() - began) for raw in process.stdout
        )
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} left with {process.returncode}")
    return lines


def paced(lines: list[Line]) -> list[float]:
    """When each line is shown: as recorded, with short pauses within a block and time to read it behind it."""
    shown, now, block = [0.0], 0.0, 0
    for before, line in pairwise(lines):
        pause = line.at - before.at
        block += 1
        if pause > 0.2:  # something was worked on: a block has ended
            now += BLOCK + READING * min(block, ROWS)
            block = 0
        now += min(pause, LINE)
        shown.append(now)
    return shown


def frames(shown: list[float]) -> list[tuple[float, int]]:
    """(seconds, lines visible from then on), lines that come at once together."""
    found: list[tuple[float, int]] = []
    for count, at in enumerate(shown, 1):
        if found and at - found[-1][0] < 0.04:
            found[-1] = (found[-1][0], count)
        else:
            found.append((at, count))
    return found


def hexadecimal(color: Color | None, fallback: str) -> str:
    return fallback if color is None or color.is_default else color.get_truecolor(THEME).hex


def drawn(line: Text, y: float, classes: dict[str, str], console: Console) -> str:
    """One line: spans of one style each, placed by their column so that widths of fonts do not matter."""
    spans, column = [], 0
    for segment in line.render(console):
        text, style = segment.text.rstrip("\n"), segment.style or Style.null()
        if text.strip():
            lead = len(text) - len(text.lstrip())
            colour = hexadecimal(style.color, FOREGROUND)
            look = f"fill:{colour}" + (";font-weight:bold" if style.bold else "") + (";opacity:.6" if style.dim else "")
            name = classes.setdefault(look, f"c{len(classes)}")
            stripped = text.strip()
            x, length = MARGIN + (column + lead) * WIDE, len(stripped) * WIDE
            spans.append(
                f'<tspan x="{x:.1f}" textLength="{length:.1f}" class="{name}">{escape(stripped, quote=False)}</tspan>'
            )
        column += len(text)
    return f'<text y="{y:.1f}">{"".join(spans)}</text>' if spans else ""


def steps(name: str, kept: Iterable[tuple[float, str]], total: float) -> str:
    """Keyframes that jump."""
    rules = "".join(f"{100 * at / total:.3f}%{{{what}}}" for at, what in kept)
    return f"@keyframes {name}{{{rules}}}"


def picture(lines: list[Line]) -> str:
    at = paced(lines)
    total, kept = at[-1] + END, frames(at)
    classes: dict[str, str] = {}
    console = Console(width=COLUMNS)
    rows = (drawn(line.text, (row + 0.75) * HIGH, classes, console) for row, line in enumerate(lines))
    texts = "\n".join(filter(None, rows))
    scroll = [(when, f"transform:translateY({-max(0, count - ROWS) * HIGH:.0f}px)") for when, count in kept]
    cover = [(when, f"transform:translateY({min(count, ROWS) * HIGH:.0f}px)") for when, count in kept]
    wide, high = COLUMNS * WIDE + 2 * MARGIN, ROWS * HIGH + BAR + MARGIN
    still = -max(0, min(36, len(lines) - ROWS)) * HIGH
    looks = "".join(f".{name}{{{look}}}" for look, name in classes.items())
    style = (
        f"text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}"
        # Where nothing moves, the first screen is shown.
        f"{looks}.s{{animation:s {total:.1f}s step-end infinite}}"
        f".c{{transform:translateY({ROWS * HIGH:.0f}px);animation:c {total:.1f}s step-end infinite}}"
        f"{steps('s', scroll, total)}{steps('c', cover, total)}"
        f"@media(prefers-reduced-motion:reduce){{.s{{animation:none;transform:translateY({still:.0f}px)}}"
        f".c{{display:none}}}}"
    )
    dots = "".join(f'<circle cx="{18 + 18 * i}" cy="15" r="5" fill="#3a3f4b"/>' for i in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" role="img" '
        f'aria-label="A terminal in which engram-ls demo runs">\n<style>{style}</style>\n'
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>{dots}\n'
        f'<svg y="{BAR:.0f}" width="{wide:.0f}" height="{ROWS * HIGH:.0f}"><g class="s">\n{texts}\n</g>'
        f'<rect class="c" width="100%" height="100%" fill="{BACKGROUND}"/></svg>\n</svg>\n'
    )


def main() -> None:
    lines = recorded([sys.executable, "-m", "engram_lsp.cli", "demo", *sys.argv[1:]])
    # The folder that the command unpacked the project into is nobody's interest, and another one each time.
    lines = [Line(line.text, line.at) for line in lines if not re.match(r"│ \S*engram-demo-\S* +│", line.text.plain)]
    TARGET.write_text(picture(lines), encoding="utf-8")
    print(f"{TARGET.name}: {len(lines)} lines, {TARGET.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
