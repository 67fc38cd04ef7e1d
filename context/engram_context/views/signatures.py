"""The signatures of what is being called at a place, and the parameter that the argument there is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from engram_context.completion.argument_lists import OpenCall, Piece, open_calls, split
from engram_context.inference.calls import last_name
from engram_context.inference.members import ClassType, Function, Instance, Type
from engram_context.recent import resolver_of
from engram_context.records import (
    CLASS_METHOD,
    KEYWORD_ONLY,
    KEYWORDS,
    KIND,
    NO_REF,
    OVERLOAD,
    POSITIONAL_ONLY,
    SCOPE_KIND,
    STATIC_METHOD,
    VARIADIC,
    FileRecord,
    rows_with,
    value_ref,
)
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.targets import External, Slot
from engram_context.text import Place, Span, Text, decode

_PARAMETER, _METHOD = KIND["parameter"], KIND["method"]
_CLASS_SCOPE = SCOPE_KIND["class"]
_MOST = 12
"""No more signatures than this are shown for one call."""
_DATA_CLASSES = frozenset({"dataclass", "dataclass_transform", "define", "frozen", "mutable", "attrs"})
_CONSTRUCTORS = ("__init__", "__new__")
_RECEIVER = re.compile(r"(?:&\s*(?:'\w+\s+)?)?(?:mut\s+)?self\b")  # Rust's


@dataclass(frozen=True, slots=True)
class Parameter:
    """`start` and `end` count the characters of its signature's label; `flags` are those of its symbol."""

    name: str
    start: int
    end: int
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Signature:
    """How something is called, on one line. `active` is the parameter that is being given, None where none is."""

    label: str
    doc: str
    parameters: tuple[Parameter, ...]
    active: int | None = None


@dataclass(frozen=True, slots=True)
class SignatureHelp:
    """The signatures of one call, `active` the first that the arguments so far fit."""

    signatures: tuple[Signature, ...]
    active: int


def signature_help(snapshot: Snapshot, place: Place) -> SignatureHelp | None:
    """None outside of calls, and where nothing is known of what is called."""
    record, text = snapshot.record(place.path), snapshot.text(place.path)
    if record is None or text is None or record.digest != text.digest:
        return None
    resolver = resolver_of(snapshot)
    for call in open_calls(text, record, place.offset):
        callee = callee_at(record, text, call.opening)
        found = signatures_of(resolver, place.path, callee) if callee != NO_REF else ()
        if found:
            return _for_arguments(found, call)
    return None


def callee_at(record: FileRecord, text: Text, opening: int) -> int:
    """The ref of what is called by the bracket at `opening`, NO_REF when the record does not say."""
    rows = rows_with(record.calls.inside_start, opening + 1)
    if rows:
        return record.calls.callee[rows[-1]]
    end = len(text.data[:opening].rstrip(b" \t"))
    index = record.occurrence_at(end)
    if index is not None and record.occurrences.span(index).end == end:
        return index
    ended = rows_with(record.calls.end, end)
    if not ended:
        return NO_REF
    # Of `f()(` the value that the call before the bracket gives.
    for row in rows_with(record.values.second, ended[0]):
        if record.values[row].kind == "call":
            return value_ref(row)
    return NO_REF


def signatures_of(resolver: Resolver, path: str, callee: int) -> tuple[Signature, ...]:
    """How what a ref means can be called; overloads one by one. Nothing where that is not known."""
    found: dict[Signature, None] = {}
    for called, function in callees(resolver, path, callee):
        if function is not None:
            made = _of_function(resolver, called, function)
        elif isinstance(called, ClassType):
            made = _of_class(resolver, called)
        else:
            made = None
        if made is not None:
            found[made] = None
    # typeshed says of most methods of str twice what they take, once for literals.
    plain = tuple(one for one in found if "LiteralString" not in one.label)
    return (plain or tuple(found))[:_MOST]


def callees(resolver: Resolver, path: str, callee: int) -> tuple[tuple[Type, Function | None], ...]:
    """What a ref means as something that is called, with the def that then runs: None for a class whose fields are its
    parameters, or that takes none. Of overloaded functions the overloads, without what implements them."""
    found: list[tuple[Type, Function | None]] = []
    for called in resolver.types.of_ref(path, callee) or tuple(_named(resolver, path, callee)):
        if isinstance(called, ClassType) and fields_of(resolver, called) is not None:
            found.append((called, None))
            continue
        functions = [one for function in _functions(resolver, called) for one in overloads_of(resolver, function)]
        found.extend((called, function) for function in functions)
        if not functions and isinstance(called, ClassType):
            found.append((called, None))
    return tuple(dict.fromkeys(found))


