"""The node kinds of tree-sitter's Python grammar, in the groups that the readers ask about."""

from __future__ import annotations

import re

from tree_sitter import Node

from engram_context.languages import grammar
from engram_context.records import (
    ABSTRACT,
    CLASS_METHOD,
    OVERLOAD,
    PROPERTY,
    ROLE,
    SCOPE_KIND,
    SETTER,
    STATIC_METHOD,
    ValueKind,
)

LANGUAGE = grammar("python")
assert LANGUAGE is not None, "tree-sitter-python is a dependency of this package"
KINDS: list[str] = [LANGUAGE.node_kind_for_id(at) or "" for at in range(LANGUAGE.node_kind_count)]
NAMED = [LANGUAGE.node_kind_is_named(at) for at in range(LANGUAGE.node_kind_count)]


def ids(*kinds: str) -> frozenset[int]:
    return frozenset(at for at, kind in enumerate(KINDS) if NAMED[at] and kind in kinds)


def field(name: str) -> int:
    assert LANGUAGE is not None
    found = LANGUAGE.field_id_for_name(name)
    assert found is not None, name
    return found


(IDENTIFIER,) = ids("identifier")
LEFT, RIGHT, TYPE = field("left"), field("right"), field("type")
NAME, BODY, KEY, VALUE = field("name"), field("body"), field("key"), field("value")
PARAMETERS, RETURN_TYPE = field("parameters"), field("return_type")
TYPE_PARAMETERS, SUPERCLASSES = field("type_parameters"), field("superclasses")
MODULE_NAME, DEFINITION = field("module_name"), field("definition")
OPERATOR, ARGUMENT, SUBJECT = field("operator"), field("argument"), field("subject")
CONDITION, CONSEQUENCE, ALIAS = field("condition"), field("consequence"), field("alias")

