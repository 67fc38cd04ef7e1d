"""Opens what the settings name: the tokenizer, and the model if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_runtime.models import default_model

from engram_lsp.coding import read_tokenizer
from engram_lsp.settings import ModelSettings

if TYPE_CHECKING:  # the engine takes a while to import, and no answer has to wait for it
    from engram_runtime.engine import Engine

    from engram_lsp.predictor import Predictor

NONE = "none"


def folder_of(settings: ModelSettings) -> Path:
    """The model's folder; the tokenizer lies there even where no model is wanted."""
    return Path(settings.path).expanduser() if settings.path not in ("", NONE) else default_model()


def tokenizer_file(settings: ModelSettings) -> Path:
    """The model's `tokenizer.json`, the default model's where it has none."""
    own = folder_of(settings) / "tokenizer.json"
    return own if own.is_file() else default_model() / "tokenizer.json"


def open_predictor(settings: ModelSettings) -> tuple[Predictor, str]:
    """The predictor, and what is wrong with the model, if anything: then the memory answers alone.

    Takes a second or so; meant for the model thread. Raises OSError or ValueError without a tokenizer.
    """
    from engram_runtime.engine import OnnxEngine
    from engram_runtime.session import ModelError

    from engram_lsp.predictor import Predictor

    tokenizer = read_tokenizer(str(tokenizer_file(settings)))
    if settings.path == NONE:
        return Predictor(tokenizer, None), ""
    try:
        engine = OnnxEngine.open(
            folder_of(settings), settings.providers or None, settings.threads or 1, kept_bytes=settings.cache_mb << 20
        )
    except (ModelError, OSError) as problem:
        return Predictor(tokenizer, None), f"no model, the project memory answers alone: {problem}"
    return Predictor(engine.tokenizer, engine), ""


def describe(engine: Engine | None) -> dict[str, Any]:
    """What runs and where."""
    if engine is None:
        return {"provider": "none"}
    from engram_runtime.engine import OnnxEngine

    return engine.describe() if isinstance(engine, OnnxEngine) else {"provider": type(engine).__name__}


def title(described: dict[str, Any]) -> str:
    """One line for people."""
    if "folder" not in described:
        return "none: the project memory answers alone" if described["provider"] == "none" else described["provider"]
    return f"{Path(described['folder']).name} on {described['provider'].removesuffix('ExecutionProvider')}"
