"""What one file says by itself: symbols, scopes, imports, occurrences and calls.

A record depends on the bytes of its file alone. A large project has millions of occurrences, so a record
keeps integer columns over an interned name table and makes the small values below when asked.

References between rows ("refs") are plain ints: ``ref >= 0`` is the occurrence with that index (a name read,
or an attribute, whose own receiver is its ``link``); ``NO_REF`` is an expression the record says nothing
about; ``ref <= -2`` is row ``-2 - ref`` of the value table (calls, subscripts, literals, ...).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any, Final, Literal, TypeVar, get_args, overload

import numpy as np

from engram_context.text import Span

Kind = Literal[
    "module",
    "class",
    "function",
    "method",
    "variable",
    "constant",
    "parameter",
    "attribute",
    "import",
    "type-parameter",
    "type-alias",
    "interface",  # this and the next three: of languages other than Python
    "struct",
    "enum",
    "namespace",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ScopeKind = Literal["module", "class", "function", "lambda", "comprehension", "type-parameters", "block", "namespace"]
SCOPE_KINDS: Final[tuple[ScopeKind, ...]] = get_args(ScopeKind)

Role = Literal[
    "read",  # a name is looked up
    "write",  # a name is bound by assignment, for, with, except, match, a walrus, ...
    "delete",  # del name
    "definition",  # a name is bound by def, class, a parameter, a type parameter, or an import's alias
    "attribute",  # .name is read
    "attribute-write",  # .name is assigned or deleted
    "keyword",  # name= in a call
    "import",  # a part of a module path, or a name that is imported (and, without an alias, bound)
    "declaration",  # in a global or nonlocal statement
    "string",  # in a literal `__all__`
    "type",  # a name is looked up among types, where these are apart from values
    "call",  # a method is called by its plain name, where methods are apart from variables
]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

ValueKind = Literal[
    "call",  # first: the callee; second: row of the call table
    "subscript",  # first: the container; second: the index
    "await",  # first: what is awaited
    "element",  # first: what a for loop runs over
    "entered",  # first: the context manager of a with
    "part",  # first: what is unpacked; second: position, counted from 0, or -1 when a star makes it unknown
    "raised",  # first: the class (or tuple of classes) of an except clause
    "instance",  # first: the class that a class pattern tests for
    "either",  # first, second: the results of a conditional expression, or of `and`
    "otherwise",  # first, second: the results of `or`
    "operator",  # first, second: the operands of |
    "add",  # this and the next eleven: the operands
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "lshift",
    "rshift",
    "and",
    "xor",
    "list-of",  # first: the element of a comprehension; so the next two
    "set-of",
    "generator",
    "dict-of",  # first, second: key and value
    "str",  # first: its text in the string table while it is short and plain, 0 when it is not
    "bytes",
    "int",  # first: its value while it is small and second is 1
    "float",
    "complex",
    "bool",  # first: 1 for True, 2 for False, 0 for what a comparison finds
    "none",
    "list",  # this and the next three: refs of the elements, while they are few, are pool[first:second]
    "tuple",
    "dict",  # keys and values in turn
    "set",
    "lambda",  # first: the scope
    "slice",
    "ellipsis",
    "sent",  # what a yield gives; first: the scope of its function
]
VALUE_KINDS: Final[tuple[ValueKind, ...]] = get_args(ValueKind)

# The code of each in a column.
KIND: Final = {kind: code for code, kind in enumerate(KINDS)}
SCOPE_KIND: Final = {kind: code for code, kind in enumerate(SCOPE_KINDS)}
ROLE: Final = {role: code for code, role in enumerate(ROLES)}
VALUE_KIND: Final = {kind: code for code, kind in enumerate(VALUE_KINDS)}

NO_REF: Final = -1


def value_row(ref: int) -> int | None:
    """The row of the value table a ref means, or None when it is no value ref."""
    return -2 - ref if ref <= -2 else None


def value_ref(row: int) -> int:
    return -2 - row


@dataclass(frozen=True, slots=True)
class Symbol:
    """One binding of a name. A name bound at three places in a scope has three symbols.

    `span` is the name's, `body` the whole definition's (the name's when there is no more). `scope` is the
    scope the name is bound in (for an attribute: the class). `inner` is the scope that a def or class opens.
    `value` is what is assigned, a parameter's default, or what a class names as its metaclass.
    """

    index: int
    name: str
    kind: Kind
    span: Span
    body: Span
    scope: int
    detail: str
    doc: str
    occurrence: int
    value: int
    annotation: int
    inner: int | None
    decorators: tuple[int, ...]
    flags: int


# Bits of Symbol.flags.
ASYNC: Final = 1 << 0
GENERATOR: Final = 1 << 1  # its body yields
PROPERTY: Final = 1 << 2
STATIC_METHOD: Final = 1 << 3
CLASS_METHOD: Final = 1 << 4
OVERLOAD: Final = 1 << 5
ABSTRACT: Final = 1 << 6
SETTER: Final = 1 << 7  # @name.setter, .getter or .deleter
DECORATED: Final = 1 << 8
VARIADIC: Final = 1 << 9  # *name
KEYWORDS: Final = 1 << 10  # **name
KEYWORD_ONLY: Final = 1 << 11
POSITIONAL_ONLY: Final = 1 << 12
DEFAULT: Final = 1 << 13  # a parameter that has one
CONDITIONAL: Final = 1 << 14  # bound under if, try, for, while, with or match of its scope
AUGMENTED: Final = 1 << 15  # bound by += and the like, which also reads it
WALRUS: Final = 1 << 16
# Of languages other than Python.
EXPORTED: Final = 1 << 17  # other files can import it
EXPORT_ONLY: Final = 1 << 18  # a name that only other files know: `export {a as b}`
FILE_LOCAL: Final = 1 << 19  # at the top of a file, and seen there alone: `static` in C


@dataclass(frozen=True, slots=True)
class Scope:
    """A region with names of its own. Scope 0 is the module. `refs` are a class's bases, or what a function
    returns (what a generator yields); `symbol` is what names it."""

    index: int
    kind: ScopeKind
    span: Span
    parent: int | None
    symbol: int | None
    name: str
    refs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name. `import a.b` has module "a.b" and name None; a star import has name "*".

    `occurrence` is the first of the path's parts (they follow one another), `bound` the symbol it makes in
    `scope` (None for a star), and `name_occurrence` the imported name's.
    """

    index: int
    span: Span
    module: str
    level: int
    name: str | None
    alias: str | None
    scope: int
    conditional: bool
    type_checking: bool
    bound: int | None
    occurrence: int | None
    name_occurrence: int | None

    @property
    def bound_name(self) -> str:
        return self.alias or self.name or self.module.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One mention of a name. `link` is, by role: an attribute's receiver ref; a keyword's call row; an
    import's row in the import table; a binding's symbol; 1 for a global declaration and 0 for a nonlocal one;
    otherwise NO_REF."""

    index: int
    span: Span
    name: str
    scope: int
    role: Role
    link: int


@dataclass(frozen=True, slots=True)
class Argument:
    """`keyword` is None for a positional one; `stars` is 1 for *x and 2 for **x."""

    keyword: str | None
    stars: int
    value: int


@dataclass(frozen=True, slots=True)
class Call:
    """`span` is the whole call, `inside` what stands between the parentheses, `arguments` rows of that table."""

    index: int
    span: Span
    inside: Span
    scope: int
    callee: int
    arguments: range


@dataclass(frozen=True, slots=True)
class Value:
    """An expression that is neither a name nor an attribute: ValueKind says what first and second are."""

    kind: ValueKind
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Block:
    """Statements that may run or not: a branch, or the body of a loop."""

    span: Span
    is_loop: bool


NarrowingKind = Literal[
    "instance",  # it is an object of the class (or of one in the tuple) `ref`
    "no-instance",
    "none",
    "not-none",
]
NARROWING_KINDS: Final[tuple[NarrowingKind, ...]] = get_args(NarrowingKind)
NARROWING_KIND: Final = {kind: code for code, kind in enumerate(NARROWING_KINDS)}


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a test says about `subject` (a name, or names with dots between), as long as nothing else is bound to it,
    inside `span`."""

    span: Span
    subject: str
    kind: NarrowingKind
    ref: int


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    span: Span
    message: str


Row = TypeVar("Row")


@dataclass(frozen=True, eq=False)
class Table(Sequence[Row]):
    """Rows of one kind as integer columns. A row is made when it is asked for."""

    names: tuple[str, ...] = field(repr=False)
    strings: tuple[str, ...] = field(repr=False)
    pool: array[int] = field(repr=False)

    @classmethod
    @cache
    def column_names(cls) -> tuple[str, ...]:
        return tuple(column.name for column in fields(cls))[3:]

    @cached_property
    def columns(self) -> tuple[array[int], ...]:
        return tuple(getattr(self, name) for name in self.column_names())

    def row(self, index: int) -> Row:
        raise NotImplementedError

    @cached_property
    def _length(self) -> int:
        return len(self.columns[0])

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self.row(at) for at in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.row(index)


@dataclass(frozen=True, eq=False)
class Occurrences(Table[Occurrence]):
    """In source order."""

    start: array[int]
    name: array[int]
    scope: array[int]
    role: array[int]
    link: array[int]

    def row(self, index: int) -> Occurrence:
        return Occurrence(
            index,
            self.span(index),
            self.names[self.name[index]],
            self.scope[index],
            ROLES[self.role[index]],
            self.link[index],
        )

    def span(self, index: int) -> Span:
        start = self.start[index]
        return Span(start, start + _width(self.names[self.name[index]]))


@dataclass(frozen=True, eq=False)
class Symbols(Table[Symbol]):
    """In the order in which the reader meets them, which is the source's."""

    occurrence: array[int]
    start: array[int]
    name: array[int]
    scope: array[int]
    kind: array[int]
    body_start: array[int]
    body_end: array[int]
    detail: array[int]
    doc: array[int]
    value: array[int]
    annotation: array[int]
    inner: array[int]
    pool_start: array[int]
    pool_end: array[int]
    flags: array[int]

    def row(self, index: int) -> Symbol:
        inner = self.inner[index]
        return Symbol(
            index,
            self.names[self.name[index]],
            KINDS[self.kind[index]],
            self.span(index),
            Span(self.body_start[index], self.body_end[index]),
            self.scope[index],
            self.strings[self.detail[index]],
            self.strings[self.doc[index]],
            self.occurrence[index],
            self.value[index],
            self.annotation[index],
            None if inner < 0 else inner,
            tuple(self.pool[self.pool_start[index] : self.pool_end[index]]),
            self.flags[index],
        )

    def span(self, index: int) -> Span:
        start = self.start[index]
        return Span(start, start + _width(self.names[self.name[index]]))


@dataclass(frozen=True, eq=False)
class Scopes(Table[Scope]):
    """Parents come before their children."""

    kind: array[int]
    start: array[int]
    end: array[int]
    parent: array[int]
    symbol: array[int]
    pool_start: array[int]
    pool_end: array[int]
    owner_name: array[int]

    def row(self, index: int) -> Scope:
        parent, symbol, name = self.parent[index], self.symbol[index], self.owner_name[index]
        return Scope(
            index,
            SCOPE_KINDS[self.kind[index]],
            Span(self.start[index], self.end[index]),
            None if parent < 0 else parent,
            None if symbol < 0 else symbol,
            "" if name < 0 else self.names[name],
            tuple(self.pool[self.pool_start[index] : self.pool_end[index]]),
        )


IMPORT_CONDITIONAL: Final = 1
IMPORT_TYPE_CHECKING: Final = 2


@dataclass(frozen=True, eq=False)
class Imports(Table[Import]):
    """In source order."""

    start: array[int]
    end: array[int]
    module: array[int]
    level: array[int]
    name: array[int]
    alias: array[int]
    scope: array[int]
    flags: array[int]
    bound: array[int]
    occurrence: array[int]
    name_occurrence: array[int]

    def row(self, index: int) -> Import:
        name, alias, flags = self.name[index], self.alias[index], self.flags[index]
        bound, first, named = self.bound[index], self.occurrence[index], self.name_occurrence[index]
        return Import(
            index,
            Span(self.start[index], self.end[index]),
            self.strings[self.module[index]],
            self.level[index],
            None if name < 0 else self.names[name],
            None if alias < 0 else self.names[alias],
            self.scope[index],
            bool(flags & IMPORT_CONDITIONAL),
            bool(flags & IMPORT_TYPE_CHECKING),
            None if bound < 0 else bound,
            None if first < 0 else first,
            None if named < 0 else named,
        )


@dataclass(frozen=True, eq=False)
class Arguments(Table[Argument]):
    """The arguments of all calls, those of one call side by side."""

    keyword: array[int]
    stars: array[int]
    value: array[int]

    def row(self, index: int) -> Argument:
        keyword = self.keyword[index]
        return Argument(None if keyword < 0 else self.names[keyword], self.stars[index], self.value[index])


@dataclass(frozen=True, eq=False)
class Calls(Table[Call]):
    """In source order of their beginnings, outer before inner."""

    start: array[int]
    end: array[int]
    inside_start: array[int]
    inside_end: array[int]
    scope: array[int]
    callee: array[int]
    first_argument: array[int]
    last_argument: array[int]

    def row(self, index: int) -> Call:
        return Call(
            index,
            Span(self.start[index], self.end[index]),
            Span(self.inside_start[index], self.inside_end[index]),
            self.scope[index],
            self.callee[index],
            range(self.first_argument[index], self.last_argument[index]),
        )


@dataclass(frozen=True, eq=False)
class Values(Table[Value]):
    """Row `r` is what ref `-2 - r` means."""

    kind: array[int]
    first: array[int]
    second: array[int]

    def row(self, index: int) -> Value:
        return Value(VALUE_KINDS[self.kind[index]], self.first[index], self.second[index])


@dataclass(frozen=True, eq=False)
class Blocks(Table[Block]):
    """In source order, outer before inner."""

    start: array[int]
    end: array[int]
    loop: array[int]

    def row(self, index: int) -> Block:
        return Block(Span(self.start[index], self.end[index]), bool(self.loop[index]))


@dataclass(frozen=True, eq=False)
class Narrowings(Table[Narrowing]):
    """`name` is the last part of the subject."""

    start: array[int]
    end: array[int]
    name: array[int]
    subject: array[int]
    kind: array[int]
    ref: array[int]

    def row(self, index: int) -> Narrowing:
        span = Span(self.start[index], self.end[index])
        subject = self.strings[self.subject[index]]
        return Narrowing(span, subject, NARROWING_KINDS[self.kind[index]], self.ref[index])


TABLES: Final[tuple[type[Table[Any]], ...]] = (
    Occurrences,
    Symbols,
    Scopes,
    Imports,
    Arguments,
    Calls,
    Values,
    Blocks,
    Narrowings,
)


@dataclass(frozen=True)
class FileRecord:
    """Everything known from one file's bytes alone; the same bytes give an equal record.

    `names` are those that the file mentions, `exports` its literal `__all__` (with "module.*" where it takes
    over another module's), `doc` the first paragraph of its docstring.
    """

    digest: bytes
    language: str
    size: int
    line_count: int
    names: tuple[str, ...] = field(repr=False)
    errors: tuple[SyntaxProblem, ...]
    exports: tuple[str, ...] | None
    doc: str
    occurrences: Occurrences = field(repr=False, compare=False)
    symbols: Symbols = field(repr=False, compare=False)
    scopes: Scopes = field(repr=False, compare=False)
    imports: Imports = field(repr=False, compare=False)
    arguments: Arguments = field(repr=False, compare=False)
    calls: Calls = field(repr=False, compare=False)
    values: Values = field(repr=False, compare=False)
    blocks: Blocks = field(repr=False, compare=False)
    narrowings: Narrowings = field(repr=False, compare=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileRecord) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash((self.digest, self.language))

    def tables(self) -> tuple[Table[Any], ...]:
        return (
            self.occurrences,
            self.symbols,
            self.scopes,
            self.imports,
            self.arguments,
            self.calls,
            self.values,
            self.blocks,
            self.narrowings,
        )

    # --- finding rows ---------------------------------------------------------------------------------

    def name_index(self, name: str) -> int | None:
        """The interned number of a name, None when the file never mentions it."""
        try:
            return self.names.index(name)
        except ValueError:
            return None

    def occurrences_of(self, name: str, roles: frozenset[int] | None = None) -> tuple[int, ...]:
        """The occurrences of a name, in source order; with `roles` (codes) only those that have one."""
        number = self.name_index(name)
        found = () if number is None else rows_with(self.occurrences.name, number)
        if roles is None:
            return found
        role = self.occurrences.role
        return tuple(index for index in found if role[index] in roles)

    def occurrence_at(self, offset: int) -> int | None:
        """The occurrence a cursor is on or right behind; of two that touch, the one that begins there."""
        starts = self.occurrences.start
        at = bisect_right(starts, offset) - 1
        for index in (at, at - 1):
            if index >= 0 and self.occurrences.span(index).touches(offset):
                return index
        return None

    def scope_at(self, offset: int) -> int:
        """The innermost scope whose region an offset is in."""
        scopes = self.scopes
        best = 0
        for index in range(bisect_right(scopes.start, offset) - 1, 0, -1):
            if offset <= scopes.end[index] and scopes.start[index] <= offset:
                best = index
                break
        return best

    def bound(self, name: str) -> dict[int, tuple[int, ...]]:
        """The symbols that bind a name, by scope; a class's attributes stand under the class's scope."""
        number = self.name_index(name)
        found: dict[int, tuple[int, ...]] = {}
        if number is not None:
            for index in rows_with(self.symbols.name, number):
                scope = self.symbols.scope[index]
                found[scope] = (*found.get(scope, ()), index)
        return found

    def bindings(self, scope: int, name: str) -> tuple[int, ...]:
        """The symbols that bind a name in exactly this scope, attributes of a class included."""
        return self.bound(name).get(scope, ())

    def symbols_in(self, scope: int) -> tuple[int, ...]:
        """All symbols of one scope, attributes of a class included."""
        return rows_with(self.symbols.scope, scope)

    # --- bytes ----------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """A self-contained form for the store and for other processes (same machine, same version)."""
        from engram_context.codec import encode

        return encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> FileRecord:
        """The record that `to_bytes` wrote. Raises ValueError on anything else."""
        from engram_context.codec import decode

        return decode(data)


class LazyRecord(FileRecord):
    """A record that is made as soon as something of it is asked for that is not known beforehand. Whoever asks first
    makes it; from then on it is as any other."""

    def __init__(self, make: Callable[[], FileRecord], **known: object) -> None:
        self.__dict__.update(known, _make=make)

    def __getattr__(self, name: str) -> Any:
        make = self.__dict__.get("_make")
        if make is not None and name in FileRecord.__dataclass_fields__:
            self.__dict__.update(vars(make()))
            self.__dict__.pop("_make", None)
        try:
            return self.__dict__[name]  # two may have come at once
        except KeyError:
            raise AttributeError(name) from None

    @property
    def is_made(self) -> bool:
        return "_make" not in self.__dict__

    def made(self) -> FileRecord:
        """All of it."""
        make = self.__dict__.get("_make")
        return self if make is None else make()

    def become(self, other: LazyRecord) -> None:
        """From now on it is made as the other is, unless it has been made already."""
        if not self.is_made:
            self.__dict__.update(vars(other))


def digest_if_known(record: FileRecord | None) -> bytes | None:
    """The digest of a record, None where the file would have to be read for it."""
    return None if record is None else record.__dict__.get("digest")


def rows_with(column: array[int], value: int) -> tuple[int, ...]:
    """The rows at which a column has a value."""
    view = np.frombuffer(column, dtype=column.typecode) if column else _NOTHING
    return tuple(np.flatnonzero(view == value).tolist())


_NOTHING = np.zeros(0, dtype=np.uint8)


def empty_record(digest: bytes, language: str, size: int, line_count: int) -> FileRecord:
    """What is known of a file in a language nothing reads: a module scope, and nothing in it."""
    sizes = {Scopes: (0, 0, size, -1, -1, 0, 0, -1)}
    columns = [
        column_of([sizes[table][at]] if table in sizes else [])
        for table in TABLES
        for at in range(len(table.column_names()))
    ]
    tables = tables_of((), ("",), array("i"), columns)
    return FileRecord(digest, language, size, line_count, (), (), None, "", *tables)


def tables_of(
    names: tuple[str, ...], strings: tuple[str, ...], pool: array[int], columns: Sequence[array[int]]
) -> tuple[Occurrences, Symbols, Scopes, Imports, Arguments, Calls, Values, Blocks, Narrowings]:
    """The tables over columns that stand one after another in the order of TABLES."""
    rest = iter(columns)

    def take(kind: type[Table[Any]]) -> Iterable[array[int]]:
        taken = [next(rest) for _ in kind.column_names()]
        if len(set(map(len, taken))) > 1:
            raise ValueError("columns of different lengths")
        return taken

    return (
        Occurrences(names, strings, pool, *take(Occurrences)),
        Symbols(names, strings, pool, *take(Symbols)),
        Scopes(names, strings, pool, *take(Scopes)),
        Imports(names, strings, pool, *take(Imports)),
        Arguments(names, strings, pool, *take(Arguments)),
        Calls(names, strings, pool, *take(Calls)),
        Values(names, strings, pool, *take(Values)),
        Blocks(names, strings, pool, *take(Blocks)),
        Narrowings(names, strings, pool, *take(Narrowings)),
    )


def column_of(values: Sequence[int]) -> array[int]:
    """The values in the first of the small integer types that holds them all."""
    for code in "BbHhI":
        try:
            return array(code, values)
        except OverflowError:
            continue  # found at the first value that does not fit, so mostly at once
    return array("i", values)


def _width(name: str) -> int:
    return len(name) if name.isascii() else len(name.encode("utf-8", "surrogatepass"))
