"""C and C++: what a file sees is in the files that it includes; a declaration and its definition are one thing."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from tree_sitter import Node

from engram_context.imports import Module
from engram_context.languages.language import Language, outside, words
from engram_context.languages.reading import Defined, Imported, Reading
from engram_context.records import FILE_LOCAL, KIND, SCOPE_KIND, FileRecord, Import, Kind, rows_with
from engram_context.targets import Slot, Target

if TYPE_CHECKING:
    from engram_context.languages.resolving import Holder, Names

_CLASS, _NAMESPACE = SCOPE_KIND["class"], SCOPE_KIND["namespace"]
_FAMILY = ("c", "cpp", "header")
_LINKED = frozenset((KIND["function"], KIND["variable"]))
_SMART = frozenset((b"unique_ptr", b"shared_ptr", b"weak_ptr", b"optional", b"reference_wrapper"))
_SYSTEM = words(
    """assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h locale.h math.h setjmp.h signal.h
    stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h tgmath.h
    threads.h time.h uchar.h wchar.h wctype.h unistd.h fcntl.h dirent.h pthread.h poll.h dlfcn.h netdb.h sched.h
    semaphore.h syslog.h termios.h windows.h Windows.h winsock2.h memory.h malloc.h strings.h getopt.h regex.h"""
)
"""Headers that are the system's wherever a project has one of that name."""
_WORD = re.compile(
    rb"""//.*|/\*.*?\*/|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|\.?\d[\w.]*|(\.|->|::)?\s*([A-Za-z_]\w*)""", re.S
)
_C_WORDS = words(
    """auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Alignas
    _Alignof _Atomic _Bool _Complex _Generic _Noreturn _Static_assert _Thread_local defined"""
)
_CPP_WORDS = words(
    """alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class co_await co_return
    co_yield compl concept const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export false
    friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast
    requires static_assert static_cast template this thread_local throw true try typeid typename using virtual wchar_t
    xor xor_eq"""
)


