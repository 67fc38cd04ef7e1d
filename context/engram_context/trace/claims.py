"""What speaks for a function where a test's claim does not hold, so that no trace leads into the code that is wrong."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from engram_context.text import Span
from engram_context.trace.locating import is_test
from engram_context.trace.oddities import oddities
from engram_context.trace.origins import Evidence, Origins
from engram_context.trace.values import Trace
from engram_context.trace.written import Written
from engram_context.views.call_hierarchy import Definition

_READ = 600_000
"""Bytes of the files that are compared with one another."""
_LONGEST = 20_000
"""Bytes of a function that are looked through for words."""
_WORD = re.compile(r"[A-Z]{2,40}(?![a-z])|[A-Z]?[a-z]{2,40}|\d{2,12}")
_NOT_RAISED = re.compile(r"DID NOT RAISE (?:<class ')?([\w.]{1,200})|^([\w.]{1,200}) not raised")
_COMMON = frozenset((
    "test", "tests", "self", "assert", "def", "class", "return", "none", "true", "false", "not", "and", "for", "the",
    "if", "with", "import", "from", "pytest", "equal", "raises", "mark", "parametrize", "expected", "result", "actual",
    "in", "is",
))  # fmt: skip


def evidence(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    """For a trace whose innermost frame in the project is a test's."""
    for definition, reach in origins.reached.items():
        if reach.steps:
            words = f"{reach.steps} calls lie between"
            yield Evidence(definition, "steps", math.log1p(min(reach.steps, 9)), words)
    code = {
        definition: _code(origins, definition)
        for definition in sorted(origins.candidates, key=lambda one: (one.path, one.row))
        if definition.row >= 0 and not is_test(definition.path)
    }
    yield from _speaking(origins, code)
    yield from _not_raising(trace, code)
    yield from _misshapen(origins, code)
    yield from _odd(origins, code)


def _code(origins: Origins, definition: Definition) -> str:
    text, body = origins.snapshot.text(definition.path), origins.callees.body(definition)
    return "" if text is None else text.slice(Span(body.start, min(body.end, body.start + _LONGEST)))


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _COMMON


def _speaking(origins: Origins, code: dict[Definition, str]) -> Iterator[Evidence]:
    """Words that a test and a function share, each the more telling the fewer functions have it."""
    tests = [one for one in origins.frames if one.test and one.function >= 0]
    asked = _words(" ".join(_code(origins, Definition(one.path or "", one.function)) for one in tests))
    own = {definition: _words(text) & asked for definition, text in code.items()}
    holders = Counter(word for words in own.values() for word in words)
    weight = {word: math.log(1 + len(own) / count) for word, count in holders.items()}
    amounts = {definition: sum(weight[word] for word in sorted(words)) for definition, words in own.items()}
    most = max(amounts.values(), default=0.0)
    for definition, amount in amounts.items():
        if amount:
            shared = sorted(own[definition], key=lambda word: (-weight[word], word))
            words = f"it speaks of {', '.join(shared[:3])}, as the test does"
            yield Evidence(definition, "speaks", amount / most, words)


def _not_raising(trace: Trace, code: dict[Definition, str]) -> Iterator[Evidence]:
    """Functions that raise the error which a test waited for."""
    match = _NOT_RAISED.search(trace.message) or _NOT_RAISED.search(trace.error)
    if match is None:
        return
    name = (match[1] or match[2]).rpartition(".")[2]
    raising = re.compile(rf"\braise (?:\w{{1,80}}\.)?{re.escape(name)}\b")
    for definition, text in code.items():
        if raising.search(text):
            yield Evidence(definition, "not-raised", 1.0, f"it raises {name}, which was not raised")


def _misshapen(origins: Origins, code: dict[Definition, str]) -> Iterator[Evidence]:
    for definition in code:
        syntax = origins.syntax(definition.path)
        node = None if syntax is None else syntax.definition(origins.callees.body(definition))
        spans = [] if node is None else sorted(oddities(node), key=lambda one: one.start)
        if spans:
            yield Evidence(definition, "misshapen", 1.0, "it contradicts itself", tuple(spans[:4]))


def _odd(origins: Origins, code: dict[Definition, str]) -> Iterator[Evidence]:
    """What is written otherwise elsewhere, with another operator or number, and hardly anywhere as here."""
    weight: dict[str, float] = {}
    for definition in code:
        weight[definition.path] = max(weight.get(definition.path, 0.0), origins.weight(definition))
    texts: dict[str, bytes] = {}
    left = _READ
    for path in sorted(weight, key=lambda path: (-weight[path], path)):
        text = origins.snapshot.text(path)
        if text is not None and len(text.data) <= left:
            left -= len(text.data)
            texts[path] = text.data
    written = Written(texts)
    for definition in code:
        body = origins.callees.body(definition)
        found = sorted(written.odd(definition.path, body), key=lambda one: (-one.amount, one.span.start))
        if found:
            spans = tuple(one.span for one in found[:4])
            yield Evidence(definition, "odd", found[0].amount, "it is written otherwise elsewhere", spans)
