"""A list of problems that are known: what a project had when it began to be checked is not told again.

A problem is known by its file, code, message and the text of its line, so that it may move. Of equal ones as many are
known as are listed.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from engram_lsp.cli.reports import Problem
from engram_lsp.cli.terminal import UserError

_VERSION = 1


def write(file: Path, problems: Sequence[Problem]) -> None:
    """Raises UserError where it cannot be written."""
    counts = Counter(problem.fingerprint for problem in problems)
    listed: dict[str, Any] = {}
    for problem in problems:
        said = f"{problem.path}: {problem.finding.code}: {problem.finding.message}"
        listed[problem.fingerprint] = {"count": counts[problem.fingerprint], "about": said}
    value = {"version": _VERSION, "problems": listed}
    try:
        file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as problem:
        raise UserError(f"{file} cannot be written: {problem.strerror}") from problem


def read(file: Path) -> Counter[str]:
    """How often each problem is known. Raises UserError where the file is no baseline."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        if value["version"] != _VERSION:
            raise ValueError
        listed = cast("dict[str, dict[str, int]]", value["problems"])
        return Counter({str(name): int(entry["count"]) for name, entry in listed.items()})
    except OSError as problem:
        raise UserError(f"{file} cannot be read: {problem.strerror}") from problem
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{file} is no baseline; make one with --write-baseline {file}") from None


def without(problems: Sequence[Problem], known: Counter[str]) -> list[Problem]:
    left = known.copy()
    new: list[Problem] = []
    for problem in problems:
        if left[problem.fingerprint] > 0:
            left[problem.fingerprint] -= 1
        else:
            new.append(problem)
    return new