class C(Language):
    name = "c"
    module = "tree_sitter_c"
    queries = ("c",)
    keywords = _C_WORDS
    offered = words("NULL size_t bool true false uint8_t uint32_t uint64_t int64_t")
    names = frozenset({"identifier", "type_identifier", "field_identifier", "namespace_identifier"})
    types: ClassVar = {
        "struct_specifier": "name",
        "union_specifier": "name",
        "enum_specifier": "name",
        "class_specifier": "name",
        "type_descriptor": "type",
        "template_type": "name",
        "qualified_identifier": "name",
        "dependent_type": "",
    }
    values: ClassVar = {
        "parenthesized_expression": "",
        "pointer_expression": "argument",
        "template_function": "name",
        "qualified_identifier": "name",
    }
    wrappers = frozenset({"template_declaration"})
    members_in_scope = True
    types_apart = True
    types_as_values = True
    aliases_hold = True
    seen_from = "name"
    loose_names = True
    kin = frozenset({"tree_sitter_c", "tree_sitter_cpp"})

    # --- reading --------------------------------------------------------------------------------------

    def step(self, node: Node, ways: Mapping[str, str]) -> Node | None:
        if ways is self.types and node.type == "template_type":
            name, arguments = node.child_by_field_name("name"), node.child_by_field_name("arguments")
            if name is not None and name.text in _SMART and arguments is not None and arguments.named_children:
                return arguments.named_children[0]
        return super().step(node, ways)

    def on_statement(self, reading: Reading, kind: str, node: Node) -> None:
        if kind == "include":
            _read_include(reading, node)
        elif kind == "macro":
            _read_macro(reading, node)
        elif kind == "initializer":
            reading.plain(node)
        elif kind == "using":
            _read_using(reading, node)
        elif kind == "alias":
            _read_alias(reading, node)
        else:
            _Declaration(reading, kind, node).read()

    # --- resolving ------------------------------------------------------------------------------------

    def beyond(self, names: Names, path: str, name: str, role: str, scope: int) -> tuple[Target, ...]:
        visible = _included(names, path)
        for other in names.defining(name):
            if other in visible and other != path and _top_rows(names, other, name):
                return self.peers(names, Slot(other, 0, name))
        record = names.record(path)
        star = record.name_index("*")
        for row in () if star is None else rows_with(record.imports.name, star):
            imported = record.imports[row]
            key = ("star", path, imported.module, name)
            if key in names.kept:
                continue
            names.kept[key] = True  # the namespace must not be looked for in itself
            try:
                holders = self._path(names, path, imported.scope, imported.module.split("::"))
                for holder in holders:
                    found = names.member(holder, name, path)
                    if found:
                        return found
            finally:
                del names.kept[key]
        return ()

    def imported(self, names: Names, path: str, imported: Import) -> tuple[Target, ...]:
        if imported.name is None:
            file = _file(names, path, imported.module, imported.level)
            return (Module(file),) if file is not None else (outside(imported.module, None),)
        if imported.name == "*":
            return ()
        parts = imported.module.split("::") if imported.module else []
        if not parts:
            return tuple(
                target
                for target in names.in_file(path, imported.scope, imported.name)
                if not isinstance(target, Slot) or target.name != imported.alias
            )
        holders = self._path(names, path, imported.scope, parts)
        found = tuple(
            dict.fromkeys(target for holder in holders for target in names.member(holder, imported.name, path))
        )
        return found or (outside(imported.module, imported.name),)

    def _path(self, names: Names, path: str, scope: int, parts: list[str]) -> list[Holder]:
        found = list(names.holding(names.in_file(path, scope, parts[0])))
        for part in parts[1:]:
            found = list(names.holding(target for holder in found for target in names.member(holder, part, path)))
        return found

    def through(self, names: Names, path: str, scope: int, name: str) -> tuple[Target, ...]:
        """Another part of a namespace may have the name."""
        if names.record(path).scopes.kind[scope] != _NAMESPACE:
            return ()
        found = [Slot(*at, name) for at in self._same(names, path, scope) if names.bound(at[0], name).get(at[1])]
        return tuple(found)

    def _same(self, names: Names, path: str, scope: int) -> list[tuple[str, int]]:
        owners = [owner for owner in names.owner(path, scope) if isinstance(owner, Slot)]
        return list(dict.fromkeys(at for owner in owners for at in names.scopes_of(owner)))

    def scopes_of(self, names: Names, slot: Slot) -> Iterator[tuple[str, int]]:
        key = ("scopes", slot)
        if key not in names.kept:
            names.kept[key] = ()
            names.kept[key] = tuple(self._scopes_of(names, slot))
        return iter(names.kept[key])

    def _scopes_of(self, names: Names, slot: Slot) -> Iterator[tuple[str, int]]:
        """The other parts of a namespace; what is defined outside of a class's or namespace's braces."""
        chain = (*_chain(names.record(slot.path), slot.scope), slot.name)
        for path in names.snapshot.files_naming(slot.name):
            record = names.record(path)
            number = record.name_index(slot.name)
            if record.language not in _FAMILY or number is None:
                continue
            for scope in rows_with(record.scopes.owner_name, number):
                kind, symbol = record.scopes.kind[scope], record.scopes.symbol[scope]
                if kind == _NAMESPACE and (path, scope) != (slot.path, slot.scope):
                    if _chain(record, scope) == chain:
                        yield path, scope
                elif kind == _CLASS and (
                    (symbol < 0 and slot in names.owner(path, scope))
                    or (symbol >= 0 and _chain(record, scope) == chain and path != slot.path and len(chain) > 1)
                ):
                    yield path, scope

    def peers(self, names: Names, slot: Slot) -> tuple[Slot, ...]:
        key = ("peers", slot)
        if key not in names.kept:
            names.kept[key] = (slot,)
            names.kept[key] = tuple(dict.fromkeys((slot, *self._peers(names, slot))))
        return names.kept[key]

    def _peers(self, names: Names, slot: Slot) -> Iterator[Slot]:
        record = names.record(slot.path)
        rows = names.bound(slot.path, slot.name).get(slot.scope, ())
        if slot.scope > 0:
            if record.scopes.kind[slot.scope] in (_CLASS, _NAMESPACE):
                for at in self._same(names, slot.path, slot.scope):
                    if names.bound(at[0], slot.name).get(at[1]):
                        yield Slot(*at, slot.name)
            return
        if all(record.symbols.flags[row] & FILE_LOCAL for row in rows):
            return
        others = [
            path
            for path in names.defining(slot.name)
            if path != slot.path
            and names.record(path).language in _FAMILY
            and any(
                not names.record(path).symbols.flags[row] & FILE_LOCAL
                for row in names.bound(path, slot.name).get(0, ())
            )
        ]
        if not others:
            return
        linked = all(record.symbols.kind[row] in _LINKED for row in rows)
        bodies = sum(_has_body(names.record(path), names.bound(path, slot.name)[0]) for path in (slot.path, *others))
        seen = _included(names, slot.path)
        for path in others:
            theirs = _included(names, path)
            joined = path in seen or slot.path in theirs or any(other in seen and other in theirs for other in others)
            if joined or (linked and bodies <= 1):
                yield Slot(path, 0, slot.name)

    def around(self, names: Names, path: str) -> Iterator[tuple[str, Target]]:
        for file in sorted(_included(names, path)):
            record = names.record(file)
            for row in record.symbols_in(0) if file != path else ():
                name = record.names[record.symbols.name[row]]
                yield name, Slot(file, 0, name)

    def doubtful_local(self, names: Names, slot: Slot) -> str | None:
        """`MACRO name = value;` looks like a declaration, and may be an assignment to the variable around."""
        record = names.record(slot.path)
        bound = names.bound(slot.path, slot.name)
        if slot.scope == 0 or record.scopes.kind[slot.scope] in (_CLASS, _NAMESPACE) or len(bound) < 2:
            return None
        own = record.scopes[slot.scope].span
        for scope in bound:
            other = record.scopes[scope].span
            if scope in (0, slot.scope) or not (own.contains(other) or other.contains(own)):
                continue
            for row in (*bound[scope], *bound.get(slot.scope, ())):
                ref = record.symbols.annotation[row]
                if ref >= 0 and not names.resolver.of_occurrence(slot.path, ref):
                    return (
                        f"'{slot.name}' is declared once more inside, by a type that is not known, which may be a macro"
                    )
        return None

    def of_path(self, names: Names, path: str, imported: Import, index: int) -> tuple[Target, ...]:
        return self.imported(names, path, imported) if imported.name is None else ()


