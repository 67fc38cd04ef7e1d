"""From what happened at single holes to figures with intervals.

What was measured in one repository is a table: columns of equal length, a row for each hole, NaN where a column does
not apply. A figure is a function of such tables, one a repository. Its interval is a bootstrap over repositories, since
holes of one repository resemble each other; of a single repository it is one over holes, which says nothing of others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]
Rows = Mapping[str, Column]
"""Columns [n] by name."""
Of = Callable[[Sequence[Rows]], float]

_DRAWS = 500
NOT_APPLICABLE = float("nan")

Unit = Literal["share", "bits", "ms", "ratio"]


@dataclass(frozen=True, slots=True)
class Figure:
    """`key` names it for programs, `label` for people; `of` gives NaN where there is nothing to say."""

    key: str
    label: str
    unit: Unit
    of: Of


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of one arm. `low` and `high` hold the true value in 95 of 100 cases."""

    group: str
    arm: str
    figure: Figure
    value: float
    low: float
    high: float
    rows: int
    by_repository: Mapping[str, float]


def rows_of(records: Sequence[Mapping[str, float]]) -> Rows:
    """A table from its rows; what a row does not say is NaN."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: np.array([record.get(name, NOT_APPLICABLE) for record in records], np.float64) for name in names}


def measured(group: str, arm: str, figure: Figure, tables: Mapping[str, Rows], seed: int = 0) -> Measured:
    """A figure of all repositories (by name), its interval and each repository's own."""
    held = {name: rows for name, rows in tables.items() if _size(rows)}
    every = list(held.values())
    random = np.random.default_rng(seed)
    if len(every) > 1:
        resampled = [
            figure.of([every[i] for i in random.integers(len(every), size=len(every)).tolist()]) for _ in range(_DRAWS)
        ]
    else:
        resampled = [figure.of([_redrawn(rows, random) for rows in every]) for _ in range(_DRAWS)]
    known = [value for value in resampled if value == value]
    low, high = np.percentile(known, (2.5, 97.5)).tolist() if known else (NOT_APPLICABLE, NOT_APPLICABLE)
    own = {name: figure.of([rows]) for name, rows in held.items()}
    return Measured(group, arm, figure, figure.of(every), low, high, sum(map(_size, every)), own)


def _size(rows: Rows) -> int:
    return len(next(iter(rows.values()), ()))


def _redrawn(rows: Rows, random: np.random.Generator) -> Rows:
    drawn = random.integers(_size(rows), size=_size(rows))
    return {name: column[drawn] for name, column in rows.items()}


# What figures are made of. All take columns by name; one that a table lacks is as one without a number in it.


def mean(column: str, where: str = "", scale: float = 1.0) -> Of:
    """The mean over repositories of each one's mean, of rows where the column `where` is 1."""

    def of(tables: Sequence[Rows]) -> float:
        means = [float(values.mean()) for rows in tables if len(values := _values(rows, column, where))]
        return scale * float(np.mean(means)) if means else NOT_APPLICABLE

    return of


def ratio(numerator: str, denominator: str) -> Of:
    """The mean over repositories of the ratio of two sums."""

    def of(tables: Sequence[Rows]) -> float:
        sums = [(_values(rows, numerator).sum(), _values(rows, denominator).sum()) for rows in tables]
        ratios = [float(above / below) for above, below in sums if below]
        return float(np.mean(ratios)) if ratios else NOT_APPLICABLE

    return of


def less(of: Of) -> Of:
    """What is left of 1."""
    return lambda tables: 1.0 - of(tables)


def median(column: str) -> Of:
    """The median over all rows of all repositories."""

    def of(tables: Sequence[Rows]) -> float:
        values = np.concatenate([_values(rows, column) for rows in tables] or [np.zeros(0)])
        return float(np.median(values)) if len(values) else NOT_APPLICABLE

    return of


def right_among(share: float, right: str = "exact", sure: str = "sureness", where: str = "") -> Of:
    """How many are right of that share of all rows that are the surest."""

    def of(tables: Sequence[Rows]) -> float:
        ordered = by_sureness(tables, right, sure, where)
        most = round(share * len(ordered))
        return float(ordered[:most].mean()) if most else NOT_APPLICABLE

    return of


def coverage(precision: float, right: str = "exact", sure: str = "sureness", where: str = "") -> Of:
    """The largest share of all rows, the surest first, of which so many are right."""

    def of(tables: Sequence[Rows]) -> float:
        ordered = by_sureness(tables, right, sure, where)
        if not len(ordered):
            return NOT_APPLICABLE
        reached = np.flatnonzero(precisions(ordered) >= precision)
        return float(reached[-1] + 1) / len(ordered) if len(reached) else 0.0

    return of


def worst_by_mean(columns: Sequence[str], lower_is_better: bool = False) -> Of:
    """The worst of several columns' means, by the mean of these means; inverted where lower is better: at most 1."""

    def of(tables: Sequence[Rows]) -> float:
        means = [mean(column)(tables) for column in columns]
        middle = float(np.mean(means))
        worst = max(means) if lower_is_better else min(means)
        above, below = (middle, worst) if lower_is_better else (worst, middle)
        return above / below if below else NOT_APPLICABLE

    return of


def by_sureness(tables: Sequence[Rows], right: str, sure: str, where: str = "") -> Column:
    """The column `right` of all rows that have one, the surest rows first."""
    pairs = [np.stack([rows[right], rows[sure]], 1)[_chosen(rows, where)] for rows in tables if right in rows]
    together = np.concatenate(pairs or [np.zeros((0, 2))])
    together = together[~np.isnan(together).any(1)]
    return together[np.argsort(-together[:, 1], kind="stable"), 0]


def precisions(ordered: Column) -> Column:
    """How many of the first 1, 2, ... are right."""
    return ordered.cumsum() / np.arange(1, len(ordered) + 1)


def _values(rows: Rows, column: str, where: str = "") -> Column:
    if column not in rows:
        return np.zeros(0)
    values = rows[column][_chosen(rows, where)]
    return values[~np.isnan(values)]


def _chosen(rows: Rows, where: str) -> npt.NDArray[np.bool_]:
    size = _size(rows)
    if not where:
        return np.ones(size, np.bool_)
    return rows[where] == 1.0 if where in rows else np.zeros(size, np.bool_)