def _named(resolver: Resolver, path: str, callee: int) -> Iterator[Type]:
    """The functions and classes that a name means, in languages whose types are not inferred."""
    record = resolver.record(path)
    if record is None or record.language == "python" or callee < 0:
        return
    for target in resolver.meanings(path, callee, aliases=True):
        home = resolver.record(target.path) if isinstance(target, Slot) else None
        for row in resolver.symbols_of(target) if home is not None and isinstance(target, Slot) else ():
            inner = -1 if home is None else home.symbols.inner[row]
            if home is not None and inner >= 0 and isinstance(target, Slot):
                is_class = home.scopes.kind[inner] == _CLASS_SCOPE
                yield ClassType(target.path, inner) if is_class else Function(target.path, row)


def _functions(resolver: Resolver, called: Type) -> list[Function]:
    """The defs that calling something runs; in languages other than Python constructors have names of their own."""
    record = resolver.record(called.path) if isinstance(called, ClassType) else None
    if record is None or not isinstance(called, ClassType) or record.language == "python":
        return resolver.types.functions(called)
    rows = (row for name in ("constructor", _name_of(resolver, called)) for row in record.bindings(called.scope, name))
    return [Function(called.path, row, called) for row in rows if record.symbols.inner[row] >= 0]


def overloads_of(resolver: Resolver, function: Function) -> list[Function]:
    """The overloads that a function is one of, or implements; itself where there are none."""
    record = resolver.record(function.path)
    if record is None:
        return [function]
    symbol = record.symbols[function.symbol]
    rows = [row for row in record.bindings(symbol.scope, symbol.name) if record.symbols.flags[row] & OVERLOAD]
    return [replace(function, symbol=row) for row in rows] or [function]


def _of_class(resolver: Resolver, called: ClassType) -> Signature | None:
    """The signature of a class without an `__init__` that could be read."""
    fields = fields_of(resolver, called)
    if fields is not None:
        return _joined(_name_of(resolver, called), fields, _doc_of(resolver, called))
    if not _is_plain(resolver, called):
        return None
    return Signature(f"{_name_of(resolver, called)}()", _doc_of(resolver, called), ())


def is_bound(resolver: Resolver, called: Type, function: Function) -> bool:
    """Whether calling gives the function its first parameter without an argument."""
    record = resolver.record(function.path)
    if record is None or record.language != "python" or record.symbols.kind[function.symbol] != _METHOD:
        return False  # other languages do not write that parameter, or not among the others
    flags = record.symbols.flags[function.symbol]
    if isinstance(called, ClassType | Instance):
        return not flags & STATIC_METHOD
    return not flags & STATIC_METHOD and (isinstance(function.receiver, Instance) or bool(flags & CLASS_METHOD))


def parameters_of(resolver: Resolver, called: Type, function: Function) -> tuple[int, ...]:
    """The rows of a function's parameters, in order, without one that is given by the call."""
    record = resolver.record(function.path)
    inner = -1 if record is None else record.symbols.inner[function.symbol]
    if record is None or inner < 0:
        return ()
    rows = tuple(row for row in record.symbols_in(inner) if record.symbols.kind[row] == _PARAMETER)
    return rows[1:] if is_bound(resolver, called, function) and not _is_starred(record, rows) else rows


def _is_starred(record: FileRecord, rows: Sequence[int]) -> bool:
    return bool(rows) and bool(record.symbols.flags[rows[0]] & (VARIADIC | KEYWORDS | KEYWORD_ONLY))


