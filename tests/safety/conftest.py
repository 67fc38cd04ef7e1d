"""Fixtures of the tests of safety."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from safety.sandbox import Sandbox, offline


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """At the end its servers are gone, and nothing of what it held was ever run."""
    sandbox = Sandbox(tmp_path)
    try:
        yield sandbox
        assert not sandbox.executed.exists(), sandbox.executed.read_text()
    finally:
        sandbox.end()


@pytest.fixture(scope="session")
def no_network() -> list[str]:
    """Prefix of a command that then has no network interface."""
    prefix = offline()
    if isinstance(prefix, str):
        pytest.skip(prefix)
    return prefix
