"""Excerpts against BM25 written out plainly over the same windows."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from engram_context.memory import excerpts
from engram_context.memory.excerpts import Excerpts, names_in
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from hypothesis import given, settings
from hypothesis import strategies as st

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "parse", "write"]


class Files:
    def __init__(self) -> None:
        self.texts: dict[str, Text] = {}
        self.snapshot = Snapshot.empty(self.texts.get)

    def put(self, path: str, source: str | None) -> None:
        if source is None:
            self.texts.pop(path, None)
            self.snapshot = self.snapshot.after({path: None})
        else:
            self.texts[path] = Text.of(source)
            self.snapshot = self.snapshot.after({path: read_record(self.texts[path], "python")})


def plain_scores(snapshot: Snapshot, terms: list[str]) -> dict[tuple[str, int], float]:
    windows: dict[tuple[str, int], Counter[str]] = {}
    for path, record in snapshot.records.items():
        last = max((o.span.start for o in record.occurrences), default=-1)
        for window in range(last // excerpts._WINDOW + 1):
            windows[path, window] = Counter()
        for occurrence in record.occurrences:
            windows[path, occurrence.span.start // excerpts._WINDOW][occurrence.name] += 1
    mean = sum(sum(c.values()) for c in windows.values()) / len(windows) if windows else 1
    scores: Counter[tuple[str, int]] = Counter()
    for term, times in Counter(terms).items():
        having = [key for key, names in windows.items() if names[term]]
        weight = math.log(1 + (len(windows) - len(having) + 0.5) / (len(having) + 0.5)) * min(times, 3) ** 0.5
        for key in having:
            count = windows[key][term]
            norm = 1.2 * (1 - 0.75 + 0.75 * sum(windows[key].values()) / mean)
            scores[key] += weight * count * 2.2 / (count + norm)
    return dict(scores)


sources = st.lists(st.sampled_from(WORDS), max_size=150).map(lambda names: "".join(f"{name} = 1\n" for name in names))
steps = st.lists(st.tuples(st.sampled_from(["a.py", "b.py", "c/d.py"]), st.none() | sources), max_size=8)


@pytest.mark.parametrize("loose", [0, 64])
@settings(max_examples=60, deadline=None)
@given(steps=steps, terms=st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=4))
def test_windows_are_ranked_as_plain_bm25_ranks_them(
    loose: int, steps: list[tuple[str, str | None]], terms: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excerpts, "_LOOSE", loose)
        files, found = Files(), Excerpts()
        for path, source in steps:
            files.put(path, source)
            found.find(files.snapshot, terms, 1)  # follows every step on its way
        ranked = found._rank(Counter(terms), frozenset()) if files.snapshot.records else []
    truth = plain_scores(files.snapshot, terms)
    assert {(path, window) for path, window, _ in ranked} == set(truth)
    scores = [truth[path, window] for path, window, _ in ranked]
    assert scores == pytest.approx(sorted(scores, reverse=True), rel=1e-4)


def test_an_excerpt_is_whole_lines_that_share_rare_names_and_fits_the_budget() -> None:
    files = Files()
    common = "def run(self, value):\n    return value.strip()\n" * 30
    files.put("other.py", common)
    files.put("one.py", common + "def frobnicate(value):\n    return Widget(value)\n" + common)
    files.put("own.py", "frobnicate(Widget)\n")
    answer = Excerpts().find(files.snapshot, names_in("x = frobnicate(Widget, value)"), 1500, exclude={"own.py"})
    assert answer[0].path == "one.py"
    assert "def frobnicate(value):\n    return Widget(value)\n" in answer[0].text
    assert answer[0].why.startswith("shares ")
    assert {"Widget", "frobnicate"} <= set(answer[0].why.removeprefix("shares ").split(", "))
    assert all(excerpt.text.endswith("\n") for excerpt in answer)
    assert sum(len(excerpt.text) for excerpt in answer) <= 1500
    text = files.texts["one.py"]
    assert text.slice(answer[0].span) == answer[0].text


def test_nothing_is_found_for_nothing() -> None:
    files = Files()
    assert Excerpts().find(files.snapshot, ["x"], 100) == ()
    files.put("a.py", "")
    assert Excerpts().find(files.snapshot, ["x"], 100) == ()
    files.put("a.py", "x = 1\n")
    assert Excerpts().find(files.snapshot, [], 100) == ()
    assert Excerpts().find(files.snapshot, ["x"], 0) == ()
    assert Excerpts().find(files.snapshot, ["x"], 100, exclude=["a.py"]) == ()
    files.texts.clear()  # the file went; its record has not been told yet
    assert Excerpts().find(files.snapshot, ["x"], 100) == ()
