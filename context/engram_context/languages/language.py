"""What differs from language to language: one subclass each, with its query beside it in `queries/`.

The reader asks how declarations are built, the resolver what a name means that its file does not bind, and a rename
how a name is spelled. Everything has an answer here that suits a small language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import tree_sitter
from tree_sitter import Node

from engram_context.records import FileRecord, Import
from engram_context.targets import External, Slot, Target
from engram_context.text import Text

if TYPE_CHECKING:
    from engram_context.languages.reading import Reading
    from engram_context.languages.resolving import Names

_QUERIES = Path(__file__).parent / "queries"
_IDENTIFIER = re.compile(r"[^\W\d]\w*\Z")


def words(source: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(source.split())


def outside(module: str, name: str | None) -> External:
    """Something from outside the project. The quotation marks keep it apart from Python's modules."""
    return External(f"'{module}'.{name}" if name else f"'{module}'")


class Language:
    """One language. Instances have no state, and are shared between threads."""

    name: ClassVar[str] = ""
    module: ClassVar[str] = ""
    """The Python module of the grammar, and in `function` its function that gives it."""
    function: ClassVar[str] = "language"
    queries: ClassVar[tuple[str, ...]] = ()
    """Files in `queries/`, which are read as one."""
    keywords: ClassVar[frozenset[str]] = frozenset()
    receivers: ClassVar[frozenset[str]] = frozenset({"this"})
    """Words that mean the object whose method they stand in."""
    patterns: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Where in a node that binds several names these are: fields to descend into. All children for other nodes."""
    types: ClassVar[Mapping[str, str]] = {}
    """Nodes that stand for the type inside them: the field it is in, or "" for the last child, "^" for the first."""
    values: ClassVar[Mapping[str, str]] = {}
    """The same of values: parentheses, and what is as good as its operand."""
    type_fields: ClassVar[tuple[str, ...]] = ("type", "return_type")
    """The fields of a declaration in which a type can be."""
    names: ClassVar[frozenset[str]] = frozenset({"identifier", "type_identifier"})
    """The nodes that can be bound."""
    wrappers: ClassVar[frozenset[str]] = frozenset()
    """Nodes around a declaration that are as good as a part of it: `export`."""
    resolves: ClassVar[bool] = True
    """Whether it is known here what a mention means."""
    members_in_scope: ClassVar[bool] = False
    """Whether a method sees its class's members by their plain names."""
    types_apart: ClassVar[bool] = False
    """Whether a type and a variable of one name do not shadow each other."""
    types_as_values: ClassVar[bool] = False
    """Whether the name of any type can begin an expression."""
    methods_apart: ClassVar[bool] = False
    """The same of methods and variables."""
    aliases_hold: ClassVar[bool] = False
    """Whether what a type alias is declared to be has its members."""
    seen_from: ClassVar[Literal["everywhere", "name", "end"]] = "everywhere"
    """From where on in its block a local variable is seen: its name, or the end of its declaration."""

    keys_may_be_names: ClassVar[bool] = False
    """Whether what looks like the key of a literal may be a variable."""
    types_are_members: ClassVar[bool] = False
    """Whether the name of a type can be a member's: of what embeds it."""
    modules_are_objects: ClassVar[bool] = False
    """Whether a module can be put into a variable, so that what it exports may be a member of anything."""
    loose_names: ClassVar[bool] = False
    """Whether a name that seems to be bound nowhere may be another file's all the same: by an include path, a macro."""
    namespaces_closed: ClassVar[bool] = False
    """Whether what stands in a namespace does not see the names around it."""
    inherits: ClassVar[bool] = True
    """Whether a class has the members of what it extends, so that any of its own may override one."""
    has_twins: ClassVar[bool] = False
    """Whether one word can be a variable and a member at once: `{name}`."""
    kin: ClassVar[frozenset[str]] = frozenset()
    """Grammars of other languages whose code may use members of this one's."""

    offered: ClassVar[frozenset[str]] = frozenset()
    """Words with a meaning that can be names as well."""

    # --- reading --------------------------------------------------------------------------------------

    @cache  # noqa: B019  (there is one instance of each language)
    def grammar(self) -> tree_sitter.Language:
        return tree_sitter.Language(getattr(import_module(self.module), self.function)())  # pyright: ignore[reportDeprecated]

    @cache  # noqa: B019
    def query(self) -> tree_sitter.Query:
        source = "\n".join((_QUERIES / f"{name}.scm").read_text(encoding="utf-8") for name in self.queries)
        return tree_sitter.Query(self.grammar(), source)

    def read(self, text: Text, tree: tree_sitter.Tree) -> FileRecord | None:
        """All that one text says, for a language that does not read by the queries' captures."""
        return None

    def on_statement(self, reading: Reading, kind: str, node: Node) -> None:
        """Reads what the query captured as `@statement.KIND`: imports, mostly."""

    def step(self, node: Node, ways: Mapping[str, str]) -> Node | None:
        """From a node that stands for something inside it to that."""
        way = ways[node.type]
        if way not in ("", "^"):
            return node.child_by_field_name(way)
        children = node.named_children
        return children[0 if way else -1] if children else None

    def is_bound(self, node: Node) -> bool:
        """Whether a name at the end of a pattern is bound by it."""
        return True

    # --- resolving ------------------------------------------------------------------------------------

    def beyond(self, names: Names, path: str, name: str, role: str, scope: int) -> tuple[Target, ...]:
        """What a name means in a scope whose file does not bind it in sight."""
        return ()

    def imported(self, names: Names, path: str, imported: Import) -> tuple[Target, ...]:
        """What an import brings, where it comes from."""
        return ()

    def of_path(self, names: Names, path: str, imported: Import, index: int) -> tuple[Target, ...]:
        """What a part of the path of an import means: the module, where a path is one string."""
        return tuple(
            target
            for target in self.imported(names, path, replace(imported, name=None))
            if not isinstance(target, Slot)
        )

    def in_module(self, names: Names, path: str, name: str, importer: str) -> tuple[Target, ...]:
        """What a file (as the module that it is) has under a name, for another file."""
        return ()

    def through(self, names: Names, path: str, scope: int, name: str) -> tuple[Target, ...]:
        """What the inside of a namespace has under a name that it does not bind: by what it imports as a whole."""
        return ()

    def module_names(self, names: Names, path: str) -> Iterable[str]:
        """The names that `in_module` has an answer to, as far as they can be listed."""
        return ()

    def scopes_of(self, names: Names, slot: Slot) -> Iterator[tuple[str, int]]:
        """(file, scope) in which members of a class stand besides its own body."""
        return iter(())

    def peers(self, names: Names, slot: Slot) -> tuple[Slot, ...]:
        """All slots that are the same thing as this one, itself among them: a declaration and its definition."""
        return (slot,)

    # --- renaming -------------------------------------------------------------------------------------

    def unfit(self, names: Names, slots: Iterable[Slot], old_name: str, new_name: str) -> str | None:
        """Why a name cannot be given to these slots; None when it can."""
        if not self.is_identifier(new_name):
            return f"'{new_name}' is not a valid name"
        return f"'{new_name}' is a keyword" if new_name in self.keywords else None

    def is_identifier(self, name: str) -> bool:
        return _IDENTIFIER.match(name) is not None

    def spelled(self, node: Node, new_name: str, is_member: bool) -> str:
        """What stands at a mention once it is renamed: more than the name where one word is two things."""
        return new_name

    def with_alias(self, old_name: str, new_name: str) -> str | None:
        """An imported name under another name; None where there is no such thing."""
        return None

    def twin(self, node: Node) -> bool:
        """Whether a mention is a variable and a member at once: `{name}`."""
        return False

    def doubtful_member(self, names: Names, slot: Slot) -> str | None:
        """Why all edits of a member's rename should be looked at; None when that is not so."""
        return None

    def doubtful_local(self, names: Names, slot: Slot) -> str | None:
        """The same of a local variable's."""
        return None

    def may_override(self, names: Names, slot: Slot) -> bool:
        """Whether a member can be one that a class from outside the project declares."""
        return True

    def moves(self, names: Names, slots: Iterable[Slot], new_name: str) -> Iterator[tuple[str, str]]:
        """Files that are called after what is renamed: (old path, new path)."""
        return iter(())

    # --- completing -----------------------------------------------------------------------------------

    def is_visible(self, record: FileRecord, row: int) -> bool:
        """Whether other files can name a symbol at the top of a file."""
        return True

    def around(self, names: Names, path: str) -> Iterator[tuple[str, Target]]:
        """Names of other files that a file sees without importing them one by one."""
        return iter(())

    def import_statement(self, names: Names, path: str, slot: Slot) -> str | None:
        """A line that imports what another file has at its top; None where none can be made."""
        return None
