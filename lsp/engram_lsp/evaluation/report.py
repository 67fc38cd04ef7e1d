"""An evaluation for people and for programs: tables, JSON, and two plots as SVG."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape as quoted
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from engram_lsp.evaluation.figures import Measured, by_sureness, precisions
from engram_lsp.evaluation.run import GROUPS, Evaluation

_COLOURS = {"fused": "#0072b2", "memory": "#d55e00", "model": "#009e73", "random": "#999999"}


def table(done: Evaluation, group: str) -> Table:
    """A group's figures: a row each, a column for each arm."""
    found = list(done.figures(group))
    arms = list(dict.fromkeys(one.arm for one in found))
    drawn = Table(title=GROUPS[group][0], title_justify="left", box=None, pad_edge=False)
    drawn.add_column("")
    for arm in arms:
        drawn.add_column(arm, justify="right")
    by_key = {(one.figure.key, one.arm): one for one in found}
    for figure in GROUPS[group][1]:
        cells = [said(by_key.get((figure.key, arm))) for arm in arms]
        if any(cells):
            drawn.add_row(escape(figure.label), *cells)
    if not found:
        drawn.caption = "nothing to ask here"
    return drawn


def said(one: Measured | None) -> str:
    """A figure with its interval, shares in per cent."""
    if one is None:
        return ""
    scale, digits = {"share": (100, 1), "bits": (1, 2), "ms": (1, 0), "ratio": (1, 2)}[one.figure.unit]
    value, low, high = (f"{scale * number:.{digits}f}" for number in (one.value, one.low, one.high))
    return value if low == high == value or one.low != one.low else f"{value} [dim]{low}–{high}[/]"


def footnote(done: Evaluation) -> str:
    """What the intervals mean."""
    count = len(done.repositories)
    if count == 1:
        return "Intervals are 95 % over the holes of this one repository: they do not say how others would fare."
    return f"Means over {count} repositories; intervals are 95 %, bootstrapped over repositories."


def as_json(done: Evaluation, about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, down to the single hole."""
    figures: dict[str, dict[str, dict[str, Any]]] = {}
    for group in done.records:
        for one in done.figures(group):
            figures.setdefault(group, {}).setdefault(one.arm, {})[one.figure.key] = {
                "value": one.value,
                "low": _number(one.low),
                "high": _number(one.high),
                "rows": one.rows,
                "repositories": {name: _number(value) for name, value in one.by_repository.items()},
            }
    return {**about, "repositories": list(done.repositories), "figures": figures, "records": done.records}


def _number(value: float) -> float | None:
    return value if value == value else None


def write_plots(done: Evaluation, folder: Path) -> list[Path]:
    """The plots that the evaluation has numbers for, as files in `folder`. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    plots: dict[str, str] = {}
    if "lines" in done.records:
        plots["coverage.svg"] = coverage_plot(done)
        plots["exact.svg"] = bars(done, "lines", ("exact", "exact_start", "exact_middle", "any_of_4"), "exact lines")
    if "tokens" in done.records:
        plots["tokens.svg"] = bars(done, "tokens", ("top1", "top5"), "next token")
    if "names" in done.records:
        keys = [f"{key}_typed{typed}" for typed in (0, 1, 2) for key in ("top1", "top5")]
        plots["names.svg"] = bars(done, "names", keys, "next name")
    for name, drawing in plots.items():
        (folder / name).write_text(drawing, encoding="utf-8")
    return [folder / name for name in plots]


# Plots have a plane of _WIDTH by _HEIGHT, both axes from 0 to 1, upwards.
_WIDTH, _HEIGHT, _LEFT, _TOP = 560, 300, 60, 40
_TICKS = (0, 0.25, 0.5, 0.75, 1)


def coverage_plot(done: Evaluation) -> str:
    """How many lines are right (upwards) among the surest share of all (to the right), by arm."""
    parts: list[str] = []
    for arm in done.records["lines"]:
        ordered = by_sureness(list(done.tables("lines", arm).values()), "exact", "sureness", "plain")
        if not len(ordered):
            continue
        shares = np.arange(1, len(ordered) + 1) / len(ordered)
        points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in zip(shares, precisions(ordered), strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[arm]}" stroke-width="2"/>')
    parts += [_text(_x(0.5), _HEIGHT + _TOP + 38, "share of cursors that get a suggestion", "middle")]
    ticks = "".join(_text(_x(share), _HEIGHT + _TOP + 18, f"{share:.0%}", "middle") for share in _TICKS)
    return _drawn("exact among the surest suggestions", [*parts, ticks], done.records["lines"])


def bars(done: Evaluation, group: str, keys: Sequence[str], title: str) -> str:
    """A bar for each figure and arm, with its interval."""
    found = {(one.figure.key, one.arm): one for one in done.figures(group)}
    arms = list(done.records[group])
    labels = {figure.key: figure.label for figure in GROUPS[group][1]}
    parts: list[str] = []
    room = 1 / len(keys)
    for i, key in enumerate(keys):
        parts.append(_text(_x((i + 0.5) * room), _HEIGHT + _TOP + 18 + 14 * (i % 2), labels[key], "middle", 10))
        for j, arm in enumerate(arms):
            if (one := found.get((key, arm))) is not None:
                parts.append(_bar(one, (i + 0.1 + 0.8 * j / len(arms)) * room, 0.75 * room / len(arms)))
    return _drawn(title, parts, arms)


def _bar(one: Measured, at: float, width: float) -> str:
    middle = _x(at + width / 2)
    box = (
        f'<rect x="{_x(at):.1f}" y="{_y(one.value):.1f}" width="{width * _WIDTH:.1f}"'
        f' height="{one.value * _HEIGHT:.1f}" fill="{_COLOURS[one.arm]}"/>'
    )
    if one.low != one.low:
        return box
    return box + _line(middle, _y(one.low), middle, _y(one.high), "#222")


def _x(share: float) -> float:
    return _LEFT + share * _WIDTH


def _y(share: float) -> float:
    return _TOP + (1 - min(max(share, 0.0), 1.0)) * _HEIGHT


def _drawn(title: str, parts: Sequence[str], arms: Iterable[str]) -> str:
    grid = "".join(
        _line(_LEFT, _y(share), _LEFT + _WIDTH, _y(share), "#ddd")
        + _text(_LEFT - 8, _y(share) + 4, f"{share:.0%}", "end")
        for share in _TICKS
    )
    legend = "".join(
        f'<rect x="{_LEFT + _WIDTH + 16}" y="{_TOP + 22 * i}" width="12" height="12" fill="{_COLOURS[arm]}"/>'
        + _text(_LEFT + _WIDTH + 34, _TOP + 22 * i + 11, arm, "start")
        for i, arm in enumerate(arms)
    )
    size = f'width="{_LEFT + _WIDTH + 120}" height="{_HEIGHT + _TOP + 50}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{grid}\n{_text(_LEFT, 24, title, "start", 15)}\n'
        + "\n".join(parts)
        + f"\n{legend}\n</svg>\n"
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{quoted(text)}</text>'