def _of_function(resolver: Resolver, called: Type, function: Function) -> Signature | None:
    record = resolver.record(function.path)
    if record is None:
        return None
    symbol = record.symbols[function.symbol]
    bracketed = _parameter_list(symbol.name, symbol.detail)
    if bracketed is None:
        return None
    source = symbol.detail.encode()
    pieces = list(split(source, bracketed, record.language))
    is_constructor = isinstance(called, ClassType)
    name = _name_of(resolver, called) if isinstance(called, ClassType) and is_constructor else symbol.name
    result = "" if is_constructor else decode(source[bracketed.end + 1 :])
    rows = parameters_of(resolver, called, function)
    texts = [_of_piece(source, piece) for piece in pieces]
    # The parameter that the call itself gives is left out, and a "/" that then stands first.
    if is_bound(resolver, called, function) and texts and not texts[0].startswith("*"):
        del texts[0]
        if texts[:1] == ["/"]:
            del texts[0]
    elif record.language == "rust" and texts and _RECEIVER.match(texts[0]):
        del texts[0]
    named = [text for text in texts if text not in ("*", "/")]
    known = [record.symbols[row] for row in rows] if len(rows) == len(named) else []
    rest = iter(known)
    parts = [
        _Part(text, one.name, one.flags) if text not in ("*", "/") and (one := next(rest, None)) else _Part(text)
        for text in texts
    ]
    doc = symbol.doc or (_doc_of(resolver, called) if isinstance(called, ClassType) else "")
    doc = doc or _doc_outside(resolver, Slot(function.path, symbol.scope, symbol.name))
    return _joined(name, parts, doc, result)


def _parameter_list(name: str, detail: str) -> Span | None:
    """Where the parameters of a header stand, in bytes: between the bracket behind the name and its closing one."""
    found = re.search(rf"\b{re.escape(name)}\b", detail)
    opening = detail.find("(", found.end()) if found else -1
    if opening < 0:
        return None
    source = detail.encode()
    start = len(detail[: opening + 1].encode())
    depth = 0
    for match in re.finditer(rb"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[()\[\]{}]", source[start:]):
        if match[0] in b"([{":
            depth += 1
        elif match[0] in b")]}":
            if not depth:
                return Span(start, start + match.start())
            depth -= 1
    return Span(start, len(source))


def _of_piece(source: bytes, piece: Piece) -> str:
    return decode(source[piece.span.start : piece.span.end])


@dataclass(frozen=True, slots=True)
class _Part:
    """A parameter as it is written, or a bare star or slash, which has no name."""

    text: str
    name: str = ""
    flags: int = 0


def _joined(name: str, parts: Iterable[_Part], doc: str, result: str = "") -> Signature:
    label = f"{name}("
    parameters: list[Parameter] = []
    for number, part in enumerate(parts):
        label += ", " if number else ""
        if part.text not in ("*", "/"):
            found = part.name or _first_name(part.text)
            parameters.append(Parameter(found, len(label), len(label) + len(part.text), part.flags))
        label += part.text
    return Signature(f"{label}){result}", doc, tuple(parameters))


def _first_name(text: str) -> str:
    found = re.search(r"[^\W\d]\w*", text)
    return found[0] if found else ""


def _name_of(resolver: Resolver, of: ClassType) -> str:
    record = resolver.record(of.path)
    return "" if record is None else record.scopes[of.scope].name


def _doc_of(resolver: Resolver, of: ClassType) -> str:
    record = resolver.record(of.path)
    symbol = -1 if record is None else record.scopes.symbol[of.scope]
    if record is None or symbol < 0:
        return ""
    named = record.symbols[symbol]
    return named.doc or _doc_outside(resolver, Slot(of.path, named.scope, named.name))


def _doc_outside(resolver: Resolver, slot: Slot) -> str:
    """The documentation of what only a stub is known of, from its source."""
    seen = resolver.seen(slot)
    return resolver.library.doc(seen.name) if isinstance(seen, External) else ""


def _is_plain(resolver: Resolver, of: ClassType) -> bool:
    """Whether all bases of a class are known, so that it is called without arguments."""
    for one in resolver.types.order(of):
        record = resolver.record(one.path)
        if record is None or record.language != "python":
            return False
        refs = record.scopes[one.scope].refs
        if len(resolver.types.bases(one)) < len([ref for ref in refs if last_name(record, ref) != "object"]):
            return False
    return True


# --- classes whose fields are the parameters ---------------------------------------------------------------


def fields_of(resolver: Resolver, of: ClassType) -> list[_Part] | None:
    """The parameters that a data class or named tuple takes for its fields; None for other classes, and for those that
    are made by an `__init__` of their own."""
    order = resolver.types.order(of)
    for owner in order:
        record = resolver.record(owner.path)
        if record is None or any(record.bindings(owner.scope, name) for name in _CONSTRUCTORS):
            return None
        if _has_fields(record, owner.scope):
            break
    else:
        return None
    found: dict[str, _Part] = {}
    for owner in reversed(order):
        record = resolver.record(owner.path)
        if record is not None and (
            _has_fields(record, owner.scope) or (owner.path, owner.scope) == (of.path, of.scope)
        ):
            for part in _fields(record, owner.scope):
                found[part.name] = part
    positional = [part for part in found.values() if not part.flags & KEYWORD_ONLY]
    by_name = [part for part in found.values() if part.flags & KEYWORD_ONLY]
    return [*positional, *([_Part("*"), *by_name] if by_name else ())]


