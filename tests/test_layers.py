"""The direction of imports: context and runtime know neither each other nor the protocol; lsp knows both."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"lsp": "engram_lsp", "context": "engram_context", "runtime": "engram_runtime"}
FORBIDDEN = {
    "context": {"engram_lsp", "engram_runtime", "pygls", "lsprotocol", "torch", "onnx", "onnxruntime", "transformers"},
    "runtime": {"engram_lsp", "engram_context", "pygls", "lsprotocol", "tree_sitter", "watchdog"},
    "lsp": {"torch", "onnx", "transformers", "tree_sitter"},
}
TRAINING = {"torch", "onnx", "safetensors", "transformers"}
"""Only what trains or exports may import these."""


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a file imports anywhere, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def files(layer: str) -> list[Path]:
    return sorted((ROOT / layer / PACKAGES[layer]).rglob("*.py"))


@pytest.mark.parametrize("layer", PACKAGES)
def test_a_layer_imports_nothing_that_it_must_not_know(layer: str) -> None:
    found = files(layer)
    assert found
    wrong = {str(path.relative_to(ROOT)): bad for path in found if (bad := FORBIDDEN[layer] & set(imported(path)))}
    assert wrong == {}


def imported_on_import(path: Path) -> Iterator[str]:
    """The dotted modules that a file imports when it is imported itself, so not inside functions."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def test_the_server_starts_without_the_training_libraries() -> None:
    modules = {
        ".".join(path.relative_to(ROOT / layer).with_suffix("").parts).removesuffix(".__init__"): path
        for layer in PACKAGES
        for path in files(layer)
    }
    seen: set[str] = set()
    waiting = ["engram_lsp.server", "engram_lsp.cli"]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        needed = set(imported_on_import(modules[name]))
        assert not TRAINING & {one.partition(".")[0] for one in needed}, name
        waiting.extend(needed)
    assert {"engram_lsp.server", "engram_context.snapshot"} <= seen


def test_every_package_says_that_it_is_typed() -> None:
    for layer, package in PACKAGES.items():
        assert (ROOT / layer / package / "py.typed").exists()
