"""Figures of an evaluation, by tables small enough to be counted by hand."""

import math

import numpy as np
import pytest
from engram_lsp.evaluation.figures import (
    Figure,
    coverage,
    less,
    mean,
    measured,
    median,
    ratio,
    right_among,
    rows_of,
    worst_by_mean,
)

SURE_AND_RIGHT = [
    {"exact": 1.0, "sureness": 0.9},
    {"exact": 1.0, "sureness": 0.8},
    {"exact": 0.0, "sureness": 0.7},
    {"exact": 1.0, "sureness": 0.6},
    {"exact": 0.0, "sureness": 0.1},
]


def test_each_repository_counts_the_same_however_many_rows_it_has() -> None:
    large, small = rows_of([{"hit": 0.0}] * 9 + [{"hit": 1.0}]), rows_of([{"hit": 1.0}])
    assert mean("hit")([large, small]) == pytest.approx((0.1 + 1.0) / 2)


def test_a_row_counts_only_where_it_says_something() -> None:
    rows = rows_of([{"hit": 1.0, "start": 1.0}, {"hit": 0.0}, {"start": 1.0}])
    assert mean("hit")([rows]) == 0.5
    assert mean("hit", "start")([rows]) == 1.0
    assert math.isnan(mean("miss")([rows]))
    assert math.isnan(mean("hit", "middle")([rows]))


def test_coverage_is_the_most_that_can_be_shown_at_a_precision() -> None:
    rows = [rows_of(SURE_AND_RIGHT)]
    assert coverage(0.9)(rows) == 0.4
    assert coverage(0.75)(rows) == 0.8
    assert coverage(1.0)([rows_of([{"exact": 0.0, "sureness": 1.0}])]) == 0.0


def test_of_the_surest_share_those_that_are_right_count() -> None:
    rows = [rows_of(SURE_AND_RIGHT)]
    assert right_among(0.4)(rows) == 1.0
    assert right_among(0.6)(rows) == pytest.approx(2 / 3)


def test_ratios_are_of_sums_and_their_rest_is_what_was_saved() -> None:
    rows = [rows_of([{"typed": 8.0, "size": 10.0}, {"typed": 0.0, "size": 30.0}])]
    assert ratio("typed", "size")(rows) == 0.2
    assert less(ratio("typed", "size"))(rows) == 0.8
    assert math.isnan(ratio("typed", "size")([rows_of([{"typed": 0.0, "size": 0.0}])]))


def test_the_worst_phase_is_at_most_the_mean_of_all() -> None:
    rows = [rows_of([{"a": 0.5, "b": 0.3}]), rows_of([{"a": 0.5, "b": 0.1}])]
    assert worst_by_mean(("a", "b"))(rows) == pytest.approx(0.2 / 0.35)
    assert worst_by_mean(("a", "b"), lower_is_better=True)(rows) == pytest.approx(0.35 / 0.5)


def test_the_interval_is_over_repositories_unless_there_is_only_one() -> None:
    figure = Figure("hit", "hit", "share", mean("hit"))
    same = rows_of([{"hit": 0.0}, {"hit": 1.0}] * 50)
    several = measured("lines", "fused", figure, {"a": same, "b": same, "c": same})
    assert several.low == several.value == several.high == 0.5
    one = measured("lines", "fused", figure, {"a": same})
    assert one.low < 0.5 < one.high
    assert one.rows == 100
    assert measured("lines", "fused", figure, {"a": same, "b": rows_of([])}).low < 0.5


def test_intervals_are_the_same_every_time() -> None:
    figure = Figure("ms", "ms", "ms", median("ms"))
    tables = {name: rows_of([{"ms": float(i * j)} for i in range(9)]) for j, name in enumerate("abcd")}
    first, second = (measured("lines", "fused", figure, tables) for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)
    assert first.low <= first.value <= first.high


def test_what_nobody_measured_has_no_figure() -> None:
    found = measured("lines", "fused", Figure("hit", "hit", "share", mean("hit")), {"a": rows_of([{"other": 1.0}])})
    assert math.isnan(found.value) and math.isnan(found.low)
    assert np.isnan(found.by_repository["a"])
