"""Names of typing and of the builtins that mean something to inference by themselves."""

from __future__ import annotations

from typing import Final

TRANSPARENT: Final = frozenset(
    {"Annotated", "ClassVar", "Final", "InitVar", "Required", "NotRequired", "ReadOnly", "Unpack", "Union", "Optional"}
)
"""Subscripted names that stand for what is between the brackets."""

ALIASES: Final = {
    "List": "builtins.list", "Dict": "builtins.dict", "Set": "builtins.set", "FrozenSet": "builtins.frozenset",
    "DefaultDict": "collections.defaultdict", "OrderedDict": "collections.OrderedDict",
    "Counter": "collections.Counter", "ChainMap": "collections.ChainMap", "Deque": "collections.deque",
    "LiteralString": "builtins.str", "TypeGuard": "builtins.bool", "TypeIs": "builtins.bool", "Text": "builtins.str",
    "TypedDict": "typing._TypedDict", "Tuple": "builtins.tuple", "Type": "builtins.type",
}  # fmt: skip
"""typing's other names for classes."""

_TYPING: Final = TRANSPARENT | frozenset(
    {
        "Any",
        "Self",
        "Literal",
        "Callable",
        "Generic",
        "Protocol",
        "TypeAlias",
        "Never",
        "NoReturn",
        "Concatenate",
        "cast",
    }
)
_MODULES: Final = frozenset({"typing", "typing_extensions", "_typeshed"})
_OTHERS: Final = frozenset(
    {"builtins.super", "builtins.getattr", "dataclasses.InitVar", "importlib.import_module", "builtins.NotImplemented"}
)

NAMES: Final = _TYPING | frozenset(name.rpartition(".")[2] for name in _OTHERS) | frozenset(ALIASES)
"""The last parts of all of them."""


def form_of(module: str, name: str) -> str | None:
    """The dotted name of a special form that a module has under a name, None when that is an ordinary thing."""
    if module in _MODULES and name in _TYPING:
        return f"typing.{name}"
    dotted = f"{module}.{name}"
    return dotted if dotted in _OTHERS else None


def alias_of(module: str, name: str) -> str | None:
    """The class that a name of typing is another name of."""
    return ALIASES.get(name) if module in _MODULES else None


def last(name: str) -> str:
    return name.rpartition(".")[2]
