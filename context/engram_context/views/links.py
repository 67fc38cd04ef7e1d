"""Addresses in a text's comments and strings, and strings that name files which are there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tree_sitter import Tree

from engram_context.text import Span, Text, decode

Cancelled = Callable[[], bool]

_ADDRESS = re.compile(rb"\bhttps?://[^\s<>\"'`\\^{}|\x00-\x20]+")
# Something with a folder or an ending, on one line, without what patterns and formats are made of.
_FILE = re.compile(rb"""(?<=["'`])(?:\.{0,2}/)?[\w\x80-\xff.@-]+(?:/[\w\x80-\xff.@-]+)*(?=["'`])""")
_ENDING = re.compile(rb"\.[A-Za-z]\w{0,7}\Z")
_STOPS = b".,;:!?'\"*"
_PAIRS = {b")": b"(", b"]": b"[", b"}": b"{"}
_QUIET = ("string", "comment", "doc", "char", "text")
_MOST_FILES = 500
"""No more names than this are looked for on disk for one text."""


@dataclass(frozen=True, slots=True)
class Link:
    """`target` is an address, or the path of a file."""

    span: Span
    target: str | Path


def links(
    tree: Tree | None, text: Text, folders: tuple[Path, ...] = (), cancelled: Cancelled = lambda: False
) -> tuple[Link, ...]:
    """In order. `tree` tells comments and strings from code; without one all of the text is looked at. Files are
    looked for in each of the folders, which reads the disk."""
    found = [*_addresses(tree, text), *_files(tree, text, folders, cancelled)]
    return tuple(sorted(found, key=lambda link: link.span))


def _addresses(tree: Tree | None, text: Text) -> Iterator[Link]:
    for match in _ADDRESS.finditer(text.data):
        start, end = match.start(), _end(match[0]) + match.start()
        if end - start > len(b"https://") and _is_quiet(tree, start):
            yield Link(Span(start, end), decode(text.data[start:end]))


def _end(address: bytes) -> int:
    """Where an address ends that a sentence or a bracket around it goes on behind."""
    while address:
        last = address[-1:]
        opening = _PAIRS.get(last)
        unpaired = opening is not None and address.count(last) > address.count(opening)
        if last not in _STOPS and not unpaired:
            break
        address = address[:-1]
    return len(address)


def _files(tree: Tree | None, text: Text, folders: tuple[Path, ...], cancelled: Cancelled) -> Iterator[Link]:
    known: dict[bytes, Path | None] = {}
    for match in _FILE.finditer(text.data) if folders else ():
        name = match[0]
        if cancelled():
            return
        if not (b"/" in name.strip(b"/") or _ENDING.search(name)) or name.startswith(b"/"):
            continue
        if name not in known:
            if len(known) >= _MOST_FILES:
                return
            known[name] = _existing(decode(name), folders)
        target = known[name]
        if target is not None and _is_quiet(tree, match.start()):
            yield Link(Span(*match.span()), target)


def _existing(name: str, folders: tuple[Path, ...]) -> Path | None:
    for folder in folders:
        try:
            if (folder / name).is_file():
                return (folder / name).resolve()
        except (OSError, ValueError):
            continue
    return None


def _is_quiet(tree: Tree | None, offset: int) -> bool:
    """Whether a place is in a comment or a string."""
    node = None if tree is None else tree.root_node.descendant_for_byte_range(offset, offset)
    if node is None:
        return tree is None
    return any(word in node.type for word in _QUIET) or (node.parent is not None and "string" in node.parent.type)
