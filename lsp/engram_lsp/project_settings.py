"""What a project says for everybody who works on it: `[tool.engram-ls]` in its pyproject.toml.

    [tool.engram-ls.severity]
    unused-variable = "off"

What the user's own settings say of a code comes before it. Nothing in it can make anything run or be read.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast, get_args

from engram_context import toml
from engram_context.findings import Finding
from engram_context.text import read_bytes

from engram_lsp.settings import Level

_LARGEST = 1 << 20
log = logging.getLogger(__name__)


def severities(root: Path) -> Mapping[str, Level]:
    """Severities by code; what is not understood is left out and said once. Reads the file when it changed."""
    file = root / "pyproject.toml"
    try:
        status = file.stat()
    except OSError:
        return {}
    return _read(file, status.st_mtime_ns, status.st_size)


def as_set(findings: Iterable[Finding], levels: Mapping[str, Level]) -> list[Finding]:
    """Findings with the severities that somebody chose for their codes; those that are switched off are left out."""
    found: list[Finding] = []
    for finding in findings:
        level = levels.get(finding.code, finding.severity)
        if level != "off":
            found.append(replace(finding, severity=level))
    return found


@lru_cache(maxsize=64)
def _read(file: Path, _: int, size: int) -> Mapping[str, Level]:
    try:
        value: Any = toml.parsed(read_bytes(file, _LARGEST).decode()) if size <= _LARGEST else {}
    except (OSError, ValueError, RecursionError):
        return {}
    for key in ("tool", "engram-ls", "severity"):
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    from engram_context.checks.catalogue import CODES  # which a start does not wait for

    levels = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    found: dict[str, Level] = {
        code: level for code, level in levels.items() if code in CODES and level in get_args(Level)
    }
    if len(found) < len(levels):
        log.warning("%s: %d severities are not understood", file.name, len(levels) - len(found))
    return found
