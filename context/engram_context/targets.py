"""What a mention of a name can turn out to mean."""

from __future__ import annotations

from dataclasses import dataclass

from engram_context.imports import Module


@dataclass(frozen=True, slots=True)
class Slot:
    """A name in one scope of a file, with all its bindings: the unit that references are counted for and a
    rename renames. A class scope's slots hold its attributes too (`self.name = ...`)."""

    path: str
    scope: int
    name: str


@dataclass(frozen=True, slots=True)
class External:
    """Something that the project imports from elsewhere, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Builtin:
    """A name that is there without being bound in any file."""

    name: str


Target = Slot | Module | External | Builtin
