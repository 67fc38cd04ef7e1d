"""Rust: a crate is a tree of modules, methods stand in `impl` blocks."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from tree_sitter import Node

from engram_context.imports import Module
from engram_context.languages.language import Language, outside, words
from engram_context.languages.manifests import folders_of
from engram_context.languages.reading import Imported, Reading
from engram_context.records import KIND, SCOPE_KIND, FileRecord, Import, rows_with
from engram_context.targets import Slot, Target

if TYPE_CHECKING:
    from engram_context.languages.resolving import Holder, Names

_CLASS, _NAMESPACE = SCOPE_KIND["class"], SCOPE_KIND["namespace"]
_LOCAL = (SCOPE_KIND["block"], SCOPE_KIND["function"])
_MODULE = KIND["namespace"]
_ROOTS = ("lib", "main", "build")
_UNBOUND = {("field_pattern", "field_identifier"), ("struct_pattern", "type_identifier")}
_POINTERS = frozenset((b"Box", b"Rc", b"Arc", b"Pin", b"Ref", b"RefMut", b"MutexGuard"))
_FORMATS = frozenset(
    b"print println eprint eprintln format format_args write writeln panic assert assert_eq assert_ne debug_assert "
    b"debug_assert_eq debug_assert_ne todo unimplemented unreachable trace debug info warn error bail ensure "
    b"anyhow".split()
)
_IN_FORMAT = re.compile(rb"\{\{|\{([A-Za-z_]\w*)[:}]")


class Rust(Language):
    name = "rust"
    module = "tree_sitter_rust"
    queries = ("rust",)
    keywords = words(
        """as async await break const continue crate dyn else enum extern false fn for gen if impl in let loop match mod
        move mut pub ref return self Self static struct super trait true type unsafe use where while abstract become box
        do final macro override priv try typeof unsized virtual yield _"""
    )
    offered = words(
        "Option Some None Result Ok Err Vec String Box bool char str usize isize i32 i64 u8 u32 u64 f64 union"
    )
    receivers = frozenset({"self", "Self"})
    names = frozenset({"identifier", "type_identifier", "field_identifier", "shorthand_field_identifier"})
    patterns: ClassVar = {
        "parameter": ("pattern",),
        "field_pattern": ("name", "pattern"),
        "scoped_identifier": (),
        "scoped_type_identifier": (),
        "generic_type": (),
        "generic_type_with_turbofish": (),
        "type_arguments": (),
        "macro_invocation": (),
        "const_block": (),
        "attribute_item": (),
    }
    types: ClassVar = {
        "reference_type": "type",
        "pointer_type": "type",
        "generic_type": "type",
        "dynamic_type": "trait",
        "abstract_type": "trait",
        "tuple_type": "^",
    }
    values: ClassVar = {
        "reference_expression": "value",
        "parenthesized_expression": "",
        "try_expression": "^",
        "await_expression": "^",
        "generic_function": "function",
    }
    has_twins = True
    namespaces_closed = True
    inherits = False
    loose_names = True
    aliases_hold = True

    # --- reading --------------------------------------------------------------------------------------

    def is_bound(self, node: Node) -> bool:
        """Names with a capital letter in a pattern are constants and variants."""
        parent = node.parent
        if parent is not None and (parent.type, node.type) in _UNBOUND:
            return False
        in_pattern = (
            node.type == "identifier" and parent is not None and not parent.type.endswith(("_item", "_variant"))
        )
        return not in_pattern or not (node.text or b"")[:1].isupper()

    def step(self, node: Node, ways: Mapping[str, str]) -> Node | None:
        if ways is self.types and node.type == "generic_type":
            name, arguments = node.child_by_field_name("type"), node.child_by_field_name("type_arguments")
            if name is not None and name.text in _POINTERS and arguments is not None and arguments.named_children:
                return arguments.named_children[-1]
        return super().step(node, ways)

    def on_statement(self, reading: Reading, kind: str, node: Node) -> None:
        if kind == "use":
            _read_use(reading, node, node, ())
        elif kind == "extern":
            _read_extern(reading, node)
        elif kind == "token":
            before = reading.data[max(node.start_byte - 2, 0) : node.start_byte]
            if before.endswith(b"::") or (before.endswith(b".") and before != b".."):
                reading.mention(*node.byte_range, "attribute", reading.receiver(node.start_byte))
        elif _is_format(reading, node):
            for match in _IN_FORMAT.finditer(reading.data, *node.byte_range):
                if match[1] is not None:
                    reading.mention(*match.span(1), "read")

    # --- resolving ------------------------------------------------------------------------------------

    def beyond(self, names: Names, path: str, name: str, role: str, scope: int) -> tuple[Target, ...]:
        here = _module_scope(names.record(path), scope)
        if name == "crate":
            return (Module(_root(names, path)),)
        if name == "self":
            return (_module(names, path, here),)
        if name == "super":
            parent = _parent(names, path, here)
            return () if parent is None else (parent,)
        found = self._starred(names, path, here, name, set())
        if found:
            return found
        return _crate(names, name)

    def imported(self, names: Names, path: str, imported: Import) -> tuple[Target, ...]:
        if imported.name == "*":
            return ()
        parts = imported.module.split("::") if imported.module else []
        if imported.name is None:
            return ()
        if imported.level:  # `extern crate`
            return _crate(names, imported.name) or (outside(imported.name, None),)
        holders = self._path(names, path, imported.scope, parts)
        if not parts:
            head = self._head(names, path, imported.scope, imported.name, imported.bound)
            return head or (outside(imported.name, None),)
        found = tuple(
            dict.fromkeys(target for holder in holders for target in names.member(holder, imported.name, path))
        )
        return found if found or holders else (outside(imported.module, imported.name),)

    def _head(self, names: Names, path: str, scope: int, name: str, bound: int | None = None) -> tuple[Target, ...]:
        """What the first part of a path is."""
        record = names.record(path)
        if bound is not None:
            # `use serde;` binds the name that it looks for.
            own = names.bound(path, name).get(record.symbols.scope[bound], ())
            if own == (bound,):
                return self.beyond(names, path, name, "read", scope)
        return names.in_file(path, scope, name)

    def _path(self, names: Names, path: str, scope: int, parts: list[str]) -> list[Holder]:
        """What a path leads to, as far as it has members."""
        if not parts:
            return []
        found = list(names.holding(self._head(names, path, scope, parts[0])))
        for part in parts[1:]:
            found = list(names.holding(target for holder in found for target in names.member(holder, part, path)))
        return found

    def in_module(self, names: Names, path: str, name: str, importer: str) -> tuple[Target, ...]:
        if names.bound(path, name).get(0):
            return (Slot(path, 0, name),)
        return self._starred(names, path, 0, name, set())

    def through(self, names: Names, path: str, scope: int, name: str) -> tuple[Target, ...]:
        return self._starred(names, path, scope, name, set())

    def _starred(
        self, names: Names, path: str, scope: int, name: str, visiting: set[tuple[str, int]]
    ) -> tuple[Target, ...]:
        """What `use x::*` in a module brings under a name."""
        if (path, scope) in visiting or ("star", path, scope, name) in names.kept:
            return ()
        visiting.add((path, scope))
        record = names.record(path)
        star = record.name_index("*")
        for row in () if star is None else rows_with(record.imports.name, star):
            imported = record.imports[row]
            if _module_scope(record, imported.scope) != scope:
                continue
            key = ("star", path, scope, name)
            names.kept[key] = True  # the path before the star must not be looked for behind it
            try:
                holders = self._path(names, path, imported.scope, imported.module.split("::"))
            finally:
                del names.kept[key]
            for holder in holders:
                for at in self._scopes(names, holder):
                    if names.bound(at[0], name).get(at[1]):
                        return (Slot(*at, name),)
                    found = self._starred(names, *at, name, visiting)
                    if found:
                        return found
        return ()

    def _scopes(self, names: Names, holder: Holder) -> list[tuple[str, int]]:
        return [(holder.path, 0)] if isinstance(holder, Module) else list(names.scopes_of(holder))

    def module_names(self, names: Names, path: str) -> Iterable[str]:
        record = names.record(path)
        return [record.names[record.symbols.name[row]] for row in record.symbols_in(0)]

    def scopes_of(self, names: Names, slot: Slot) -> Iterator[tuple[str, int]]:
        key = ("scopes", slot)
        if key not in names.kept:
            names.kept[key] = ()
            names.kept[key] = tuple(self._scopes_of(names, slot))
        return iter(names.kept[key])

    def _scopes_of(self, names: Names, slot: Slot) -> Iterator[tuple[str, int]]:
        record = names.record(slot.path)
        rows = names.bound(slot.path, slot.name).get(slot.scope, ())
        if any(record.symbols.kind[row] == _MODULE and record.symbols.inner[row] < 0 for row in rows):
            file = _child(names, slot.path, slot.scope, slot.name)
            if file is not None:
                yield file, 0
            return
        for path in names.snapshot.files_naming(slot.name):
            other = names.record(path)
            number = other.name_index(slot.name)
            if other.language != self.name or number is None:
                continue
            for scope in rows_with(other.scopes.owner_name, number):
                of_impl = other.scopes.kind[scope] == _CLASS and other.scopes.symbol[scope] < 0
                if of_impl and slot in names.owner(path, scope):
                    yield path, scope

    # --- renaming -------------------------------------------------------------------------------------

    def unfit(self, names: Names, slots: Iterable[Slot], old_name: str, new_name: str) -> str | None:
        for slot in slots:
            symbols = names.record(slot.path).symbols
            rows = names.bound(slot.path, slot.name).get(slot.scope, ())
            if any(symbols.kind[row] == _MODULE and symbols.inner[row] < 0 for row in rows):
                return f"'{old_name}' is the name of a file"
        return super().unfit(names, slots, old_name, new_name)

    def doubtful_local(self, names: Names, slot: Slot) -> str | None:
        """Of two `let` with a `#[cfg]` before them only one is there."""
        record, text = names.record(slot.path), names.snapshot.text(slot.path)
        bound = names.bound(slot.path, slot.name)
        if len(bound) < 2 or text is None or record.scopes.kind[slot.scope] not in _LOCAL:
            return None
        for row in (row for rows in bound.values() for row in rows):
            before = text.data[max(record.symbols.body_start[row] - 200, 0) : record.symbols.body_start[row]].rstrip()
            if before.endswith(b"]") and b"#[cfg" in before:
                return f"'{slot.name}' is declared more than once, on conditions"
        return None

    def is_identifier(self, name: str) -> bool:
        return super().is_identifier(name.removeprefix("r#"))

    def with_alias(self, old_name: str, new_name: str) -> str | None:
        return f"{old_name} as {new_name}"

    def spelled(self, node: Node, new_name: str, is_member: bool) -> str:
        if not self.twin(node) or node.text is None:
            return new_name
        old_name = node.text.decode()
        return f"{new_name}: {old_name}" if is_member else f"{old_name}: {new_name}"

    def twin(self, node: Node) -> bool:
        of_literal = node.parent is not None and node.parent.type == "shorthand_field_initializer"
        return of_literal or node.type == "shorthand_field_identifier"


LANGUAGES: dict[str, Language] = {"rust": Rust()}


# --- reading ------------------------------------------------------------------------------------------


def _read_use(
    reading: Reading, statement: Node, node: Node, prefix: tuple[bytes, ...], owner: Node | None = None
) -> None:
    """One branch of a use tree behind `prefix`, whose last part stands at `owner`."""
    if node.type == "use_list":
        for child in node.named_children:
            _read_use(reading, statement, child, prefix, owner)
        return
    if node.type == "scoped_use_list":
        path, inside = node.child_by_field_name("path"), node.child_by_field_name("list")
        parts, last = _path_of(reading, statement, path, prefix)
        if inside is not None:
            _read_use(reading, statement, inside, parts, last or owner)
        return
    if node.type == "use_wildcard":
        parts, _ = _path_of(reading, statement, node.named_children[0] if node.named_children else None, prefix)
        module = _joined(parts)
        reading.imports.append(Imported(node.byte_range, module, b"*", None, None))
        return
    path, alias = node, None
    if node.type == "use_as_clause":
        path, alias = node.child_by_field_name("path") or node, node.child_by_field_name("alias")
    if path.type == "self" and prefix:
        # `use a::{self}` binds the last part of the path.
        bound = alias if alias is not None else owner
        if bound is not None and bound.type == "identifier":
            defined = reading.define(bound, "import", statement)
            word = None if alias is None else reading.word(alias)
            row = Imported(node.byte_range, _joined(prefix[:-1]), prefix[-1], word, defined)
            row.name_occurrence = bound.start_byte if alias is None else -1
            reading.imports.append(row)
        return
    parts, last = _path_of(reading, statement, path, prefix, to_last=False)
    if last is None or last.type != "identifier":
        return
    bound = last if alias is None else alias
    reading.mention(*last.byte_range, "import")
    defined = reading.define(bound, "import", statement) if bound.type == "identifier" else None
    word = None if alias is None else reading.word(alias)
    row = Imported(node.byte_range, _joined(parts), reading.word(last), word, defined, -1, last.start_byte)
    reading.imports.append(row)


def _read_extern(reading: Reading, node: Node) -> None:
    name, alias = node.child_by_field_name("name"), node.child_by_field_name("alias")
    if name is None or name.type != "identifier":
        return
    reading.mention(*name.byte_range, "import")
    bound = reading.define(alias or name, "import", node)
    word = None if alias is None else reading.word(alias)
    reading.imports.append(Imported(node.byte_range, "", reading.word(name), word, bound, -1, name.start_byte, 1))


def _path_of(
    reading: Reading, statement: Node, node: Node | None, prefix: tuple[bytes, ...], to_last: bool = True
) -> tuple[tuple[bytes, ...], Node | None]:
    """(the parts of a path, its last part). With `to_last` the last one is a part of the path as well; each part is
    an import of its own, of what the path leads to."""
    if node is None:
        return prefix, None
    nodes: list[Node] = []
    at: Node | None = node
    while at is not None and at.type == "scoped_identifier":
        name = at.child_by_field_name("name")
        if name is not None:
            nodes.append(name)
        at = at.child_by_field_name("path")
    if at is not None:
        nodes.append(at)
    nodes.reverse()
    parts = prefix
    for part in nodes if to_last else nodes[:-1]:
        word = reading.word(part)
        if part.type == "identifier":
            reading.mention(*part.byte_range, "import")
            row = Imported(part.byte_range, _joined(parts), word, None, None, -1, part.start_byte)
            reading.imports.append(row)
        parts = (*parts, word)
    return parts, nodes[-1] if nodes else None


def _joined(parts: tuple[bytes, ...]) -> str:
    return b"::".join(parts).decode("utf-8", "replace")


def _is_format(reading: Reading, node: Node) -> bool:
    """Whether a string is the format of a macro like `println!`."""
    tree = None if node.parent is None else node.parent.parent
    if tree is None or tree.parent is None:
        return False
    macro = tree.parent.child_by_field_name("macro")
    if macro is None:
        bang = tree.prev_sibling
        macro = None if bang is None or bang.type != "!" else bang.prev_sibling
    return macro is not None and reading.word(macro).rpartition(b"::")[2] in _FORMATS


# --- the tree of modules ------------------------------------------------------------------------------


def _crate(names: Names, name: str) -> tuple[Target, ...]:
    """A crate of the repository by its name."""
    for folder in folders_of(names, name, "cargo-package"):
        for root in ("src/lib.rs", "lib.rs", "src/main.rs"):
            file = posixpath.join(folder, root)
            if file in names.snapshot.records:
                return (Module(file),)
    return ()


def _module_scope(record: FileRecord, scope: int) -> int:
    """The scope of the module that a scope is in."""
    while scope > 0 and record.scopes.kind[scope] != _NAMESPACE:
        scope = record.scopes.parent[scope]
    return max(scope, 0)


def _module(names: Names, path: str, scope: int) -> Target:
    """The module that a module's scope is the inside of."""
    record = names.record(path)
    symbol = record.scopes.symbol[scope] if scope > 0 else -1
    if symbol < 0:
        return Module(path)
    return Slot(path, record.symbols.scope[symbol], record.names[record.symbols.name[symbol]])


