"""Which language a file is in, and the grammars at hand."""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath

import tree_sitter

_BY_SUFFIX = {".py": "python", ".pyi": "python", ".pyw": "python"}
_BY_NAME = {"SConstruct": "python", "SConscript": "python", "wscript": "python"}


def language_of(path: str) -> str | None:
    """The language of a project path by its name, None when no reader knows it."""
    file = PurePosixPath(path)
    return _BY_SUFFIX.get(file.suffix.lower()) or _BY_NAME.get(file.name)


@cache
def grammar(language: str) -> tree_sitter.Language | None:
    """The tree-sitter grammar of a language, loaded once."""
    if language == "python":
        import tree_sitter_python

        return tree_sitter.Language(tree_sitter_python.language())
    return None