def _has_fields(record: FileRecord, scope: int) -> bool:
    owner = record.scopes[scope]
    if any(last_name(record, ref) == "NamedTuple" for ref in owner.refs):
        return True
    decorators = () if owner.symbol is None else record.symbols[owner.symbol].decorators
    return any(last_name(record, ref) in _DATA_CLASSES for ref in decorators)


def _fields(record: FileRecord, scope: int) -> Iterator[_Part]:
    symbols = record.symbols
    by_name = 0
    for row in record.symbols_in(scope):
        symbol = symbols[row]
        if symbol.kind not in ("variable", "constant") or symbol.annotation == NO_REF or symbol.inner is not None:
            continue
        declared = last_name(record, symbol.annotation)
        if declared == "KW_ONLY":
            by_name = KEYWORD_ONLY
        elif declared != "ClassVar" and "init=False" not in symbol.detail.replace(" ", ""):
            annotation, equals, value = symbol.detail.partition("=")
            shown = f"{annotation.strip()} = {_default(value)}" if equals else annotation.strip()
            yield _Part(shown, symbol.name, by_name | (KEYWORD_ONLY if "kw_only=True" in symbol.detail else 0))


def _default(value: str) -> str:
    value = value.strip()
    return "..." if value.startswith(("field(", "dataclasses.field(", "attrs.field(", "attr.ib(")) else value


# --- which parameter an argument is for --------------------------------------------------------------------


def _for_arguments(found: Sequence[Signature], call: OpenCall) -> SignatureHelp:
    shown = tuple(replace(one, active=active_parameter(one.parameters, call.pieces)) for one in found)
    fitting = (at for at, one in enumerate(shown) if _fits(one, call.pieces))
    return SignatureHelp(shown, next(fitting, 0))


def _fits(signature: Signature, pieces: Sequence[Piece]) -> bool:
    """Whether a signature takes so many arguments, by these names."""
    blank = pieces[-1].is_blank
    if len(pieces) == 1 and blank:
        return True
    taken = {one.name for one in signature.parameters}
    open_ended = any(one.flags & KEYWORDS for one in signature.parameters)
    if not open_ended and any(piece.keyword is not None and piece.keyword not in taken for piece in pieces):
        return False
    return signature.active is not None


def active_parameter(parameters: Sequence[Parameter], pieces: Sequence[Piece]) -> int | None:
    """The index of the parameter that the last piece is for; None where it is for none."""
    *before, current = pieces
    if current.keyword is not None:
        return _by_name(parameters, current.keyword)
    if current.stars == 2:
        return _first(parameters, KEYWORDS)
    given = {piece.keyword for piece in before if piece.keyword is not None}
    if given or any(piece.stars == 2 for piece in before):
        # Behind name=value stand only more of them: the next parameter that is not given.
        passed = len([piece for piece in before if piece.keyword is None and not piece.stars])
        for index, one in enumerate(parameters):
            taken = one.flags & (VARIADIC | KEYWORDS | POSITIONAL_ONLY) or one.name in given or index < passed
            if not taken:
                return index
        return _first(parameters, KEYWORDS)
    position = len(before)
    positional = [index for index, one in enumerate(parameters) if not one.flags & (VARIADIC | KEYWORD_ONLY | KEYWORDS)]
    if any(piece.stars for piece in before):
        return _first(parameters, VARIADIC)
    if position < len(positional):
        return positional[position]
    variadic = _first(parameters, VARIADIC)
    if variadic is not None or not current.is_blank:
        return variadic
    named = _first(parameters, KEYWORD_ONLY)
    return named if named is not None else _first(parameters, KEYWORDS)


def _by_name(parameters: Sequence[Parameter], name: str) -> int | None:
    for index, one in enumerate(parameters):
        if one.name == name and not one.flags & (VARIADIC | KEYWORDS | POSITIONAL_ONLY):
            return index
    return _first(parameters, KEYWORDS)


def _first(parameters: Sequence[Parameter], flag: int) -> int | None:
    return next((index for index, one in enumerate(parameters) if one.flags & flag), None)