class Cpp(C):
    name = "cpp"
    module = "tree_sitter_cpp"
    queries = ("c", "cpp")
    keywords = _C_WORDS | _CPP_WORDS
    offered = C.offered | words("override final std string vector")


class Header(Cpp):
    """A `.h` file, which may be C's or C++'s: the grammar of C++ reads both."""

    name = "header"


LANGUAGES: dict[str, Language] = {language.name: language for language in (C(), Cpp(), Header())}


# --- reading ------------------------------------------------------------------------------------------

_AROUND = frozenset(
    (
        "pointer_declarator",
        "array_declarator",
        "reference_declarator",
        "parenthesized_declarator",
        "attributed_declarator",
        "variadic_declarator",
        "init_declarator",
        "function_declarator",
    )
)


class _Declaration:
    """One declaration of anything."""

    def __init__(self, reading: Reading, kind: str, node: Node) -> None:
        self.reading = reading
        self.kind = kind
        self.node = node
        self.annotation = reading.type_end(node.child_by_field_name("type"))
        parent = node.parent
        while parent is not None and parent.type == "template_declaration":
            parent = parent.parent
        self.in_class = parent is not None and parent.type == "field_declaration_list"
        self.at_top = parent is not None and parent.type not in (
            "compound_statement",
            "for_statement",
            "init_statement",
        )

    def read(self) -> None:
        reading, node = self.reading, self.node
        declarators = node.children_by_field_name("declarator")
        for declarator in declarators:
            value = declarator.child_by_field_name("value") if declarator.type == "init_declarator" else None
            name, is_function = self._named(declarator)
            if name is None:
                continue
            if name.type == "structured_binding_declarator":
                for child in name.named_children:
                    reading.define(child, "variable", node)
                continue
            owner: Node | None = None
            while name is not None and name.type == "qualified_identifier":
                owner, name = name.child_by_field_name("scope") or owner, name.child_by_field_name("name")
            if name is not None:
                self._define(name, owner, is_function, value)
        if self.kind == "typedef" and len(declarators) == 1:
            return

    def _define(self, name: Node, owner: Node | None, is_function: bool, value: Node | None) -> None:
        reading, node = self.reading, self.node
        outer = None
        if owner is not None:
            outer = reading.scope(node.start_byte, node.end_byte, "class")
            end = reading.type_end(owner)
            outer.owner, outer.refs = reading.word_ending(end), [end]
        inner = None
        if self.kind == "function":
            start = node.start_byte if outer is None else min(name.start_byte, node.end_byte)
            inner = reading.scope(start, node.end_byte, "function")
        if name.type not in reading.language.names:
            return  # an operator, a destructor
        word = reading.word(name)
        if word.decode("utf-8", "replace") in reading.language.keywords:
            return  # `MACRO if (x)` looks like a declaration
        if is_function and node.child_by_field_name("type") is None:
            # A constructor is called as its class is: it is a mention of the class.
            reading.mention(*name.byte_range, "type")
            if owner is not None and reading.word(owner) != word:
                reading.mention(*name.byte_range, "attribute", reading.receiver(name.start_byte))
            return
        found = reading.define(name, self._kind_of(is_function, owner), node, self._where(owner, inner is not None))
        found.annotation = self.annotation
        found.value = reading.value_end(value)
        if inner is not None:
            found.opens = (inner.start, -inner.end)
        self._describe(found, is_function)
        if self.kind == "typedef":
            of = node.child_by_field_name("type")
            if (
                of is not None
                and of.type in ("struct_specifier", "union_specifier")
                and not of.child_by_field_name("name")
            ):
                found.opens = (of.start_byte, -of.end_byte)
        shared = owner is None and not self.in_class and self.kind != "field"
        if (
            self.at_top
            and shared
            and any(child.type == "storage_class_specifier" and child.text == b"static" for child in node.children)
        ):
            found.flags |= FILE_LOCAL

    def _named(self, declarator: Node) -> tuple[Node | None, bool]:
        """(the name in a declarator, whether a function is declared). Parameters get a scope."""
        is_function = False
        at: Node | None = declarator
        while at is not None and at.type in _AROUND:
            inside = at.child_by_field_name("declarator")
            if inside is None:
                inside = next(iter(at.named_children[::-1]), None)
            if at.type == "function_declarator":
                # `int (*name)(int)` is a variable.
                is_function = inside is not None and inside.type != "parenthesized_declarator"
                parameters = at.child_by_field_name("parameters")
                if parameters is not None and not (is_function and self.kind == "function"):
                    self.reading.scope(parameters.start_byte, parameters.end_byte, "function")
            at = inside
        if at is not None and at.type == "template_function":
            at = at.child_by_field_name("name")
        return at, is_function

    def _kind_of(self, is_function: bool, owner: Node | None) -> Kind:
        if self.kind == "parameter":
            return "parameter"
        if self.kind == "typedef":
            return "type-alias"
        if self.kind == "field" or self.in_class:
            return "method" if is_function else "attribute"
        if is_function:
            return "method" if owner is not None else "function"
        return "attribute" if owner is not None else "variable"

    def _where(self, owner: Node | None, has_scope: bool) -> str:
        if owner is not None or self.kind == "field" or self.in_class:
            return "member"
        return "outer" if has_scope else "here"

    def _describe(self, found: Defined, is_function: bool) -> None:
        node = self.node
        if self.kind in ("parameter", "loop") or not (is_function or self.kind in ("typedef", "field")):
            return
        body = node.child_by_field_name("body")
        start = (
            node.parent.start_byte if node.parent is not None and node.parent.type == "template_declaration" else None
        )
        end = node.end_byte if body is None else body.start_byte
        found.described = (node.start_byte if start is None else start, end)


