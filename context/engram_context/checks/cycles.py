"""Modules that import each other while they are being imported.

Most such circles do no harm, so they are hints. One breaks where a module takes a name from another that has begun to
run and has not bound it yet: that is decided by running through the import statements, in the order in which they
would be executed, from each module of the circle.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engram_context.checks.check import Check, Code
from engram_context.checks.subject import Found, Subject
from engram_context.checks.whole import Whole, of_record
from engram_context.findings import Finding
from engram_context.imports import Module, ModuleMap
from engram_context.records import (
    IMPORT_CONDITIONAL,
    IMPORT_TYPE_CHECKING,
    SCOPE_KIND,
    FileRecord,
    rows_with,
)
from engram_context.text import Location, Span

_RUN_LATER = frozenset((SCOPE_KIND["function"], SCOPE_KIND["lambda"]))
_MAIN_TEST = 64  # bytes from `__name__` to the block behind `if __name__ == "__main__":`
_MOST_TRIED = 400  # modules of one circle that are tried as the first to be imported
_MOST_STEPS = 20_000
_SHOWN = 8  # modules of a circle that a message names


@dataclass(frozen=True, slots=True)
class Step:
    """An import that runs when its module is imported. `row` is the one in the table of imports; `is_certain`: it
    stands under no condition and nothing handles its failure."""

    module: str
    level: int
    name: str | None
    is_certain: bool
    row: int


@dataclass(frozen=True, slots=True)
class Program:
    """What a module does when it is imported: `bound` says of each name how many steps are done when it may first be
    there; `is_open`: it may make them when they are asked for."""

    steps: tuple[Step, ...]
    bound: Mapping[str, int]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A file whose code a step runs. `needs`: the name that must be there afterwards; `is_whole`: the step goes on
    below it (the package on the way to a module, or the one that a submodule is taken from)."""

    target: str
    step: int
    needs: str | None


@dataclass(frozen=True, slots=True)
class Break:
    """A step that fails when `first` is imported before all others, for lack of `name`; `chain` are the (file, step)
    that lead from the module it takes that from back to it, itself last."""

    first: str
    chain: tuple[tuple[str, int], ...]
    name: str


@dataclass(frozen=True, slots=True)
class Cycles:
    """`edges`: what each file of the project runs; `circle`: the number of the circle a file is in; `breaks` by the
    (file, step) of their chains."""

    programs: Mapping[str, Program]
    edges: Mapping[str, tuple[Edge, ...]]
    circle: Mapping[str, int]
    members: Sequence[frozenset[str]]
    breaks: Mapping[tuple[str, int], Break]

    def around(self, path: str, target: str) -> list[str]:
        """The shortest way from `target` back to `path`, both included."""
        own = self.circle[path]
        before: dict[str, str] = {target: ""}
        waiting = [target]
        for at in waiting:
            if at == path:
                break
            for edge in self.edges[at]:
                if edge.target not in before and self.circle.get(edge.target) == own:
                    before[edge.target] = at
                    waiting.append(edge.target)
        way = [path]
        while way[-1] != target:
            way.append(before[way[-1]])
        return way[::-1]


def program_of(record: FileRecord) -> Program:
    """Only of Python."""
    imports, scopes = record.imports, record.scopes
    later = {0: False}
    for scope in range(1, len(scopes)):
        later[scope] = scopes.kind[scope] in _RUN_LATER or later[scopes.parent[scope]]
    steps: list[Step] = []
    starts: list[int] = []
    mains = [record.occurrences.start[index] for index in record.occurrences_of("__name__")] if len(imports) else []
    for row in range(len(imports)):
        flags, start = imports.flags[row], imports.start[row]
        if flags & IMPORT_TYPE_CHECKING or later[imports.scope[row]]:
            continue
        is_conditional = bool(flags & IMPORT_CONDITIONAL)
        if is_conditional and mains and _is_main_only(record, mains, start):
            continue
        name = imports.name[row]
        steps.append(
            Step(
                imports.strings[imports.module[row]],
                imports.level[row],
                None if name < 0 else record.names[name],
                not is_conditional,
                row,
            )
        )
        starts.append(start)
    bound: dict[str, int] = {}
    if steps:
        for symbol in rows_with(record.symbols.scope, 0):
            name = record.names[record.symbols.name[symbol]]
            done = bisect_right(starts, record.symbols.start[symbol])
            if done < bound.get(name, len(steps) + 1):
                bound[name] = done
    else:
        bound = {record.names[record.symbols.name[symbol]]: 0 for symbol in rows_with(record.symbols.scope, 0)}
    return Program(tuple(steps), bound, bool(record.errors) or "__getattr__" in bound)


def _is_main_only(record: FileRecord, mains: Sequence[int], start: int) -> bool:
    blocks = record.blocks
    return any(
        blocks.start[row] <= start < blocks.end[row] and any(0 < blocks.start[row] - at < _MAIN_TEST for at in mains)
        for row in range(len(blocks))
    )


