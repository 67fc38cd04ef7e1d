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
"""Only what trains or exports may import these; what serves must start without them."""


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


def test_only_training_and_export_import_the_training_libraries() -> None:
    def trains(path: Path) -> bool:
        return "train" in path.parts or path.stem.startswith(("network", "export", "quantize"))

    wrong = {
        str(path.relative_to(ROOT)): bad
        for path in files("runtime")
        if not trains(path) and (bad := TRAINING & set(imported(path)))
    }
    assert wrong == {}


def test_every_package_says_that_it_is_typed() -> None:
    for layer, package in PACKAGES.items():
        assert (ROOT / layer / package / "py.typed").exists()
