"""What the user may set: the section `engram` of the editor's configuration, or `initializationOptions`.

Every setting is a field below; its default and its description are what the documentation shows (`table()`), and
`Settings.read` takes what an editor sends: unknown names and values of a wrong type become warnings, never failures.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NewType

from engram_lsp import quiet

SECTION = "engram"

Level = Literal["error", "warning", "information", "hint", "off"]
Hours = NewType("Hours", str)  # like "22:00-07:00"


def _setting(default: Any, about: str) -> Any:
    """A field with its documentation. Defaults are immutable, so that one can be shared."""
    return field(default_factory=lambda: default, metadata={"about": about})


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    enable: bool = _setting(True, "offer completion lists")
    limit: int = _setting(100, "how many items a list has at most")
    auto_import: bool = _setting(True, "offer names of other modules, with the import they need")
    wait_ms: int = _setting(150, "how long a list waits for the model to order it, in milliseconds")
    whole_line: bool = _setting(
        True, "for editors without inline completion: offer the model's whole line as the first item"
    )


@dataclass(frozen=True, slots=True)
class InlineSettings:
    enable: bool = _setting(True, "offer ghost text")
    automatic: bool = _setting(True, "offer it while typing; false: only when asked for")
    debounce_ms: int = _setting(
        30,
        "how long the text must rest at most before ghost text is computed, in milliseconds; less where that is quick",
    )
    quiet_hours: tuple[Hours, ...] = _setting(
        (), 'hours in which ghost text comes only when asked for, like "22:00-07:00", on this machine\'s clock'
    )


@dataclass(frozen=True, slots=True)
class DiagnosticsSettings:
    enable: bool = _setting(True, "report problems; false lets another server do it")
    debounce_ms: int = _setting(200, "how long the text must rest before problems are pushed, in milliseconds")
    scope: Literal["open", "affected", "workspace"] = _setting(
        "affected",
        "which files problems are reported of: open documents; also those that a change broke meanwhile; or all",
    )
    model: bool = _setting(
        True, "hints of the model, where another name was likely meant, once an open document has rested"
    )
    severity: Mapping[str, Level] = _setting(
        types.MappingProxyType({}),
        'severity by code of the problem: "error", "warning", "information", "hint" or "off"',
    )


@dataclass(frozen=True, slots=True)
class SemanticTokensSettings:
    enable: bool = _setting(True, "say what each name is, for its colour; false lets another server do it")


@dataclass(frozen=True, slots=True)
class InlayHintSettings:
    parameter_names: Literal["none", "literals", "all"] = _setting(
        "literals", "which arguments of calls show the name of their parameter between the lines"
    )
    variable_types: bool = _setting(True, "show types of variables where they are certain and not to be seen")
    return_types: bool = _setting(False, "show what functions return where that is certain and not annotated")


@dataclass(frozen=True, slots=True)
class CodeLensSettings:
    references: bool = _setting(False, "say above classes, functions and methods how often they are mentioned")
    command: str = _setting(
        "",
        "command of the editor that a click on it runs, given a URI, a position and a list of locations; empty: none",
    )


@dataclass(frozen=True, slots=True)
class ModelSettings:
    path: str = _setting("", 'folder of the model; empty: the one that comes with engram-ls; "none": no model')
    providers: tuple[str, ...] = _setting(
        (), "ONNX Runtime execution providers, best first; empty: what the machine has"
    )
    threads: int = _setting(0, "CPU threads of the model; 0: chosen for the machine")
    cache_mb: int = _setting(64, "memory for the state of texts that the model has read, in megabytes")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    endpoint: str = _setting(
        "",
        "server that ghost text is asked of, like http://gpu.lan:8000; it must be on your own list of servers "
        "(`engram-ls doctor` says where that is); empty: nothing leaves this machine",
    )
    model: str = _setting("", "name of the model at that server, where it has several")
    kind: Literal["auto", "infill", "deepseek", "suffix", "completions"] = _setting(
        "auto",
        "how it is asked: as llama.cpp's infill, as DeepSeek's own service, by completions with a suffix, or by "
        "completions with DeepSeek's tokens in the prompt; auto: found out",
    )
    connect_ms: int = _setting(1000, "how long connecting may take, in milliseconds")
    first_ms: int = _setting(3000, "how long the first text may take, in milliseconds; then the local model answers")
    between_ms: int = _setting(2000, "how long any further text may take, in milliseconds")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    enable: bool = _setting(True, "read the project; false: only open documents are known")
    exclude: tuple[str, ...] = _setting((), "patterns of files to leave out, as in .gitignore")
    cache_folder: str = _setting("", "where the project memory is kept; empty: the user's cache folder")
    watch: bool = _setting(True, "watch the project for changes made outside the editor")
    poll_seconds: int = _setting(
        0,
        "look at the project every so many seconds instead of listening to the system; 0: only where the system does "
        "not say what changed, as on network drives",
    )
    max_file_kb: int = _setting(
        2048,
        "largest file that is read, in kilobytes; of a larger document the text around the cursor counts, and no names",
    )
    max_files: int = _setting(50_000, "how many files are read at most, those near the project's folder first")
    workers: int = _setting(
        0, "processes that read a project for the first time, at low priority; 0: one for each core, eight at most"
    )


@dataclass(frozen=True, slots=True)
class PythonSettings:
    interpreter: str = _setting(
        "", "Python executable, or environment folder, whose packages the project uses; empty: looked for"
    )


@dataclass(frozen=True, slots=True)
class TraceSettings:
    test_command: str = _setting(
        "",
        "command that runs the tests; fixes for a stack trace are tried with it in a throw-away copy, once you"
        " agreed; `{test}` in it stands for the failing test; empty: never",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    inline: InlineSettings = field(default_factory=InlineSettings)
    diagnostics: DiagnosticsSettings = field(default_factory=DiagnosticsSettings)
    semantic_tokens: SemanticTokensSettings = field(default_factory=SemanticTokensSettings)
    inlay_hints: InlayHintSettings = field(default_factory=InlayHintSettings)
    code_lens: CodeLensSettings = field(default_factory=CodeLensSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    python: PythonSettings = field(default_factory=PythonSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)

    @staticmethod
    def read(*sources: object) -> "tuple[Settings, tuple[str, ...]]":
        """The settings that JSON values say, later ones over earlier ones, and warnings in words.

        Names may be nested (`{"inline": {"enable": false}}`) or dotted (`{"inline.enable": false}`), with or without
        the section's name around them; null means the default.
        """
        warnings: list[str] = []
        chosen: dict[str, Any] = {}
        known = {name: hint for name, hint, _, _ in _fields()}
        for source in sources:
            for name, value in _flat(source, known, warnings):
                if value is None:
                    continue
                problem = _problem(value, known[name])
                if problem:
                    warnings.append(f"{SECTION}.{name} must be {problem}; the default is used")
                else:
                    chosen[name] = _frozen(value)
        groups: dict[str, dict[str, Any]] = {}
        for name, value in chosen.items():
            group, _, setting = name.partition(".")
            groups.setdefault(_snake(group), {})[_snake(setting)] = value
        defaults = Settings()
        changed = {group: dataclasses.replace(getattr(defaults, group), **values) for group, values in groups.items()}
        return dataclasses.replace(defaults, **changed), tuple(warnings)

    def changed(self) -> Iterator[tuple[str, Any]]:
        """The settings that are not at their default: name in JSON and value."""
        for name, _, default, _ in _fields():
            group, _, setting = name.partition(".")
            value = getattr(getattr(self, _snake(group)), _snake(setting))
            if value != default:
                yield f"{SECTION}.{name}", value

    @property
    def interpreter(self) -> Path | None:
        return Path(self.python.interpreter).expanduser() if self.python.interpreter else None

    @property
    def cache_folder(self) -> Path | None:
        return Path(self.index.cache_folder).expanduser() if self.index.cache_folder else None


def table() -> tuple[tuple[str, str, Any, str], ...]:
    """Every setting: its name in JSON, its type, its default, what it does."""
    return tuple((f"{SECTION}.{name}", _type_name(hint), default, about) for name, hint, default, about in _fields())


def _fields() -> Iterator[tuple[str, Any, Any, str]]:
    for group in dataclasses.fields(Settings):
        owner = typing.cast("type[Any]", group.type if isinstance(group.type, type) else globals()[str(group.type)])
        hints, defaults = typing.get_type_hints(owner), owner()
        for setting in dataclasses.fields(owner):
            yield (
                f"{_camel(group.name)}.{_camel(setting.name)}",
                hints[setting.name],
                getattr(defaults, setting.name),
                setting.metadata["about"],
            )


def _flat(source: object, known: Mapping[str, Any], warnings: list[str]) -> Iterator[tuple[str, Any]]:
    """The (name, value) pairs of one source, unknown names reported once each."""
    if source is None:
        return
    if not isinstance(source, Mapping):
        warnings.append(f"{SECTION} must be an object with settings; it is left out")
        return
    waiting: list[tuple[str, object]] = [("", source)]
    while waiting:
        prefix, value = waiting.pop()
        if prefix in known:
            yield prefix, value
        elif isinstance(value, Mapping) and (
            not prefix or any(name == prefix or name.startswith(f"{prefix}.") for name in known)
        ):
            for name, inner in typing.cast("Mapping[Any, object]", value).items():
                dotted = f"{prefix}.{name}" if prefix else str(name).removeprefix(f"{SECTION}.")
                waiting.append(("" if dotted == SECTION else dotted, inner))
        elif value is not None:
            warnings.append(f"unknown setting {SECTION}.{prefix}")


def _problem(value: object, hint: Any) -> str:
    """What `value` should have been, empty when it is right. Numbers below zero are never right."""
    fits = True
    if hint is bool:
        fits = isinstance(value, bool)
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif hint is str:
        fits = isinstance(value, str)
    elif typing.get_origin(hint) is Literal:
        fits = value in typing.get_args(hint)
    elif typing.get_origin(hint) is tuple:
        fits = isinstance(value, list | tuple) and all(
            isinstance(item, str) and (_is_hours(item) or typing.get_args(hint)[0] is not Hours)
            for item in typing.cast("list[Any]", value)
        )
    else:
        levels = typing.get_args(typing.get_args(hint)[1])
        fits = isinstance(value, Mapping) and all(
            isinstance(code, str) and level in levels for code, level in typing.cast("Mapping[Any, Any]", value).items()
        )
    return "" if fits else _type_name(hint)


def _is_hours(value: str) -> bool:
    return quiet.SPAN.fullmatch(value) is not None


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return 'a list of hours like "22:00-07:00"' if typing.get_args(hint)[0] is Hours else "a list of strings"
    if typing.get_origin(hint) is Literal:
        *most, last = (f'"{value}"' for value in typing.get_args(hint))
        return f"{', '.join(most)} or {last}"
    if isinstance(hint, type) and hint in (bool, int, str):
        return {bool: "true or false", int: "a number from 0", str: "a string"}[hint]
    return "an object of severities"


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(typing.cast("list[Any]", value))
    if isinstance(value, Mapping):
        return types.MappingProxyType(dict(typing.cast("Mapping[Any, Any]", value)))
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)
