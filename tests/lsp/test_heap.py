"""Memory that is free again goes back to the system, where that can be asked for."""

import sys

import psutil
import pytest
from engram_lsp import heap


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems' C libraries are left to themselves")
def test_free_memory_goes_back() -> None:
    process = psutil.Process()
    blocks = [bytes(60_000) for _ in range(2000)]  # below the size that is mapped by itself
    last = bytes(60_000)
    before = process.memory_info().rss
    del blocks
    heap.give_back()
    assert before - process.memory_info().rss > 60e6
    assert last


def test_without_such_a_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    heap._library.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    heap.share()
    heap.give_back()
    assert heap._library() is None
    heap._library.cache_clear()