def _read_include(reading: Reading, node: Node) -> None:
    system = node.type == "system_lib_string"
    inside = node if system else next(iter(node.named_children), None)
    if inside is None or inside.type not in ("system_lib_string", "string_content"):
        return
    start, end = inside.byte_range
    if system:
        start, end = start + 1, end - 1
    name = reading.data[start:end]
    if not name or b"\0" in name or b"\n" in name:
        return
    reading.mention(start, end, "import")
    module = name.decode("utf-8", "replace")
    reading.imports.append(Imported(node.byte_range, module, None, None, None, start, level=int(system)))


def _read_macro(reading: Reading, node: Node) -> None:
    """The text of a macro is not parsed: its names are."""
    for match in _WORD.finditer(reading.data, *node.byte_range):
        if match[2] is None:
            continue
        start, end = match.span(2)
        if match[1] is not None:
            reading.mention(start, end, "attribute", reading.receiver(start))
        elif match[2].decode() not in reading.language.keywords:
            reading.mention(start, end, "read")


def _read_using(reading: Reading, node: Node) -> None:
    inside = node.named_children[-1] if node.named_children else None
    if inside is None:
        return
    text = reading.word(inside).decode("utf-8", "replace").replace(" ", "")
    if any(child.type == "namespace" for child in node.children):
        reading.imports.append(Imported(node.byte_range, text, b"*", None, None))
        return
    name = inside
    while name.type == "qualified_identifier" and (next_name := name.child_by_field_name("name")) is not None:
        name = next_name
    if name.type not in reading.language.names or name is inside:
        return
    module = text.rpartition("::")[0]
    bound = reading.define(name, "import", node)
    reading.mention(*name.byte_range, "import")
    row = Imported(node.byte_range, module, reading.word(name), None, bound, name_occurrence=name.start_byte)
    reading.imports.append(row)


