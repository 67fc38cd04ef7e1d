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
from engram_context.languages.plain import GRAMMARS, NAMES, SUFFIXES, is_left_out

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
    """The language of a project path by its name, None for a file that is not read.

    Of a language that nothing here reads as code, the text alone is known (and definitions, with its grammar at hand).
    """
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    suffix = name[dot:].lower() if dot > 0 else ""
    found = _BY_SUFFIX.get(suffix)
    if found is None:
        found = _BY_NAME.get(name) or NAMES.get(name) or SUFFIXES.get(suffix)
    return None if found is None or (found != "python" and is_left_out(name)) else found


def is_code(language: str | None) -> bool:
    """Whether a language is read as code, by a module for it."""
    return language == "python" or language in _MODULES


def fingerprint() -> str:
    """What records depend on besides the sources: the grammars that are installed."""
    from engram_context.languages.generic import versions

    return versions()


@cache
def language_named(name: str) -> Language | None:
    """How a language other than Python is read and resolved; None for one without a module here or a grammar."""
    module = _MODULES.get(name)
    if module is None:
        if name not in GRAMMARS:
            return None
        from engram_context.languages.generic import installed

        return installed(name)
    return import_module(f"engram_context.languages.{module}").LANGUAGES[name]


@cache
def grammar(name: str) -> tree_sitter.Language | None:
    """The tree-sitter grammar of a language, loaded once."""
    if name == "python":
        import tree_sitter_python

        return tree_sitter.Language(tree_sitter_python.language())
    found = language_named(name)
    return None if found is None else found.grammar()
