"""The small network's checkpoint and its exported models."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engram_runtime.engram import EngramHash
from engram_runtime.export import KINDS, WeightKind, export
from engram_runtime.network import DeepseekV4
from engram_runtime.tokenizer import Tokenizer, engram_classes
from safetensors.torch import save_file
from small_model import SMALL, byte_tokenizer, random_network


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return byte_tokenizer()


@pytest.fixture(scope="session")
def hashes(tokenizer: Tokenizer) -> EngramHash:
    return EngramHash(SMALL, engram_classes(tokenizer))


@pytest.fixture(scope="session")
def network(tokenizer: Tokenizer) -> DeepseekV4:
    return random_network(SMALL, engram_classes(tokenizer))


@pytest.fixture(scope="session")
def write_checkpoint(tokenizer: Tokenizer) -> Callable[[Path, DeepseekV4], Path]:
    def write(folder: Path, network: DeepseekV4) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: value.contiguous() for name, value in network.state_dict().items()}, folder / "weights.safetensors"
        )
        network.config.write(folder / "config.json")
        np.save(folder / "engram_classes.npy", engram_classes(tokenizer))
        (folder / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
        (folder / "training.json").write_text('{"tokens": 0}', encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def checkpoint(
    network: DeepseekV4, write_checkpoint: Callable[[Path, DeepseekV4], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), network)


@pytest.fixture(scope="session")
def folders(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[WeightKind, Path]:
    """Model folders by kind of weights."""
    root = tmp_path_factory.mktemp("models")
    kinds: dict[WeightKind, Path] = {}
    for kind in KINDS:
        kinds[kind] = root / kind
        export(checkpoint, kinds[kind], kind)
    return kinds


@pytest.fixture
def model_copy(folders: dict[WeightKind, Path], tmp_path: Path) -> Path:
    """A model folder to damage."""
    return Path(shutil.copytree(folders["fp32"], tmp_path / "model"))
