"""Engram tables on disk: pages of rows, written in pieces, read where they lie."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from engram_runtime import weights
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.weights import PAGE, EngramRows, reserve_engram, write_engram
from hypothesis import given, settings
from hypothesis import strategies as st

RANDOM = np.random.default_rng(3)


def tables_of(counts: Mapping[int, int], dim: int) -> dict[int, np.ndarray]:
    return {layer: RANDOM.normal(size=(count, dim)).astype(np.float32) for layer, count in counts.items()}


def expected(row: np.ndarray, eight_bit: bool) -> np.ndarray:
    """One row as the file should give it back: by the definition, a number at a time."""
    if not eight_bit:
        return row
    scale = np.float16(max(abs(row)) / np.float32(127))
    codes = [max(-127, min(127, round(float(value) / float(scale)))) if scale else 0 for value in row]
    return np.array([np.float32(code) * np.float32(scale) for code in codes], np.float32)


counts = st.dictionaries(st.integers(0, 9), st.integers(1, 700), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(counts, st.sampled_from([1, 7, 16, 256, 1500, 5000]), st.booleans(), st.data())
def test_rows_come_back_from_every_layer(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[int, int], dim: int, eight_bit: bool, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("tables") / "engram.npy"
    tables = tables_of(counts, dim)
    write_engram(path, tables, eight_bit)
    rows = EngramRows(path, counts)
    numbers = np.array([[[data.draw(st.integers(0, counts[layer] - 1)), counts[layer] - 1, 0]] for layer in counts])
    memory = np.empty((len(counts), 1, 3 * dim), np.float32)
    together = rows.lookup_all(numbers, memory)
    assert together is memory and np.array_equal(rows.lookup_all(numbers), memory)
    assert rows.lookup_all(numbers).dtype == np.float32
    for index, layer in enumerate(counts):
        alone = rows.lookup(layer, numbers[index])
        assert np.array_equal(alone, together[index])
        wanted = np.concatenate([expected(tables[layer][number], eight_bit) for number in numbers[index][0]])
        np.testing.assert_allclose(alone[0], wanted, atol=1e-6)


class Lazy:
    """A table that makes its rows when they are asked for, and notes how many at a time."""

    def __init__(self, rows: int, dim: int) -> None:
        self.shape = (rows, dim)
        self.most = 0

    def __getitem__(self, wanted: slice) -> np.ndarray:
        numbers = np.arange(self.shape[0])[wanted]
        self.most = max(self.most, len(numbers))
        return np.sin(numbers[:, None] * 0.37 + np.arange(self.shape[1])).astype(np.float32)


@pytest.mark.parametrize("eight_bit", [False, True])
def test_a_table_written_in_pieces_is_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eight_bit: bool
) -> None:
    lazy = {4: Lazy(3001, 24), 1: Lazy(517, 24)}
    write_engram(tmp_path / "whole.npy", {layer: table[:] for layer, table in lazy.items()}, eight_bit)
    for table in lazy.values():
        table.most = 0
    monkeypatch.setattr(weights, "_PIECE", 3 * PAGE)
    write_engram(tmp_path / "pieces.npy", lazy, eight_bit)
    assert (tmp_path / "pieces.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert 0 < max(table.most for table in lazy.values()) * 24 <= 3 * PAGE


@pytest.mark.parametrize(("dim", "eight_bit"), [(16, True), (256, True), (256, False), (1000, False), (4094, True)])
def test_no_row_lies_across_two_pages(tmp_path: Path, dim: int, eight_bit: bool) -> None:
    """Where one would fit into a page: what a token reads is then at most a page a row."""
    count = 333
    write_engram(tmp_path / "engram.npy", tables_of({0: count}, dim), eight_bit)
    mapped = np.load(tmp_path / "engram.npy", mmap_mode="r")
    base = mapped.ctypes.data - mapped.offset  # where the file begins, and with it a page
    per = mapped["row"].shape[1]
    for number in range(count):
        page, slot = divmod(number, per)
        first = mapped["row"][page, slot].ctypes.data - base
        touched = {first // PAGE, (first + mapped["row"][page, slot].nbytes - 1) // PAGE}
        if eight_bit:
            touched.add((mapped["scale"][page, slot : slot + 1].ctypes.data - base) // PAGE)
        assert len(touched) == 1
    assert mapped.nbytes <= 1.4 * PAGE + count * (dim + 2 if eight_bit else dim * 4) * 1.35


def test_tables_of_earlier_models_are_read(tmp_path: Path) -> None:
    """They have a record for each row, and a layer begins where the one before ends."""
    records = np.zeros(12, np.dtype([("row", "i1", (8,)), ("scale", "<f2")]))
    records["row"] = np.arange(12)[:, None]
    records["scale"] = 0.5
    np.save(tmp_path / "engram.npy", records)
    rows = EngramRows(tmp_path / "engram.npy", {2: 5, 1: 7})
    assert rows.lookup(2, np.array([[0, 4]]))[0, ::8].tolist() == [3.5, 5.5]
    assert rows.lookup(1, np.array([[0, 6]]))[0, ::8].tolist() == [0.0, 3.0]


def test_a_file_with_other_rows_is_refused(tmp_path: Path) -> None:
    write_engram(tmp_path / "engram.npy", tables_of({1: 700}, 16), True)
    with pytest.raises(ValueError, match="9000 rows"):
        EngramRows(tmp_path / "engram.npy", {1: 9000})
    whole = (tmp_path / "engram.npy").read_bytes()
    (tmp_path / "engram.npy").write_bytes(whole[:-1])
    with pytest.raises(ValueError):
        EngramRows(tmp_path / "engram.npy", {1: 700})
    np.save(tmp_path / "engram.npy", np.zeros((700, 16)))
    with pytest.raises(ValueError, match="does not hold Engram tables"):
        EngramRows(tmp_path / "engram.npy", {1: 700})


def test_tables_of_two_widths_do_not_fit_one_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[8, 16\]"):
        write_engram(tmp_path / "engram.npy", tables_of({1: 5}, 8) | tables_of({2: 5}, 16), True)


def test_a_table_of_more_than_2_to_the_31_rows_is_read_where_it_lies(tmp_path: Path) -> None:
    config = ModelConfig(vocab_size=50, engram_heads=8, engram_rows=50_000_000)
    hashes = EngramHash(config, np.arange(50))
    path, counts = tmp_path / "engram.npy", {layer: hashes.row_count(layer) for layer in config.engram_layers}
    reserve_engram(path, counts, config.engram_dim, eight_bit=True)
    assert path.stat().st_size > 40e9 and sum(counts.values()) > 2**31
    if getattr(path.stat(), "st_blocks", 1 << 40) * 512 > 1 << 20:
        path.unlink()
        pytest.skip("files have no holes here")
    mapped = np.load(path, mmap_mode="r+")
    per = mapped["row"].shape[1]
    second = -(-counts[1] // per) * per  # the row with which the second layer begins
    numbers = hashes.all_rows(RANDOM.integers(0, 50, 9))
    furthest = numbers.max((1, 2))
    assert furthest[1] + second > 2**31
    for row in (furthest[0], furthest[1] + second):
        mapped["row"][row // per, row % per] = 3
        mapped["scale"][row // per, row % per] = 1
    mapped.flush()
    del mapped
    rows = EngramRows(path, counts)
    assert not rows.read_ahead
    found = rows.lookup_all(numbers).reshape(2, 9, 24, 16)
    assert np.array_equal(found, np.where(numbers == furthest[:, None, None], 3, 0)[..., None] + np.zeros(16))


def test_pages_asked_for_before_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = tables_of({0: 900, 5: 800}, 32)
    write_engram(tmp_path / "engram.npy", tables, True)
    near = EngramRows(tmp_path / "engram.npy", {0: 900, 5: 800})
    monkeypatch.setattr(weights, "READ_AHEAD", 0)
    far = EngramRows(tmp_path / "engram.npy", {0: 900, 5: 800})
    assert near.read_ahead and not far.read_ahead
    for most in (0.0, np.inf):  # every row counts as one from the disk, or none
        monkeypatch.setattr(weights, "_FROM_MEMORY", most)
        for length in (1, 30, 1):
            numbers = RANDOM.integers(0, 800, (2, length, 6))
            assert np.array_equal(near.lookup_all(numbers), far.lookup_all(numbers))
