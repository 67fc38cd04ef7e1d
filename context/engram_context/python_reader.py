"""Python, from tree to record: one walk over the syntax tree with an explicit stack.

Each node is visited with the scope its names are looked up in. Nodes that bind, open a scope or have a value
worth remembering have a method in `_HANDLERS`; the rest only pass their scope on to their children. Nothing
recurses with the depth of the tree, so neither depth nor length of the source can overflow anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tree_sitter import Node, Parser, Range, Tree

from engram_context.builder import RecordBuilder
from engram_context.languages import grammar
from engram_context.records import (
    ABSTRACT,
    ASYNC,
    AUGMENTED,
    CLASS_METHOD,
    DECORATED,
    DEFAULT,
    GENERATOR,
    IMPORT_CONDITIONAL,
    IMPORT_TYPE_CHECKING,
    KEYWORD_ONLY,
    KEYWORDS,
    NO_REF,
    OVERLOAD,
    POSITIONAL_ONLY,
    PROPERTY,
    ROLE,
    SCOPE_KIND,
    SETTER,
    STATIC_METHOD,
    VARIADIC,
    WALRUS,
    Kind,
    Role,
    SyntaxProblem,
    ValueKind,
)
from engram_context.text import Span

_LANGUAGE = grammar("python")
assert _LANGUAGE is not None, "tree-sitter-python is a dependency of this package"
_KINDS: list[str] = [_LANGUAGE.node_kind_for_id(at) or "" for at in range(_LANGUAGE.node_kind_count)]
_NAMED = [_LANGUAGE.node_kind_is_named(at) for at in range(_LANGUAGE.node_kind_count)]


def _ids(*kinds: str) -> frozenset[int]:
    return frozenset(at for at, kind in enumerate(_KINDS) if _NAMED[at] and kind in kinds)


def _field(name: str) -> int:
    assert _LANGUAGE is not None
    found = _LANGUAGE.field_id_for_name(name)
    assert found is not None, name
    return found


(_NAME_ID,) = _ids("identifier")
_LEFT, _RIGHT, _TYPE = _field("left"), _field("right"), _field("type")
_NAME, _BODY, _VALUE = _field("name"), _field("body"), _field("value")
_PARAMETERS, _RETURN_TYPE = _field("parameters"), _field("return_type")
_TYPE_PARAMETERS, _SUPERCLASSES = _field("type_parameters"), _field("superclasses")
_MODULE_NAME, _DEFINITION = _field("module_name"), _field("definition")
_CONDITION, _CONSEQUENCE, _ALIAS = _field("condition"), _field("consequence"), _field("alias")

_PRIMARY = _ids("identifier", "attribute", "call", "subscript", "generic_type", "member_type")
_PATTERNS = _ids(
    "pattern_list",
    "tuple_pattern",
    "list_pattern",
    "list_splat_pattern",
    "list_splat",
    "tuple",
    "list",
    "expression_list",
    "as_pattern_target",
)
_STARRED = _ids("list_splat_pattern", "list_splat")
_PARENTHESISED = _ids("parenthesized_expression")
_COMPREHENSIONS = _ids("list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression")
_LITERAL_KINDS: tuple[tuple[tuple[str, ...], ValueKind], ...] = (
    (("concatenated_string",), "str"),
    (("integer",), "int"),
    (("true", "false", "comparison_operator", "not_operator"), "bool"),
    (("none",), "none"),
    (("list_comprehension",), "list"),
    (("dictionary", "dictionary_comprehension"), "dict"),
    (("set", "set_comprehension"), "set"),
    (("generator_expression",), "generator"),
    (("ellipsis",), "ellipsis"),
)
_LITERALS: dict[int, ValueKind] = {at: kind for names, kind in _LITERAL_KINDS for at in _ids(*names)}
_SEQUENCES: dict[int, ValueKind] = {
    **dict.fromkeys(_ids("list"), "list"),
    **dict.fromkeys(_ids("tuple", "expression_list"), "tuple"),
}
_FLOATS, _STRINGS, _TYPES = _ids("float"), _ids("string"), _ids("type")
_UNIONS = _ids("binary_operator", "union_type")
_EITHER = _ids("boolean_operator", "conditional_expression")
_AWAITS = _ids("await")
_ATTRIBUTES, _SUBSCRIPTS = _ids("attribute", "member_type"), _ids("subscript", "generic_type")
_COMMENTS = _ids("comment", "line_continuation")
_SPLATS = _ids("list_splat_pattern", "dictionary_splat_pattern")
_PARAMETER_DEFAULTS = _ids("default_parameter", "typed_default_parameter")
_FUNCTIONS, _CLASSES = _ids("function_definition"), _ids("class_definition")
_ASSIGNMENTS = _ids("assignment")
_STATEMENTS = _ids("expression_statement")
_AS_PATTERNS = _ids("as_pattern")
_GENERATORS = _ids("generator_expression")
_ARGUMENT_LISTS = _ids("argument_list") | _GENERATORS
_KEYWORD_ARGUMENTS = _ids("keyword_argument")
_DOTTED = _ids("dotted_name")

_DEPTH = 8
"""How deeply nested operators and displays are looked into for a value."""
_ELEMENTS = 16
"""How many elements of a display are worth refs of their own."""

_STRING = re.compile(rb"""(?s)([A-Za-z]{0,2})(\"\"\"|'''|"|')(.*)\2""")
_TYPE_FORMS = frozenset(
    b"Optional Union List Dict Set FrozenSet Tuple Type Callable ClassVar Sequence Mapping MutableMapping Iterable "
    b"Iterator Awaitable Coroutine Generic Protocol Generator AsyncIterator AsyncGenerator AsyncIterable Collection "
    b"Annotated DefaultDict Deque MutableSequence AbstractSet Final Concatenate TypeGuard TypeIs".split()
)
"""Subscripts of these hold types wherever they stand, so strings in them are types, too."""
_SPACES = re.compile(r"\s+")
_NAME_TEXT = re.compile(rb"[^\W\d]\w*", re.ASCII)
_DECORATOR_FLAGS: dict[bytes, int] = {
    b"property": PROPERTY,
    b"cached_property": PROPERTY,
    b"staticmethod": STATIC_METHOD,
    b"classmethod": CLASS_METHOD,
    b"overload": OVERLOAD,
    b"abstractmethod": ABSTRACT,
    b"abstractproperty": ABSTRACT | PROPERTY,
    b"setter": SETTER,
    b"getter": SETTER,
    b"deleter": SETTER,
}


def _first(node: Node) -> Node | None:
    children = node.named_children
    return children[0] if children else None


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

    def run(self) -> None:
        root = self.tree.root_node
        builder = self.builder
        builder.add_scope("module", 0, len(self.data), -1)
        builder.doc = self.doc_of(root).replace("\0", "")
        frames, push, handlers = self.frames, self.push, _HANDLERS
        frames.append((root, 0))
        while frames:
            node, scope = frames.pop()
            handler = handlers.get(node.kind_id)
            if handler is not None:
                handler(self, node, scope)
            else:
                push(node.named_children, scope)

    def push(self, nodes: Sequence[Node], scope: int) -> None:
        """Visit nodes, the first one first, before whatever is waiting.

        Names are read at once and what can hold no names is left out: that is most nodes, and the order of
        occurrences does not matter before the record is finished.
        """
        frames, occurrences, names, data = self.frames, self.occurrences, self.names, self.data
        for node in reversed(nodes):
            kind = node.kind_id
            if kind == _NAME_ID:
                start, end = node.byte_range
                if end > start:
                    name = names.setdefault(data[start:end], len(names))
                    occurrences.append((start, name, scope, _READ, NO_REF))
            elif kind not in _SILENT:
                frames.append((node, scope))

    def visit(self, node: Node | None, scope: int) -> None:
        if node is not None:
            self.push((node,), scope)

    # --- values ---------------------------------------------------------------------------------------

    def ref(self, node: Node | None, scope: int, depth: int = _DEPTH) -> int:
        """The ref of an expression, as far as the record says anything about it."""
        while node is not None and node.kind_id in _WRAPPERS:
            if node.kind_id in _NAMED_EXPRESSIONS:
                node = node.child_by_field_id(_VALUE)
            else:
                inner = [child for child in node.named_children if child.kind_id not in _COMMENTS]
                node = inner[0] if inner else None
        if node is None:
            return NO_REF
        kind = node.kind_id
        builder = self.builder
        if kind in _PRIMARY:
            return node.end_byte
        if kind in _LITERALS:
            return builder.add_value(_LITERALS[kind], 0, 0)
        if kind in _STRINGS:
            prefix = self.data[node.start_byte : node.start_byte + 2].lower()
            return builder.add_value("bytes" if b"b" in prefix.rstrip(b"\"'") else "str")
        if kind in _FLOATS:
            imaginary = self.data[node.end_byte - 1 : node.end_byte] in (b"j", b"J")
            return builder.add_value("complex" if imaginary else "float")
        if kind in _LAMBDAS:
            return node.end_byte
        if depth <= 0:
            return NO_REF
        if kind in _AWAITS:
            return builder.add_value("await", self.ref(_first(node), scope, depth - 1))
        if kind in _SEQUENCES:
            children = [child for child in node.named_children if child.kind_id not in _COMMENTS]
            if len(children) > _ELEMENTS or any(child.kind_id in _STARRED for child in children):
                return builder.add_value(_SEQUENCES[kind], 0, 0)
            refs = [self.ref(child, scope, depth - 1) for child in children]
            return builder.add_value(_SEQUENCES[kind], *builder.pooled(refs))
        if kind in _EITHER or kind in _UNIONS:
            children = [child for child in node.named_children if child.kind_id not in _COMMENTS]
            if len(children) < 2:
                return NO_REF
            # `a if test else b` has the test in the middle; the two results are first and last.
            first = self.ref(children[0], scope, depth - 1)
            second = self.ref(children[-1], scope, depth - 1)
            return builder.add_value("either" if kind in _EITHER else "operator", first, second)
        return NO_REF

    def annotation(self, node: Node | None, scope: int) -> int:
        """Visit an annotation; its ref. Strings in it are read as the expressions they hold."""
        if node is None:
            return NO_REF
        start, end = node.byte_range
        self.visit(node, scope)
        source = self.data[start:end]
        if b'"' not in source and b"'" not in source:
            return self.ref(node, scope)
        return self.ref(self._read_strings(node, scope) or node, scope)

    def _read_strings(self, node: Node, scope: int) -> Node | None:
        """Queue the expressions in a type's strings; the expression when the type is one string as a whole."""
        start, end = node.byte_range
        whole: Node | None = None
        waiting = [node]
        while waiting:
            at = waiting.pop()
            if at.kind_id in _STRINGS:
                inner = self._read_string(at)
                self.visit(inner, scope)
                if inner is not None and at.start_byte == start and at.end_byte == end:
                    whole = inner
                continue
            if at.kind_id in _SUBSCRIPTS:
                base = _first(at)
                named = self.data[base.start_byte : base.end_byte] if base else b""
                if named.rpartition(b".")[2] in (b"Literal", b"Annotated"):
                    # Only Annotated's first argument is a type; Literal's are no types at all.
                    continue
            waiting.extend(reversed(at.named_children))
        return whole

    def _read_string(self, node: Node) -> Node | None:
        """The expression in a plain string literal, parsed where it stands so that offsets hold."""
        match = _STRING.fullmatch(self.data, node.start_byte, node.end_byte)
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
        statement = _first(root)
        if statement is None or statement.kind_id not in _STATEMENTS or statement.named_child_count != 1:
            return None
        return _first(statement)

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
            if kind == _NAME_ID:
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
            elif kind in _PATTERNS:
                children = [child for child in node.named_children if child.kind_id not in _COMMENTS]
                if kind in _STARRED or (len(children) == 1 and kind not in _SEQUENCE_PATTERNS):
                    waiting.extend((child, NO_REF if kind in _STARRED else value) for child in children)
                    continue
                starred = any(child.kind_id in _STARRED for child in children)
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
            elif kind in _PARENTHESISED:
                waiting.extend((child, value) for child in node.named_children)
            elif kind in _ATTRIBUTES:
                self.bind_attribute(node, scope, body, value, annotation, flags)
            else:
                self.visit(node, scope)

    def bind_attribute(
        self, node: Node, scope: int, body: tuple[int, int], value: int, annotation: int, flags: int
    ) -> None:
        children = node.named_children
        owner, attribute = children[0], children[-1]
        if len(children) < 2 or attribute.kind_id != _NAME_ID:
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
        if owner.kind_id != _NAME_ID or not self.receivers:
            return None
        name = self.builder.names.get(self.data[owner.start_byte : owner.end_byte])
        scopes = self.builder.scopes
        while scope > 0 and scopes[scope][0] != _CLASS_SCOPE:
            found = self.receivers.get(scope)
            if found is not None and found[0] == name:
                return found[1]
            scope = scopes[scope][3]
        return None

    def binding_scope(self, scope: int) -> int:
        """Where a walrus binds: around all comprehensions."""
        scopes = self.builder.scopes
        while scope > 0 and scopes[scope][0] == _COMPREHENSION_SCOPE:
            scope = scopes[scope][3]
        return scope

    def variable_kind(self, start: int, end: int, scope: int) -> Kind:
        kind = self.builder.scopes[scope][0]
        is_constant = kind in (_MODULE_SCOPE, _CLASS_SCOPE) and self.data[start:end].isupper()
        return "constant" if is_constant else "variable"

    def one_line(self, start: int, end: int, limit: int = 240) -> str:
        source = self.data[start : min(end, start + 4 * limit)].decode("utf-8", "replace")
        line = _SPACES.sub(" ", source).strip()
        return line if len(line) <= limit else line[: limit - 1] + "…"

    # --- statements -----------------------------------------------------------------------------------

    def on_assignment(self, node: Node, scope: int) -> None:
        # `a = b = value` nests to the right; all its targets are bound here, to the one value.
        parts: list[Node] = [node]
        right = node.child_by_field_id(_RIGHT)
        while right is not None and right.kind_id in _ASSIGNMENTS:
            parts.append(right)
            right = right.child_by_field_id(_RIGHT)
        body = node.byte_range
        outer = self.builder.scopes[scope][0]
        detail = self.one_line(*body, limit=120) if outer in (_MODULE_SCOPE, _CLASS_SCOPE) else ""
        self.visit(right, scope)
        value = self.ref(right, scope)
        for part in parts:
            declared = part.child_by_field_id(_TYPE)
            annotation = self.annotation(declared, scope)
            if right is not None and declared is not None and self.data.endswith(b"TypeAlias", 0, declared.end_byte):
                self._read_strings(right, scope)
            left = part.child_by_field_id(_LEFT)
            if left is None:
                continue
            self.bind(left, scope, body, value=value, annotation=annotation, detail=detail)
            if scope == 0 and right is not None and left.kind_id == _NAME_ID:
                self.exported(left, right, replace=True)

    def on_augmented_assignment(self, node: Node, scope: int) -> None:
        left, right = node.child_by_field_id(_LEFT), node.child_by_field_id(_RIGHT)
        self.visit(right, scope)
        if left is None:
            return
        if left.kind_id != _NAME_ID:
            self.visit(left, scope)
            return
        self.bind(left, scope, node.byte_range, flags=AUGMENTED)
        if scope == 0 and right is not None:
            self.exported(left, right, replace=False)

    def exported(self, target: Node, value: Node, *, replace: bool) -> None:
        """Take in a change of `__all__`: literals by name, `module.__all__` as "module.*"."""
        builder = self.builder
        if self.data[target.start_byte : target.end_byte] != b"__all__":
            return
        exports = builder.exports if builder.exports is not None and not replace else []
        waiting = [value]
        while waiting:
            node = waiting.pop()
            if node.kind_id in _STRINGS:
                match = _STRING.fullmatch(self.data, node.start_byte, node.end_byte)
                if match is None or b"\\" in match[3]:
                    continue
                exports.append(match[3].decode("utf-8", "replace"))
                if _NAME_TEXT.fullmatch(match[3]):
                    builder.add_occurrence(*match.span(3), 0, "string")
            elif node.kind_id in _ATTRIBUTES:
                owner, _, name = self.data[node.start_byte : node.end_byte].rpartition(b".")
                if name == b"__all__":
                    exports.append(owner.decode("utf-8", "replace") + ".*")
            elif node.kind_id in _EXPORT_PARTS:
                waiting.extend(reversed(node.named_children))
        builder.exports = exports

    def on_named_expression(self, node: Node, scope: int) -> None:
        name, value = node.child_by_field_id(_NAME), node.child_by_field_id(_VALUE)
        self.visit(value, scope)
        if name is not None:
            self.bind(name, scope, node.byte_range, value=self.ref(value, scope), flags=WALRUS)

    def on_for(self, node: Node, scope: int) -> None:
        left, right = node.child_by_field_id(_LEFT), node.child_by_field_id(_RIGHT)
        self.builder.branch(scope, node.end_byte)
        self.push([child for child in node.named_children if child != left], scope)
        if left is not None:
            element = self.builder.add_value("element", self.ref(right, scope))
            end = right.end_byte if right is not None else left.end_byte
            self.bind(left, scope, (node.start_byte, end), value=element)

    def on_comprehension(self, node: Node, scope: int) -> None:
        inner = self.builder.add_scope("comprehension", *node.byte_range, scope)
        outside = scope  # the first iterable is evaluated there, everything else inside
        for child in node.named_children:
            if child.kind_id not in _FOR_CLAUSES:
                self.visit(child, inner)
                continue
            left, right = child.child_by_field_id(_LEFT), child.child_by_field_id(_RIGHT)
            self.push([part for part in child.named_children if part != left], outside)
            if left is not None:
                element = self.builder.add_value("element", self.ref(right, outside))
                self.bind(left, inner, child.byte_range, value=element)
            outside = inner

    def on_as_pattern(self, node: Node, scope: int, kind: ValueKind = "entered") -> None:
        value, alias = _first(node), node.child_by_field_id(_ALIAS)
        self.visit(value, scope)
        if alias is not None:
            derived = self.builder.add_value(kind, self.ref(value, scope))
            self.bind(alias, scope, node.byte_range, value=derived)

    def on_except(self, node: Node, scope: int) -> None:
        children = node.named_children
        if children and children[0].kind_id in _AS_PATTERNS:
            self.push(children[1:], scope)
            self.on_as_pattern(children[0], scope, "raised")
        else:
            self.push(children, scope)

    def on_delete(self, node: Node, scope: int) -> None:
        for child in reversed(node.named_children):
            self.bind(child, scope, node.byte_range, role="delete")

    def on_declaration(self, node: Node, scope: int) -> None:
        is_global = self.data[node.start_byte : node.start_byte + 6] == b"global"
        for child in node.named_children:
            if child.kind_id == _NAME_ID and child.end_byte > child.start_byte:
                name = self.builder.add_occurrence(*child.byte_range, scope, "declaration", int(is_global))
                self.builder.declared[scope, name] = is_global

    def on_return(self, node: Node, scope: int) -> None:
        value = _first(node)
        if value is not None:
            self.visit(value, scope)
            self.builder.returned.setdefault(scope, []).append(self.ref(value, scope))

    def on_yield(self, node: Node, scope: int) -> None:
        symbol = self.builder.scopes[scope][4]
        if symbol >= 0:
            self.builder.symbols[symbol][14] |= GENERATOR
        self.push(node.named_children, scope)

    def on_if(self, node: Node, scope: int) -> None:
        self.builder.branch(scope, node.end_byte)
        condition, consequence = node.child_by_field_id(_CONDITION), node.child_by_field_id(_CONSEQUENCE)
        if condition is not None and consequence is not None:
            test = self.data[condition.start_byte : condition.end_byte]
            if test.rpartition(b".")[2] == b"TYPE_CHECKING":
                self.builder.type_checking_until[scope] = consequence.end_byte
        self.push(node.named_children, scope)

    def on_branching(self, node: Node, scope: int) -> None:
        self.builder.branch(scope, node.end_byte)
        self.push(node.named_children, scope)

    # --- definitions ----------------------------------------------------------------------------------

    def on_decorated(self, node: Node, scope: int) -> None:
        definition = node.child_by_field_id(_DEFINITION)
        if definition is None:
            self.push(node.named_children, scope)
            return
        decorators = [child for child in node.named_children if child != definition]
        self.decorated[definition.start_byte] = (node, decorators)
        self.visit(definition, scope)
        self.push(decorators, scope)

    def decorators_of(self, node: Node, scope: int) -> tuple[tuple[int, int], tuple[int, ...], int]:
        """(body span with the decorators, their refs, flags) of a def or class."""
        found = self.decorated.pop(node.start_byte, None)
        if found is None:
            return node.byte_range, (), 0
        outer, decorators = found
        refs: list[int] = []
        flags = DECORATED
        for decorator in decorators:
            expression = _first(decorator)
            if expression is None:
                continue
            refs.append(self.ref(expression, scope))
            name = self.data[expression.start_byte : expression.end_byte].rpartition(b".")[2]
            flags |= _DECORATOR_FLAGS.get(name, 0)
        return outer.byte_range, tuple(refs), flags

    def type_scope(self, node: Node, scope: int) -> int:
        """The scope of a definition's type parameters, or `scope` where it has none."""
        parameters = node.child_by_field_id(_TYPE_PARAMETERS)
        if parameters is None:
            return scope
        inner = self.builder.add_scope("type-parameters", parameters.start_byte, node.end_byte, scope)
        self.type_parameters(parameters, inner)
        return inner

    def type_parameters(self, parameters: Node, inner: int) -> None:
        for parameter in parameters.named_children:
            # [T], [*T], [**T] and [T: bound]: the first name inside is what is bound.
            node: Node | None = parameter
            bound: list[Node] = []
            while node is not None and node.kind_id != _NAME_ID:
                children = node.named_children
                bound.extend(children[1:])
                node = children[0] if children else None
            if node is not None and node.end_byte > node.start_byte:
                refs = [self.ref(child, inner) for child in bound]
                self.builder.add_symbol(
                    *node.byte_range,
                    inner,
                    "type-parameter",
                    "definition",
                    parameter.byte_range,
                    annotation=refs[0] if refs else NO_REF,
                )
            self.push(bound, inner)

    def on_function(self, node: Node, scope: int) -> None:
        builder = self.builder
        name, body = node.child_by_field_id(_NAME), node.child_by_field_id(_BODY)
        parameters = node.child_by_field_id(_PARAMETERS)
        returns = node.child_by_field_id(_RETURN_TYPE)
        span, decorators, flags = self.decorators_of(node, scope)
        if self.data[node.start_byte : node.start_byte + 5] == b"async":
            flags |= ASYNC
        in_class = builder.scopes[scope][0] == _CLASS_SCOPE
        symbol = -1
        if name is not None and name.end_byte > name.start_byte:
            last = returns or parameters or name
            symbol = builder.add_symbol(
                *name.byte_range,
                scope,
                "method" if in_class else "function",
                "definition",
                span,
                flags=flags,
                detail=self.signature(node.start_byte, last.end_byte, parameters),
                doc=self.doc_of(body),
                decorators=decorators,
            )
        types = self.type_scope(node, scope)
        start = parameters.start_byte if parameters is not None else node.start_byte
        owner = -1 if symbol < 0 else builder.symbols[symbol][2]
        inner = builder.add_scope("function", start, node.end_byte, types, symbol, owner)
        self.visit(body, inner)
        returned = self.annotation(returns, types)
        if symbol >= 0:
            builder.symbols[symbol][10] = returned
            builder.symbols[symbol][11] = inner
        if parameters is not None:
            first = self.parameters(parameters, inner, types, scope)
            if in_class and first is not None and not flags & STATIC_METHOD:
                self.receivers[inner] = (first, scope)

    def signature(self, start: int, end: int, parameters: Node | None) -> str:
        source = self.data[start:end]
        if b"#" in source and parameters is not None:
            # A comment between parameters: put the line together from the parts instead.
            parts = [child for child in parameters.named_children if child.kind_id not in _COMMENTS]
            inside = b", ".join(self.data[part.start_byte : part.end_byte] for part in parts)
            before = self.data[start : parameters.start_byte]
            source = before + b"(" + inside + b")" + self.data[parameters.end_byte : end]
        line = _SPACES.sub(" ", source.decode("utf-8", "replace"))
        return line.replace("( ", "(").replace(", )", ")").replace(" )", ")")[:1000]

    def parameters(self, node: Node, inner: int, types: int, outside: int) -> int | None:
        """Bind the parameters; the first positional one's name. Defaults are evaluated `outside`."""
        builder = self.builder
        first: int | None = None
        mode = 0
        seen: list[int] = []
        for child in node.children:
            kind = child.kind_id
            if kind in _KEYWORD_SEPARATORS:
                mode = KEYWORD_ONLY
                continue
            if kind in _POSITIONAL_SEPARATORS:
                for row in seen:
                    builder.symbols[row][14] |= POSITIONAL_ONLY
                continue
            if not child.is_named or kind in _COMMENTS:
                continue
            target, default, annotated = child, None, None
            if kind in _PARAMETER_DEFAULTS:
                target, default = child.child_by_field_id(_NAME), child.child_by_field_id(_VALUE)
                annotated = child.child_by_field_id(_TYPE)
            elif kind in _TYPED_PARAMETERS:
                target = _first(child)
                annotated = child.child_by_field_id(_TYPE)
            flags = mode | (DEFAULT if default is not None else 0)
            if target is not None and target.kind_id in _SPLATS:
                flags |= KEYWORDS if target.kind_id in _DICT_SPLATS else VARIADIC
                mode = KEYWORD_ONLY
                target = _first(target)
            self.visit(default, outside)
            annotation = self.annotation(annotated, types)
            if target is None or target.kind_id != _NAME_ID or target.end_byte == target.start_byte:
                if target is not None:
                    self.bind(target, inner, child.byte_range)
                continue
            row = builder.add_symbol(
                *target.byte_range,
                inner,
                "parameter",
                "definition",
                child.byte_range,
                value=self.ref(default, outside),
                annotation=annotation,
                flags=flags,
            )
            seen.append(row)
            if first is None and not flags & (VARIADIC | KEYWORDS | KEYWORD_ONLY):
                first = builder.symbols[row][2]
        return first

    def on_lambda(self, node: Node, scope: int) -> None:
        builder = self.builder
        inner = builder.add_scope("lambda", node.start_byte, node.end_byte, scope)
        builder.add_value("lambda", inner, end=node.end_byte)
        body, parameters = node.child_by_field_id(_BODY), node.child_by_field_id(_PARAMETERS)
        if body is not None:
            self.visit(body, inner)
            builder.returned[inner] = [self.ref(body, inner)]
        if parameters is not None:
            self.parameters(parameters, inner, scope, scope)

    def on_class(self, node: Node, scope: int) -> None:
        builder = self.builder
        name, body = node.child_by_field_id(_NAME), node.child_by_field_id(_BODY)
        bases = node.child_by_field_id(_SUPERCLASSES)
        span, decorators, flags = self.decorators_of(node, scope)
        symbol = -1
        if name is not None and name.end_byte > name.start_byte:
            last = bases or name
            symbol = builder.add_symbol(
                *name.byte_range,
                scope,
                "class",
                "definition",
                span,
                flags=flags,
                detail=self.signature(node.start_byte, last.end_byte, bases),
                doc=self.doc_of(body),
                decorators=decorators,
            )
        types = self.type_scope(node, scope)
        owner = -1 if symbol < 0 else builder.symbols[symbol][2]
        start = body.start_byte if body is not None else node.end_byte
        inner = builder.add_scope("class", start, node.end_byte, types, symbol, owner)
        if symbol >= 0:
            builder.symbols[symbol][11] = inner
        self.visit(body, inner)
        if bases is not None:
            children = [child for child in bases.named_children if child.kind_id not in _COMMENTS]
            positional = [child for child in children if child.kind_id not in _KEYWORD_ARGUMENTS]
            builder.returned[inner] = [self.ref(child, types) for child in positional]
            self.push(children, types)

    def doc_of(self, body: Node | None) -> str:
        """The first paragraph of the docstring that a block begins with."""
        first = None if body is None else _first(body)
        while first is not None and first.kind_id in _COMMENTS:
            first = first.next_named_sibling
        if first is None or first.kind_id not in _STATEMENTS or first.named_child_count != 1:
            return ""
        literal = _first(first)
        if literal is None or literal.kind_id not in _STRINGS:
            return ""
        match = _STRING.fullmatch(self.data, literal.start_byte, literal.end_byte)
        if match is None or match[1].lower() not in (b"", b"r", b"u"):
            return ""
        lines = [line.strip() for line in match[3][:2000].decode("utf-8", "replace").strip().splitlines()]
        end = lines.index("") if "" in lines else len(lines)
        return "\n".join(lines[:end])[:600]

    def on_type_alias(self, node: Node, scope: int) -> None:
        left, right = node.child_by_field_id(_LEFT), node.child_by_field_id(_RIGHT)
        name, parameters = left, None
        while name is not None and name.kind_id != _NAME_ID:
            children = name.named_children
            parameters = children[1] if len(children) > 1 else parameters
            name = children[0] if children else None
        if name is None:
            self.push(node.named_children, scope)
            return
        symbol = self.builder.add_symbol(
            *name.byte_range, scope, "type-alias", "definition", node.byte_range,
            detail=self.one_line(*node.byte_range, limit=120),
        )  # fmt: skip
        inner = scope
        if parameters is not None:
            inner = self.builder.add_scope("type-parameters", parameters.start_byte, node.end_byte, scope, symbol)
            self.type_parameters(parameters, inner)
        if right is not None:
            self.builder.symbols[symbol][9] = self.annotation(right, inner)

    # --- imports --------------------------------------------------------------------------------------

    def on_import(self, node: Node, scope: int) -> None:
        for child in node.named_children:
            alias = child.child_by_field_id(_ALIAS)
            path = child if alias is None else child.child_by_field_id(_NAME)
            if path is None or path.kind_id not in _DOTTED:
                continue
            self.imported(node, scope, path, 0, None, alias)

    def on_import_from(self, node: Node, scope: int) -> None:
        source = node.child_by_field_id(_MODULE_NAME)
        path, level = source, 0
        if source is None and node.kind_id not in _FUTURE_IMPORTS:
            return
        if source is not None and source.kind_id not in _DOTTED:
            path = next((child for child in source.named_children if child.kind_id in _DOTTED), None)
            end = path.start_byte if path is not None else source.end_byte
            level = self.data[source.start_byte : end].count(b".")
        parts = self.path_parts(path)
        row = len(self.builder.imports)
        for start, end in parts:
            self.builder.add_occurrence(start, end, scope, "import", row)
        for child in node.named_children:
            if child == source:
                continue
            if child.kind_id in _WILDCARDS or child.kind_id in _DOTTED:
                self.imported(node, scope, path, level, child, None, parts)
            else:
                alias, name = child.child_by_field_id(_ALIAS), child.child_by_field_id(_NAME)
                if name is not None and name.kind_id in _DOTTED:
                    self.imported(node, scope, path, level, name, alias, parts)
        if row == len(self.builder.imports) and (parts or level):
            # `from a import` being typed: the module is known, the name is not yet.
            module = self.dotted(parts)
            first = parts[0][0] if parts else -1
            self.builder.imports.append(
                [*node.byte_range, self.builder.string(module), level, -1, -1, scope, 0, -1, first, -1]
            )

    def path_parts(self, path: Node | None) -> list[tuple[int, int]]:
        if path is None:
            return []
        spans = [child.byte_range for child in path.named_children if child.kind_id == _NAME_ID]
        return [span for span in spans if span[1] > span[0]]

    def dotted(self, parts: list[tuple[int, int]]) -> str:
        return b".".join(self.data[start:end] for start, end in parts).decode("utf-8", "replace")

    def imported(
        self,
        statement: Node,
        scope: int,
        path: Node | None,
        level: int,
        named: Node | None,
        alias: Node | None,
        parts: list[tuple[int, int]] | None = None,
    ) -> None:
        """One row of the import table, with its occurrences and what it binds."""
        builder = self.builder
        row = len(builder.imports)
        is_from = parts is not None
        if parts is None:
            parts = self.path_parts(path)
            if not parts:
                return
        module = self.dotted(parts)
        if not is_from or path is None:
            module = module if parts else ("__future__" if level == 0 else "")
        name_id = alias_id = -1
        name_start = -1
        bound = -1
        target: tuple[int, int] | None = None
        if alias is not None and alias.kind_id == _NAME_ID and alias.end_byte > alias.start_byte:
            target = alias.byte_range
            alias_id = builder.name(*target)
        if is_from:
            if named is not None and named.kind_id in _WILDCARDS:
                name_id = builder.names.setdefault(b"*", len(builder.names))
            else:
                spans = self.path_parts(named)
                if len(spans) != 1:
                    return
                name_start, name_end = spans[0]
                name_id = builder.name(name_start, name_end)
                if target is None:
                    bound = self.bind_import(scope, name_start, name_end, statement)
                builder.add_occurrence(name_start, name_end, scope, "import", row)
        else:
            if target is None:
                bound = self.bind_import(scope, *parts[0], statement)
            for start, end in parts:
                builder.add_occurrence(start, end, scope, "import", row)
        if target is not None:
            bound = builder.add_symbol(*target, scope, "import", "definition", statement.byte_range)
        first = parts[0][0] if parts else -1
        start, end = statement.byte_range
        flags = IMPORT_CONDITIONAL if start < builder.conditional_until.get(scope, 0) else 0
        if start < builder.type_checking_until.get(scope, 0):
            flags |= IMPORT_TYPE_CHECKING
        place = [start, end, builder.string(module), level, name_id, alias_id, scope]
        builder.imports.append([*place, flags, bound, first, name_start])

    def bind_import(self, scope: int, start: int, end: int, statement: Node) -> int:
        return self.builder.add_symbol(start, end, scope, "import", "import", statement.byte_range, occurs=False)

    # --- expressions ----------------------------------------------------------------------------------

    def on_attribute(self, node: Node, scope: int) -> None:
        children = node.named_children
        attribute = children.pop()
        if children and attribute.kind_id == _NAME_ID:
            start, end = attribute.byte_range
            owner = children[0]
            receiver = owner.end_byte if owner.kind_id in _PRIMARY else self.ref(owner, scope)
            if end > start:
                self.builder.add_occurrence(start, end, scope, "attribute", receiver)
        else:
            children.append(attribute)
        self.push(children, scope)

    def on_call(self, node: Node, scope: int) -> None:
        builder = self.builder
        children = node.named_children
        function, given = children[0], children[-1]
        if len(children) < 2 or given.kind_id not in _ARGUMENT_LISTS:
            self.push(children, scope)
            return
        start, end = node.byte_range
        row = len(builder.calls)
        inside = given.byte_range
        call = [start, end, inside[0] + 1, max(inside[1] - 1, inside[0] + 1), scope, 0, 0, 0]
        builder.calls.append(call)
        callee = call[5] = self.ref(function, scope)
        builder.add_value("call", callee, row, end=end)
        if given.kind_id in _GENERATORS:
            call[6:8] = self.argued([(-1, 0, builder.add_value("generator"))])
            self.visit(given, scope)
            self.visit(function, scope)
            return
        arguments: list[tuple[int, int, int]] = []
        later: list[Node] = []
        for child in given.named_children:
            kind = child.kind_id
            if kind in _COMMENTS:
                continue
            if kind in _KEYWORD_ARGUMENTS:
                name, value = child.child_by_field_id(_NAME), child.child_by_field_id(_VALUE)
                keyword = -1
                if name is not None and name.end_byte > name.start_byte:
                    keyword = builder.add_occurrence(*name.byte_range, scope, "keyword", row)
                arguments.append((keyword, 0, self.ref(value, scope)))
                if value is not None:
                    later.append(value)
                continue
            stars = _STARS.get(kind, 0)
            value = _first(child) if stars else child
            arguments.append((-1, stars, self.ref(value, scope)))
            later.append(child)
        call[6:8] = self.argued(arguments)
        self.push([function, *later], scope)
        # Types in strings: cast's first argument; all but the name that a type variable or new type is given.
        called = self.data[function.start_byte : function.end_byte].rpartition(b".")[2]
        types = later[:1] if called == b"cast" else later[1:] if called in (b"TypeVar", b"NewType") else []
        for value in types:
            if value.kind_id in _STRINGS:
                self._read_strings(value, scope)
        if scope == 0:
            self.export_call(function, given)

    def argued(self, arguments: list[tuple[int, int, int]]) -> tuple[int, int]:
        low = len(self.builder.arguments)
        self.builder.arguments.extend(arguments)
        return low, len(self.builder.arguments)

    def export_call(self, function: Node, given: Node) -> None:
        """`__all__.extend([...])` and `__all__.append("x")`."""
        source = self.data[function.start_byte : function.end_byte]
        if source in (b"__all__.extend", b"__all__.append") and given.named_child_count == 1:
            owner, value = _first(function), _first(given)
            if owner is not None and value is not None:
                self.exported(owner, value, replace=False)

    def on_keyword_argument(self, node: Node, scope: int) -> None:
        """Outside of calls: `class A(metaclass=M)`."""
        name, value = node.child_by_field_id(_NAME), node.child_by_field_id(_VALUE)
        if name is not None and name.end_byte > name.start_byte:
            self.builder.add_occurrence(*name.byte_range, scope, "keyword")
        self.visit(value, scope)

    def on_subscript(self, node: Node, scope: int) -> None:
        children = [child for child in node.named_children if child.kind_id not in _COMMENTS]
        index = NO_REF
        inside = children[1:]
        if len(inside) == 1 and inside[0].kind_id in _TYPE_ARGUMENTS:
            inside = inside[0].named_children
        if len(inside) == 1:
            index = self.ref(inside[0], scope)
        elif 1 < len(inside) <= _ELEMENTS:
            index = self.builder.add_value("tuple", *self.builder.pooled([self.ref(child, scope) for child in inside]))
        if children:
            self.builder.add_value("subscript", self.ref(children[0], scope), index, end=node.end_byte)
        self.push(children, scope)
        base = self.data[children[0].start_byte : children[0].end_byte] if children else b""
        if base.rpartition(b".")[2] in _TYPE_FORMS:
            self._read_strings(node, scope)

    def on_string(self, node: Node, scope: int) -> None:
        prefix = self.data[node.start_byte : node.start_byte + 3].split(b'"')[0].split(b"'")[0]
        if prefix and prefix.lower().strip(b"rbu"):
            self.push(node.named_children, scope)

    # --- match ----------------------------------------------------------------------------------------

    def on_case(self, node: Node, scope: int) -> None:
        patterns = [child for child in node.named_children if child.kind_id in _CASE_PATTERNS]
        self.builder.branch(scope, node.end_byte)
        self.push([child for child in node.named_children if child.kind_id not in _CASE_PATTERNS], scope)
        for pattern in patterns:
            self.pattern(pattern, scope)

    def pattern(self, pattern: Node, scope: int) -> None:
        """Names in a pattern are captures, except dotted ones, classes, keywords and mapping keys."""
        body = pattern.byte_range
        waiting: list[tuple[Node, int]] = [(pattern, NO_REF)]  # with what a capture there is known to be
        while waiting:
            node, value = waiting.pop()
            kind = node.kind_id
            if kind in _DOTTED:
                parts = self.path_parts(node)
                if len(parts) == 1:
                    self.capture(*parts[0], scope, body, value)
                else:
                    self.chain(parts, scope)
            elif kind == _NAME_ID:
                self.capture(*node.byte_range, scope, body, value)
            elif kind in _CLASS_PATTERNS:
                self.class_pattern(node, scope, waiting)
            elif kind in _AS_PATTERNS:
                children = node.named_children
                waiting.append((children[-1], self.tested_class(children[0])))
                waiting.extend((child, NO_REF) for child in reversed(children[:-1]))
            elif kind in _DICT_PATTERNS:
                for child in reversed(node.children):
                    if child.kind_id in _CASE_PATTERNS or child.kind_id in _SPLAT_PATTERNS:
                        waiting.append((child, NO_REF))
                    elif child.kind_id in _DOTTED:
                        self.chain(self.path_parts(child), scope)
            else:
                inner = value if kind in _CASE_PATTERNS else NO_REF
                waiting.extend((child, inner) for child in reversed(node.named_children))

    def capture(self, start: int, end: int, scope: int, body: tuple[int, int], value: int) -> None:
        if end > start and self.data[start:end] != b"_":
            kind = self.variable_kind(start, end, scope)
            self.builder.add_symbol(start, end, scope, kind, "write", body, value=value)

    def chain(self, parts: list[tuple[int, int]], scope: int) -> None:
        """a.b.c as occurrences."""
        before = NO_REF
        for start, end in parts:
            role: Role = "read" if before == NO_REF else "attribute"
            self.builder.add_occurrence(start, end, scope, role, before)
            before = end

    def tested_class(self, node: Node) -> int:
        """For `case C() as name`: what the name is."""
        while node.kind_id in _CASE_PATTERNS and node.named_child_count == 1:
            node = _first(node) or node
        named = _first(node) if node.kind_id in _CLASS_PATTERNS else None
        return NO_REF if named is None else self.builder.add_value("instance", named.end_byte)

    def class_pattern(self, node: Node, scope: int, waiting: list[tuple[Node, int]]) -> None:
        children = node.named_children
        if not children:
            return
        self.chain(self.path_parts(children[0]), scope)
        later: list[tuple[Node, int]] = []
        for child in children[1:]:
            inner = _first(child) if child.named_child_count == 1 else None
            if inner is None or inner.kind_id not in _KEYWORD_PATTERNS:
                later.append((child, NO_REF))
                continue
            parts = inner.named_children
            if parts and parts[0].kind_id == _NAME_ID:
                owner = self.builder.add_value("instance", children[0].end_byte)
                self.builder.add_occurrence(*parts[0].byte_range, scope, "attribute", owner)
                later.extend((part, NO_REF) for part in parts[1:])
        waiting.extend(reversed(later))

    # --- Python 2 -------------------------------------------------------------------------------------

    def on_print(self, node: Node, scope: int) -> None:
        """`print x` is an error in Python 3; its names are read all the same."""
        word = b"print" if self.data.startswith(b"print", node.start_byte) else b"exec"
        start, end = node.start_byte, node.start_byte + len(word)
        self.builder.add_occurrence(start, end, scope, "read")
        self.push(node.named_children, scope)
        message = f"Missing parentheses in call to '{word.decode()}'"
        self.problems.append(SyntaxProblem(Span(start, end), message))


_LAMBDAS = _ids("lambda")
_NAMED_EXPRESSIONS = _ids("named_expression")
_WRAPPERS = _PARENTHESISED | _NAMED_EXPRESSIONS | _TYPES
_SEQUENCE_PATTERNS = _ids("pattern_list", "tuple_pattern", "list_pattern", "tuple", "list", "expression_list")
_EXPORT_PARTS = _ids("list", "tuple", "binary_operator", "parenthesized_expression", "expression_list")
_FOR_CLAUSES = _ids("for_in_clause")
_KEYWORD_SEPARATORS, _POSITIONAL_SEPARATORS = _ids("keyword_separator"), _ids("positional_separator")
_TYPED_PARAMETERS = _ids("typed_parameter")
_DICT_SPLATS = _ids("dictionary_splat_pattern")
_FUTURE_IMPORTS = _ids("future_import_statement")
_WILDCARDS = _ids("wildcard_import")
_TYPE_ARGUMENTS = _ids("type_parameter")
_STARS = {**dict.fromkeys(_ids("list_splat"), 1), **dict.fromkeys(_ids("dictionary_splat"), 2)}
_CASE_PATTERNS, _CLASS_PATTERNS = _ids("case_pattern"), _ids("class_pattern")
_DICT_PATTERNS, _SPLAT_PATTERNS = _ids("dict_pattern"), _ids("splat_pattern")
_KEYWORD_PATTERNS = _ids("keyword_pattern")
_MODULE_SCOPE, _CLASS_SCOPE = SCOPE_KIND["module"], SCOPE_KIND["class"]
_COMPREHENSION_SCOPE = SCOPE_KIND["comprehension"]
_READ = ROLE["read"]

_SILENT = _ids(
    "comment", "integer", "float", "true", "false", "none", "ellipsis", "pass_statement", "break_statement",
    "continue_statement", "line_continuation", "string_start", "string_content", "string_end",
    "type_conversion", "escape_sequence",
)  # fmt: skip
"""Nodes with no names in them."""

_HANDLERS: dict[int, Callable[[PythonWalk, Node, int], None]] = {
    at: handler
    for names, handler in (
        (("string",), PythonWalk.on_string),
        (("attribute", "member_type"), PythonWalk.on_attribute),
        (("call",), PythonWalk.on_call),
        (("keyword_argument",), PythonWalk.on_keyword_argument),
        (("subscript", "generic_type"), PythonWalk.on_subscript),
        (("assignment",), PythonWalk.on_assignment),
        (("augmented_assignment",), PythonWalk.on_augmented_assignment),
        (("named_expression",), PythonWalk.on_named_expression),
        (("for_statement",), PythonWalk.on_for),
        (
            ("list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression"),
            PythonWalk.on_comprehension,
        ),
        (("as_pattern",), PythonWalk.on_as_pattern),
        (("except_clause", "except_group_clause"), PythonWalk.on_except),
        (("delete_statement",), PythonWalk.on_delete),
        (("global_statement", "nonlocal_statement"), PythonWalk.on_declaration),
        (("return_statement",), PythonWalk.on_return),
        (("yield",), PythonWalk.on_yield),
        (("if_statement", "elif_clause"), PythonWalk.on_if),
        (("try_statement", "while_statement", "with_statement"), PythonWalk.on_branching),
        (("case_clause",), PythonWalk.on_case),
        (("decorated_definition",), PythonWalk.on_decorated),
        (("function_definition",), PythonWalk.on_function),
        (("class_definition",), PythonWalk.on_class),
        (("lambda",), PythonWalk.on_lambda),
        (("type_alias_statement",), PythonWalk.on_type_alias),
        (("import_statement",), PythonWalk.on_import),
        (("import_from_statement", "future_import_statement"), PythonWalk.on_import_from),
        (("print_statement", "exec_statement"), PythonWalk.on_print),
    )
    for at in _ids(*names)
}