def _read_alias(reading: Reading, node: Node) -> None:
    name, target = node.child_by_field_name("name"), node.named_children[-1] if node.named_children else None
    if name is None or target is None or target == name:
        return
    parts = reading.word(target).decode("utf-8", "replace").replace(" ", "").split("::")
    bound = reading.define(name, "import", node)
    row = Imported(node.byte_range, "::".join(parts[:-1]), parts[-1].encode(), reading.word(name), bound)
    reading.imports.append(row)


# --- files --------------------------------------------------------------------------------------------


def _included(names: Names, path: str) -> frozenset[str]:
    """The files that a file sees, itself among them."""
    key = ("included", path)
    if key not in names.kept:
        seen = {path}
        waiting = [path]
        while waiting:
            at = waiting.pop()
            imports = names.record(at).imports
            for row, name in enumerate(imports.name):
                if name >= 0:
                    continue
                imported = imports[row]
                file = _file(names, at, imported.module, imported.level)
                if file is not None and file not in seen:
                    seen.add(file)
                    waiting.append(file)
        names.kept[key] = frozenset(seen)
    return names.kept[key]


def _file(names: Names, includer: str, name: str, is_system: int) -> str | None:
    """The project's file that `#include` means: beside the includer, in the folders above it and their `include` and
    `src`, else the only one whose path ends so."""
    folder = posixpath.dirname(includer)
    key = ("include", folder, name)
    if key not in names.kept:
        names.kept[key] = _find(names, folder, name, is_system)
    return names.kept[key]


def _find(names: Names, folder: str, name: str, is_system: int) -> str | None:
    records = names.snapshot.records
    at = folder
    while True:
        for inside in ("", "include", "src", "inc"):
            found = posixpath.normpath(posixpath.join(at, inside, name))
            if found in records:
                return found
        if not at:
            break
        at = posixpath.dirname(at)
    last = posixpath.basename(name)
    same = [path for path in names.files_named(last) if path == name or path.endswith(f"/{name}")]
    if is_system and (name in _SYSTEM or len(same) > 1):
        return None
    return min(same, key=lambda path: (-len(posixpath.commonpath([path, folder or path])), path)) if same else None


def _top_rows(names: Names, path: str, name: str) -> tuple[int, ...]:
    """What other files see of a name at the top of a file."""
    record = names.record(path)
    if record.language not in _FAMILY:
        return ()
    return names.bound(path, name).get(0, ())


def _chain(record: FileRecord, scope: int) -> tuple[str, ...]:
    """The names of the namespaces and classes that a scope is in, its own the last."""
    found: list[str] = []
    while scope > 0:
        if record.scopes.kind[scope] in (_CLASS, _NAMESPACE) and record.scopes.owner_name[scope] >= 0:
            found.append(record.names[record.scopes.owner_name[scope]])
        scope = record.scopes.parent[scope]
    return tuple(reversed(found))


def _has_body(record: FileRecord, rows: Iterable[int]) -> bool:
    return any(record.symbols.inner[row] >= 0 for row in rows)
