"""Java: packages of classes, and classes that see their members by plain names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from tree_sitter import Node

from engram_context.languages.language import Language, outside, words
from engram_context.languages.reading import Imported, Reading
from engram_context.records import EXPORT_ONLY, KIND, FileRecord, Import, rows_with
from engram_context.targets import Slot, Target

if TYPE_CHECKING:
    from engram_context.languages.resolving import Names

_METHOD, _MODULE = KIND["method"], KIND["module"]
_KNOWN = words("equals hashCode toString clone finalize compareTo main run call close iterator valueOf values")


class Java(Language):
    name = "java"
    module = "tree_sitter_java"
    queries = ("java",)
    keywords = words(
        """abstract assert boolean break byte case catch char class const continue default do double else enum extends
        final finally float for goto if implements import instanceof int interface long native new package private
        protected public return short static strictfp super switch synchronized this throw throws transient try void
        volatile while true false null _"""
    )
    offered = words("var record sealed permits yield String Object Integer Override List Map System")
    names = frozenset({"identifier", "type_identifier"})
    types: ClassVar = {"generic_type": "^", "annotated_type": "", "catch_type": "^"}
    values: ClassVar = {"parenthesized_expression": "", "cast_expression": "type"}
    members_in_scope = True
    types_apart = True
    types_as_values = True
    methods_apart = True
    types_are_members = True
    seen_from = "name"

    # --- reading --------------------------------------------------------------------------------------

    def on_statement(self, reading: Reading, kind: str, node: Node) -> None:
        parts = list(_parts(node if kind == "package" else node.named_children[0] if node.named_children else None))
        for part in parts:
            reading.ignore(part)
        if kind == "package":
            reading.define(node, "module", node, flags=EXPORT_ONLY)
            return
        tokens = {child.type for child in node.children}
        is_static, is_star = "static" in tokens, "asterisk" in tokens
        if not parts:
            return
        named = parts if is_star else parts[:-1]
        if is_static and named:
            # The class whose members are imported is a mention of it.
            reading.take(named[-1])
            reading.imports.append(_row(reading, node, named[:-1], named[-1]))
        if is_star:
            row = Imported(node.byte_range, _dotted(reading, parts), b"*", None, None, level=int(is_static))
        else:
            reading.take(parts[-1])
            row = _row(reading, node, parts[:-1], parts[-1])
            row.bound, row.level = reading.define(parts[-1], "import", node), int(is_static)
        reading.imports.append(row)

    # --- resolving ------------------------------------------------------------------------------------

    def beyond(self, names: Names, path: str, name: str, role: str, scope: int) -> tuple[Target, ...]:
        if name == "super":
            around = [holder for holder in names.around(path, scope) if isinstance(holder, Slot)]
            return tuple(base for slot in around for at in names.scopes_of(slot) for base in names.bases(*at))
        record = names.record(path)
        package = _package(record)
        found = () if role == "call" else tuple(_in_package(names, package, name))
        if found:
            return found
        star = record.name_index("*")
        for row in () if star is None else rows_with(record.imports.name, star):
            imported = record.imports[row]
            if imported.level:
                classes = _class(names, imported.module)
                found = _static(names, classes, name, path)
            elif role != "call":
                found = tuple(_in_package(names, imported.module, name))
            if found:
                return found
        return ()

    def imported(self, names: Names, path: str, imported: Import) -> tuple[Target, ...]:
        if imported.name is None or imported.name == "*":
            return ()
        if imported.level and imported.bound is not None:
            classes = _class(names, imported.module)
            found = _static(names, classes, imported.name, path)
        else:
            found = _class(names, f"{imported.module}.{imported.name}")
        return found or (outside(imported.module, imported.name),)

    # --- renaming -------------------------------------------------------------------------------------

    def may_override(self, names: Names, slot: Slot) -> bool:
        symbols = names.record(slot.path).symbols
        rows = names.bound(slot.path, slot.name).get(slot.scope, ())
        return any("@Override" in symbols[row].detail for row in rows)

    def doubtful_member(self, names: Names, slot: Slot) -> str | None:
        symbols = names.record(slot.path).symbols
        rows = names.bound(slot.path, slot.name).get(slot.scope, ())
        is_method = any(symbols.kind[row] == _METHOD for row in rows)
        return "the standard library calls methods of this name" if is_method and slot.name in _KNOWN else None

    def moves(self, names: Names, slots: Iterable[Slot], new_name: str) -> Iterator[tuple[str, str]]:
        """A class at the top of a file that is called after it."""
        for slot in slots:
            folder, file = posixpath.split(slot.path)
            if slot.scope == 0 and file == f"{slot.name}.java":
                yield slot.path, posixpath.join(folder, f"{new_name}.java")

    # --- completing -----------------------------------------------------------------------------------

    def around(self, names: Names, path: str) -> Iterator[tuple[str, Target]]:
        package = _package(names.record(path))
        for file in names.files_in(posixpath.dirname(path)):
            record = names.record(file)
            if file != path and record.language == self.name and _package(record) == package:
                for row in record.symbols_in(0):
                    name = record.names[record.symbols.name[row]]
                    if record.symbols.kind[row] not in (_MODULE, KIND["import"]):
                        yield name, Slot(file, 0, name)

    def import_statement(self, names: Names, path: str, slot: Slot) -> str | None:
        package = _package(names.record(slot.path))
        return f"import {package}.{slot.name};" if package and package != _package(names.record(path)) else None


LANGUAGES: dict[str, Language] = {"java": Java()}


def _parts(node: Node | None) -> Iterator[Node]:
    """The identifiers of a dotted name."""
    if node is None:
        return
    if node.type == "identifier":
        yield node
    for child in node.named_children if node.type == "scoped_identifier" else ():
        yield from _parts(child)


def _dotted(reading: Reading, parts: list[Node]) -> str:
    return b".".join(map(reading.word, parts)).decode("utf-8", "replace")


def _row(reading: Reading, node: Node, path: list[Node], name: Node) -> Imported:
    reading.mention(*name.byte_range, "import")
    module = _dotted(reading, path)
    return Imported(node.byte_range, module, reading.word(name), None, None, name_occurrence=name.start_byte)


def _package(record: FileRecord) -> str:
    row = next(iter(rows_with(record.symbols.kind, _MODULE)), None)
    return "" if row is None else record.names[record.symbols.name[row]]


def _in_package(names: Names, package: str, name: str) -> Iterator[Slot]:
    for path in names.defining(name):
        record = names.record(path)
        if record.language == "java" and names.bound(path, name).get(0) and _package(record) == package:
            yield Slot(path, 0, name)


def _static(names: Names, classes: Iterable[Target], name: str, path: str) -> tuple[Target, ...]:
    return tuple(found for one in classes if isinstance(one, Slot) for found in names.member(one, name, path))


def _class(names: Names, dotted: str) -> tuple[Target, ...]:
    """The class of a full name, which may stand in another class."""
    key = ("class", dotted)
    if key not in names.kept:
        names.kept[key] = ()
        parts = dotted.split(".")
        for at in range(len(parts) - 1, -1, -1):
            found: list[Target] = list(_in_package(names, ".".join(parts[:at]), parts[at]))
            for name in parts[at + 1 :]:
                found = [end for slot in found if isinstance(slot, Slot) for end in names.member(slot, name, "")]
            if found:
                names.kept[key] = tuple(found)
                break
    return names.kept[key]
