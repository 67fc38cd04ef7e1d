"""JavaScript and TypeScript: modules are files, and what they export has names."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from tree_sitter import Node

from engram_context.imports import Module
from engram_context.languages.language import Language, outside, words
from engram_context.languages.manifests import folders_of
from engram_context.languages.reading import Defined, Imported, Reading
from engram_context.records import EXPORT_ONLY, EXPORTED, FileRecord, Import, Kind, rows_with
from engram_context.targets import Slot, Target
from engram_context.text import Text

if TYPE_CHECKING:
    from engram_context.languages.resolving import Names

_SUFFIXES = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".d.mts", ".d.cts", ".json")
# What stands in an import is the name of the compiled file; the source has another suffix.
_SOURCES = {
    ".js": (".ts", ".tsx", ".d.ts"),
    ".jsx": (".tsx", ".d.ts"),
    ".mjs": (".mts", ".d.mts"),
    ".cjs": (".cts", ".d.cts"),
}
_CONFIGS = ("tsconfig.json", "jsconfig.json")
_WHOLE = (b"=", b"exports")  # `export = x`, `module.exports = x`
_EXPORT = EXPORT_ONLY | EXPORTED
_RESERVED = words(
    """break case catch class const continue debugger default delete do else enum export extends false finally for
    function if import in instanceof new null return super switch this throw true try typeof var void while with
    yield let static await implements interface package private protected public"""
)
_SOFT = words("async of get set from as type declare namespace readonly abstract keyof infer is satisfies")


class JavaScript(Language):
    name = "javascript"
    module = "tree_sitter_javascript"
    queries = ("ecmascript", "jsx", "javascript")
    keywords = _RESERVED
    offered: ClassVar[frozenset[str]] = frozenset({"async", "of"})
    patterns: ClassVar = {
        "required_parameter": ("pattern",),
        "optional_parameter": ("pattern",),
        "pair_pattern": ("value",),
        "assignment_pattern": ("left",),
        "object_assignment_pattern": ("left",),
    }
    types: ClassVar = {
        "type_annotation": "",
        "generic_type": "name",
        "parenthesized_type": "",
        "readonly_type": "",
    }
    values: ClassVar = {
        "parenthesized_expression": "",
        "non_null_expression": "",
        "satisfies_expression": "",
        "as_expression": "",
        "await_expression": "",
    }
    names = frozenset(
        {
            "identifier",
            "type_identifier",
            "property_identifier",
            "private_property_identifier",
            "shorthand_property_identifier_pattern",
        }
    )
    wrappers = frozenset({"export_statement", "ambient_declaration", "lexical_declaration", "variable_declaration"})
    types_apart = True
    has_twins = True
    modules_are_objects = True
    kin = frozenset({"tree_sitter_javascript", "tree_sitter_typescript"})

    # --- reading --------------------------------------------------------------------------------------

    def on_statement(self, reading: Reading, kind: str, node: Node) -> None:
        if kind == "import":
            _read_import(reading, node)
        elif kind == "export":
            _read_export(reading, node)
        elif kind == "require":
            _read_require(reading, node)
        elif kind == "dynamic" and (source := _required(reading, node))[0]:
            _add(reading, node, source, None, None)
        else:
            _read_assignment(reading, node)

    # --- resolving ------------------------------------------------------------------------------------

    def imported(self, names: Names, path: str, imported: Import) -> tuple[Target, ...]:
        if not imported.module:
            return names.in_file(path, imported.scope, imported.name or "")
        file = module_file(names, path, imported.module)
        if file is None:
            return (outside(imported.module, imported.name),)
        if imported.name is None:
            whole = [Slot(file, 0, name.decode()) for name in _WHOLE if _is_exported(names, file, name.decode())]
            return tuple(whole) or (Module(file),)
        return self.in_module(names, file, imported.name, path)

    def in_module(self, names: Names, path: str, name: str, importer: str) -> tuple[Target, ...]:
        return self._exported(names, path, name, set())

    def _exported(self, names: Names, path: str, name: str, visiting: set[str]) -> tuple[Target, ...]:
        if path in visiting:
            return ()
        visiting.add(path)
        if _is_exported(names, path, name):
            return (Slot(path, 0, name),)
        if name == "default":
            return tuple(Slot(path, 0, whole.decode()) for whole in _WHOLE if _is_exported(names, path, whole.decode()))
        for imported in _stars(names.snapshot.records.get(path)):
            file = module_file(names, path, imported.module)
            if file is None:
                continue
            found = self._exported(names, file, name, visiting)
            if found:
                return found
        return ()

    def module_names(self, names: Names, path: str) -> Iterable[str]:
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = [path]
        while waiting:
            at = waiting.pop()
            record = names.snapshot.records.get(at)
            if record is None or at in seen:
                continue
            seen.add(at)
            for row in record.symbols_in(0):
                if record.symbols.flags[row] & EXPORTED:
                    found[record.names[record.symbols.name[row]]] = None
            waiting += [file for star in _stars(record) if (file := module_file(names, at, star.module)) is not None]
        return [name for name in found if name.isidentifier()]

    # --- renaming -------------------------------------------------------------------------------------

    def unfit(self, names: Names, slots: Iterable[Slot], old_name: str, new_name: str) -> str | None:
        if old_name.startswith("#") != new_name.startswith("#"):
            return "a name with # is private to its class; renaming to or from one is not safe"
        return super().unfit(names, slots, old_name, new_name)

    def is_identifier(self, name: str) -> bool:
        return re.fullmatch(r"#?[^\W\d]\w*", name.replace("$", "_")) is not None

    def spelled(self, node: Node, new_name: str, is_member: bool) -> str:
        if not self.twin(node) or node.text is None or _is_export_list(node):
            return new_name
        old_name = node.text.decode()
        key, value = (new_name, old_name) if is_member else (old_name, new_name)
        return f"{key}: {value}"

    def with_alias(self, old_name: str, new_name: str) -> str | None:
        return f"{old_name} as {new_name}"

    def twin(self, node: Node) -> bool:
        return node.type in ("shorthand_property_identifier", "shorthand_property_identifier_pattern")

    # --- completing -----------------------------------------------------------------------------------

    def is_visible(self, record: FileRecord, row: int) -> bool:
        return bool(record.symbols.flags[row] & EXPORTED) and record.names[record.symbols.name[row]].isidentifier()

    def import_statement(self, names: Names, path: str, slot: Slot) -> str | None:
        rows = names.bound(slot.path, slot.name).get(0, ())
        if slot.name == "default" or not any(self.is_visible(names.record(slot.path), row) for row in rows):
            return None
        if path.endswith((".cjs", ".cts")) or slot.path.endswith((".cjs", ".cts", ".d.ts")):
            return None
        quote, semicolon = '"', ";"
        record, text = names.record(path), names.text(path)
        for row in range(len(record.imports) if text is not None else 0):
            statement = text.slice(record.imports[row].span) if text is not None else ""
            if statement.startswith("import"):
                quote = "'" if "'" in statement else '"'
                semicolon = ";" if statement.endswith(";") else ""
        target = slot.path
        for suffix in (".tsx", ".ts", ".jsx", ".js"):
            if target.endswith(suffix):
                target = target.removesuffix(suffix).removesuffix("/index")
                break
        relative = posixpath.relpath(target, posixpath.dirname(path) or ".")
        relative = relative if relative.startswith(".") else f"./{relative}"
        return f"import {{ {slot.name} }} from {quote}{relative}{quote}{semicolon}"


class TypeScript(JavaScript):
    name = "typescript"
    module = "tree_sitter_typescript"
    function = "language_typescript"
    queries = ("ecmascript", "typescript")
    offered = _SOFT


class Tsx(TypeScript):
    name = "tsx"
    function = "language_tsx"
    queries = ("ecmascript", "jsx", "typescript")


LANGUAGES: dict[str, Language] = {language.name: language for language in (JavaScript(), TypeScript(), Tsx())}


# --- reading: statements between files ------------------------------------------------------------------


def _source(reading: Reading, node: Node | None) -> tuple[str, int]:
    """(the module that a string names, where it is written)."""
    inside = node.named_children[0] if node is not None and node.named_child_count == 1 else None
    if inside is None or inside.type != "string_fragment":
        return "", -1
    reading.mention(*inside.byte_range, "import")
    return reading.word(inside).decode("utf-8", "replace"), inside.start_byte


def _add(
    reading: Reading,
    node: Node,
    source: tuple[str, int],
    name: Node | bytes | None,
    bound: Node | None,
    flags: int = 0,
    where: str = "here",
) -> None:
    """One imported name. `name`: the node that it is in; as bytes, one that is not written."""
    defined: Defined | None = None
    if bound is not None:
        defined = reading.define(bound, "import", node, where, flags)
    same = isinstance(name, Node) and bound is not None and bound.start_byte == name.start_byte
    alias = None if bound is None or same else reading.word(bound)
    written = name.start_byte if isinstance(name, Node) else -1
    if isinstance(name, Node) and not same and source[0]:
        reading.mention(*name.byte_range, "import")
    word = reading.word(name) if isinstance(name, Node) else name
    occurrence = written if source[0] or same else -1
    reading.imports.append(Imported(node.byte_range, source[0], word, alias, defined, source[1], occurrence))


def _read_import(reading: Reading, node: Node) -> None:
    source = _source(reading, node.child_by_field_name("source"))
    found = False
    for clause in node.named_children:
        if clause.type == "import_require_clause":
            source = _source(reading, clause.child_by_field_name("source"))
            _add(reading, node, source, None, clause.named_children[0])
            found = True
        if clause.type != "import_clause" or not source[0]:
            continue
        for part in clause.named_children:
            found = True
            if part.type == "identifier":
                _add(reading, node, source, b"default", part)
            elif part.type == "namespace_import":
                _add(reading, node, source, None, part.named_children[-1])
            for specifier in part.named_children if part.type == "named_imports" else ():
                name, alias = specifier.child_by_field_name("name"), specifier.child_by_field_name("alias")
                if name is not None and name.type != "string":
                    _add(reading, node, source, name, alias or name)
    if not found and source[0]:
        _add(reading, node, source, None, None)


def _read_export(reading: Reading, node: Node) -> None:
    at_top = node.parent is None or node.parent.type == "program"
    source = _source(reading, node.child_by_field_name("source"))
    declaration = node.child_by_field_name("declaration")
    value = node.child_by_field_name("value")
    tokens = {child.type: child for child in node.children if not child.is_named}
    if declaration is not None:
        declared = list(_declared(reading, declaration))
        if at_top:
            reading.exported.update(reading.word(name) for name in declared)
    else:
        declared = []
        value = value or next((child for child in node.named_children if child.type == "identifier"), None)
    if not at_top:
        return  # in a namespace all names are at hand
    whole = tokens.get("default") or tokens.get("=")
    if whole is not None:
        is_name = value is not None and value.type == "identifier"
        if declared or is_name:
            _add(reading, node, ("", -1), reading.word(declared[0] if declared else value), whole, _EXPORT)  # type: ignore[arg-type]
        else:
            kind: Kind = "class" if (value or declaration or node).type.startswith("class") else "variable"
            reading.define(whole, kind, node, flags=_EXPORT)
    elif "*" in tokens and source[0]:
        _add(reading, node, source, b"*", None)
    for clause in node.named_children:
        if clause.type == "namespace_export" and source[0]:
            _add(reading, node, source, None, clause.named_children[-1], _EXPORT)
        for specifier in clause.named_children if clause.type == "export_clause" else ():
            name, alias = specifier.child_by_field_name("name"), specifier.child_by_field_name("alias")
            if name is None or name.type == "string" or (alias is not None and alias.type == "string"):
                continue
            if source[0]:
                _add(reading, node, source, name, alias or name, _EXPORT)
            elif alias is None:
                reading.exported.add(reading.word(name))
            else:
                _add(reading, node, source, name, alias, _EXPORT)


def _declared(reading: Reading, node: Node) -> Iterator[Node]:
    """The names that a declaration brings."""
    if node.type == "ambient_declaration":
        for child in node.named_children:
            yield from _declared(reading, child)
        return
    name = node.child_by_field_name("name")
    if name is not None and name.type in JavaScript.names:
        yield name
    for child in node.named_children if node.type in ("lexical_declaration", "variable_declaration") else ():
        pattern = child.child_by_field_name("name")
        if pattern is not None:
            yield from reading.leaves(pattern)


def _read_require(reading: Reading, node: Node) -> None:
    name, call = node.child_by_field_name("name"), node.child_by_field_name("value")
    source = _required(reading, call)
    if name is None or not source[0]:
        return
    if name.type == "identifier":
        _add(reading, node, source, None, name)
    for part in name.named_children if name.type == "object_pattern" else ():
        if part.type == "shorthand_property_identifier_pattern":
            _add(reading, node, source, part, part)
        elif part.type == "pair_pattern":
            key, value = part.child_by_field_name("key"), part.child_by_field_name("value")
            if key is not None and value is not None and value.type == "identifier":
                _add(reading, node, source, key, value)


def _required(reading: Reading, call: Node | None) -> tuple[str, int]:
    """The module of `require("...")`, and of `await import("...")`."""
    if call is not None and call.type == "await_expression":
        call = call.named_children[0] if call.named_children else None
    function = None if call is None else call.child_by_field_name("function")
    arguments = None if call is None else call.child_by_field_name("arguments")
    if function is None or arguments is None or reading.word(function) not in (b"require", b"import"):
        return "", -1
    return _source(reading, arguments.named_children[0]) if arguments.named_child_count == 1 else ("", -1)


def _read_assignment(reading: Reading, node: Node) -> None:
    """`exports.name = ...`, `module.exports.name = ...`, `module.exports = ...`"""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    holder = None if left is None else left.child_by_field_name("object")
    name = None if left is None else left.child_by_field_name("property")
    if holder is None or name is None or right is None:
        return
    of_module = reading.word(holder) == b"module"
    if (of_module and reading.word(name) != b"exports") or reading.word(holder) not in (
        b"module", b"exports", b"module.exports"
    ):  # fmt: skip
        return
    if of_module and right.type == "object":
        for part in right.named_children:
            key, value = part.child_by_field_name("key"), part.child_by_field_name("value")
            if part.type == "shorthand_property_identifier":
                reading.exported.add(reading.word(part))
            elif key is not None and value is not None and key.type == "property_identifier":
                _assigned(reading, part, key, value)
            elif part.type == "method_definition" and (method := part.child_by_field_name("name")) is not None:
                reading.define(method, "function", part, "file", _EXPORT)
        return
    if of_module and (source := _required(reading, right))[0]:
        _add(reading, node, source, b"*", None)
        return
    _assigned(reading, node, name, right)


def _assigned(reading: Reading, node: Node, name: Node, value: Node) -> None:
    if value.type == "identifier":
        _add(reading, node, ("", -1), reading.word(value), name, _EXPORT, "file")
    elif (source := _required(reading, value))[0]:
        _add(reading, node, source, None, name, _EXPORT, "file")
    else:
        is_function = value.type in ("arrow_function", "function_expression", "generator_function")
        reading.define(name, "function" if is_function else "variable", node, "file", _EXPORT)


def _is_export_list(node: Node) -> bool:
    """Whether a word stands in the braces of `module.exports = {name}`, and is exported under its own name."""
    assignment = None if node.parent is None else node.parent.parent
    left = None if assignment is None else assignment.child_by_field_name("left")
    return left is not None and left.text == b"module.exports"


# --- modules ------------------------------------------------------------------------------------------


def _stars(record: FileRecord | None) -> list[Import]:
    star = None if record is None else record.name_index("*")
    if record is None or star is None:
        return []
    return [record.imports[row] for row in rows_with(record.imports.name, star)]


def _is_exported(names: Names, path: str, name: str) -> bool:
    return any(names.snapshot.records[path].symbols.flags[row] & EXPORTED for row in names.bound(path, name).get(0, ()))


def module_file(names: Names, importer: str, specifier: str) -> str | None:
    """The project's file that an import means, None for one from outside."""
    folder = posixpath.dirname(importer)
    key = ("module", folder, specifier)
    if key not in names.kept:
        names.kept[key] = _find(names, folder, specifier)
    return names.kept[key]


