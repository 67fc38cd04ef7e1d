"""From the syntax tree of any language to a record, by a query. `queries/README.md` explains the captures.

What the query finds is collected first, in any order; then one pass in source order puts every name, definition and
import into the scope that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tree_sitter import Node, QueryCursor, Tree

from engram_context.builder import RecordBuilder
from engram_context.disk.limits import Deadline, TooSlowError
from engram_context.languages.language import Language
from engram_context.records import EXPORT_ONLY, EXPORTED, NO_REF, FileRecord, Kind, Role, ScopeKind, SyntaxProblem
from engram_context.text import Span, Text

_PROBLEMS = 20
"""No more syntax errors than this are told of one file."""
_DETAIL = 200
_DOC = 500
# Files of fewer bytes are read whatever they look like; the others are not nested deeper than this.
_NEVER_DEEP, _DEEP = 20_000, 1_500
_RECEIVER = re.compile(rb"\s*(?:!?\.|\?\.|->|::)\s*\Z")
_NO_RECEIVER = frozenset(b"%c" % byte for byte in b"{}(,;=[&|!+-*/<:?~^")
_OPERATOR_ENDS = (b".", b">", b":")
_SPACES = re.compile(r"\s+")
_COMMENT = re.compile(r"^[ \t]*(?:/\*+!?|\*+/|\*(?!/)|///?!?|--+|;+|#+)?[ \t]?|[ \t]*\*+/[ \t]*$", re.MULTILINE)
_DESCRIBED: frozenset[Kind] = frozenset(
    ("class", "interface", "struct", "enum", "namespace", "function", "method", "type-alias", "attribute", "constant")
)
# A token can be captured more than once: what says most about it stands.
_RANK = {"read": 0, "type": 1, "call": 1, "attribute": 2, "import": 3, "attribute-write": 4, "definition": 5}


@dataclass(slots=True)
class Defined:
    """A binding that was met. `where`: "here", in the function ("hoist"), class ("member") or block around, at the top
    of the file ("file"), in the scope that its match opens ("inner"), or outside of that ("outer")."""

    start: int
    end: int
    kind: Kind
    body: tuple[int, int]
    where: str = "here"
    annotation: int = NO_REF
    value: int = NO_REF
    flags: int = 0
    opens: tuple[int, int] | None = None  # the key of the scope that its match opens
    described: tuple[int, int] | None = None
    pattern: int = 0
    symbol: int = -1


@dataclass(slots=True)
class _Scope:
    start: int
    end: int
    kind: str
    owner: tuple[int, int] | None = None  # the name of a class whose members stand here, when nothing defines it here
    refs: list[int] = field(default_factory=list[int])
    row: int = -1


@dataclass(slots=True)
class Imported:
    """One row of the import table. `name` and `alias` are names as bytes; offsets are -1 where nothing is written."""

    span: tuple[int, int]
    module: str
    name: bytes | None
    alias: bytes | None
    bound: Defined | None
    occurrence: int = -1
    name_occurrence: int = -1
    level: int = 0


class Reading:
    """One file being read."""

    def __init__(self, text: Text, language: Language) -> None:
        self.text = text
        self.data = text.data
        self.language = language
        self.names: dict[int, tuple[int, Role, int]] = {}  # start -> (end, role, link)
        self.definitions: dict[tuple[int, bool], Defined] = {}
        self.imports: list[Imported] = []
        self.exported: set[bytes] = set()
        """Names at the top of the file that it exports by a list of names."""
        self._scopes: dict[tuple[int, int], _Scope] = {}
        self._bases: list[tuple[int, int]] = []
        self._ignored: set[int] = set()
        self._plain: dict[int, int] = {}
        self._pattern = 0  # the number of the pattern whose match is being read
        self._comments: list[tuple[int, int]] = []
        self._values: list[tuple[str, int, int]] = []

    # --- for the languages ----------------------------------------------------------------------------

    def mention(self, start: int, end: int, role: Role, link: int = NO_REF) -> None:
        known = self.names.get(start)
        if end <= start or (known is not None and _RANK[known[1]] > _RANK[role]):
            return
        if known is None or known[1] != role or link >= 0:
            self.names[start] = (end, role, link)

    def define(self, node: Node, kind: Kind, body: Node | None = None, where: str = "here", flags: int = 0) -> Defined:
        """A binding of the name that a node is."""
        return self.define_span(node.start_byte, node.end_byte, kind, body or node, where, flags)

    def define_span(self, start: int, end: int, kind: Kind, body: Node, where: str = "here", flags: int = 0) -> Defined:
        """A binding of the name at start..end."""
        found = Defined(start, end, kind, body.byte_range, where, flags=flags, pattern=self._pattern)
        # One name can match several patterns: the last in the file says most, and an import is one in any case.
        if end <= start:
            return found  # what the grammar says is missing has no name
        key = (start, where == "member")
        known = self.definitions.get(key)
        if known is not None and kind != "import" and (known.kind == "import" or known.pattern > found.pattern):
            return known
        self.definitions[key] = found
        self.mention(start, end, "definition")
        return found

    def bind(self, node: Node, kind: Kind, body: Node | None = None, where: str = "here") -> list[Defined]:
        """Bindings of all names that a pattern binds."""
        return [self.define(leaf, kind, body, where) for leaf in self.leaves(node)]

    def scope(self, start: int, end: int, kind: str) -> _Scope:
        return self._scopes.setdefault((start, -end), _Scope(start, end, kind))

    def type_end(self, node: Node | None) -> int:
        """The end of the plain name that a type comes down to, NO_REF for one that does not."""
        return self._descended(node, self.language.types)

    def _descended(self, node: Node | None, ways: Mapping[str, str]) -> int:
        """The end of what a node comes down to, NO_REF for nothing."""
        while node is not None and node.type in ways:
            node = self.language.step(node, ways)
        return NO_REF if node is None else node.end_byte

    def ignore(self, node: Node) -> None:
        """A node that is no name, whatever else was found."""
        self._ignored.add(node.start_byte)

    def plain(self, node: Node) -> None:
        """A node that is a plain name, whatever else was found."""
        self._plain[node.start_byte] = node.end_byte

    def take(self, node: Node) -> None:
        """A node that is a name after all."""
        self._ignored.discard(node.start_byte)

    def word(self, node: Node) -> bytes:
        return self.data[node.start_byte : node.end_byte]

    # --- matches --------------------------------------------------------------------------------------

    def read(self, tree: Tree) -> FileRecord:
        deadline = Deadline()
        # A query's own progress callback crashes in the binding, so that the time is looked at behind it only.
        matches = QueryCursor(self.language.query()).matches(tree.root_node)
        for number, (pattern, match) in enumerate(matches):
            if not number & 0xFF:
                deadline.check()
            self._pattern = pattern
            if len(match) == 1:
                ((name, nodes),) = match.items()
                role = _PLAIN.get(name)
                if role is not None:
                    for node in nodes:
                        start, end = node.byte_range
                        self.mention(start, end, role, self.receiver(start) if role == "attribute" else NO_REF)
                    continue
            self._structure(match)
        return self._finish(tree)

    def _structure(self, match: dict[str, list[Node]]) -> None:
        language = self.language
        body = match.get("body", (None,))[0]
        opened: _Scope | None = None
        for name, nodes in match.items():
            verb, _, kind = name.partition(".")
            if verb == "scope":
                opened = self.scope(*nodes[0].byte_range, kind)
                body = body or nodes[0]
            elif verb == "ignore":
                self._ignored.update(node.start_byte for node in nodes)
            elif verb == "comment":
                self._comments += [node.byte_range for node in nodes]
            elif verb == "extends":
                self._bases += [(node.start_byte, self.type_end(node)) for node in nodes]
            elif verb == "statement":
                for node in nodes:
                    language.on_statement(self, kind, node)
            elif role := _PLAIN.get(name):
                for node in nodes:
                    self.mention(*node.byte_range, role, self.receiver(node.start_byte) if role == "attribute" else -1)
            elif verb == "key":
                for node in nodes:
                    self.mention(*node.byte_range, "attribute", self.type_end(match["of"][0]) if "of" in match else -1)
        holding = opened
        if "begin" in match:
            opened = self.scope(match["begin"][0].start_byte, match["until"][0].end_byte, "function")
        elif "from" in match and "until" in match:
            opened = self.scope(match["from"][0].end_byte, match["until"][0].end_byte, "rest")
        if "call" in match:
            self._values.append(("call", self.value_end(match["callee"][0]), match["call"][0].end_byte))
        if "new" in match:
            self._values.append(("instance", self.type_end(match["class"][0]), match["new"][0].end_byte))
        if "owner" in match and holding is not None:
            end = self.type_end(match["owner"][0])
            holding.owner = self.word_ending(end)
            holding.refs = [end]
        key = None if opened is None else (opened.start, -opened.end)
        for name, nodes in match.items():
            if name.startswith("define."):
                _, kind, *modifier = name.split(".")
                for node in nodes:
                    self._define(node, kind, modifier, match, body, key)

    def _define(
        self,
        node: Node,
        kind: str,
        modifier: list[str],
        match: dict[str, list[Node]],
        body: Node | None,
        key: tuple[int, int] | None,
    ) -> None:
        where = modifier[0] if modifier else "here"
        if key is not None and where == "here":
            where = "inner" if "from" in match else "outer"
        for leaf in self.leaves(node):
            found = self.define(leaf, kind, body, where)  # type: ignore[arg-type]
            found.opens = key
            if kind == "module":
                found.flags |= EXPORT_ONLY  # nothing in the file is called by its package's name
            if leaf == node:
                self._declare(found, match, body)
            if kind in _DESCRIBED and body is not None:
                inside = match["inside"][0] if "inside" in match else body.child_by_field_name("body")
                end = body.end_byte if inside is None else inside.start_byte
                parent = body.parent
                while parent is not None and parent.type in self.language.wrappers:
                    body, parent = parent, parent.parent
                found.described = (body.start_byte, end)
            receiver = self.receiver(leaf.start_byte) if where == "member" else NO_REF
            if receiver >= 0:
                self.names[leaf.start_byte] = (leaf.end_byte, "attribute-write", receiver)

    def _declare(self, found: Defined, match: dict[str, list[Node]], body: Node | None) -> None:
        """Of what type a name is declared, and what it is given at first."""
        declared = match["type"][0] if "type" in match else None
        if declared is None and body is not None:
            declared = next(filter(None, map(body.child_by_field_name, self.language.type_fields)), None)
        found.annotation = self.type_end(declared)
        value = match["value"][0] if "value" in match else body and body.child_by_field_name("value")
        found.value = self.value_end(value)

    def value_end(self, node: Node | None) -> int:
        """The end of the expression that a value comes down to."""
        return self._descended(node, self.language.values)

    def leaves(self, node: Node) -> Iterator[Node]:
        """The names that a pattern binds."""
        language = self.language
        waiting = [node]
        while waiting:
            at = waiting.pop()
            fields = language.patterns.get(at.type)
            if fields is not None:
                waiting += [child for name in reversed(fields) for child in reversed(at.children_by_field_name(name))]
            elif at.named_child_count:
                waiting += reversed(at.named_children)
            elif at.end_byte > at.start_byte and at.type in language.names and language.is_bound(at):
                yield at

    def receiver(self, start: int) -> int:
        """Where the expression ends whose member is named at `start`."""
        data, end = self.data, start - 1
        if data[end:start] == b"." and not data[end - 1 : end].isspace():
            end -= data[end - 1 : end] in (b"?", b"!")
        elif data[end:start] not in _OPERATOR_ENDS and not data[end:start].isspace():
            return NO_REF
        else:
            low = max(start - 80, 0)
            found = _RECEIVER.search(data[low:start])
            if found is None:
                return NO_REF
            end = low + found.start()
        if self.data[end - 1 : end] in _NO_RECEIVER:
            return NO_REF
        return self._before_arguments(end) if self.data[end - 1 : end] == b">" else end

    def _before_arguments(self, end: int) -> int:
        """The end of `Name` in `Name<...>`, which ends at `end`."""
        depth, at = 0, end
        while at > max(end - 200, 0):
            at -= 1
            if self.data[at] == 0x3E and self.data[at - 1 : at] != b"-":
                depth += 1
            elif self.data[at] == 0x3C:
                depth -= 1
                if not depth:
                    return at - 2 if self.data[at - 2 : at] == b"::" else at
        return end

    def word_ending(self, end: int) -> tuple[int, int] | None:
        if end < 0:
            return None
        start = end
        while start and (
            self.data[start - 1 : start].isalnum() or self.data[start - 1] in b"_$" or self.data[start - 1] >= 0x80
        ):
            start -= 1
        return (start, end) if start < end else None

    # --- the end --------------------------------------------------------------------------------------

    def _finish(self, tree: Tree) -> FileRecord:
        for start in self._ignored:
            self.names.pop(start, None)
        self.names.update((start, (end, "read", NO_REF)) for start, end in self._plain.items())
        builder = RecordBuilder(self.text, self.language.name)
        builder.add_scope("module", 0, len(self.data), -1)
        stands = _Standing(builder, self._scopes, self.language.methods_apart)
        offsets = {*self.names, *(start for start, _ in self._bases), *(row.span[0] for row in self.imports)}
        scope_at = stands.scopes_of(offsets.union(found.start for found in self.definitions.values()))
        self._add_definitions(builder, stands, scope_at)
        self._add_imports(builder, scope_at)
        for start in sorted(self.names):
            end, role, link = self.names[start]
            builder.add_occurrence(start, end, scope_at[start], role, link)
        for kind, first, end in self._values:
            builder.add_value("call" if kind == "call" else "instance", first, end=end)
        for scope in self._scopes.values():
            if scope.refs and scope.row > 0:
                builder.returned.setdefault(scope.row, []).extend(scope.refs)
        for start, end in self._bases:
            row = scope_at[start]
            if row and end >= 0:
                builder.returned.setdefault(row, []).append(end)
        return builder.finish(tuple(_problems(tree)))

    def _add_definitions(self, builder: RecordBuilder, stands: _Standing, scope_at: dict[int, int]) -> None:
        comments = sorted(self._comments)
        ends = [end for _, end in comments]
        for found in sorted(self.definitions.values(), key=lambda found: found.start):
            scope = scope_at[found.start]
            opened = -1 if found.opens is None else self._scopes[found.opens].row
            target = stands.target(found, scope, opened)
            if found.where == "member" and target is None:
                # There is no class around: the member of who knows what.
                continue
            flags = found.flags
            if target == 0 and self.data[found.start : found.end] in self.exported:
                flags |= EXPORTED
            inner = opened if opened >= 0 and found.kind not in ("parameter", "variable") else -1
            name = builder.name(found.start, found.end)
            if inner >= 0 and builder.scopes[inner][4] < 0:
                builder.scopes[inner][4] = len(builder.symbols)
                builder.scopes[inner][7] = name
            end, role, _ = self.names.get(found.start, (found.end, "read", NO_REF))
            if role == "definition":
                # The text of a function's name stands outside of what it opens.
                if target is not None and found.where == "outer" and scope == opened:
                    scope_at[found.start] = target
                self.names[found.start] = (end, role, len(builder.symbols))
            found.symbol = builder.add_symbol(
                found.start,
                found.end,
                scope,
                found.kind,
                "definition",
                found.body,
                bound_in=target,
                annotation=found.annotation,
                value=found.value,
                flags=flags,
                inner=inner,
                detail=self._detail(found),
                doc=_doc(self.text, comments, ends, found.described[0]) if found.described else "",
                occurs=False,
            )
        for scope in self._scopes.values():
            if scope.owner is not None and scope.row > 0:
                builder.scopes[scope.row][7] = builder.name(*scope.owner)

    def _detail(self, found: Defined) -> str:
        if found.described is None:
            return ""
        start, end = found.described
        source = self.data[start : min(end, start + 2 * _DETAIL)].decode("utf-8", "replace")
        line = _SPACES.sub(" ", source).strip().rstrip("{=:").rstrip()
        return line if len(line) <= _DETAIL else line[: _DETAIL - 1] + "…"

    def _add_imports(self, builder: RecordBuilder, scope_at: dict[int, int]) -> None:
        for imported in self.imports:
            row = len(builder.imports)
            for start in (imported.occurrence, imported.name_occurrence):
                if start in self.names:
                    self.names[start] = (self.names[start][0], "import", row)
            bound = -1 if imported.bound is None else imported.bound.symbol
            builder.imports.append(
                [
                    *imported.span,
                    builder.string(imported.module),
                    imported.level,
                    _interned(builder, imported.name),
                    _interned(builder, imported.alias),
                    scope_at[imported.span[0]],
                    0,
                    bound,
                    imported.occurrence,
                    imported.name_occurrence,
                ]
            )


_NEAREST = {"hoist": ("function", "module", "namespace", "class"), "member": ("class",), "block": ("block", "module")}
_PLAIN: dict[str, Role] = {"read": "read", "type-name": "type", "call-name": "call", "member": "attribute"}


class _Standing:
    """Puts scopes into one another."""

    def __init__(self, builder: RecordBuilder, scopes: dict[tuple[int, int], _Scope], methods_apart: bool) -> None:
        self.builder = builder
        self.methods_apart = methods_apart
        self.scopes = [scopes[key] for key in sorted(scopes)]
        self.kinds = ["module"]

    def scopes_of(self, offsets: Iterable[int]) -> dict[int, int]:
        """The innermost scope of each offset; adds all scopes to the builder."""
        found: dict[int, int] = {}
        stack: list[tuple[int, int]] = [(len(self.builder.data) + 1, 0)]
        waiting = iter(sorted(offsets))
        offset = next(waiting, None)
        for scope in self.scopes:
            while offset is not None and offset < scope.start:
                while stack[-1][0] <= offset:
                    stack.pop()
                found[offset] = stack[-1][1]
                offset = next(waiting, None)
            while stack[-1][0] <= scope.start:
                stack.pop()
            end, parent = stack[-1]
            if scope.kind == "block" and scope.end == end and self.kinds[parent] in ("function", "namespace"):
                scope.row = parent  # the body of a function, which its parameters stand in too
                continue
            scope.row = self._add(scope, parent)
            stack.append((min(scope.end, end), scope.row))
        while offset is not None:
            while stack[-1][0] <= offset:
                stack.pop()
            found[offset] = stack[-1][1]
            offset = next(waiting, None)
        return found

    def _add(self, scope: _Scope, parent: int) -> int:
        kind: ScopeKind = "block" if scope.kind == "rest" else scope.kind  # type: ignore[assignment]
        self.kinds.append(scope.kind)
        row = self.builder.add_scope(kind, scope.start, scope.end, parent)
        if self.methods_apart and kind == "class":
            # A method and a variable of one name are two things: methods are bound in a scope of their own, right
            # behind the class's and without any text.
            self.kinds.append("class")
            self.builder.add_scope("class", scope.start, scope.start, row)
        return row

    def target(self, found: Defined, scope: int, opened: int) -> int | None:
        """The scope that a definition binds its name in; None for a member of no class."""
        target = self._target(found, scope, opened)
        while target and self.kinds[target] == "type-parameters" and found.kind not in ("type-parameter", "parameter"):
            target = self.builder.scopes[target][3]
        return target

    def _target(self, found: Defined, scope: int, opened: int) -> int | None:
        if found.where == "file":
            return 0
        if found.where == "inner" and opened >= 0:
            return opened
        apart = self.methods_apart and found.kind == "method"
        if found.where == "outer" and opened == scope and opened > 0:
            parent = self.builder.scopes[opened][3]
            return parent + 1 if apart and self.kinds[parent] == "class" else parent
        wanted = _NEAREST.get(found.where)
        if wanted is None:
            return scope + 1 if apart and self.kinds[scope] == "class" else scope
        if opened == scope and opened > 0:
            scope = self.builder.scopes[opened][3]
        while scope > 0 and self.kinds[scope] not in wanted:
            scope = self.builder.scopes[scope][3]
        return None if scope == 0 and found.where == "member" else scope


def _interned(builder: RecordBuilder, name: bytes | None) -> int:
    return -1 if not name else builder.names.setdefault(name, len(builder.names))


def _problems(tree: Tree) -> Iterator[SyntaxProblem]:
    """The outermost errors of a tree, in source order."""
    waiting = [tree.root_node] if tree.root_node.has_error else []
    count = 0
    while waiting and count < _PROBLEMS:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            count += 1
            yield SyntaxProblem(
                Span(*node.byte_range), f"expected '{node.type}'" if node.is_missing else "invalid syntax"
            )
        elif node.has_error:
            waiting.extend(reversed(node.children))


def _doc(text: Text, comments: list[tuple[int, int]], ends: list[int], start: int) -> str:
    """The first paragraph of the comment right above a definition."""
    from bisect import bisect_right

    first = start
    at = bisect_right(ends, start) - 1
    while at >= 0 and not text.data[ends[at] : first].strip() and text.data[ends[at] : first].count(b"\n") <= 1:
        line = text.line_start(text.line_of(comments[at][0]))
        if text.data[line : comments[at][0]].strip():
            break  # behind a statement: that one's
        first = comments[at][0]
        at -= 1
    if first == start:
        return ""
    source = text.data[first : min(start, first + 4 * _DOC)].decode("utf-8", "replace")
    plain = _COMMENT.sub("", source).strip()
    paragraph = re.split(r"\n\s*\n", plain, maxsplit=1)[0]
    paragraph = _SPACES.sub(" ", paragraph).strip()
    return paragraph if len(paragraph) <= _DOC else paragraph[: _DOC - 1] + "…"


def read(text: Text, language: Language, tree: Tree) -> FileRecord:
    """All that one text says by itself. Raises TooSlowError where that takes too long."""
    if len(text) > _NEVER_DEEP:
        _check_depth(tree)
    own = language.read(text, tree)
    return Reading(text, language).read(tree) if own is None else own


def _check_depth(tree: Tree) -> None:
    """A query takes quadratic time, and cannot be stopped, where everything is inside everything else, or one error."""
    node: Node | None = tree.root_node
    for _ in range(_DEEP):
        if node.has_error and node.child_count > _NEVER_DEEP:
            break
        node = max(node.children, key=lambda child: child.end_byte - child.start_byte, default=None)
        if node is None:
            return
    raise TooSlowError
