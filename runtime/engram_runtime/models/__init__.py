"""Models that come with the package."""

from pathlib import Path


def default_model() -> Path:
    """The folder of the model that the server uses unless it is told otherwise."""
    return Path(__file__).parent / "default"