def _find(names: Names, folder: str, specifier: str) -> str | None:
    if specifier.startswith("."):
        return _file(names, posixpath.normpath(posixpath.join(folder, specifier)))
    if specifier.startswith(("/", "node:")):
        return None
    for mapped in _by_paths(names, folder, specifier):
        found = _file(names, mapped)
        if found is not None:
            return found
    return _in_workspace(names, specifier)


def _file(names: Names, base: str) -> str | None:
    if base.startswith(".."):
        return None
    base = "" if base == "." else base
    records = names.snapshot.records
    stem, suffix = posixpath.splitext(base)
    for source in _SOURCES.get(suffix, ()):
        if stem + source in records:
            return stem + source
    if base in records and suffix in _SUFFIXES:
        return base
    inside = f"{base}/index" if base else "index"
    for candidate in (*(base + suffix for suffix in _SUFFIXES), *(inside + suffix for suffix in _SUFFIXES)):
        if candidate in records:
            return candidate
    return None


def _by_paths(names: Names, folder: str, specifier: str) -> Iterator[str]:
    """Where `paths` and `baseUrl` of the nearest tsconfig.json lead."""
    at = folder
    while True:
        for file in _CONFIGS:
            text = names.text(posixpath.join(at, file))
            if text is None:
                continue
            base, paths = _config(text)
            if base is None and not paths:
                continue
            root = posixpath.normpath(posixpath.join(at, base or "."))
            for pattern, targets in paths:
                before, star, after = pattern.partition("*")
                if specifier == pattern or (star and specifier.startswith(before) and specifier.endswith(after)):
                    middle = specifier[len(before) : len(specifier) - len(after)] if star else ""
                    for target in targets:
                        yield posixpath.normpath(posixpath.join(root, target.replace("*", middle, 1)))
            if base is not None:
                yield posixpath.normpath(posixpath.join(root, specifier))
            return
        if not at:
            return
        at = posixpath.dirname(at)