def _parent(names: Names, path: str, scope: int) -> Target | None:
    if scope > 0:
        record = names.record(path)
        return _module(names, path, _module_scope(record, record.scopes.parent[scope]))
    file = _parent_file(names, path)
    return None if file is None else Module(file)


def _parent_file(names: Names, path: str) -> str | None:
    folder, stem = posixpath.split(path.removesuffix(".rs"))
    if stem in _ROOTS:
        return None
    if stem == "mod":
        folder, stem = posixpath.split(folder)
    nearest = [posixpath.join(folder, f"{name}.rs") for name in ("mod", "lib", "main")]
    if folder:
        nearest.insert(1, f"{folder}.rs")
    there = [file for file in nearest if file in names.snapshot.records and file != path]
    declaring = [file for file in there if names.bound(file, stem)]
    return next(iter(declaring or there), None)


def _root(names: Names, path: str) -> str:
    """The file of a crate that all others are modules of."""
    for _ in range(50):
        parent = _parent_file(names, path)
        if parent is None:
            return path
        path = parent
    return path


def _child(names: Names, path: str, scope: int, name: str) -> str | None:
    """The file of `mod name;`."""
    record = names.record(path)
    inside: list[str] = []
    while scope > 0:
        if record.scopes.kind[scope] == _NAMESPACE and record.scopes.owner_name[scope] >= 0:
            inside.insert(0, record.names[record.scopes.owner_name[scope]])
        scope = record.scopes.parent[scope]
    folder, stem = posixpath.split(path.removesuffix(".rs"))
    owns_folder = stem in ("mod", *_ROOTS) or _parent_file(names, path) is None
    bases = [folder] if owns_folder else [posixpath.join(folder, stem)]
    for base in bases:
        at = posixpath.join(base, *inside, name)
        for file in (f"{at}.rs", f"{at}/mod.rs"):
            if file in names.snapshot.records:
                return file
    return None
