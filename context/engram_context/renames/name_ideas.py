"""What a symbol could be called: by the project's own habits.

Three kinds of evidence: how the project spells names of that kind, what it calls the same thing elsewhere (results of
the same call, objects of the same class, the arguments that are passed for a parameter), and what a value's own name
says. Whether an idea sounds right at the place is the model's to say.
"""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engram_context.inference.members import ClassType, Instance
from engram_context.records import KIND, FileRecord, Kind, Symbol, value_row
from engram_context.renames.prose import words_of
from engram_context.resolve import BUILTINS, Resolver
from engram_context.targets import Slot
from engram_context.text import Place

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

Style = Literal["snake", "camel", "Pascal", "UPPER"]

_VARIABLES = frozenset({KIND["variable"], KIND["constant"], KIND["attribute"], KIND["parameter"]})
_PARAMETER = KIND["parameter"]
# Words before what a function gives, in names of functions.
_VERBS = frozenset({"get", "load", "read", "make", "create", "build", "find", "fetch", "compute", "parse", "new", "to"})
_SEEN = 400
"""Names of a kind that are looked at to learn how the project spells them."""
_FILES = 200
"""Files that are looked into for what the same thing is called elsewhere."""


@dataclass(frozen=True, slots=True)
class NameIdea:
    """A name, how much speaks for it (counts of uses; more is better), and why, in words for the person."""

    name: str
    weight: float
    why: str


def name_ideas(snapshot: Snapshot, place: Place, limit: int = 12) -> tuple[NameIdea, ...]:
    """Ideas for the symbol of the project that is named at a place, the best first. None of them is bound where the
    symbol is."""
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if record is None or index is None:
        return ()
    resolver = Resolver(snapshot)
    slots = [target for target in resolver.meanings(place.path, index) if isinstance(target, Slot)]
    if not slots:
        return ()
    slot = slots[0]
    home = resolver.record(slot.path)
    rows = resolver.symbols_of(slot)
    if home is None or not rows or slot.path not in snapshot.records:
        return ()
    symbol = home.symbols[rows[0]]
    found: dict[str, NameIdea] = {}
    for idea in _ideas(resolver, slot, home, symbol):
        known = found.get(idea.name)
        if known is None or known.weight < idea.weight:
            found[idea.name] = idea
    fitting = [idea for idea in found.values() if _fits(home, slot, idea.name)]
    return tuple(sorted(fitting, key=lambda idea: (-idea.weight, idea.name))[:limit])


def _fits(record: FileRecord, slot: Slot, name: str) -> bool:
    if name == slot.name or not name.isidentifier() or keyword.iskeyword(name) or name in BUILTINS:
        return False
    return not record.bindings(slot.scope, name)


def _ideas(resolver: Resolver, slot: Slot, home: FileRecord, symbol: Symbol) -> Iterator[NameIdea]:
    style = style_of(resolver.snapshot, symbol.kind)
    lead = slot.name[: len(slot.name) - len(slot.name.lstrip("_"))]
    usual = lead + spelled(words_of(slot.name), style)
    if usual.lstrip("_") and usual != slot.name:
        yield NameIdea(usual, 50.0, f"spelled like the project's other names of {symbol.kind}s")
    if symbol.kind in ("variable", "attribute", "parameter"):
        for name, weight, why in _of_value(resolver, slot.path, home, symbol):
            yield NameIdea(lead + spelled(words_of(name), style), weight, why)
    if symbol.kind == "parameter":
        for name, count in _passed(resolver, slot, home, symbol).most_common(5):
            yield NameIdea(lead + spelled(words_of(name), style), 2.0 * count, "what calls pass for it")


# --- spelling -----------------------------------------------------------------------------------------


def style_of(snapshot: Snapshot, kind: Kind) -> Style:
    """How the project spells the names of a kind of symbol; Python's own custom where it has no habit."""
    code = KIND[kind]
    seen: Counter[Style] = Counter()
    for record in snapshot.records.values():
        symbols = record.symbols
        for row in range(len(symbols)):
            if symbols.kind[row] == code:
                style = spelling_of(record.names[symbols.name[row]])
                if style is not None:
                    seen[style] += 1
        if seen.total() >= _SEEN:
            break
    usual: Style = "Pascal" if kind in ("class", "type-alias") else "UPPER" if kind == "constant" else "snake"
    best = seen.most_common(1)
    return best[0][0] if best and best[0][1] >= 0.8 * seen.total() and seen.total() >= 5 else usual


