"""Arguments that may stand in each other's place: `move(target, source)` where the parameters are `source, target`, or
where `move` is given them the other way round elsewhere. How likely that is was fitted by tests/bench/fit_arguments.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import tree_sitter

from engram_context.checks.misuse.callables import Callables, Parameters
from engram_context.checks.misuse.habits import Experience
from engram_context.checks.misuse.places import words_of
from engram_context.records import FileRecord
from engram_context.text import Span

SIGNS = (
    "crossed",
    "straight",
    "crosswise",
    "known",
    "habit here",
    "habit elsewhere",
    "unlike",
    "turned",
    "own name",
    "names",
)
COLUMNS = (
    "bias",
    *SIGNS,
    "rather crossed",
    "crossed and known",
    "for here",
    "for elsewhere",
    "unlike elsewhere",
    "unlike here",
)
_MOST_ARGUMENTS = 6
TURNING = frozenset(
    (
        "swap",
        "swapped",
        "reverse",
        "reversed",
        "inverse",
        "invert",
        "inverted",
        "flip",
        "flipped",
        "transpose",
        "rev",
        "converse",
        "symmetric",
        "opposite",
        "back",
        "backward",
        "undo",
        "mirror",
        "cross",
        "commute",
        "right",
    )
)


@dataclass(frozen=True, slots=True)
class Swap:
    """Two positional arguments of one call, the first at `first`, which may have to change places. `span` covers
    both; `call` is the row of the call."""

    first: Span
    second: Span
    span: Span
    call: int
    called: str
    signs: tuple[float, ...]

    def row(self) -> tuple[float, ...]:
        """What is judged by, in the order of COLUMNS."""
        crossed, straight, _, known, here, elsewhere, unlike, *_ = self.signs
        here, elsewhere = max(here, 0.0), max(elsewhere, 0.0)
        more = (crossed - straight, crossed * known, here, elsewhere, unlike * elsewhere, unlike * here)
        return (1.0, *self.signs, *more)

    @property
    def odds(self) -> float:
        """Log odds that they are swapped, as far as that was learned (`arguments.json`)."""
        return sum(weight * value for weight, value in zip(_weights(), self.row(), strict=True))


def swaps(record: FileRecord, tree: tree_sitter.Tree, experience: Experience, callables: Callables) -> Iterator[Swap]:
    """The pairs of arguments that have names and are not just where their names say."""
    calls = record.calls
    for row in range(len(calls)):
        if calls.last_argument[row] - calls.first_argument[row] < 2:
            continue
        callee = calls.callee[row]
        if callee < 0:
            continue
        called = record.names[record.occurrences.name[callee]]
        node = tree.root_node.descendant_for_byte_range(calls.inside_start[row] - 1, calls.inside_end[row] + 1)
        if node is None or node.type != "argument_list":
            continue
        given = _positional(node)
        known = callables.parameters(called)
        around = _function_names(record, calls.scope[row])
        for i in range(len(given)):
            for j in range(i + 1, min(len(given), _MOST_ARGUMENTS)):
                one, other = given[i], given[j]
                if not one.name or not other.name or one.name == other.name:
                    continue
                fitting = [each for each in known if j < len(each)]
                if any(_is(one.name, each[i]) or _is(other.name, each[j]) for each in fitting):
                    continue
                signs = _signs(record, one, other, i, j, fitting, called, around, experience)
                yield Swap(
                    Span(one.node.start_byte, one.node.end_byte),
                    Span(other.node.start_byte, other.node.end_byte),
                    Span(one.node.start_byte, other.node.end_byte),
                    row,
                    called,
                    signs,
                )


@dataclass(frozen=True, slots=True)
class _Given:
    node: tree_sitter.Node
    text: str
    name: str
    """What it is called: a name, the last one of an attribute, a key; empty for anything else."""

    @property
    def is_name(self) -> bool:
        return self.node.type == "identifier"


def _positional(arguments: tree_sitter.Node) -> list[_Given]:
    found: list[_Given] = []
    for child in arguments.named_children:
        if child.type == "comment":
            continue
        if child.type in ("keyword_argument", "list_splat", "dictionary_splat"):
            break
        said = (child.text or b"").decode("utf-8", "replace")
        found.append(_Given(child, said, _called(child)))
    return found


def _called(node: tree_sitter.Node) -> str:
    if node.type == "identifier":
        return (node.text or b"").decode("utf-8", "replace")
    if node.type == "attribute":
        attribute = node.child_by_field_name("attribute")
        return "" if attribute is None else (attribute.text or b"").decode("utf-8", "replace")
    if node.type == "subscript":
        key = node.child_by_field_name("subscript")
        if key is not None and key.type == "string":
            return (key.text or b"").decode("utf-8", "replace").strip("'\"")
    return ""


def _function_names(record: FileRecord, scope: int) -> list[str]:
    """The names of the functions around, and of their classes."""
    found: list[str] = []
    while scope > 0:
        symbol = record.scopes.symbol[scope]
        if symbol >= 0:
            found.append(record.names[record.symbols.name[symbol]])
        scope = record.scopes.parent[scope]
    return found


def _is(name: str, parameter: str) -> bool:
    return name.strip("_") == parameter.strip("_")


def _likeness(name: str, parameter: str) -> float:
    if _is(name, parameter):
        return 1.0
    one, other = words_of(name), words_of(parameter)
    return len(one & other) / len(one | other) if one and other else 0.0


def _signs(
    record: FileRecord,
    one: _Given,
    other: _Given,
    i: int,
    j: int,
    fitting: Sequence[Parameters],
    called: str,
    around: Sequence[str],
    experience: Experience,
) -> tuple[float, ...]:
    crossed = straight = crosswise = 0.0
    if fitting:
        crossed = min(_likeness(one.name, each[j]) + _likeness(other.name, each[i]) for each in fitting)
        straight = max(_likeness(one.name, each[i]) + _likeness(other.name, each[j]) for each in fitting)
        crosswise = float(all(_is(one.name, each[j]) and _is(other.name, each[i]) for each in fitting))
    here = elsewhere = unlike = 0.0
    for given, at, to in ((one, i, j), (other, j, i)):
        if given.is_name:
            name = given.name
            moved = experience.here.count(name, ("argument", called, to))
            stays = experience.here.count(name, ("argument", called, at)) - 1
            here += math.log((moved + 0.3) / (stays + 0.3))
            moved = experience.together.count(name, ("argument", called, to))
            stays = experience.together.count(name, ("argument", called, at))
            elsewhere += math.log((moved + 0.3) / (stays + 0.3))
            unlike += float(moved > 0 and stays == 0)
    words = frozenset(word for name in (called, *around) for word in words_of(name))
    return (
        crossed,
        straight,
        crosswise,
        float(bool(fitting)),
        here,
        elsewhere,
        unlike,
        float(bool(words & TURNING)),
        float(called in around[:1]),
        float(one.is_name and other.is_name),
    )


def least_odds() -> float:
    """The log odds at which a hint is shown."""
    return float(_load()["shown"])


@cache
def _weights() -> tuple[float, ...]:
    weights = _load()["weights"]
    return tuple(float(weights[name]) for name in COLUMNS)


@cache
def _load() -> dict[str, Any]:
    stored = resources.files("engram_context.checks.misuse").joinpath("arguments.json")
    return json.loads(stored.read_text(encoding="utf-8"))
