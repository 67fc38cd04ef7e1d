"""How `engram-ls check` tells what it found: to people, and in the formats that CI systems read."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engram_context.checks.catalogue import CODES, page_of
from engram_context.findings import Finding
from engram_context.text import Text
from rich.markup import escape

from engram_lsp.cli.terminal import name_of, out
from engram_lsp.harmless import visible

COLOURS = {"error": "red", "warning": "yellow", "information": "blue", "hint": "dim"}
_SARIF_LEVELS = {"error": "error", "warning": "warning", "information": "note", "hint": "note"}
# In SARIF's messages brackets before parentheses are a link.
_UNLINKED = re.compile(r"\[([^\]]*)\]\(")
_GITHUB_LEVELS = {"error": "error", "warning": "warning", "information": "notice", "hint": "notice"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding with the file that it is in."""

    path: str
    text: Text
    finding: Finding

    @property
    def start(self) -> tuple[int, int]:
        """Line and column, both from 1; the column counts Unicode code points."""
        return self._place(self.finding.span.start)

    @property
    def end(self) -> tuple[int, int]:
        return self._place(self.finding.span.end)

    def _place(self, offset: int) -> tuple[int, int]:
        line, column = self.text.position(offset, "utf-32")
        return line + 1, column + 1

    @property
    def fingerprint(self) -> str:
        """Stays while the line and the message do, wherever the line moves to in its file."""
        line = self.text.slice(self.text.line_span(self.text.line_of(self.finding.span.start))).strip()
        said = "\0".join((self.path, self.finding.code, self.finding.message, line))
        return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def show(problems: Sequence[Problem]) -> None:
    for problem in problems:
        (line, column), finding = problem.start, problem.finding
        out.print(
            f"{escape(name_of(problem.path))}:{line}:{column}: [{COLOURS[finding.severity]}]{finding.severity}[/]: "
            f"{escape(name_of(finding.message))} [dim]{finding.code}[/]",
            soft_wrap=True,
        )


def text(problems: Sequence[Problem], _: Path) -> str:
    lines: list[str] = []
    for problem in problems:
        (line, column), finding = problem.start, problem.finding
        where, what = name_of(problem.path), name_of(finding.message)
        lines.append(f"{where}:{line}:{column}: {finding.severity}: {what} {finding.code}\n")
    return "".join(lines)


def as_json(problems: Sequence[Problem], _: Path) -> str:
    return json.dumps([_json(problem) for problem in problems], indent=2, ensure_ascii=False) + "\n"


def _json(problem: Problem) -> dict[str, Any]:
    (line, column), (end_line, end_column), finding = problem.start, problem.end, problem.finding
    return {
        "path": problem.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "confidence": finding.confidence,
        "fixes": [fix.title for fix in finding.fixes],
        "fingerprint": problem.fingerprint,
    }


def github(problems: Sequence[Problem], _: Path) -> str:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    lines: list[str] = []
    for problem in problems:
        (line, column), (end_line, end_column) = problem.start, problem.end
        where = (
            f"file={_escaped(problem.path, ',:')},line={line},col={column},endLine={end_line},endColumn={end_column}"
        )
        level, title = _GITHUB_LEVELS[problem.finding.severity], problem.finding.code
        lines.append(f"::{level} {where},title={title}::{_escaped(problem.finding.message)}\n")
    return visible("".join(lines))


def _escaped(said: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        said = said.replace(character, f"%{ord(character):02X}")
    return said


def sarif(problems: Sequence[Problem], root: Path) -> str:
    """SARIF 2.1.0, as code scanning services take it."""
    found = sorted({problem.finding.code for problem in problems})
    driver = {
        "name": "engram-ls",
        "version": version("engram-ls"),
        "rules": [_rule(code) for code in found],
    }
    results = [_result(problem, found.index(problem.finding.code)) for problem in problems]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"ROOT": {"uri": root.as_uri().rstrip("/") + "/"}},
        "results": results,
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(code: str) -> dict[str, Any]:
    page = page_of(code) or ""
    short = next((line for line in page.splitlines()[1:] if line.strip()), code)
    return {
        "id": code,
        "shortDescription": {"text": short},
        "fullDescription": {"text": short},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _SARIF_LEVELS[CODES[code].severity]},
    }


def _result(problem: Problem, rule: int) -> dict[str, Any]:
    (line, column), (end_line, end_column), finding = problem.start, problem.end, problem.finding
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    where = {"artifactLocation": {"uri": quote(problem.path), "uriBaseId": "ROOT"}, "region": region}
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": _UNLINKED.sub(r"\\[\1\\](", visible(finding.message))},
        "locations": [{"physicalLocation": where}],
        "partialFingerprints": {"engram/v1": problem.fingerprint},
    }


FORMATS: dict[str, Callable[[Sequence[Problem], Path], str]] = {
    "text": text,
    "json": as_json,
    "github": github,
    "sarif": sarif,
}