def spelling_of(name: str) -> Style | None:
    """The style of a name that shows one: a single lower-case word may be of several."""
    plain = name.strip("_")
    if "_" in plain and plain.islower():
        return "snake"
    if plain.isupper() and len(plain) > 1:
        return "UPPER"
    if "_" in plain or not plain:
        return None
    if plain[0].isupper() and not plain.isupper():
        return "Pascal"
    return "camel" if any(letter.isupper() for letter in plain) else None


def spelled(words: list[str], style: Style) -> str:
    """Words as one name in a style."""
    low = [word.lower() for word in words]
    if style == "snake":
        return "_".join(low)
    if style == "UPPER":
        return "_".join(low).upper()
    joined = "".join(word.capitalize() if word.islower() else word for word in words)
    return joined if style == "Pascal" else joined[:1].lower() + joined[1:]


# --- what a value is called -----------------------------------------------------------------------------


def _of_value(resolver: Resolver, path: str, record: FileRecord, symbol: Symbol) -> Iterator[tuple[str, float, str]]:
    """(name, weight, why) by what a variable is bound to."""
    for one in resolver.types.of_symbol(path, symbol.index):
        if isinstance(one, Instance | ClassType):
            home = resolver.record(one.path)
            name = "" if home is None else home.scopes[one.scope].name
            if one.path in resolver.snapshot.records or name[:1].isupper():  # nobody calls a number "int"
                yield name, 3.0, "the name of its class"
    row = value_row(symbol.value)
    if row is None:
        if symbol.value >= 0:
            yield record.names[record.occurrences.name[symbol.value]], 4.0, "what it is a copy of"
        return
    value = record.values[row]
    first = value.first
    if value.kind not in ("call", "await", "element", "entered"):
        return
    if value.kind == "await" and (inner := value_row(first)) is not None:
        first = record.values[inner].first
    if first < 0:
        return
    source = record.names[record.occurrences.name[first]]
    if value.kind == "element":
        if len(source) > 3 and source.endswith("s") and not source.endswith("ss"):
            singular = source[:-3] + "y" if source.endswith("ies") else source[:-1]
            yield singular, 6.0, f"one of {source}"
    else:
        words = words_of(source)
        if len(words) > 1 and words[0].lower() in _VERBS:
            yield "_".join(words[1:]), 4.0, f"what {source} gives"
    for name, count in _elsewhere(resolver, source, value.kind).most_common(4):
        yield name, 2.0 + 3.0 * count, f"what {source} is called elsewhere"


def _elsewhere(resolver: Resolver, source: str, kind: str) -> Counter[str]:
    """What is bound to the same kind of value, made from a thing of the same name, in the project."""
    found: Counter[str] = Counter()
    snapshot = resolver.snapshot
    for path in snapshot.files_naming(source)[:_FILES]:
        record = snapshot.records[path]
        mentions = set(record.occurrences_of(source))
        rows = {
            row for row in range(len(record.values)) if record.values.first[row] in mentions
            and record.values[row].kind == kind
        }  # fmt: skip
        if not rows:
            continue
        for row in range(len(record.symbols)):
            at = value_row(record.symbols.value[row])
            if at in rows and record.symbols.kind[row] in _VARIABLES:
                found[record.names[record.symbols.name[row]]] += 1
    return found


def _passed(resolver: Resolver, slot: Slot, home: FileRecord, symbol: Symbol) -> Counter[str]:
    """The names of the variables that calls of a parameter's function pass for it."""
    found: Counter[str] = Counter()
    scope = home.scopes[slot.scope]
    if scope.symbol is None:
        return found
    function = home.symbols[scope.symbol]
    parameters = [row for row in home.symbols_in(slot.scope) if home.symbols.kind[row] == _PARAMETER]
    position = parameters.index(symbol.index) if symbol.index in parameters else -1
    if function.kind == "method":
        position -= 1
    callee = function.name
    if function.name == "__init__":
        callee = home.scopes[function.scope].name
    for path in resolver.snapshot.files_naming(callee)[:_FILES]:
        record = resolver.snapshot.records[path]
        mentions = set(record.occurrences_of(callee))
        for call in (record.calls[row] for row in range(len(record.calls)) if record.calls.callee[row] in mentions):
            for number, at in enumerate(call.arguments):
                argument = record.arguments[at]
                is_it = argument.keyword == slot.name if argument.keyword else number == position and not argument.stars
                if is_it and argument.value >= 0:
                    found[record.names[record.occurrences.name[argument.value]]] += 1
    return found
