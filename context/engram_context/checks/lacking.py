"""Whether something certainly has no member of a name, and which names it has instead."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engram_context.checks.facts import text_of
from engram_context.checks.module_names import ModuleNames
from engram_context.checks.proven import Proven
from engram_context.imports import Module
from engram_context.inference.inferred import ClassType, Function, Instance, Nothing, Type, TypeOf
from engram_context.outside.environment import Environment
from engram_context.outside.library import is_outside
from engram_context.records import DECORATED, FileRecord, value_row
from engram_context.text import Text

_DYNAMIC = ("exec", "globals", "vars", "__getattr__", "__dict__", "setattr", "modules")
_OF_FUNCTIONS = frozenset((*dir(types.FunctionType), *dir(types.MethodType), *dir(types.BuiltinFunctionType)))
_OF_MODULES = frozenset((*dir(types.ModuleType), "__path__", "__file__", "__builtins__", "__cached__"))
_OF_CLASSES = frozenset((*dir(type), *dir(object)))
_OF_NONE = frozenset(dir(None))
_OF_TUPLES = frozenset(("_fields", "_field_defaults", "_asdict", "_replace", "_make", *dir(tuple)))
_PARTIAL = ("Mixin", "MixIn", "Mixins", "Base", "Abstract", "Interface")


@dataclass(slots=True)
class Lacking:
    """Answers beside one `Proven`."""

    proven: Proven
    modules: ModuleNames
    environment: Environment

    def seems_to_lack(self, receiver: Type, name: str) -> bool:
        """Whether no file that something is defined in mentions a name: what is there at run time alone has it, or
        nothing. What makes members of any name has all of them."""
        if isinstance(receiver, Module):
            return self._module_seems_to_lack(receiver, name)
        plain = self.proven.plain(receiver)
        if not isinstance(plain, Instance | ClassType):
            return bool(self.lacks(receiver, name))
        of = ClassType(plain.path, plain.scope)
        proven = self.proven
        is_class = isinstance(plain, ClassType)
        for one in (of, *proven.below(of)):
            order = proven.types.order(one)
            if not all(proven.has_known_bases(each, order) for each in order):
                return False
            metaclass = proven.types.classes.metaclass(one)
            whole = (*order, *(proven.types.order(metaclass) if metaclass is not None and is_class else ()))
            if self._has(order, name, is_class=is_class) or not self._is_told(whole, name):
                return False
        return not proven.types.classes.is_protocol(of)

    def _is_told(self, order: Iterable[ClassType], name: str) -> bool:
        """Whether the members of classes stand in their files, which do not mention a name."""
        proven = self.proven
        for one in order:
            if any(proven.defines(one, special) for special in ("__getattr__", "__getattribute__")):
                return False
            if proven.types.is_library(one, "typing", "_TypedDict") or (name[:1] == "_" and is_outside(one.path)):
                return False
            text = proven.resolver.snapshot.text(one.path)
            if text is None or f'"{name}"'.encode() in text.data or f"'{name}'".encode() in text.data:
                return False
        return True

    def _module_seems_to_lack(self, module: Module, name: str) -> bool:
        proven = self.proven
        if module.is_namespace or self._is_on_disk(module, name) or proven.resolver.member(module, name):
            return False
        text = proven.resolver.snapshot.text(module.path)
        return not is_outside(module.path) and text is not None and name.encode() not in text.data and not any(
            True for _ in proven.resolver.outside_stars(module.path)
        )  # fmt: skip

    def lacks(self, receiver: Type, name: str) -> bool | None:
        """Whether something has no member of a name; None when that is not decided."""
        if isinstance(receiver, Nothing):
            return name not in _OF_NONE
        if isinstance(receiver, Module):
            return self._module_lacks(receiver, name)
        if isinstance(receiver, Function):
            record = self.proven.resolver.record(receiver.path)
            if record is None or is_outside(receiver.path) or record.symbols.flags[receiver.symbol] & DECORATED:
                return None
            return name not in _OF_FUNCTIONS
        if isinstance(receiver, Instance | ClassType | TypeOf):
            return self._object_lacks(receiver, name)
        return None

    # --- modules --------------------------------------------------------------------------------------

    def _module_lacks(self, module: Module, name: str) -> bool | None:
        proven = self.proven
        if name in _OF_MODULES or proven.resolver.member(module, name):
            return False
        if self._is_on_disk(module, name):
            return None
        if not is_outside(module.path):
            # `import random` beside a random.py of one's own means one or the other.
            if self.environment.is_stdlib(proven.resolver.dotted(module.path).rpartition(".")[2]):
                return None
            offers = self.modules.offers(module, name)
            return None if offers is None or module.is_namespace else not offers
        if module.is_namespace or (module.path.endswith(".pyi") and name.startswith("_")):
            return None
        text = proven.resolver.library.text(module.path)
        if text is None or _mentions(text, name) or self._is_in_source(module, name):
            return None  # on another platform, or in a way that is not understood
        return None if self._is_open(module, set()) else True

    def _is_in_source(self, module: Module, name: str) -> bool:
        """Whether the source that a stub is of has a name: what a module imports for itself can be had from it."""
        if not module.path.endswith(".pyi"):
            return False
        library = self.proven.resolver.library
        source = self.environment.find_module(library.dotted(module.path))
        text = None if source is None else library.text(source.as_posix())
        return text is not None and _mentions(text, name)

    def _is_on_disk(self, module: Module, name: str) -> bool:
        """Whether a package has a submodule that is compiled or not read."""
        if not module.is_package:
            return False
        folder = Path(module.directory)
        return self.environment.folder_has(folder if is_outside(module.path) else self.environment.root / folder, name)

    def _is_open(self, module: Module, seen: set[str]) -> bool:
        """Whether a module from outside may have names that are not seen in it."""
        if module.path in seen:
            return False
        seen.add(module.path)
        resolver = self.proven.resolver
        record = None if module.is_namespace else resolver.record(module.path)
        if record is None or record.errors or record.bindings(0, "__getattr__"):
            return True
        if not module.path.endswith(".pyi") and any(record.name_index(name) is not None for name in _DYNAMIC):
            return True
        for star in resolver.stars(module.path):
            found = resolver.module(module.path, star.module, star.level)
            if not found or any(not isinstance(one, Module) or self._is_open(one, seen) for one in found):
                return True
        return False

    # --- objects and classes --------------------------------------------------------------------------

    def _object_lacks(self, receiver: Instance | ClassType | TypeOf, name: str) -> bool | None:
        proven = self.proven
        is_class = not isinstance(receiver, Instance)
        plain = proven.plain(receiver)
        if not isinstance(plain, Instance | ClassType):
            return None
        of = ClassType(plain.path, plain.scope)
        order = self._complete(of, name)
        if order is None or proven.types.classes.is_protocol(of):
            return None
        is_above = isinstance(plain, Instance) and plain.above
        if is_above and (len(order) < 2 or proven.owners(plain) is None):
            return None
        if self._has(order[1:] if is_above else order, name, is_class=is_class):
            return False
        if is_above:
            return True
        for below in proven.below(of):
            other = self._complete(below, name)
            if other is None:
                return None
            if self._has(other, name, is_class=is_class):
                return False
        return True

    def _complete(self, of: ClassType, name: str) -> tuple[ClassType, ...] | None:
        """The classes that a class's members come from, None where there may be others that nobody wrote down."""
        proven = self.proven
        order = proven.order(of)
        if order is None or any(proven.is_dynamic(one) for one in order):
            return None
        if proven.types.is_library(of, "builtins", "object") or proven.types.is_library(of, "builtins", "type"):
            return None
        for one in order:
            if proven.types.is_library(one, "typing", "_TypedDict") or proven.types.is_library(one, "builtins", "type"):
                return None
            if name[:1] == "_" and is_outside(one.path):
                return None  # stubs leave out what is private
        return order

    def _has(self, order: Iterable[ClassType], name: str, *, is_class: bool) -> bool:
        proven = self.proven
        if name in (_OF_CLASSES if is_class else _OF_OBJECTS):
            return True
        if is_class and name == "register" and any(is_outside(one.path) for one in order):
            return True  # stubs leave out that their classes are abstract
        for one in order:
            if proven.defines(one, name):
                return True
            record = proven.resolver.record(one.path)
            if record is None or name in _slots(record, one.scope):
                return True
            if name in _OF_TUPLES and any(_is_tuple(record, ref) for ref in record.scopes[one.scope].refs):
                return True
        metaclass = proven.types.classes.metaclass(next(iter(order))) if is_class else None
        return metaclass is not None and any(proven.defines(one, name) for one in proven.types.order(metaclass))

    def names(self, receiver: Type) -> list[str]:
        """The names that something has, for one that is near."""
        plain = self.proven.plain(receiver)
        return list(self.proven.types.names(plain))


_OF_OBJECTS = frozenset((*dir(object), "__dict__", "__weakref__", "__module__", "__slots__", "__annotations__"))


def _mentions(text: Text, name: str) -> bool:
    return name.encode() in text.data and re.search(rb"\b" + name.encode() + rb"\b", text.data) is not None


def _slots(record: FileRecord, scope: int) -> frozenset[str]:
    found: set[str] = set()
    for symbol in record.bindings(scope, "__slots__"):
        row = value_row(record.symbols.value[symbol])
        value = None if row is None else record.values[row]
        if value is not None and value.kind in ("tuple", "list", "set"):
            found.update(text_of(record, ref) or "" for ref in record.values.pool[value.first : value.second])
    return frozenset(found)


def _is_tuple(record: FileRecord, ref: int) -> bool:
    return ref >= 0 and record.names[record.occurrences.name[ref]] == "NamedTuple"


def is_partial(name: str) -> bool:
    """Whether a class's name says that others are to complete it."""
    return name.endswith(_PARTIAL) or name.startswith(("Base", "Abstract", "_Base", "_Abstract")) or "Mixin" in name
