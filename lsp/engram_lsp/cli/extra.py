"""The commands that need the extra `train` say so in a sentence when it is not installed."""

from collections.abc import Generator
from contextlib import contextmanager

from engram_lsp.cli.terminal import UserError


@contextmanager
def training_tools() -> Generator[None]:
    """Around imports of torch and onnx, and around what they are used for."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("torch", "onnx", "safetensors"):
            raise UserError(f"{missing.name} is not installed: pip install 'engram-ls[train]'") from missing
        raise
    except (OSError, ValueError) as problem:
        raise UserError(str(problem)) from problem
