"""Names that are the wrong ones: attributes, variables, what is imported, and names that changed elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tree_sitter import Node

from engram_context.completion.import_edit import import_edit
from engram_context.edits import Edit
from engram_context.imports import Module
from engram_context.records import ROLE, FileRecord
from engram_context.targets import Slot
from engram_context.text import Place, Span
from engram_context.trace.locating import is_test
from engram_context.trace.repairs.likeness import is_defined, likeness, nearest, used
from engram_context.trace.repairs.site import Repair, Site

_ATTRIBUTE, _WRITTEN = ROLE["attribute"], ROLE["attribute-write"]
_READ = ROLE["read"]
_MOST = 8
_MANY = 60
"""No more places than this are changed at once."""
_USUAL = (
    "typing", "collections", "collections.abc", "dataclasses", "functools", "itertools", "contextlib", "pathlib",
    "datetime", "enum", "abc", "copy", "operator", "types", "decimal", "io", "threading", "string", "inspect",
    "warnings",
)  # fmt: skip
"""Modules of the standard library from which names are imported most."""


def name_repairs(site: Site) -> Iterator[Repair]:
    """Rules `attribute`, `attribute-written`, `name`, `import`, `renamed` and `renamed-back`."""
    trouble = site.trouble
    if trouble.kind == "attribute" and trouble.name:
        yield from _missing_attribute(site)
    if trouble.kind in ("name", "unbound") and trouble.name:
        yield from _undefined_name(site)
    if trouble.kind == "import" and trouble.name:
        yield from _not_importable(site)
    if trouble.kind == "keyword" and trouble.name:
        yield from _parameter_back(site)
    yield from _doubtful_attributes(site)


def _parameter_back(site: Site) -> Iterator[Repair]:
    """A parameter of what is called, under the name that calls give it."""
    missing, owner = site.trouble.name, site.trouble.owner
    for path in site.snapshot.definers[owner][:_MOST]:
        record = site.snapshot.record(path)
        if record is None or record.language != "python":
            continue
        for symbol in record.symbols:
            if symbol.name != owner or symbol.inner is None:
                continue
            for row in record.symbols_in(symbol.inner):
                parameter = record.symbols[row]
                like = likeness(parameter.name, missing)
                if parameter.kind == "parameter" and parameter.name not in (missing, "self", "cls") and like >= 0.4:
                    evidence = {"likeness": like, "parameter": 1.0}
                    yield from _rename(site, path, parameter.span, parameter.name, missing, evidence)


def attributes_in(record: FileRecord) -> Counter[str]:
    """How often a file mentions names as attributes."""
    return Counter(
        record.names[name]
        for name, role in zip(record.occurrences.name, record.occurrences.role, strict=True)
        if role in (_ATTRIBUTE, _WRITTEN)
    )


def _members(site: Site, index: int) -> frozenset[str]:
    """The names of members of what stands before the dot; empty if nothing is known of it."""
    types = site.resolver.types
    found: set[str] = set()
    for one in types.of_ref(site.path, site.record.occurrences.link[index]):
        found.update(types.names(one))
    return frozenset(found)


def _attribute_node(site: Site, node: Node) -> tuple[Node, int] | None:
    """The name of an attribute, and its occurrence."""
    name = node.child_by_field_name("attribute")
    index = None if name is None else site.record.occurrence_at(name.start_byte)
    if name is None or index is None or site.record.occurrences.start[index] != name.start_byte:
        return None
    return name, index


def _missing_attribute(site: Site) -> Iterator[Repair]:
    missing, hint = site.trouble.name, site.trouble.hint
    for node in site.of_type("attribute"):
        found = _attribute_node(site, node)
        if found is None:
            continue
        name, index = found
        written = site.source(name)
        if written == missing:
            for new, evidence in _instead(site, missing, _members(site, index), hint):
                yield site.repair("attribute", f"`{new}` is there, `{missing}` is not", (name, new), evidence=evidence)
                if not is_defined(site.snapshot, missing):
                    yield from _everywhere(site, missing, new, evidence)
        elif site.record.occurrences.role[index] == _WRITTEN and site.source(node).startswith(("self.", "cls.")):
            like = likeness(written, missing)
            if like >= 0.45:
                evidence = {"likeness": like, "usage": used(site.snapshot, missing) - used(site.snapshot, written)}
                yield site.repair(
                    "attribute-written", f"`{missing}` is what is read", (name, missing), evidence=evidence
                )
    if site.trouble.owner and not is_defined(site.snapshot, missing):
        yield from _renamed_back(site, missing)


def _instead(site: Site, missing: str, members: frozenset[str], hint: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Names that could be meant, each with what speaks for it."""
    here = attributes_in(site.record)
    known = members or frozenset(here) | _defined_near(site, missing)
    usage = used(site.snapshot, missing)
    names = nearest(missing, known, _MOST, 0.4)
    if hint and hint.isidentifier() and hint not in dict(names):
        names.insert(0, (hint, likeness(missing, hint)))
    for new, like in names:
        yield (
            new,
            {
                "likeness": like,
                "usage": used(site.snapshot, new) - usage,
                "member": float(new in members),
                "here": float(here[new] > 0),
                "hint": float(new == hint),
            },
        )


