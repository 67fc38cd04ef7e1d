"""What the words of an error and of its test say of functions, and what in their code goes with it."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from difflib import SequenceMatcher

from engram_context.imports import Module
from engram_context.inference.calls import Given
from engram_context.outside.library import is_outside
from engram_context.records import GENERATOR, NARROWING_KIND, PROPERTY, ROLE, SETTER, FileRecord, value_row
from engram_context.resolve import MEMBER_ROLES
from engram_context.targets import Slot
from engram_context.text import Span
from engram_context.trace.callees import BUILTIN_METHODS
from engram_context.trace.locating import function_around, is_test
from engram_context.trace.origins import Evidence, Origins
from engram_context.trace.values import Trace
from engram_context.views.call_hierarchy import Definition

_NONE_KIND = NARROWING_KIND["none"]
_READ = frozenset({ROLE["read"]})
_PLAIN = frozenset({ROLE["read"], ROLE["write"]})
_MEMBER_READ = frozenset({ROLE["attribute"]})
_CHANGES = re.compile(
    rb"\s*(?:\[[^\]\n]{0,200}\]\s*[-+*/|&]?=(?!=)|\.(?:append|pop|popitem|popleft|update|clear|remove|insert|extend"
    rb"|setdefault|add|discard|move_to_end|sort|reverse|write|put)\()"
)
_DELETES = re.compile(rb"\bdel\s+[\w.]{0,200}$")
_CALLED = frozenset({ROLE["read"], ROLE["attribute"]})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TEXT_WORD = re.compile(r"[^\W\d_]{2,40}")
_LITERAL = re.compile(r"""(?s)("{3}|'{3})(.{0,2000}?)\1|"([^"\\\n]{0,300})"|'([^'\\\n]{0,300})'""")
_QUOTED = re.compile(rb"""["']([A-Za-z_]\w{1,60})["']""")
_COMMON = frozenset((
    "test", "tests", "get", "set", "is", "to", "of", "a", "the", "in", "and", "for", "with", "from", "by", "on", "new",
    "self", "it", "that", "not", "no", "do", "does", "init", "call", "make", "run",
))  # fmt: skip
_NOTHING = frozenset(
    {"__init__", "__exit__", "__setitem__", "__delitem__", "__setattr__", "__delattr__", "__post_init__"}
)
_TELLING = frozenset(
    {"__str__", "__repr__", "__copy__", "__iter__", "__enter__", "__call__", "__getattr__", "__getitem__"}
)
"""Methods that return nothing ever, and something always."""
_USERS = 12
"""Files that are looked through for whether a function's result is used."""
_NEAR = 0.72
"""How alike two names must be for one to be a slip of the other."""
_FILES, _BYTES = 300, 6 << 20
"""Files, and bytes, that are looked through for names."""
_RARE = 2
"""Mentions that a slip can have in a project."""
_NONE = re.compile(r"(?:^|\bassert |[=!]= |where |and )None\b|NoneType")
"""None as a value by itself, not in another one."""


def evidence(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    yield from _named(origins, trace)
    yield from _worded(origins, trace)
    yield from _mentioned(origins, trace)
    yield from _imported(origins)
    yield from _rare(origins)
    yield from _direct(origins)
    yield from _acted(origins)
    yield from _mutating(origins)
    yield from _contradicting(origins)
    yield from _swapping(origins)
    yield from _returning_none(origins, trace)
    yield from _idle(origins)
    yield from _undefined(origins, trace)
    yield from _similar(origins, trace)
    yield from _signature(origins)


# --- names and texts -------------------------------------------------------------------------------------------------


def words_of(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _named(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    """The names of the test, its class and its file, in those of a function, its class and its file. A word that many
    functions have says less."""
    tests = [frame for frame in origins.frames if frame.test]
    said = [(trace.test.rpartition("[")[0] or trace.test).rpartition(".py::")[2]]
    said += [frame.frame.function for frame in tests]
    said += [(frame.path or "").rpartition("/")[2].removesuffix(".py") for frame in tests]
    spoken = {word for one in said for word in words_of(one)} - _COMMON
    if not spoken:
        return
    names: dict[Definition, tuple[str, str, str]] = {}
    for definition in origins.candidates:
        record = origins.callees.record(definition.path)
        if record is not None and definition.row >= 0 and not is_test(definition.path):
            scope = record.symbols.scope[definition.row]
            owner = record.names[record.scopes.owner_name[scope]] if record.scopes.owner_name[scope] >= 0 else ""
            stem = definition.path.rpartition("/")[2].removesuffix(".py")
            names[definition] = (record.names[record.symbols.name[definition.row]], owner, stem)
    likeness: dict[str, float] = {}
    for at, kind in enumerate(("named", "class-named", "file-named")):
        words = {definition: set(words_of(three[at])) - _COMMON for definition, three in names.items()}
        bearers: dict[str, set[str]] = {}
        for definition, own in words.items():
            for word in own:
                if word not in likeness:
                    likeness[word] = max(_alike(word, other) for other in spoken)
                if likeness[word]:
                    bearers.setdefault(word, set()).add(names[definition][at])
        for definition, own in words.items():
            share = sum(likeness[word] / len(bearers[word]) ** 0.5 for word in own if likeness[word])
            share /= max(len(own), 1)
            if share:
                yield Evidence(definition, kind, share, f"the test's name speaks of {names[definition][at]}")


def _alike(word: str, other: str) -> float:
    """1 for the same word, less for another form of it: `comment` and `comments`, `del` and `delete`."""
    if word == other:
        return 1.0
    least = min(len(word), len(other))
    common = next((at for at in range(least) if word[at] != other[at]), least)
    return 0.6 if (common == least and least >= 3) or (common >= 4 and common >= least - 1) else 0.0


def _worded(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    """Words of the values that differ, or of the message, which a function has in its texts."""
    said = " ".join((trace.message, *trace.notes[:20]))
    left, _, right = trace.message.partition(" == ")
    words = set(_TEXT_WORD.findall(left)) ^ set(_TEXT_WORD.findall(right)) if right else set(_TEXT_WORD.findall(said))
    words = {word for word in words if word not in ("assert", "None", "True", "False", "where", "and", "in", "is")}
    if not words:
        return
    holders: dict[str, int] = {}
    found: dict[Definition, set[str]] = {}
    for definition in origins.candidates:
        text = origins.snapshot.text(definition.path)
        if text is None or definition.row < 0 or is_test(definition.path):
            continue
        body = text.slice(origins.callees.body(definition))[:20_000]
        literals = " ".join("".join(match.groups("")[1:]) for match in _LITERAL.finditer(body))
        own = words & set(_TEXT_WORD.findall(literals))
        found[definition] = own
        for word in own:
            holders[word] = holders.get(word, 0) + 1
    for definition, own in found.items():
        # A word that only one function has says more than one that all have.
        amount = sum(1 / holders[word] ** 0.5 for word in own)
        if amount > 0.3:
            shown = ", ".join(sorted(own, key=lambda word: (holders[word], word))[:3])
            yield Evidence(definition, "words", min(amount, 1.5) / 1.5, f"its texts have {shown}, as the failure")


def _mentioned(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    """Functions that the message names."""
    said = set(re.findall(r"\b([A-Za-z_]\w+)(?:\(\)| returned | takes | got )", trace.message))
    for definition in origins.candidates if said else ():
        record = origins.callees.record(definition.path)
        if record is not None and definition.row >= 0 and record.names[record.symbols.name[definition.row]] in said:
            yield Evidence(definition, "mentioned", 1.0, "the message names it")


def _imported(origins: Origins) -> Iterator[Evidence]:
    """What the test's file imports: a function itself, its class, or its module."""
    frame = next((frame for frame in reversed(origins.frames) if frame.test), None)
    record = None if frame is None else origins.callees.record(frame.path or "")
    if frame is None or record is None:
        return
    names: set[tuple[str, str]] = set()
    modules: set[str] = set()
    for imported in record.imports:
        for target in origins.resolver.imported(frame.path or "", imported):
            for origin in origins.resolver.origins(target):
                if isinstance(origin, Slot):
                    names.add((origin.path, origin.name))
                elif isinstance(origin, Module):
                    modules.add(origin.path)
    for definition in origins.candidates:
        if is_test(definition.path) or definition.row < 0:
            continue
        outermost = outermost_name(origins, definition)
        if (definition.path, outermost) in names:
            yield Evidence(definition, "imported", 1.0, "the test's file imports it")
        elif definition.path in modules:
            yield Evidence(definition, "imported", 0.5, "the test's file imports its module")


def outermost_name(origins: Origins, definition: Definition) -> str:
    """The name that a function's module binds: its own, or that of the class around it."""
    record = origins.callees.record(definition.path)
    if record is None:
        return ""
    row = definition.row
    while record.symbols.scope[row] > 0:
        scope = record.symbols.scope[row]
        above = record.scopes.symbol[scope]
        if above < 0:
            break
        row = above
    return record.names[record.symbols.name[row]]


def _rare(origins: Origins) -> Iterator[Evidence]:
    """How often a function is named: what everybody uses would have failed elsewhere, too."""
    for definition in origins.candidates:
        record = origins.callees.record(definition.path)
        if record is None or definition.row < 0 or is_test(definition.path):
            continue
        name = record.names[record.symbols.name[definition.row]]
        if not name.startswith("__"):
            count = len(origins.snapshot.files_naming(name))
            yield Evidence(definition, "common", math.log(max(count, 1)), f"{count} files name it")


def _direct(origins: Origins) -> Iterator[Evidence]:
    """What the failing statement itself calls, by name or by an operator."""
    frame = origins.innermost
    if frame is None:
        return
    for use in origins.callees.of(frame.path or "", origins.statement(frame)):
        record = origins.callees.record(use.definition.path)
        name = "" if record is None else record.names[record.symbols.name[use.definition.row]]
        if name not in ("__init__", "__new__"):
            yield Evidence(use.definition, "direct", use.share, "the statement that failed calls it")


def _acted(origins: Origins) -> Iterator[Evidence]:
    """What a test did last to the objects that its claim is about."""
    frame = origins.innermost
    syntax = None if frame is None else origins.syntax(frame.path or "")
    record = None if frame is None else origins.callees.record(frame.path or "")
    if frame is None or syntax is None or record is None or not frame.test:
        return
    spoken = _names_in(record, origins.statement(frame))
    distance = 0
    for span in syntax.before(frame.span.start):
        if spoken.isdisjoint(_names_in(record, span)):
            continue
        for use in origins.callees.of(frame.path or "", span):
            words = "the test did it last to what its claim is about"
            yield Evidence(use.definition, "acted", use.share * 0.75**distance, words)
        distance += 1


def _mutating(origins: Origins) -> Iterator[Evidence]:
    """Methods that change the contents of an attribute which is looked into where it failed, or in what was called
    there."""
    frame = origins.innermost
    if frame is None:
        return
    spans = [(frame.path or "", origins.statement(frame), 1.0)]
    if frame.test:
        used = [use for use in origins.callees.of(frame.path or "", spans[0][1]) if use.share >= 0.5]
        spans = [(use.definition.path, origins.callees.body(use.definition), 0.6) for use in used]
    for path, span, share in spans:
        record, text = origins.callees.record(path), origins.snapshot.text(path)
        if record is None or text is None or is_test(path):
            continue
        occurrences = record.occurrences
        first, end = bisect_left(occurrences.start, span.start), bisect_left(occurrences.start, span.end)
        read = {occurrences.name[index] for index in range(first, end) if occurrences.role[index] in _MEMBER_READ}
        for number in read:
            name = record.names[number]
            for index in record.occurrences_of(name, _MEMBER_READ):
                where = occurrences.span(index)
                line = text.line_span(text.line_of(where.start))
                if _CHANGES.match(text.data, where.end, line.end) or _DELETES.search(
                    text.data, line.start, where.start
                ):
                    definition = Definition(path, function_around(record, where.start))
                    if definition in origins.candidates:
                        words = f"it changes what is in {name}, which is looked into there"
                        yield Evidence(definition, "mutates", share, words, (where,))


def _names_in(record: FileRecord, span: Span) -> set[int]:
    """The plain names that are read or bound in a span, as numbers."""
    occurrences = record.occurrences
    first, end = bisect_left(occurrences.start, span.start), bisect_left(occurrences.start, span.end)
    return {occurrences.name[index] for index in range(first, end) if occurrences.role[index] in _PLAIN}


# --- what does not go together -------------------------------------------------------------------------------------


def _contradicting(origins: Origins) -> Iterator[Evidence]:
    """Members of something that a test says is None there."""
    for path in sorted({definition.path for definition in origins.candidates}):
        record = origins.callees.record(path)
        if record is None or is_test(path):
            continue
        narrowings = record.narrowings
        for row, kind in enumerate(narrowings.kind):
            if kind != _NONE_KIND:
                continue
            subject, last = narrowings.strings[narrowings.subject[row]], narrowings.names[narrowings.name[row]]
            for index in record.occurrences_of(last, _CALLED):
                start = record.occurrences.start[index]
                if not narrowings.start[row] <= start < narrowings.end[row]:
                    continue
                flow = origins.resolver.types.flow(path, record)
                used = _member_of(record, index)
                if used is None or flow.subject(index) != subject or _is_bound_between(record, last, row, start):
                    continue
                definition = Definition(path, function_around(record, start))
                if definition in origins.candidates:
                    words = f"it uses .{used[0]} of {subject} where that is None"
                    yield Evidence(definition, "contradiction", 1.0, words, (used[1],))


def _member_of(record: FileRecord, index: int) -> tuple[str, Span] | None:
    """The attribute that is read of what an occurrence names."""
    following = index + 1
    occurrences = record.occurrences
    if following >= len(occurrences) or occurrences.role[following] not in MEMBER_ROLES:
        return None
    if occurrences.link[following] != index:
        return None
    return record.names[occurrences.name[following]], occurrences.span(following)


def _is_bound_between(record: FileRecord, name: str, narrowing: int, offset: int) -> bool:
    low = record.narrowings.start[narrowing]
    return any(low <= record.symbols.start[row] < offset for rows in record.bound(name).values() for row in rows)


def _swapping(origins: Origins) -> Iterator[Evidence]:
    """Calls that give a name to another parameter than the one of that name."""
    types = origins.resolver.types
    for definition in origins.candidates:
        record = origins.callees.record(definition.path)
        if record is None or definition.row < 0 or is_test(definition.path):
            continue
        body = origins.callees.body(definition)
        calls = record.calls
        for row in range(bisect_left(calls.start, body.start), bisect_left(calls.start, body.end)):
            given = Given.of_call(definition.path, record, row)
            names = {at: ref for at, ref in enumerate(given.positional) if isinstance(ref, int) and ref >= 0}
            if not names:
                continue
            for function in [
                one for each in types.of_ref(definition.path, calls.callee[row]) for one in types.functions(each)
            ]:
                home = origins.resolver.record(function.path)
                if home is None or is_outside(function.path):
                    continue
                parameters = [home.names[home.symbols.name[one]] for one in types.calls.parameters(function)]
                for at, ref in names.items():
                    name = record.names[record.occurrences.name[ref]]
                    own = parameters[at] if at < len(parameters) else ""
                    other = parameters.index(name) if name in parameters else -1
                    given_there = names.get(other)
                    there = "" if given_there is None else record.names[record.occurrences.name[given_there]]
                    # Where all are shifted by one, it is the parameters that are not known rightly.
                    is_shifted = there != own and there in parameters
                    if other >= 0 and other < len(given.positional) and own and own != name and not is_shifted:
                        amount = 1.0 if there == own else 0.5
                        words = f"it gives {name} to the parameter {own}"
                        yield Evidence(definition, "swapped", amount, words, (record.occurrences.span(ref),))


# --- None -----------------------------------------------------------------------------------------------------------


def _returning_none(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    """Functions that give None where something was expected."""
    if not _NONE.search(trace.message) and not any(_NONE.search(note) for note in trace.notes[:6]):
        return
    exact: dict[Definition, float] = {}
    frame = origins.innermost
    if frame is not None and frame.path is not None:
        span = origins.marked(frame)
        refs = list(origins.receivers(frame.path, span, origins.trouble.name)) if origins.trouble.name else []
        for ref in refs:
            for definition, _ in origins.callees_of_ref(frame.path, ref):
                exact[definition] = 1.0
    for definition in {*origins.candidates, *exact}:
        amount, words = _gives_none(origins, definition)
        if definition in exact:
            yield Evidence(definition, "gave-none", 0.4 + 0.6 * amount, "the value that was None is its result")
        if amount:
            # Of what the test ran besides, a None that is returned is hardly the one that was seen.
            share = 1.0 if definition in origins.reached or definition in exact else 0.4
            yield Evidence(definition, "returns-none", amount * share, words)


def _gives_none(origins: Origins, definition: Definition) -> tuple[float, str]:
    """How much speaks for a function returning None that should not, and what."""
    record = origins.callees.record(definition.path)
    if record is None or definition.row < 0:
        return 0.0, ""
    symbol = record.symbols[definition.row]
    if symbol.inner is None or symbol.flags & (GENERATOR | SETTER) or symbol.name in _NOTHING:
        return 0.0, ""
    returned = record.scopes[symbol.inner].refs
    if any((row := value_row(ref)) is not None and record.values[row].kind == "none" for ref in returned):
        return 0.4, "it returns None on a path"
    syntax = origins.syntax(definition.path)
    if syntax is None or syntax.is_empty(origins.callees.body(definition)):
        return 0.0, ""
    if not returned:
        # What everybody's objects have says nothing about whose result is used.
        is_common = symbol.name in BUILTIN_METHODS
        expected = (
            symbol.flags & PROPERTY or symbol.name in _TELLING or (not is_common and _is_used(origins, definition))
        )
        return (1.0, "it returns nothing, and its result is used") if expected else (0.0, "")
    if syntax.falls_off(origins.callees.body(definition)):
        return 0.6, "it can end without returning anything"
    return 0.0, ""


def _is_used(origins: Origins, definition: Definition) -> bool:
    """Whether somebody uses the result of a function that is called where it is named, as far as the text shows."""
    record = origins.callees.record(definition.path)
    name = "" if record is None else record.names[record.symbols.name[definition.row]]
    for path in origins.snapshot.files_naming(name)[:_USERS]:
        home, text = origins.callees.record(path), origins.snapshot.text(path)
        if home is None or text is None:
            continue
        rows = set(home.occurrences_of(name, _CALLED))
        for at, callee in enumerate(home.calls.callee):
            if callee in rows:
                line = text.line_span(text.line_of(home.calls.start[at]))
                before = text.data[line.start : home.calls.start[at]].strip()
                if before and before != b"await":
                    return True
    return False


def _idle(origins: Origins) -> Iterator[Evidence]:
    """Statements that compute something for nothing, as where a `return` was forgotten."""
    for definition in origins.candidates:
        if definition.row < 0 or is_test(definition.path):
            continue
        syntax = origins.syntax(definition.path)
        spans = [] if syntax is None else syntax.idle(origins.callees.body(definition))
        if spans:
            yield Evidence(
                definition, "idle", 1.0, "a statement computes a value and does nothing with it", tuple(spans)
            )


# --- names that are not there ---------------------------------------------------------------------------------------


def _undefined(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    """Functions that read a name which nothing binds, wherever they are."""
    if origins.trouble.kind != "name":
        match = re.search(r"name '(\w+)' is not defined", " ".join((trace.error, trace.message, *trace.notes[:20])))
        name = match[1] if match else ""
    else:
        name = origins.trouble.name
    if not name:
        return
    for path in origins.snapshot.files_naming(name)[:_FILES]:
        record = origins.callees.record(path)
        if record is None:
            continue
        for index in record.occurrences_of(name, _READ):
            if not origins.resolver.of_occurrence(path, index):
                span = record.occurrences.span(index)
                definition = Definition(path, function_around(record, span.start))
                yield Evidence(definition, "undefined", 1.0, f"it reads {name}, which nothing defines", (span,))


def _similar(origins: Origins, trace: Trace) -> Iterator[Evidence]:
    """A key that is not there, and one much like it that is hardly ever mentioned: a slip."""
    trouble = origins.trouble
    name = trouble.name
    if trouble.kind != "key" or not name.isidentifier() or len(name) < 3:
        return
    frames = [frame.path or "" for frame in reversed(origins.frames) if not frame.test]
    paths = list(dict.fromkeys([*frames, *sorted({one.path for one in origins.candidates}), *origins.snapshot.paths]))
    places: dict[str, list[tuple[str, Span]]] = {}
    read = 0
    for path in paths[:_FILES]:
        text = None if is_test(path) or is_outside(path) else origins.snapshot.text(path)
        if text is None or read > _BYTES or origins.callees.record(path) is None:
            continue
        read += len(text.data)
        for match in _QUOTED.finditer(text.data):
            other = match[1].decode("ascii", "replace")
            known = places.get(other)
            if known is None and not is_slip(name, other):
                continue
            if known is None:
                known = places[other] = []
            if len(known) <= _RARE:
                known.append((path, Span(*match.span())))
    for other, found in places.items():
        if len(found) > _RARE:
            continue
        for path, span in found:
            record = origins.callees.record(path)
            if record is not None:
                definition = Definition(path, function_around(record, span.start))
                yield Evidence(definition, "similar", 1.0, f"it says '{other}', where '{name}' is missing", (span,))


def is_slip(name: str, other: str) -> bool:
    """Whether one name can be a slip for the other: not the same, and much alike."""
    if name == other or abs(len(name) - len(other)) > 6:
        return False
    if name in other or other in name:
        return len(name) > 3 and len(other) > 3
    matcher = SequenceMatcher(None, name, other, autojunk=False)
    return matcher.real_quick_ratio() >= _NEAR and matcher.quick_ratio() >= _NEAR and matcher.ratio() >= _NEAR


def _signature(origins: Origins) -> Iterator[Evidence]:
    """The definition whose parameters do not fit the call."""
    trouble = origins.trouble
    frame = origins.innermost
    if trouble.kind not in ("missing-argument", "extra-argument", "keyword") or frame is None or not trouble.owner:
        return
    for use in origins.callees.of(frame.path or "", origins.statement(frame)):
        record = origins.callees.record(use.definition.path)
        if record is None:
            continue
        name = record.names[record.symbols.name[use.definition.row]]
        if name in (trouble.owner, "__init__", "__new__", "__call__"):
            yield Evidence(use.definition, "signature", 1.0, "the call does not fit its parameters")
