"""Dependencies that are declared and not used, used and not declared, or declared in the wrong group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from engram_context.checks import manifests
from engram_context.checks.check import Check, Code
from engram_context.checks.dead_words import words_in
from engram_context.checks.distributions import (
    Installed,
    distributions_for,
    installed_in,
    modules_of,
)
from engram_context.checks.requirements import (
    BUILD,
    CONSTRAINT,
    RUNTIME,
    Manifest,
    Place,
    Requirement,
    addition,
    normalized,
    read_manifest,
    removal,
)
from engram_context.checks.subject import Found, Subject
from engram_context.checks.whole import Whole, of_record
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix, Severity
from engram_context.records import IMPORT_TYPE_CHECKING, SCOPE_KIND, FileRecord, Import
from engram_context.text import Location, Span, Text

_GUARDS = (b"ImportError", b"ModuleNotFoundError")
_FUNCTION = SCOPE_KIND["function"]
# Folders and files that are not installed with a project.
_APART = frozenset(
    ("test", "tests", "testing", "doc", "docs", "example", "examples", "benchmark", "benchmarks", "bench", "script")
) | frozenset(
    ("scripts", "tool", "tools", "ci", "dev", "tasks", "demo", "demos", "samples", "tutorials", "notebooks", ".github")
)
_APART_FILES = re.compile(
    r"test_.*|.*_tests?|tests?|conftest|setup|noxfile|tasks|fabfile|dodo|release|versioneer|bench.*"
)
# What is run and not imported, or found by others.
_TOOLS = re.compile(
    r"(?:pytest|flake8|pep8|pylint|mypy|ruff|black|isort|tox|nox|sphinx|mkdocs|hatch|hatchling|flit|setuptools|poetry|pdm|pre-commit"
    r"|types|coverage|codecov|ipython|jupyter|ipykernel|bandit|pyright|basedpyright|pyupgrade|autoflake|yapf|docformatter"
    r"|pydocstyle|pycodestyle|twine|build|wheel|pip|uv|virtualenv|gunicorn|uvicorn|hypercorn|daphne|uwsgi|psycopg|psycopg2"
    r"|mysqlclient|furo|towncrier|commitizen|bumpversion|bump2version|codespell|vulture|deptry|interrogate|pyroma|tzdata"
    r"|check-manifest|cibuildwheel|auditwheel|ty|pyrefly|nose|green|invoke|debugpy|pudb|ipdb|pyinstaller|scikit-build"
    r"|meson|ninja|cmake|cython|maturin|coveralls|watchfiles|whitenoise|bpython|ptpython|nuitka|briefcase)(?:-.*)?"
    r"|.*-stubs|.*-theme|.*-plugin|django-stubs.*|.*-mypy|nvidia-.*|.*-(?:binary|bin)"
)
# Files that declare dependencies in ways which are not read.
_ELSEWHERE = ("Pipfile", "environment.yml", "environment.yaml", "conda.yaml", "meta.yaml", "pixi.toml")
_CONFIGURED = frozenset(("yaml", "toml", "json", "make", "bash", "dockerfile", "text", "groovy", "hcl", "html", "xml"))
_PROSE = (".md", ".rst", ".txt", ".adoc", ".in")


def is_shipped(path: str) -> bool:
    """Whether a file is, by its name, a part of what a project installs, and not of its tests, docs and tools."""
    *folders, name = PurePosixPath(path).parts
    return _APART.isdisjoint(part.lower() for part in folders) and not _APART_FILES.fullmatch(name.partition(".")[0])


# --- what the project says ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declared:
    """The manifests of a project with the folders that they speak of. `elsewhere`: other files declare, too."""

    manifests: Mapping[str, tuple[str, Manifest]]
    elsewhere: bool = False

    def over(self, path: str) -> tuple[tuple[str, Manifest], ...]:
        """The manifests (path, contents) that speak of a file: those of the folders above it."""
        return tuple(
            (at, manifest)
            for at, (folder, manifest) in self.manifests.items()
            if not folder or path.startswith(folder + "/")
        )


def declared_by(whole: Whole) -> Declared:
    found: dict[str, tuple[str, Manifest]] = {}
    for path, record in whole.snapshot.records.items():
        if not manifests.declares(path):
            continue
        kept = of_record(record, _read_once)
        if path not in kept:
            text = whole.snapshot.text(path)
            if text is None or text.digest != record.digest:
                continue
            kept[path] = read_manifest(path, text)
        found[path] = (_folder(path), kept[path])
    elsewhere = any(name in whole.snapshot.records or (whole.environment.root / name).is_file() for name in _ELSEWHERE)
    return Declared(found, elsewhere)


def _read_once(_: FileRecord) -> dict[str, Manifest]:
    return {}


def _folder(path: str) -> str:
    """What a manifest speaks of: its folder, or the one above where that has nothing but requirements."""
    parent = PurePosixPath(path).parent
    if parent.name == "requirements":
        parent = parent.parent
    return "" if str(parent) == "." else parent.as_posix()


@dataclass(frozen=True, slots=True)
class Imported:
    """Dotted names that a project imports from anywhere, with all that they lie in; `shipped`: by what it installs."""

    anywhere: frozenset[str]
    shipped: frozenset[str]


def imported_by(whole: Whole) -> Imported:
    anywhere: set[str] = set()
    shipped: set[str] = set()
    for path, record in whole.snapshot.records.items():
        if record.language == "python":
            names = of_record(record, imported_names)
            anywhere |= names
            if is_shipped(path):
                shipped |= names
    return Imported(frozenset(anywhere), frozenset(shipped))


def imported_names(record: FileRecord) -> frozenset[str]:
    found: set[str] = set()
    imports = record.imports
    for row in range(len(imports)):
        if imports.level[row]:
            continue
        dotted = imports.strings[imports.module[row]]
        if imports.name[row] >= 0:
            dotted = f"{dotted}.{record.names[imports.name[row]]}"
        while dotted and dotted not in found:
            found.add(dotted)
            dotted = dotted.rpartition(".")[0]
    return frozenset(found)


# --- at imports ---------------------------------------------------------------------------------------


def missing_dependencies(subject: Subject) -> Found:
    """Imports of distributions that no manifest declares, or that none declares for what is installed."""
    path, record = subject.path, subject.record
    if not any(level == 0 for level in record.imports.level):
        return
    declared_here = subject.whole.of(declared_by)
    over = declared_here.over(path)
    if declared_here.elsewhere or not any(manifest.is_declared for _, manifest in over):
        return
    if any(manifest.is_open for _, manifest in over):
        return
    installed = installed_in(subject.environment)
    declared: dict[str, list[tuple[str, Requirement]]] = {}
    for at, manifest in over:
        for one in manifest.requirements:
            for name in (one.name, *installed.chosen(one.name, one.extras)):
                declared.setdefault(name, []).append((at, one))
    own = {manifest.name for _, manifest in over if manifest.name}
    told: set[str] = set()
    for imported in record.imports:
        top = imported.module.partition(".")[0]
        if imported.level or top in told or not top or not _is_third_party(subject, top):
            continue
        dotted = f"{imported.module}.{imported.name}" if imported.name not in (None, "*") else imported.module
        names = _providers(installed, dotted, top, declared)
        if not names or not own.isdisjoint(names):
            continue
        asked = [entry for name in names for entry in declared.get(name, ())]
        if not asked:
            told.add(top)
            yield from _undeclared(subject, installed, imported, names, over)
        elif is_shipped(path) and all(one.is_development or one.group == BUILD for _, one in asked):
            told.add(top)
            yield from _only_for_development(subject, imported, asked, over)


def _is_third_party(subject: Subject, top: str) -> bool:
    if subject.environment.is_stdlib(top):
        return False
    module = subject.snapshot.modules.find(subject.path, top)
    return module is None or (module.is_namespace and subject.environment.has_module(top) is True)


def _providers(installed: Installed, dotted: str, top: str, declared: Iterable[str]) -> frozenset[str]:
    """The distributions that an import may be of: what is installed, what is well known, or what is declared under a
    name like that. Nothing where that cannot be known."""
    found = installed.providers(dotted)
    guessed = frozenset(distributions_for(dotted))
    like = frozenset(
        name for name in declared if any(module.partition(".")[0] == top for module in modules_of(installed, name)[0])
    )
    if like and not (found & like):
        # What is declared brings a module of that name, perhaps in a part of it.
        return found | like if not found or not all(name in installed.by_name for name in like) else found
    return found or like or guessed


def _undeclared(
    subject: Subject,
    installed: Installed,
    imported: Import,
    names: frozenset[str],
    over: tuple[tuple[str, Manifest], ...],
) -> Found:
    name = min(names, key=lambda one: (one != normalized(imported.module.partition(".")[0]), one))
    is_here = any(one in installed.by_name for one in names)
    if not is_here and subject.environment.has_module(imported.module.partition(".")[0]) is False:
        return  # it is said already that there is no such module
    severity = _severity(subject, imported, "warning" if is_here else "information")
    top = imported.module.partition(".")[0]
    by = "" if normalized(top) == name else f" (distribution '{name}')"
    where = _listed(sorted(at for at, manifest in over if manifest.is_declared))
    message = f"'{top}'{by} is imported but not declared in {where}"
    fixes = tuple(_additions(subject, installed, name, over))
    yield Finding("undeclared-dependency", severity, _span(subject, imported), message, fixes=fixes), imported.span


def _only_for_development(
    subject: Subject,
    imported: Import,
    asked: list[tuple[str, Requirement]],
    over: tuple[tuple[str, Manifest], ...],
) -> Found:
    severity = _severity(subject, imported, "warning")
    at, one = asked[0]
    groups = sorted({_called(entry.group) for _, entry in asked})
    top = imported.module.partition(".")[0]
    message = f"'{top}' is imported here, but '{one.name}' is declared for {_listed(groups)} only"
    related = tuple(
        (Location(where, entry.span), f"declared for {entry.group.removeprefix('group:')}") for where, entry in asked
    )
    fixes = tuple(_moves(subject, at, one, RUNTIME, "dependencies", over))
    yield (
        Finding("misplaced-dependency", severity, _span(subject, imported), message, related, fixes),
        imported.span,
    )


def _called(group: str) -> str:
    return group.removeprefix("group:")


def _severity(subject: Subject, imported: Import, most: Severity) -> Severity:
    """Less where the import may well be meant for those who have the module."""
    record = subject.record
    if not is_shipped(subject.path) or record.imports.flags[imported.index] & IMPORT_TYPE_CHECKING:
        return "hint"
    if imported.conditional and (
        subject.surroundings.handles(imported.span, *_GUARDS) or subject.surroundings.depends_on_platform(imported.span)
    ):
        return "hint"
    scope = imported.scope
    while scope > 0 and record.scopes.kind[scope] != _FUNCTION:
        scope = record.scopes.parent[scope]
    return "information" if scope > 0 and most == "warning" else most


def _span(subject: Subject, imported: Import) -> Span:
    occurrence = imported.occurrence
    return imported.span if occurrence is None else subject.record.occurrences.span(occurrence)


# --- at requirements ----------------------------------------------------------------------------------


def idle_dependencies(subject: Subject) -> Found:
    """Requirements that nothing imports, and those that only tests do."""
    whole = subject.whole
    folder, manifest = whole.of(declared_by).manifests.get(subject.path, ("", Manifest()))
    if manifest.is_locked:
        return
    installed = installed_in(subject.environment)
    imported = whole.of(imported_by)
    held = (installed.by_name.get(one.name) for one in manifest.requirements)
    needed = {other for one in held if one is not None for other, extra in one.requires if not extra}
    for one in manifest.requirements:
        if one.group in (BUILD, CONSTRAINT) or one.name == manifest.name or _TOOLS.fullmatch(one.name):
            continue
        modules, is_known = modules_of(installed, one.name)
        if modules.isdisjoint(imported.anywhere):
            severity = _idle_severity(installed, one, is_known, one.name in needed)
            if severity is None or _is_mentioned(subject, installed, one, modules):
                continue
            guess = "" if is_known else f" by a name like '{min(modules, key=lambda name: (len(name), name))}'"
            message = f"'{one.name}' is declared but nothing imports it{guess}"
            yield (
                Finding(
                    "unused-dependency",
                    severity,
                    one.span,
                    message,
                    fixes=_removals(subject, one),
                    tags=frozenset(("unnecessary",)),
                    confidence=0.9 if is_known else 0.7,
                ),
                one.whole if len(one.whole) else one.span,
            )
        elif (
            one.group == RUNTIME
            and is_known
            and imported.shipped
            and modules.isdisjoint(imported.shipped)
            and is_shipped(f"{folder}/x")
            and not any(other.group != RUNTIME and other.name == one.name for other in manifest.requirements)
        ):
            message = f"'{one.name}' is imported only by what is not installed: tests, docs or tools"
            over = ((subject.path, manifest),)
            fixes = tuple(
                fix
                for group in _development_groups(manifest)
                for fix in _moves(subject, subject.path, one, group, _called(group), over)
            )
            yield Finding("misplaced-dependency", "hint", one.span, message, fixes=fixes), one.span


def _idle_severity(installed: Installed, one: Requirement, is_known: bool, is_needed: bool) -> Severity | None:
    held = installed.by_name.get(one.name)
    if one.is_development:
        # Most of what is there for development is run, not imported.
        return "hint" if held is not None and held.modules and not held.plugs_into and not held.scripts else None
    if one.group != RUNTIME or is_needed or (held is not None and held.plugs_into):
        return "hint"
    return "warning" if is_known and ";" not in one.written else "information"


def _is_mentioned(subject: Subject, installed: Installed, one: Requirement, modules: frozenset[str]) -> bool:
    """Whether code names a module in a text, or a file of settings the distribution or a command of it."""
    held = installed.by_name.get(one.name)
    words = {one.name, one.name.replace("-", "_"), *modules, *(() if held is None else held.scripts)}
    word = rb"(?<![\w.-])(?:%s)(?![\w-])" % b"|".join(re.escape(name).encode() for name in sorted(words))
    quoted = re.compile(rb"[\"'](?:%s)[.\"':]" % b"|".join(re.escape(name).encode() for name in sorted(modules)))
    configured = re.compile(word, re.IGNORECASE)
    heads = {name.partition(".")[0] for name in modules}
    for path, record in subject.snapshot.records.items():
        is_python = record.language == "python"
        if not is_python and (record.language not in _CONFIGURED or path.endswith(_PROSE)):
            continue
        if is_python and heads.isdisjoint(words_in(subject.whole, path, record)):
            continue
        text = subject.text if path == subject.path else subject.snapshot.text(path)
        if text is None or (is_python and PurePosixPath(path).name == "setup.py"):
            continue
        if is_python:
            # What `__all__` lists are the module's own names.
            own = sum(name in modules for name in record.exports or ())
            if len(quoted.findall(text.data)) > own:
                return True
        elif any(not _is_requirement(subject, path, match.start()) for match in configured.finditer(text.data)):
            return True
    return False


def _is_requirement(subject: Subject, path: str, offset: int) -> bool:
    """Whether a place in a file is one where a dependency is declared."""
    _, manifest = subject.whole.of(declared_by).manifests.get(path, ("", Manifest()))
    return any(
        span.start <= offset < span.end for one in manifest.requirements for span in (one.whole, one.span)
    ) or _in_comment(subject, path, offset)


def _in_comment(subject: Subject, path: str, offset: int) -> bool:
    text = subject.text if path == subject.path else subject.snapshot.text(path)
    if text is None:
        return False
    line = text.line_span(text.line_of(offset))
    return text.data[line.start : offset].lstrip().startswith((b"#", b"//", b";"))


# --- changes ------------------------------------------------------------------------------------------


def _removals(subject: Subject, one: Requirement) -> tuple[Fix, ...]:
    if not len(one.whole) or (PurePosixPath(subject.path).name == "setup.cfg" and not one.written):
        return ()
    edit = removal(subject.text, one, subject.path)
    return (Fix(f"Remove '{one.name}'", project_edit({subject.path: [edit]}, {subject.path: subject.text})),)


def _additions(
    subject: Subject, installed: Installed, name: str, over: tuple[tuple[str, Manifest], ...]
) -> Iterator[Fix]:
    held = installed.by_name.get(name)
    version = re.match(r"\d+(?:\.\d+)?", held.version) if held is not None else None
    written = name if version is None else f"{name}>={version[0]}"
    groups = [] if is_shipped(subject.path) else [group for _, one in over for group in _development_groups(one)]
    for group in (*groups, RUNTIME):
        found = _place(over, group)
        if found is None:
            continue
        path, place = found
        text = subject.snapshot.text(path)
        if text is not None:
            edit = addition(text, place, written)
            what = f"{path}" if group == RUNTIME else f"'{group.removeprefix('group:')}' in {path}"
            yield Fix(f"Add '{written}' to {what}", project_edit({path: [edit]}, {path: text}))
            return


def _moves(
    subject: Subject, path: str, one: Requirement, group: str, called: str, over: tuple[tuple[str, Manifest], ...]
) -> Iterator[Fix]:
    found = _place(over, group, path)
    source = subject.snapshot.text(path)
    if found is None or source is None or not len(one.whole):
        return
    target, place = found
    text = subject.snapshot.text(target)
    if text is None:
        return
    edits: dict[str, list[Edit]] = {path: [removal(source, one, path)]}
    edits.setdefault(target, []).append(addition(text, place, one.written))
    texts: dict[str, Text] = {path: source, target: text}
    yield Fix(f"Move '{one.name}' to {called}", project_edit(edits, texts))


def _place(over: Iterable[tuple[str, Manifest]], group: str, first: str = "") -> tuple[str, Place] | None:
    """Where requirements of a group stand: in the same file, else in pyproject.toml, else wherever."""
    found = [(path, place) for path, manifest in over for place in manifest.places
             if place.group == group and not manifest.is_locked]  # fmt: skip
    order = sorted(
        found, key=lambda one: (one[0] != first, not one[0].endswith("pyproject.toml"), -len(one[0]), one[0])
    )
    return order[0] if order else None


def _development_groups(manifest: Manifest) -> list[str]:
    groups = [place.group for place in manifest.places if place.group.startswith("group:")]
    return sorted(dict.fromkeys(groups), key=lambda group: ("test" not in group, "dev" not in group))[:1]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else "any manifest"


def in_python(subject: Subject) -> Found:
    if PurePosixPath(subject.path).name == "setup.py":
        return idle_dependencies(subject)
    return missing_dependencies(subject)


_UNUSED = Code("unused-dependency", "warning", frozenset(("DEP002",)), needs_project=True)
_UNDECLARED = Code("undeclared-dependency", "warning", frozenset(("DEP001", "DEP003")), needs_project=True)
_MISPLACED = Code("misplaced-dependency", "warning", frozenset(("DEP004",)), needs_project=True)
IN_MANIFESTS = Check(idle_dependencies, (_UNUSED, _MISPLACED), files="manifest", reads_broken=True, of_project=True)
IN_PYTHON = Check(in_python, (_UNUSED, _UNDECLARED, _MISPLACED), of_project=True)
