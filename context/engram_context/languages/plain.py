"""Files that no module here reads as code: what they are called, and which of them are worth learning from."""

from __future__ import annotations

import re
from collections.abc import Mapping

SUFFIXES: Mapping[str, str] = {
    # Grammars that may be installed, by their distributions' names behind `tree-sitter-`.
    ".rb": "ruby", ".rake": "ruby", ".gemspec": "ruby", ".php": "php", ".cs": "c-sharp", ".kt": "kotlin",
    ".kts": "kotlin", ".swift": "swift", ".scala": "scala", ".lua": "lua", ".sh": "bash", ".bash": "bash",
    ".zsh": "bash", ".hs": "haskell", ".ml": "ocaml", ".ex": "elixir", ".exs": "elixir", ".erl": "erlang",
    ".jl": "julia", ".r": "r", ".zig": "zig", ".dart": "dart", ".sql": "sql", ".clj": "clojure", ".pl": "perl",
    ".pm": "perl", ".m": "objc", ".mm": "objc", ".groovy": "groovy", ".gradle": "groovy", ".f90": "fortran",
    ".nim": "nim", ".v": "verilog", ".sv": "verilog", ".vhd": "vhdl", ".proto": "proto", ".graphql": "graphql",
    ".gql": "graphql", ".tf": "hcl", ".hcl": "hcl", ".cmake": "cmake", ".nix": "nix", ".vue": "vue",
    ".svelte": "svelte", ".css": "css", ".scss": "scss", ".html": "html", ".htm": "html", ".xml": "xml",
    ".json": "json", ".jsonc": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".md": "markdown",
    ".ps1": "powershell", ".fs": "fsharp", ".asm": "asm", ".s": "asm",
    # Text.
    ".less": "text", ".sass": "text", ".rst": "text", ".txt": "text", ".adoc": "text", ".ini": "text", ".cfg": "text",
    ".conf": "text", ".in": "text", ".j2": "text", ".jinja": "text", ".jinja2": "text", ".tmpl": "text",
    ".properties": "text", ".bat": "text", ".cmd": "text", ".tex": "text", ".pyx": "text", ".pxd": "text",
    ".bzl": "text", ".awk": "text", ".mk": "text", ".dockerfile": "text",
}  # fmt: skip
NAMES: Mapping[str, str] = {
    "Makefile": "make", "makefile": "make", "GNUmakefile": "make", "Dockerfile": "dockerfile",
    "Containerfile": "dockerfile", "Jenkinsfile": "groovy", "Rakefile": "ruby", "Gemfile": "ruby",
    "CMakeLists.txt": "cmake", "Justfile": "text", "justfile": "text", "BUILD": "text", "WORKSPACE": "text",
}  # fmt: skip
GRAMMARS = frozenset(SUFFIXES.values()) | frozenset(NAMES.values()) - {"text"}

LARGEST = 100_000
"""Texts that are no code are read up to so many bytes."""
MOST = 8_000_000
"""And so many bytes of them in a project, those near its root."""
_MINIFIED = 300  # bytes a line, in a file of some size
_SIZE = 5_000
_NUMBERS = 0.35  # the share of digits that makes a table of data

_LEFT_OUT = re.compile(
    r".*(?:\.min\.(?:js|css|html)|[-.]bundle\.js|\.lock|[-.]lock\.(?:json|ya?ml)|\.map|\.svg|\.ipynb)\Z"
    r"|(?:go\.sum|npm-shrinkwrap\.json|composer\.lock|licen[cs]e.*|copying.*|changelog\.json)\Z",
    re.IGNORECASE,
)


def is_left_out(name: str) -> bool:
    """Whether a file of this name is written by tools for tools."""
    return _LEFT_OUT.match(name) is not None


def reason_against(data: bytes, is_code: bool) -> str | None:
    """Why a text is not read; None when it is."""
    if not is_code and len(data) > LARGEST:
        return f"no code, and larger than {LARGEST:,} bytes"
    if len(data) > _SIZE and len(data) > _MINIFIED * (data.count(b"\n") + 1):
        return "minified, or otherwise not written by hand"
    return None


def is_data(data: bytes) -> bool:
    """Whether a text is mostly numbers, which nobody wants to be completed."""
    if len(data) < _SIZE:
        return False
    sample = data[: 1 << 17]
    digits = len(sample) - len(sample.translate(None, b"0123456789"))
    return digits > _NUMBERS * max(len(sample.translate(None, b" \t\r\n")), 1)