@lru_cache(maxsize=64)
def _config(text: Text) -> tuple[str | None, tuple[tuple[str, tuple[str, ...]], ...]]:
    """(baseUrl, paths) of a tsconfig.json."""
    options = _json(text).get("compilerOptions")
    if not isinstance(options, dict):
        return None, ()
    base, paths = options.get("baseUrl"), options.get("paths")
    found = paths.items() if isinstance(paths, dict) else ()
    listed = ((str(key), tuple(map(str, value))) for key, value in found if isinstance(value, list))
    return (base if isinstance(base, str) else None), tuple(sorted(listed, key=lambda pair: -len(pair[0])))


_JSON_EXTRAS = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[\]}])', re.DOTALL)


def _json(text: Text) -> dict[str, object]:
    """A JSON object with comments and commas too many; empty for anything else."""
    try:
        found = json.loads(_JSON_EXTRAS.sub(lambda match: match[1] or "", text.decode()))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_workspace(names: Names, specifier: str) -> str | None:
    """A file of another package of the repository, by the package's name."""
    parts = specifier.split("/")
    depth = 2 if specifier.startswith("@") else 1
    package, rest = "/".join(parts[:depth]), "/".join(parts[depth:])
    for folder in folders_of(names, package, "npm-package"):
        text = names.text(posixpath.join(folder, "package.json"))
        manifest = {} if text is None else _json(text)
        if manifest.get("name") != package:
            continue
        for entry in (*_entries(manifest, rest), *((f"src/{rest}", rest) if rest else ("src/index", "index"))):
            for guess in (entry, *_as_source(entry)):
                found = _file(names, posixpath.normpath(posixpath.join(folder, guess)))
                if found is not None:
                    return found
    return None


def _entries(manifest: dict[str, object], rest: str) -> Iterator[str]:
    """The files that a package.json names for a path inside the package, the likeliest to be source first."""
    exports = manifest.get("exports")
    if isinstance(exports, dict):
        wanted = f"./{rest}" if rest else "."
        for key, value in exports.items():
            before, star, after = str(key).partition("*")
            if key == wanted:
                yield from _strings(value, "")
            elif star and wanted.startswith(before) and wanted.endswith(after):
                yield from _strings(value, wanted[len(before) : len(wanted) - len(after)])
    elif not rest:
        yield from _strings(exports, "")
    for key in ("source", "types", "module", "main") if not rest else ():
        yield from _strings(manifest.get(key), "")


def _strings(value: object, star: str) -> Iterator[str]:
    if isinstance(value, str):
        yield value.replace("*", star)
    elif isinstance(value, dict):
        for inside in value.values():
            yield from _strings(inside, star)


def _as_source(entry: str) -> Iterator[str]:
    """Where the source of a built file may be."""
    for built in ("dist", "build", "lib", "out"):
        head, found, tail = entry.removeprefix("./").partition(f"{built}/")
        if found and not head:
            yield f"src/{tail.replace('.d.ts', '.ts')}"