def cycles_of(whole: Whole) -> Cycles:
    snapshot = whole.snapshot
    here = {*snapshot.modules.stems, *(folder.rpartition("/")[2] for folder in snapshot.modules.directories)}
    programs: dict[str, Program] = {}
    edges: dict[str, tuple[Edge, ...]] = {}
    records = {path: one for path, one in snapshot.records.items() if path.endswith((".py", ".pyw"))}
    for path, record in records.items():
        programs[path] = of_record(record, program_of)
    for path, record in records.items():
        kept = of_record(record, _placed)
        key = (snapshot.modules, path)
        if key not in kept:
            kept.clear()
            found = (edge for edge in _targets(snapshot.modules, here, path, programs[path]) if _may_count(path, edge))
            kept[key] = tuple(found)
        edges[path] = kept[key]
        if any(edge.needs is not None and _is_above(edge.target, path) for edge in kept[key]):
            edges[path] = tuple(edge for edge in kept[key] if _counts(path, edge, programs))
    members = [one for one in _components(edges) if len(one) > 1]
    circle = {path: number for number, one in enumerate(members) for path in one}
    breaks: dict[tuple[str, int], Break] = {}
    for one in members:
        for first in sorted(one)[:_MOST_TRIED]:
            found = _Run(programs, edges, snapshot.modules, one).start(first)
            if found is not None:
                for at in found.chain:
                    if at not in breaks or at == found.chain[-1] != breaks[at].chain[-1]:
                        breaks[at] = found
    return Cycles(programs, edges, circle, members, breaks)


def _placed(_: FileRecord) -> dict[tuple[ModuleMap, str], tuple[Edge, ...]]:
    """What the steps of a record run where it lies at a path, with the modules for which that holds."""
    return {}


def _targets(modules: ModuleMap, here: set[str], path: str, program: Program) -> Iterator[Edge]:
    """The files that the steps run, in the order in which they do."""
    for at, step in enumerate(program.steps):
        parts = step.module.split(".") if step.module else []
        if not step.level and parts[0] not in here:
            continue
        for depth in range(0 if step.level else 1, len(parts)):
            found = modules.find(path, ".".join(parts[:depth]), step.level)
            if found is not None and not found.is_namespace:
                yield Edge(found.path, at, None)
        whole = modules.find(path, step.module, step.level)
        if whole is None:
            continue
        inner = modules.child(whole.directory, step.name) if step.name and whole.is_package else None
        if not whole.is_namespace and whole.path.endswith((".py", ".pyw")):
            yield Edge(whole.path, at, None if step.name in (None, "*") or inner is not None else step.name)
        if inner is not None and not inner.is_namespace and inner.path.endswith((".py", ".pyw")):
            yield Edge(inner.path, at, None)


def _may_count(path: str, edge: Edge) -> bool:
    """Whether a step can make a circle with what it runs: a package has begun to run before any module in it does, so
    one of its modules waits for it only where it takes a name that is no submodule."""
    is_source = edge.target.endswith((".py", ".pyw"))
    return is_source and edge.target != path and (edge.needs is not None or not _is_above(edge.target, path))


def _counts(path: str, edge: Edge, programs: Mapping[str, Program]) -> bool:
    """Whether it does: what it takes from a package around it has to be bound there."""
    if edge.needs is None or not _is_above(edge.target, path):
        return True
    return edge.needs in programs[edge.target].bound


def _is_above(package: str, path: str) -> bool:
    folder, _, name = package.rpartition("/")
    return name.startswith("__init__.") and path.startswith(folder + "/" if folder else "")


