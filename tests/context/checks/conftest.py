"""How the tests of checks ask: a project as one string in, findings as short tuples out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from engram_context.checks.catalogue import findings
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from fixture import parse_fixture

Found = list[tuple[str, str, str]]
"""path, code, the text that the finding stands on"""
Check = Callable[..., Found]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """None, whatever environment the tests are run in."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(variable, raising=False)
    return Environment.discover(tmp_path / "no-project")


@pytest.fixture
def all_findings(environment: Environment) -> Callable[[str], dict[str, tuple[Finding, ...]]]:
    def ask(source: str) -> dict[str, tuple[Finding, ...]]:
        fixture = parse_fixture(source)
        snapshot = fixture.snapshot()
        return {path: findings(snapshot, path, environment) for path in fixture.files}

    return ask


@pytest.fixture
def check(all_findings: Callable[[str], dict[str, tuple[Finding, ...]]]) -> Check:
    """Every finding of every file; with codes given, only those."""

    def ask(source: str, *codes: str) -> Found:
        fixture = parse_fixture(source)
        return [
            (path, finding.code, ((text := fixture.text(path)) and text.slice(finding.span)) or "")
            for path, found in all_findings(source).items()
            for finding in found
            if not codes or finding.code in codes
        ]

    return ask
