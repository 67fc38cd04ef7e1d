"""Go: a package is a folder, and its files share their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from tree_sitter import Node

from engram_context.imports import Module
from engram_context.languages.language import Language, outside, words
from engram_context.languages.manifests import folders_of
from engram_context.languages.reading import Imported, Reading
from engram_context.records import KIND, SCOPE_KIND, FileRecord, Import, rows_with
from engram_context.targets import Slot, Target

if TYPE_CHECKING:
    from engram_context.languages.resolving import Names

_CLASS = SCOPE_KIND["class"]
_MODULE, _METHOD, _INTERFACE = KIND["module"], KIND["method"], KIND["interface"]
# The part of a path that names the package: not the version behind it, nor the one with a dot before it.
_PACKAGE = re.compile(rb"([^/]+?)(?:\.v\d+)?(?:/v\d+)?/?\Z")
# Methods by whose names the standard library knows what a type can do.
_KNOWN = words(
    """Close Error Exit Format GoString Header Is As Unwrap Len Less Swap Pop Push Lock Unlock MarshalBinary MarshalJSON
    MarshalText UnmarshalBinary UnmarshalJSON UnmarshalText Read ReadAt ReadFrom ReadByte ReadRune Reset Scan Seek
    ServeHTTP String Sum Value Write WriteAt WriteByte WriteString WriteTo RoundTrip Set Size Name Mode ModTime Sys"""
)


class Go(Language):
    name = "go"
    module = "tree_sitter_go"
    queries = ("go",)
    keywords = words(
        """break case chan const continue default defer else fallthrough for func go goto if import interface map
        package range return select struct switch type var"""
    )
    offered = words("append cap len make new nil true false panic recover string int error bool byte any")
    receivers = frozenset()
    names = frozenset({"identifier", "type_identifier", "field_identifier", "package_identifier"})
    types: ClassVar = {
        "pointer_type": "",
        "generic_type": "type",
        "parenthesized_type": "",
        "parameter_list": "^",
        "parameter_declaration": "type",
    }
    values: ClassVar = {"unary_expression": "operand", "parenthesized_expression": ""}
    type_fields = ("type", "result")
    wrappers = frozenset({"type_declaration", "var_declaration", "const_declaration"})
    seen_from = "end"
    aliases_hold = True
    keys_may_be_names = True
    types_are_members = True
    inherits = False

    def is_bound(self, node: Node) -> bool:
        return node.text != b"_"

    def on_statement(self, reading: Reading, kind: str, node: Node) -> None:
        path, name = node.child_by_field_name("path"), node.child_by_field_name("name")
        inside = None if path is None or not path.named_children else path.named_children[0]
        found = None if inside is None else _PACKAGE.search(reading.word(inside))
        if inside is None or found is None:
            return
        module = reading.word(inside).decode("utf-8", "replace")
        start, end = (inside.start_byte + at for at in found.span(1))
        reading.mention(start, end, "import")
        if name is None:
            # The name that is bound is written inside the string.
            bound = reading.define_span(start, end, "import", node)
            reading.imports.append(Imported(node.byte_range, module, None, None, bound, start))
        elif name.type == "dot":
            reading.imports.append(Imported(node.byte_range, module, b"*", None, None, start))
        else:
            bound = reading.define(name, "import", node) if name.type == "package_identifier" else None
            reading.imports.append(Imported(node.byte_range, module, None, reading.word(name), bound, start))

    # --- resolving ------------------------------------------------------------------------------------

    def beyond(self, names: Names, path: str, name: str, role: str, scope: int) -> tuple[Target, ...]:
        found = tuple(_in_package(names, path, name))
        if found:
            return found
        record = names.record(path)
        star = record.name_index("*")
        for row in () if star is None else rows_with(record.imports.name, star):
            for module in self.imported(names, path, record.imports[row]):
                if isinstance(module, Module):
                    return self.in_module(names, module.path, name, path)
        return ()

    def imported(self, names: Names, path: str, imported: Import) -> tuple[Target, ...]:
        parts = imported.module.split("/")
        for at in range(len(parts), 0, -1):
            for folder in folders_of(names, "/".join(parts[:at]), "go-module"):
                inside = "/".join([folder, *parts[at:]] if folder else parts[at:])
                files = [
                    file
                    for file in names.files_in(inside)
                    if names.record(file).language == self.name and not file.endswith("_test.go")
                ]
                if files:
                    return (Module(files[0]),)
        return (outside(imported.module, imported.name),)

    def in_module(self, names: Names, path: str, name: str, importer: str) -> tuple[Target, ...]:
        return tuple(_in_package(names, path, name)) if _is_exported(name) else ()

    def module_names(self, names: Names, path: str) -> Iterable[str]:
        package = _package(names.record(path))
        for file in names.files_in(path.rpartition("/")[0]):
            record = names.record(file)
            if record.language == self.name and _package(record) == package:
                for row in record.symbols_in(0):
                    name = record.names[record.symbols.name[row]]
                    if _is_exported(name):
                        yield name

    def scopes_of(self, names: Names, slot: Slot) -> Iterator[tuple[str, int]]:
        """The scopes of the methods whose receiver is a type."""
        folder, package = slot.path.rpartition("/")[0], _package(names.record(slot.path))
        for path in names.snapshot.files_naming(slot.name):
            record = names.record(path)
            if path.rpartition("/")[0] != folder or record.language != self.name or _package(record) != package:
                continue
            number = record.name_index(slot.name)
            scopes = record.scopes
            for scope in () if number is None else rows_with(scopes.owner_name, number):
                if scopes.kind[scope] == _CLASS and scopes.symbol[scope] < 0:
                    yield path, scope

    def peers(self, names: Names, slot: Slot) -> tuple[Slot, ...]:
        """Files for other systems define the same things."""
        if slot.scope == 0:
            symbols = names.record(slot.path).symbols
            rows = names.bound(slot.path, slot.name).get(0, ())
            if any(symbols.kind[row] == KIND["import"] for row in rows) or slot.name in ("init", "main"):
                return (slot,)
            return tuple(_in_package(names, slot.path, slot.name)) or (slot,)
        if names.record(slot.path).scopes.kind[slot.scope] == _CLASS:
            key = ("methods", slot)
            if key not in names.kept:
                names.kept[key] = (slot,)
                owners = [owner for owner in names.owner(slot.path, slot.scope) if isinstance(owner, Slot)]
                scopes = {scope for owner in owners for scope in self.scopes_of(names, owner)}
                same = [Slot(*at, slot.name) for at in sorted(scopes) if names.bound(at[0], slot.name).get(at[1])]
                names.kept[key] = tuple(dict.fromkeys((*same, slot)))
            return names.kept[key]
        return (slot,)

    # --- renaming -------------------------------------------------------------------------------------

    def unfit(self, names: Names, slots: Iterable[Slot], old_name: str, new_name: str) -> str | None:
        reason = super().unfit(names, slots, old_name, new_name)
        if reason is not None or not _is_exported(old_name) or _is_exported(new_name):
            return reason
        wanted = set(slots)
        folders = {slot.path.rpartition("/")[0] for slot in wanted}
        for path in names.snapshot.files_naming(old_name):
            record = names.record(path)
            if record.language != self.name or path.rpartition("/")[0] in folders:
                continue
            for index in record.occurrences_of(old_name):
                if not wanted.isdisjoint(names.resolver.meanings(path, index)):
                    return f"'{new_name}' would not be exported, and {path} uses '{old_name}' from another package"
        return None

    def doubtful_member(self, names: Names, slot: Slot) -> str | None:
        record = names.record(slot.path)
        if all(record.symbols.kind[row] != _METHOD for row in names.bound(slot.path, slot.name).get(slot.scope, ())):
            return None
        reason = "a type has an interface by the names of its methods"
        if slot.name in _KNOWN:
            return reason
        for path in names.defining(slot.name):
            other = names.record(path)
            for scope, rows in names.bound(path, slot.name).items():
                symbol = other.scopes.symbol[scope]
                is_interface = symbol >= 0 and other.symbols.kind[symbol] == _INTERFACE
                if rows and (path, scope) != (slot.path, slot.scope) and is_interface:
                    return reason
        symbol = record.scopes.symbol[slot.scope]
        return reason if symbol >= 0 and record.symbols.kind[symbol] == _INTERFACE else None

    def around(self, names: Names, path: str) -> Iterator[tuple[str, Target]]:
        package = _package(names.record(path))
        for file in names.files_in(path.rpartition("/")[0]):
            record = names.record(file)
            if file != path and record.language == self.name and _package(record) == package:
                for row in record.symbols_in(0):
                    name = record.names[record.symbols.name[row]]
                    if record.symbols.kind[row] not in (_MODULE, KIND["import"]):
                        yield name, Slot(file, 0, name)

    def is_visible(self, record: FileRecord, row: int) -> bool:
        return _is_exported(record.names[record.symbols.name[row]])


LANGUAGES: dict[str, Language] = {"go": Go()}


def _is_exported(name: str) -> bool:
    return name[:1].isupper()


def _package(record: FileRecord) -> str:
    row = next(iter(rows_with(record.symbols.kind, _MODULE)), None)
    return "" if row is None else record.names[record.symbols.name[row]]


def _in_package(names: Names, path: str, name: str) -> Iterator[Slot]:
    """Where the package that a file belongs to binds a name."""
    folder, package = path.rpartition("/")[0], _package(names.record(path))
    for other in names.defining(name):
        if other.rpartition("/")[0] != folder or names.record(other).language != "go":
            continue
        if _package(names.record(other)) == package and names.bound(other, name).get(0):
            yield Slot(other, 0, name)
