"""Which language a file is in, and the grammars at hand.

Python has a reader of its own (`python/`). The languages in `_MODULES` are read by one reader (reading.py) that is
driven by a query of tree-sitter's; what differs between them is a small module each. README.md says how to add one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import tree_sitter

from engram_context.languages.manifests import FILES

if TYPE_CHECKING:
    from engram_context.languages.language import Language

_BY_SUFFIX = {
    **dict.fromkeys((".py", ".pyi", ".pyw"), "python"),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    ".tsx": "tsx",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
    ".c": "c",
    ".h": "header",
    **dict.fromkeys(
        (".cc", ".cpp", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".inl", ".ipp", ".tcc", ".cu", ".cuh"), "cpp"
    ),
}
_BY_NAME = {"SConstruct": "python", "SConscript": "python", "wscript": "python", **FILES}
_MODULES = {
    "javascript": "javascript",
    "typescript": "javascript",
    "tsx": "javascript",
    "go": "go",
    "rust": "rust",
    "java": "java",
    "c": "c",
    "cpp": "c",
    "header": "c",
}
"""The module of each language, which is imported when the first file in the language is met."""


def language_of(path: str) -> str | None:
    """The language of a project path by its name, None when no reader knows it."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return (_BY_SUFFIX.get(name[dot:].lower()) if dot > 0 else None) or _BY_NAME.get(name)


@cache
def language_named(name: str) -> Language | None:
    """How a language other than Python is read and resolved; None for one that has no module here."""
    module = _MODULES.get(name)
    if module is None:
        return None
    return import_module(f"engram_context.languages.{module}").LANGUAGES[name]


@cache
def grammar(name: str) -> tree_sitter.Language | None:
    """The tree-sitter grammar of a language, loaded once."""
    if name == "python":
        import tree_sitter_python

        return tree_sitter.Language(tree_sitter_python.language())
    found = language_named(name)
    return None if found is None else found.grammar()
