"""Outlines, and definitions found by a few letters."""

from __future__ import annotations

from engram_context.views.symbols import SymbolNode, match
from fixture import parse_fixture


def outline(source: str) -> list[object]:
    """Names with what is inside them, as nested lists."""

    def shown(nodes: tuple[SymbolNode, ...]) -> list[object]:
        return [(node.symbol.name, *shown(node.children)) if node.children else node.symbol.name for node in nodes]

    return shown(parse_fixture(source).snapshot().document_symbols("main.py"))


def found(source: str, query: str, limit: int = 100) -> list[str]:
    return [symbol.name for _, symbol in parse_fixture(source).snapshot().workspace_symbols(query, limit)]


def test_an_outline_nests_definitions_and_leaves_locals_out() -> None:
    assert outline("""
        import os
        LIMIT = 1
        LIMIT = 2
        class A[T]:
            size: int = 0
            def __init__(self, x):
                self.own = x
                self.own = 2
                local = 1
                def helper(): ...
            class Inner:
                def deep(self): ...
        def f():
            for i in []:
                def g(): ...
            return [k for k in lambda: 0]
        type Alias = int
    """) == [
        "LIMIT",
        ("A", "size", ("__init__", "helper"), "own", ("Inner", "deep")),
        ("f", "g"),
        "Alias",
    ]


def test_workspace_symbols_come_best_first() -> None:
    source = """
        -- a.py --
        def read_file(): ...
        class ReadFile: ...
        def readfile(): ...
        def already_filed(): ...
        def rf(): ...
        -- b.py --
        import read_file
        def other(read_file): read_file = 1
    """
    assert found(source, "read_file") == ["read_file", "already_filed"]
    assert found(source, "rf") == ["rf", "ReadFile", "read_file", "readfile", "already_filed"]
    assert found(source, "rf", limit=2) == ["rf", "ReadFile"]
    assert found(source, "xyz") == []


def test_letters_must_stand_in_order() -> None:
    assert match("abc", "a_b_c") is not None
    assert match("cba", "a_b_c") is None
    scores = [match("gc", name) for name in ("gc", "GC", "gc_run", "GCRun", "get_count", "agcy", "glance", "big_ice")]
    assert scores == sorted(scores, key=lambda score: 99 if score is None else score)
    assert match("", "anything") is not None
