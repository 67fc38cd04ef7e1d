"""The walk over a Python tree, and what its handlers share: visiting, refs of expressions, binding targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat

from tree_sitter import Node, Parser, Range, Tree

from engram_context.builder import RecordBuilder
from engram_context.python import grammar as g
from engram_context.records import (
    NO_REF,
    WALRUS,
    Kind,
    Role,
    SyntaxProblem,
    ValueKind,
)


class PythonWalk:
    """Fills a builder from one tree. `frames` holds (node, scope) still to be visited, next one last."""

    def __init__(self, builder: RecordBuilder, tree: Tree) -> None:
        self.builder = builder
        self.data = builder.data
        self.tree = tree
        self.occurrences = builder.occurrences
        self.names = builder.names
        self.frames: list[tuple[Node, int]] = []
        # Function scopes of methods: the first parameter's name and the class scope.
        self.receivers: dict[int, tuple[int, int]] = {}
        self.decorated: dict[int, tuple[Node, list[Node]]] = {}
        self.problems: list[SyntaxProblem] = []
        self.lambdas: dict[int, int] = {}  # refs by start
        self.typed: dict[int, Node] = {}  # the expressions in strings that are types, by where the string starts
        self.ends: list[tuple[int, int]] = []  # start and end of the blocks around what is visited

    def run(self, handlers: Mapping[int, Handler]) -> None:
        """Read the whole tree. Kinds without a handler are passed through."""
        root = self.tree.root_node
        builder = self.builder
        builder.add_scope("module", 0, len(self.data), -1)
        builder.doc = self.doc_of(root).replace("\0", "")
        frames, push = self.frames, self.push
        frames.append((root, 0))
        while frames:
            builder.deadline.check()
            for _ in repeat(None, 500):
                node, scope = frames.pop()
                handler = handlers.get(node.kind_id)
                if handler is not None:
                    handler(self, node, scope)
                else:
                    push(node.named_children, scope)
                if not frames:
                    break

    def push(self, nodes: Sequence[Node], scope: int) -> None:
        """Visit nodes, the first one first, before whatever is waiting.

        Names are read at once and what can hold no names is left out: that is most nodes, and the order of
        occurrences does not matter before the record is finished.
        """
        frames, occurrences, names, data = self.frames, self.occurrences, self.names, self.data
        for node in reversed(nodes):
            kind = node.kind_id
            if kind == g.IDENTIFIER:
                start, end = node.byte_range
                if end > start:
                    name = names.setdefault(data[start:end], len(names))
                    occurrences.append((start, name, scope, g.READ, NO_REF))
            elif kind not in g.SILENT:
                frames.append((node, scope))

    def visit(self, node: Node | None, scope: int) -> None:
        if node is not None:
            self.push((node,), scope)

    def block(self, node: Node, *, loop: bool = False) -> None:
        """Write down that the statements of a node may run or not."""
        start, end = node.byte_range
        self.builder.blocks.append((start, end, int(loop)))
        while self.ends and self.ends[-1][1] <= start:
            self.ends.pop()
        self.ends.append((start, end))

    def block_end(self, at: int, scope: int) -> int:
        """Where the block that a statement is in ends, or else its scope."""
        while self.ends and self.ends[-1][1] <= at:
            self.ends.pop()
        end = self.builder.scopes[scope][2]
        return min(end, self.ends[-1][1]) if self.ends and self.ends[-1][0] <= at else end

    # --- values ---------------------------------------------------------------------------------------

    def ref(self, node: Node | None, scope: int, depth: int = g.DEPTH) -> int:
        """The ref of an expression, as far as the record says anything about it."""
        if node is None:
            return NO_REF
        if node.kind_id in g.PRIMARY:
            return node.end_byte
        while node is not None and node.kind_id in g.WRAPPERS:
            if node.kind_id in g.NAMED_EXPRESSIONS:
                node = node.child_by_field_id(g.VALUE)
            else:
                inner = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
                node = inner[0] if inner else None
        if node is None:
            return NO_REF
        kind = node.kind_id
        builder = self.builder
        if kind in g.PRIMARY:
            return node.end_byte
        if kind in g.LITERALS:
            return builder.add_value(g.LITERALS[kind], 0, 0)
        if kind in g.STRINGS:
            typed = self.typed.get(node.start_byte) if self.typed else None
            if typed is not None:
                return self.ref(typed, scope, depth - 1)
            plain = g.PLAIN.fullmatch(self.data, node.start_byte, node.end_byte)
            if plain is not None:
                # What the pattern lets through is ASCII.
                strings = builder.strings
                return builder.add_value("str", strings.setdefault(plain[1].decode("ascii"), len(strings)), 0)
            prefix = self.data[node.start_byte : node.start_byte + 2].lower()
            is_bytes = prefix[:1].isalpha() and b"b" in prefix
            return builder.add_value("bytes" if is_bytes else "str", 0, 0)
        if kind in g.INTEGERS:
            return self.integer(self.data[node.start_byte : node.end_byte])
        if kind in g.BOOLS:
            return builder.add_value("bool", g.BOOLS[kind], 0)
        if kind in g.FLOATS:
            imaginary = self.data[node.end_byte - 1 : node.end_byte] in (b"j", b"J")
            return builder.add_value("complex" if imaginary else "float")
        if kind in g.LAMBDAS:
            return self.lambda_value(node)
        if depth <= 0:
            return NO_REF
        if kind in g.AWAITS:
            return builder.add_value("await", self.ref(g.first(node), scope, depth - 1))
        if kind in g.SEQUENCES:
            children = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
            if len(children) > g.ELEMENTS or any(child.kind_id in g.STARRED for child in children):
                return builder.add_value(g.SEQUENCES[kind], 0, 0)
            refs = [self.ref(child, scope, depth - 1) for child in children]
            return builder.add_value(g.SEQUENCES[kind], *builder.pooled(refs))
        if kind in g.EITHER or kind in g.BINARY or kind in g.UNIONS:
            children = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
            if len(children) < 2:
                return NO_REF
            # `a if test else b` has the test in the middle; the two results are first and last.
            first = self.ref(children[0], scope, depth - 1)
            second = self.ref(children[-1], scope, depth - 1)
            operator = node.child_by_field_id(g.OPERATOR)
            if kind in g.EITHER:
                is_or = operator is not None and operator.end_byte - operator.start_byte == len("or")
                return builder.add_value("otherwise" if is_or else "either", first, second)
            sign = b"|" if operator is None else self.data[operator.start_byte : operator.end_byte]
            return builder.add_value(g.OPERATORS.get(sign, "operator"), first, second)
        if kind in g.YIELDS:
            return builder.add_value("sent", scope, 0)
        if kind in g.COLLECTED:
            return self.collected(g.COLLECTED[kind], node.child_by_field_id(g.BODY), scope, depth - 1)
        if kind in g.DICTS:
            return self.dictionary(node, scope, depth - 1)
        if kind in g.UNARY:
            inner = node.child_by_field_id(g.ARGUMENT)
            if inner is not None and inner.kind_id in g.INTEGERS and self.data[node.start_byte] == b"-"[0]:
                return self.integer(b"-" + self.data[inner.start_byte : inner.end_byte])
            return self.ref(inner, scope, depth - 1)
        return NO_REF

    def lambda_value(self, node: Node) -> int:
        """The ref of a lambda, whichever is read first: it or what refers to it. (It ends where its body does, so that
        its end does not tell it.)"""
        start = node.start_byte
        if start not in self.lambdas:
            self.lambdas[start] = self.builder.add_value("lambda", 0, 0)
        return self.lambdas[start]

    def integer(self, source: bytes) -> int:
        is_small = len(source) < 4 and source.lstrip(b"-").isdigit()
        return self.builder.add_value("int", int(source) if is_small else 0, int(is_small))

    def collected(self, kind: ValueKind, body: Node | None, scope: int, depth: int) -> int:
        """The ref of a comprehension's result."""
        if body is not None and body.kind_id in g.PAIRS:
            parts = [child for child in body.named_children if child.kind_id not in g.COMMENTS]
            refs = [self.ref(part, scope, depth) for part in parts[:2]]
            return self.builder.add_value(kind, *refs) if len(refs) == 2 else self.builder.add_value(kind)
        return self.builder.add_value(kind, self.ref(body, scope, depth))

    def dictionary(self, node: Node, scope: int, depth: int) -> int:
        refs: list[int] = []
        pairs = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
        most = g.LITERAL_ELEMENTS if scope == 0 else g.ELEMENTS
        if len(pairs) > most or any(pair.kind_id not in g.PAIRS for pair in pairs):
            return self.builder.add_value("dict", 0, 0)
        for pair in pairs:
            key, value = pair.child_by_field_id(g.KEY), pair.child_by_field_id(g.VALUE)
            refs += (self.ref(key, scope, depth), self.ref(value, scope, depth))
        return self.builder.add_value("dict", *self.builder.pooled(refs))

    def annotation(self, node: Node | None, scope: int) -> int:
        """Visit an annotation; its ref. Strings in it are read as the expressions they hold."""
        if node is None:
            return NO_REF
        start, end = node.byte_range
        self.visit(node, scope)
        source = self.data[start:end]
        if b'"' not in source and b"'" not in source:
            return self.ref(node, scope)
        return self.ref(self.read_strings(node, scope) or node, scope)

    def read_strings(self, node: Node, scope: int) -> Node | None:
        """Queue the expressions in a type's strings; the expression when the type is one string as a whole."""
        start, end = node.byte_range
        whole: Node | None = None
        waiting = [node]
        while waiting:
            at = waiting.pop()
            if at.kind_id in g.STRINGS:
                inner = self.typed.get(at.start_byte)
                if inner is None:
                    inner = self._read_string(at)
                    self.visit(inner, scope)
                    if inner is not None:
                        self.typed[at.start_byte] = inner
                if inner is not None and at.start_byte == start and at.end_byte == end:
                    whole = inner
                continue
            if at.kind_id in g.SUBSCRIPTS:
                base = g.first(at)
                named = self.data[base.start_byte : base.end_byte] if base else b""
                if named.rpartition(b".")[2] in (b"Literal", b"Annotated"):
                    # Only Annotated's first argument is a type; Literal's are no types at all.
                    continue
            waiting.extend(reversed(at.named_children))
        return whole

    def _read_string(self, node: Node) -> Node | None:
        """The expression in a plain string literal, parsed where it stands so that offsets hold."""
        match = g.STRING.fullmatch(self.data, node.start_byte, node.end_byte)
        if match is None or match[1].lower() not in (b"", b"u", b"r") or b"\\" in match[3]:
            return None
        start, end = match.span(3)
        while start < end and self.data[start : start + 1].isspace():
            start += 1
        if start == end or b"\n" in match[3]:
            return None
        column = start - (self.data.rfind(b"\n", 0, start) + 1)
        parser = Parser(self.tree.language)
        parser.included_ranges = [Range((0, column), (0, column + end - start), start, end)]
        tree = parser.parse(self.data)
        root = tree.root_node
        if root.has_error or root.named_child_count != 1:
            return None
        statement = g.first(root)
        if statement is None or statement.kind_id not in g.STATEMENTS or statement.named_child_count != 1:
            return None
        return g.first(statement)

    # --- bindings -------------------------------------------------------------------------------------

    def bind(
        self,
        target: Node,
        scope: int,
        body: tuple[int, int],
        *,
        value: int = NO_REF,
        annotation: int = NO_REF,
        flags: int = 0,
        detail: str = "",
        role: Role = "write",
    ) -> None:
        """Bind every name in an assignment target. Parts that are only evaluated are queued."""
        builder = self.builder
        waiting: list[tuple[Node, int]] = [(target, value)]
        while waiting:
            node, value = waiting.pop()
            kind = node.kind_id
            if kind == g.IDENTIFIER:
                start, end = node.byte_range
                if end == start:
                    continue
                if role == "delete":
                    builder.add_occurrence(start, end, scope, "delete")
                    continue
                where = self.binding_scope(scope) if flags & WALRUS else scope
                builder.add_symbol(
                    start,
                    end,
                    scope,
                    self.variable_kind(start, end, where),
                    role,
                    body,
                    bound_in=where,
                    value=value,
                    annotation=annotation,
                    flags=flags,
                    detail=detail,
                )
            elif kind in g.PATTERNS:
                children = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
                if kind in g.STARRED or (len(children) == 1 and kind not in g.SEQUENCE_PATTERNS):
                    waiting.extend((child, NO_REF if kind in g.STARRED else value) for child in children)
                    continue
                starred = any(child.kind_id in g.STARRED for child in children)
                parts = [
                    (
                        child,
                        value
                        if role == "delete" or value == NO_REF
                        else builder.add_value("part", value, -1 if starred else position),
                    )
                    for position, child in enumerate(children)
                ]
                waiting.extend(reversed(parts))
            elif kind in g.PARENTHESISED:
                waiting.extend((child, value) for child in node.named_children)
            elif kind in g.ATTRIBUTES:
                self.bind_attribute(node, scope, body, value, annotation, flags)
            else:
                self.visit(node, scope)

    def bind_attribute(
        self, node: Node, scope: int, body: tuple[int, int], value: int, annotation: int, flags: int
    ) -> None:
        children = node.named_children
        owner, attribute = children[0], children[-1]
        if len(children) < 2 or attribute.kind_id != g.IDENTIFIER:
            self.push(children, scope)
            return
        start, end = attribute.byte_range
        receiver = self.ref(owner, scope)
        of_class = self.class_of_receiver(owner, scope)
        self.visit(owner, scope)
        if of_class is None:
            self.builder.add_occurrence(start, end, scope, "attribute-write", receiver)
            return
        self.builder.add_symbol(
            start,
            end,
            scope,
            "attribute",
            "attribute-write",
            body,
            bound_in=of_class,
            value=value,
            annotation=annotation,
            flags=flags,
            link=receiver,
        )

    def class_of_receiver(self, owner: Node, scope: int) -> int | None:
        """The class scope whose method's first parameter this expression is, if it is one."""
        if owner.kind_id != g.IDENTIFIER or not self.receivers:
            return None
        name = self.builder.names.get(self.data[owner.start_byte : owner.end_byte])
        scopes = self.builder.scopes
        while scope > 0 and scopes[scope][0] != g.CLASS_SCOPE:
            found = self.receivers.get(scope)
            if found is not None and found[0] == name:
                return found[1]
            scope = scopes[scope][3]
        return None

    def binding_scope(self, scope: int) -> int:
        """Where a walrus binds: around all comprehensions."""
        scopes = self.builder.scopes
        while scope > 0 and scopes[scope][0] == g.COMPREHENSION_SCOPE:
            scope = scopes[scope][3]
        return scope

    def variable_kind(self, start: int, end: int, scope: int) -> Kind:
        kind = self.builder.scopes[scope][0]
        is_constant = kind in (g.MODULE_SCOPE, g.CLASS_SCOPE) and self.data[start:end].isupper()
        return "constant" if is_constant else "variable"

    def one_line(self, start: int, end: int, limit: int = 240) -> str:
        source = self.data[start : min(end, start + 4 * limit)].decode("utf-8", "replace")
        line = g.SPACES.sub(" ", source).strip()
        return line if len(line) <= limit else line[: limit - 1] + "…"

    def doc_of(self, body: Node | None) -> str:
        """The first paragraph of the docstring that a block begins with."""
        first = None if body is None else g.first(body)
        while first is not None and first.kind_id in g.COMMENTS:
            first = first.next_named_sibling
        if first is None or first.kind_id not in g.STATEMENTS or first.named_child_count != 1:
            return ""
        literal = g.first(first)
        if literal is None or literal.kind_id not in g.STRINGS:
            return ""
        match = g.STRING.fullmatch(self.data, literal.start_byte, literal.end_byte)
        if match is None or match[1].lower() not in (b"", b"r", b"u"):
            return ""
        lines = [line.strip() for line in match[3][:2000].decode("utf-8", "replace").strip().splitlines()]
        end = lines.index("") if "" in lines else len(lines)
        return "\n".join(lines[:end])[:600]

    def path_parts(self, path: Node | None) -> list[tuple[int, int]]:
        if path is None:
            return []
        spans = [child.byte_range for child in path.named_children if child.kind_id == g.IDENTIFIER]
        return [span for span in spans if span[1] > span[0]]


Handler = Callable[[PythonWalk, Node, int], None]
"""Reads one node, whose names are looked up in the given scope."""