def _defined_near(site: Site, missing: str) -> frozenset[str]:
    """Names that some file defines and that are like `missing`."""
    index = site.snapshot.definers
    names = index.names() if index.is_read else set(index.having(missing[: len(missing) // 2 + 1]))
    return frozenset(name for name, _ in nearest(missing, names, _MOST, 0.55))


def _everywhere(site: Site, missing: str, new: str, evidence: dict[str, float]) -> Iterator[Repair]:
    """The same in all files that mention the missing name, but those of tests."""
    edits: list[tuple[str, Edit]] = []
    for path in site.snapshot.files_naming(missing):
        record, text = site.snapshot.record(path), site.snapshot.text(path)
        if record is None or text is None or record.language != "python" or text.digest != record.digest:
            return
        rows = () if is_test(path) else record.occurrences_of(missing, frozenset((_ATTRIBUTE, _WRITTEN)))
        edits += [(path, Edit(record.occurrences.span(index), new)) for index in rows]
    if 1 < len(edits) <= _MANY:
        line = site.suspect.lines[0] if site.suspect.lines else 1
        why = f"`{new}` is there, `{missing}` is not: in {len(edits)} places"
        yield Repair(site.path, tuple(edits), "renamed", line, why, evidence)


def _renamed_back(site: Site, missing: str) -> Iterator[Repair]:
    """What the suspect's file defines and nobody else mentions may once have had the missing name."""
    for symbol in site.record.symbols:
        if symbol.kind not in ("function", "method", "class", "attribute", "variable", "constant", "parameter"):
            continue
        like = likeness(symbol.name, missing)
        if like < 0.5 or len(site.snapshot.files_naming(symbol.name)) > 1:
            continue
        if site.snapshot.files_naming(missing) == (site.path,) and len(site.record.occurrences_of(symbol.name)) > 2:
            continue  # who renames something here renames all of it that is here
        yield from _rename(site, site.path, symbol.span, symbol.name, missing, {"likeness": like})


def _rename(site: Site, path: str, span: Span, old: str, new: str, evidence: dict[str, float]) -> Iterator[Repair]:
    """All that means a symbol under another name. No proven rename: names that mean nothing now are to mean it then."""
    places = site.snapshot.references(Place(path, span.start))
    text = site.snapshot.text(path)
    if not 0 < len(places) <= _MANY or text is None:
        return
    edits = tuple((one.path, Edit(one.span, new)) for one in places)
    line = text.line_of(span.start) + 1
    yield Repair(path, edits, "renamed-back", line, f"`{old}` is called `{new}` elsewhere", evidence)


def _doubtful_attributes(site: Site) -> Iterator[Repair]:
    """Attributes that are there, or of something unknown, and hardly used elsewhere: names like them."""
    if site.suspect.symbol < 0:
        return
    here = attributes_in(site.record)
    for node in site.of_type("attribute"):
        found = _attribute_node(site, node)
        if found is None:
            continue
        name, index = found
        written = site.source(name)
        if written == site.trouble.name or written.startswith("__"):
            continue
        members = _members(site, index)
        known = members or frozenset(here)
        usage = used(site.snapshot, written)
        for new, like in nearest(written, known, 4, 0.55):
            evidence = {
                "likeness": like,
                "usage": used(site.snapshot, new) - usage,
                "member": float(new in members),
                "unknown": float(bool(members) and written not in members),
                "undefined": float(not is_defined(site.snapshot, written)),
            }
            yield site.repair("attribute-doubtful", f"`{new}` instead of `{written}`", (name, new), evidence=evidence)


# --- names ----------------------------------------------------------------------------------------------


def _undefined_name(site: Site) -> Iterator[Repair]:
    name = site.trouble.name
    reads = [
        node for node in site.of_type("identifier")
        if site.source(node) == name and _is_read(site, node)
    ]  # fmt: skip
    if site.trouble.kind == "name":
        for module, what, alias, evidence in imports_of(site, name):
            edit = import_edit(site.text, module, _imported_as(what, alias), site.tree)
            if alias and what is None:
                edit = (
                    None
                    if edit is None
                    else Edit(edit.span, edit.new_text.replace(f"import {module}", f"import {module} as {alias}"))
                )
            if edit is not None:
                line = site.suspect.lines[0] if site.suspect.lines else 1
                shown = f"import {module}" if what is None else f"from {module} import {what}"
                shown = f"{shown} as {alias}" if alias else shown
                yield Repair(site.path, ((site.path, edit),), "import", line, f"`{shown}` is missing", evidence)
    if not reads:
        return
    scope = site.record.scope_at(reads[0].start_byte)
    known = _in_scope(site, scope)
    for new, like in nearest(name, known, _MOST, 0.4):
        evidence = {"likeness": like, "hint": float(new == site.trouble.hint)}
        yield site.repair("name", f"`{new}` instead of `{name}`", *((node, new) for node in reads), evidence=evidence)
    for node in reads[:1]:
        members = {symbol.name for symbol in site.record.symbols if symbol.kind in ("method", "attribute")}
        if name in members and site.suspect.function.count("."):
            yield site.repair("name", f"`self.{name}`", (node, f"self.{name}"), evidence={"likeness": 1.0})


def _is_read(site: Site, node: Node) -> bool:
    index = site.record.occurrence_at(node.start_byte)
    occurrences = site.record.occurrences
    return index is not None and occurrences.start[index] == node.start_byte and occurrences.role[index] == _READ


def _in_scope(site: Site, scope: int) -> set[str]:
    found: set[str] = set()
    at: int | None = scope
    while at is not None:
        kind = site.record.scopes[at].kind
        if kind != "class" or at == scope:
            found.update(site.record.symbols[row].name for row in site.record.symbols_in(at))
        at = site.record.scopes[at].parent
    return found


def _imported_as(what: str | None, alias: str) -> str | None:
    return what if what is None or not alias else f"{what} as {alias}"


def imports_of(site: Site, name: str) -> list[tuple[str, str | None, str, dict[str, float]]]:
    """(module, name in it, alias, evidence): how a name could be imported here, the likeliest first. What other files
    import under that name comes first, then what the project defines, then modules of that name."""
    counts: Counter[tuple[str, str | None, str]] = Counter()
    own = site.resolver.dotted(site.path)
    for path in site.snapshot.files_naming(name):
        record = site.snapshot.record(path)
        if record is None or path == site.path or record.language != "python":
            continue
        for row in record.imports:
            if row.bound_name != name or row.name == "*":
                continue
            module = row.module
            if row.level:
                package = path.rpartition("/")[0]
                for _ in range(row.level - 1):
                    package = package.rpartition("/")[0]
                base = site.snapshot.modules.dotted(f"{package}/__init__.py") if package else ""
                module = f"{base}.{row.module}".strip(".") if row.module else base
            if module != own:
                counts[module, row.name, row.alias or ""] += 1
    found = [(*how, {"copied": float(count), "near": 0.0}) for how, count in counts.most_common(4)]
    known = {(module, what) for module, what, _, _ in found}
    for path in site.snapshot.definers[name][:12]:
        record = site.snapshot.record(path)
        module = site.resolver.dotted(path)
        if record is None or path == site.path or (module, name) in known or not record.bindings(0, name):
            continue
        near = float(path.split("/")[0] == site.path.split("/")[0])
        found.append((module, name, "", {"defined": 1.0, "near": near}))
    if site.snapshot.modules.find(site.path, name) is not None or site.snapshot.library.find(name) is not None:
        found.append((name, None, "", {"module": 1.0}))
    for module in _USUAL:
        there = site.snapshot.library.find(module)
        if there is not None and (module, name) not in known and name in site.resolver.public_names(there):
            found.append((module, name, "", {"usual": 1.0}))
    return found


# --- imports that fail ----------------------------------------------------------------------------------


def _not_importable(site: Site) -> Iterator[Repair]:
    """`from owner import name`, where the module has no such name: one that it has; or it is renamed back."""
    name = site.trouble.name
    for row in site.record.imports:
        if row.name != name and not (row.name is None and row.module == name):
            continue
        for module in site.resolver.module(site.path, row.module, row.level):
            if not isinstance(module, Module) or row.name is None or row.name_occurrence is None:
                continue
            span = site.record.occurrences.span(row.name_occurrence)
            for new, like in nearest(name, site.resolver.module_names(module.path), _MOST, 0.4):
                orphan = float(len(site.snapshot.files_naming(new)) <= 1)
                evidence = {"likeness": like, "orphan": orphan}
                others = [] if row.alias else _reads(site, name)
                changes = ((span, new), *((one, new) for one in others))
                yield site.repair("import-renamed", f"`{new}` is there, `{name}` is not", *changes, evidence=evidence)
                defined = site.snapshot.record(module.path)
                rows = () if defined is None else defined.bindings(0, new)
                if defined is not None and rows and orphan:
                    yield from _rename(site, module.path, defined.symbols.span(rows[0]), new, name, evidence)


def _reads(site: Site, name: str) -> list[Span]:
    """Where the module's own `name` is read."""
    record, slot = site.record, Slot(site.path, 0, name)
    return [
        record.occurrences.span(index)
        for index in record.occurrences_of(name, frozenset((_READ,)))
        if slot in site.resolver.of_occurrence(site.path, index)
    ]