def _components(edges: Mapping[str, tuple[Edge, ...]]) -> list[frozenset[str]]:
    """The strongly connected files (Tarjan), without recursion."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    held: list[str] = []
    is_held: set[str] = set()
    found: list[frozenset[str]] = []
    for root in edges:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        held.append(root)
        is_held.add(root)
        work = [(root, iter(edges[root]))]
        while work:
            at, rest = work[-1]
            for edge in rest:
                target = edge.target
                if target not in number:
                    number[target] = low[target] = len(number)
                    held.append(target)
                    is_held.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in is_held:
                    low[at] = min(low[at], number[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[at])
                if low[at] == number[at]:
                    one: set[str] = set()
                    while at not in one:
                        one.add(held.pop())
                    is_held -= one
                    found.append(frozenset(one))
    return found


class _Run:
    """Importing one module first, import by import. What is not certain to happen is taken to have happened where that
    makes a failure less certain. What a module of the circle imports from outside it cannot lead back, and is left
    out."""

    def __init__(
        self,
        programs: Mapping[str, Program],
        edges: Mapping[str, tuple[Edge, ...]],
        modules: ModuleMap,
        circle: frozenset[str],
    ) -> None:
        self._circle = circle
        self._programs = programs
        self._edges = edges
        self._modules = modules
        self._running: dict[str, int] = {}
        self._done: set[str] = set()
        self._left = _MOST_STEPS

    def start(self, first: str) -> Break | None:
        folder = first.rpartition("/")[0]
        above: list[str] = []
        while folder and self._modules.is_package(folder):
            above.append(f"{folder}/__init__.py")
            folder = folder.rpartition("/")[0]
        for path in (*reversed(above), first):
            if path not in self._programs or path in self._done:
                continue
            chain = self._run(path)
            if chain is not None:
                path, step = chain[-1]
                return Break(first, chain, self._programs[path].steps[step].name or "")
        return None

    def _run(self, path: str) -> tuple[tuple[str, int], ...] | None:
        """Runs a module and what it imports; the chain of a step that is certain to fail, if one is."""
        stack = [(path, iter(self._edges[path]))]
        self._running[path] = -1
        while stack:
            at, rest = stack[-1]
            edge = next(rest, None)
            if edge is None:
                stack.pop()
                self._running.pop(at, None)
                self._done.add(at)
                continue
            self._left -= 1
            if self._left < 0:
                return None
            self._running[at] = edge.step
            target = edge.target
            if at in self._circle and target not in self._circle:
                continue
            if not self._programs[at].steps[edge.step].is_certain:
                self._may_run(target)
            elif target in self._running:
                if edge.needs is not None and self._lacks(target, edge.needs):
                    order = [one for one, _ in stack]
                    return tuple((one, self._running[one]) for one in order[order.index(target) :])
            elif target not in self._done:
                self._running[target] = -1
                stack.append((target, iter(self._edges[target])))
        return None

    def _lacks(self, path: str, name: str) -> bool:
        program = self._programs[path]
        done = self._running[path]
        if program.is_open or any(step.name == "*" for step in program.steps[: done + 1]):
            return False
        if Module(path).is_package and self._modules.child(Module(path).directory, name) is not None:
            return False
        return program.bound.get(name, -1) > done

    def _may_run(self, path: str) -> None:
        waiting = [path]
        while waiting:
            at = waiting.pop()
            if at in self._done or at in self._running:
                continue
            self._done.add(at)
            is_in = at in self._circle
            waiting.extend(edge.target for edge in self._edges[at] if not is_in or edge.target in self._circle)


def import_cycles(subject: Subject) -> Found:
    """The imports of a file that close a circle."""
    cycles = subject.whole.of(cycles_of)
    path, record = subject.path, subject.record
    number = cycles.circle.get(path)
    if number is None:
        return
    dotted = subject.snapshot.modules.dotted
    found: dict[Span, tuple[Edge, Break | None]] = {}
    for edge in cycles.edges[path]:
        if cycles.circle.get(edge.target) != number:
            continue
        broken = cycles.breaks.get((path, edge.step))
        if broken is not None and edge.target != _after(broken, path):
            broken = None
        span = _span(record, cycles.programs[path].steps[edge.step])
        if span not in found or (found[span][1] is None and broken is not None):
            found[span] = (edge, broken)
    for span, (edge, broken) in found.items():
        if broken is not None:
            files = [one for one, _ in broken.chain]
            at = files.index(path)
            way = [*files[at:], *files[: at + 1]]
        else:
            way = [path, *cycles.around(path, edge.target)]
        names = [dotted(one) or one for one in way]
        if len(names) > _SHOWN + 1:
            names = [*names[: _SHOWN // 2], "…", *names[-_SHOWN // 2 :]]
        message = f"import cycle: {' → '.join(names)}"
        if broken is not None:
            last = broken.chain[-1][0]
            where = "" if last == path else f" in {dotted(last) or last}"
            first = dotted(broken.first) or broken.first
            message += f"; '{broken.name}' is not defined yet{where} when {first} is imported first"
        related = tuple(_related(subject, cycles, way))
        severity = "hint" if broken is None else "error"
        yield Finding("import-cycle", severity, span, message, related), span


def _after(broken: Break, path: str) -> str:
    """The file that comes behind another in what leads to a failure."""
    files = [one for one, _ in broken.chain]
    return files[(files.index(path) + 1) % len(files)]


def _related(subject: Subject, cycles: Cycles, way: list[str]) -> Iterator[tuple[Location, str]]:
    """The other imports of a circle."""
    for at, following in pairwise(way[1:]):
        record = subject.snapshot.records.get(at)
        edge = next((one for one in cycles.edges[at] if one.target == following), None)
        if record is not None and edge is not None:
            step = cycles.programs[at].steps[edge.step]
            name = subject.snapshot.modules.dotted(following) or following
            yield Location(at, _span(record, step)), f"imports {name}"


def _span(record: FileRecord, step: Step) -> Span:
    """The module's name in an import, or what is imported where that has none."""
    imported = record.imports[step.row]
    if imported.occurrence is not None and imported.module:
        last = imported.occurrence + imported.module.count(".")
        return Span(record.occurrences.start[imported.occurrence], record.occurrences.span(last).end)
    if imported.name_occurrence is not None:
        return record.occurrences.span(imported.name_occurrence)
    return imported.span


CHECK = Check(
    import_cycles,
    (
        Code(
            "import-cycle",
            "error",
            frozenset(("cyclic-import", "R0401", "reportImportCycles")),
            needs_project=True,
        ),
    ),
    of_project=True,
)
