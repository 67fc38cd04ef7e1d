"""Words by which something may be found that no code names: in texts, in files of settings, in templates, in docs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engram_context.checks.manifests import is_manifest
from engram_context.checks.whole import Whole, of_record
from engram_context.records import FileRecord
from engram_context.text import Text

_QUOTED = re.compile(rb"""(["'])([^"'\n]{1,100})\1""")
_PROSE_INSIDE = re.compile(rb"[^,]\s|\s\s")
_WORD = re.compile(rb"[^\W\d]\w*")
# Types in comments, and what a format asks of an object.
_ELSEWHERE = re.compile(rb"#[ \t]*type:[^\n]*|\{[^\W\d][\w.]*(?:[!:\[][^{}\n]{0,40})?\}")
_DOCS = (".md", ".rst", ".txt", ".adoc", ".tex", ".ipynb")
_NOTHING = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Words:
    """`quoted`: in short texts of code that are no prose; `configured`: in files that are neither code nor docs;
    `written`: in docs."""

    quoted: frozenset[str]
    configured: frozenset[str]
    written: frozenset[str]


def words_of(whole: Whole) -> Words:
    quoted: set[str] = set()
    configured: set[str] = set()
    written: set[str] = set()
    for path, record in whole.snapshot.records.items():
        words = words_in(whole, path, record)
        if path.endswith(_DOCS) and not is_manifest(path):
            written |= words
        elif _is_code(record):
            quoted |= words
        else:
            configured |= words
    return Words(frozenset(quoted), frozenset(configured), frozenset(written))


def words_in(whole: Whole, path: str, record: FileRecord) -> frozenset[str]:
    """The words of one file. They are kept with its record, whose bytes they are of."""
    kept = of_record(record, _kept)
    if not kept:
        text = whole.snapshot.text(path)
        if text is None or text.digest != record.digest:
            return _NOTHING
        # Entry points in a setup.py have spaces in their texts.
        is_setup = path.rpartition("/")[2] == "setup.py"
        kept.append(_quoted(text, prose=is_setup) if _is_code(record) else _all(text))
    return kept[0]


def _kept(_: FileRecord) -> list[frozenset[str]]:
    return []


def _is_code(record: FileRecord) -> bool:
    return bool(record.names) or record.language == "python"


def _quoted(text: Text, *, prose: bool) -> frozenset[str]:
    found: set[bytes] = set()
    for match in _QUOTED.finditer(text.data):
        if prose or _PROSE_INSIDE.search(match[2]) is None:
            found.update(_WORD.findall(match[2]))
    for match in _ELSEWHERE.finditer(text.data):
        found.update(_WORD.findall(match[0]))
    return _decoded(found)


def _all(text: Text) -> frozenset[str]:
    return _decoded(set(_WORD.findall(text.data)))


def _decoded(words: set[bytes]) -> frozenset[str]:
    return frozenset(word.decode("utf-8", "replace") for word in words if len(word) > 1)