PRIMARY = ids("identifier", "attribute", "call", "subscript", "generic_type", "member_type")
PATTERNS = ids(
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
STARRED = ids("list_splat_pattern", "list_splat")
PARENTHESISED = ids("parenthesized_expression")
COMPREHENSIONS = ids("list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression")
LITERAL_KINDS: tuple[tuple[tuple[str, ...], ValueKind], ...] = (
    (("concatenated_string",), "str"),
    (("comparison_operator", "not_operator"), "bool"),
    (("none",), "none"),
    (("slice",), "slice"),
    (("ellipsis",), "ellipsis"),
)
LITERALS: dict[int, ValueKind] = {at: kind for names, kind in LITERAL_KINDS for at in ids(*names)}
SEQUENCES: dict[int, ValueKind] = {
    **dict.fromkeys(ids("list"), "list"),
    **dict.fromkeys(ids("tuple", "expression_list"), "tuple"),
    **dict.fromkeys(ids("set"), "set"),
}
COLLECTED: dict[int, ValueKind] = {
    **dict.fromkeys(ids("list_comprehension"), "list-of"),
    **dict.fromkeys(ids("set_comprehension"), "set-of"),
    **dict.fromkeys(ids("generator_expression"), "generator"),
    **dict.fromkeys(ids("dictionary_comprehension"), "dict-of"),
}
BOOLS = {**dict.fromkeys(ids("true"), 1), **dict.fromkeys(ids("false"), 2)}
INTEGERS, DICTS, PAIRS, UNARY = ids("integer"), ids("dictionary"), ids("pair"), ids("unary_operator")
FLOATS, STRINGS, TYPES = ids("float"), ids("string"), ids("type")
UNIONS, BINARY = ids("union_type"), ids("binary_operator")
OPERATORS: dict[bytes, ValueKind] = {
    b"|": "operator", b"+": "add", b"-": "sub", b"*": "mul", b"/": "truediv", b"//": "floordiv", b"%": "mod",
    b"**": "pow", b"@": "matmul", b"<<": "lshift", b">>": "rshift", b"&": "and", b"^": "xor",
}  # fmt: skip
EITHER = ids("boolean_operator", "conditional_expression")
AWAITS, YIELDS = ids("await"), ids("yield")
ATTRIBUTES, SUBSCRIPTS = ids("attribute", "member_type"), ids("subscript", "generic_type")
COMMENTS = ids("comment", "line_continuation")
SPLATS = ids("list_splat_pattern", "dictionary_splat_pattern")
PARAMETER_DEFAULTS = ids("default_parameter", "typed_default_parameter")
FUNCTIONS, CLASSES = ids("function_definition"), ids("class_definition")
ASSIGNMENTS = ids("assignment")
STATEMENTS = ids("expression_statement")
AS_PATTERNS = ids("as_pattern")
GENERATORS = ids("generator_expression")
ARGUMENT_LISTS = ids("argument_list") | GENERATORS
KEYWORD_ARGUMENTS = ids("keyword_argument")
DOTTED = ids("dotted_name")

DEPTH = 8
"""How deeply nested operators and displays are looked into for a value."""
ELEMENTS = 16
"""How many elements of a display are worth refs of their own."""
LITERAL_ELEMENTS = 64
"""The same of typing's Literal."""
PLAIN = re.compile(rb"""["']([\w.+-]{1,60})["']""")
"""A string whose text is remembered."""

STRING = re.compile(rb"""(?s)([A-Za-z]{0,2})(\"\"\"|'''|"|')(.*)\2""")
TYPE_FORMS = frozenset(
    b"Optional Union List Dict Set FrozenSet Tuple Type Callable ClassVar Sequence Mapping MutableMapping Iterable "
    b"Iterator Awaitable Coroutine Generic Protocol Generator AsyncIterator AsyncGenerator AsyncIterable Collection "
    b"Annotated DefaultDict Deque MutableSequence AbstractSet Final Concatenate TypeGuard TypeIs".split()
)
"""Subscripts of these hold types wherever they stand, so strings in them are types, too."""
TYPE_MAKERS = frozenset({b"cast", b"TypeVar", b"NewType"})
SPACES = re.compile(r"\s+")
NAME_TEXT = re.compile(rb"[^\W\d]\w*", re.ASCII)
DECORATOR_FLAGS: dict[bytes, int] = {
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


LAMBDAS = ids("lambda")
NAMED_EXPRESSIONS = ids("named_expression")
WRAPPERS = PARENTHESISED | NAMED_EXPRESSIONS | TYPES
SEQUENCE_PATTERNS = ids("pattern_list", "tuple_pattern", "list_pattern", "tuple", "list", "expression_list")
EXPORT_PARTS = ids("list", "tuple", "binary_operator", "parenthesized_expression", "expression_list")
FOR_CLAUSES = ids("for_in_clause")
KEYWORD_SEPARATORS, POSITIONAL_SEPARATORS = ids("keyword_separator"), ids("positional_separator")
TYPED_PARAMETERS = ids("typed_parameter")
DICT_SPLATS = ids("dictionary_splat_pattern")
FUTURE_IMPORTS = ids("future_import_statement")
WILDCARDS = ids("wildcard_import")
TYPE_ARGUMENTS = ids("type_parameter")
STARS = {**dict.fromkeys(ids("list_splat"), 1), **dict.fromkeys(ids("dictionary_splat"), 2)}
CASE_PATTERNS, CLASS_PATTERNS = ids("case_pattern"), ids("class_pattern")
DICT_PATTERNS, SPLAT_PATTERNS = ids("dict_pattern"), ids("splat_pattern")
KEYWORD_PATTERNS = ids("keyword_pattern")
MODULE_SCOPE, CLASS_SCOPE = SCOPE_KIND["module"], SCOPE_KIND["class"]
COMPREHENSION_SCOPE = SCOPE_KIND["comprehension"]
READ = ROLE["read"]

IFS, NOTS, BOOLEANS = ids("if_statement"), ids("not_operator"), ids("boolean_operator")
CALLS, COMPARISONS, NONES = ids("call"), ids("comparison_operator"), ids("none")
LEAVING = ids("return_statement", "raise_statement", "continue_statement", "break_statement")
NARROWING_TESTS = (
    NOTS | BOOLEANS | CALLS | COMPARISONS | NAMED_EXPRESSIONS | PARENTHESISED | ATTRIBUTES | frozenset({IDENTIFIER})
)
IF_CLAUSES = ids("if_clause")

SILENT = ids(
    "comment", "integer", "float", "true", "false", "none", "ellipsis", "pass_statement", "break_statement",
    "continue_statement", "line_continuation", "string_start", "string_content", "string_end",
    "type_conversion", "escape_sequence",
)  # fmt: skip
"""Nodes with no names in them."""


def first(node: Node) -> Node | None:
    children = node.named_children
    return children[0] if children else None
