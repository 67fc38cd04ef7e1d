"""Python, from tree to record: one walk over the syntax tree with an explicit stack.

Each node is visited with the scope its names are looked up in. Nodes that bind, open a scope or have a value
worth remembering have a function in `HANDLERS`; the rest only pass their scope on to their children. Nothing
recurses with the depth of the tree, so neither depth nor length of the source can overflow anything.
"""

from __future__ import annotations

from tree_sitter import Tree

from engram_context.builder import RecordBuilder
from engram_context.python import conditions, definitions, expressions, imports, patterns, statements
from engram_context.python import grammar as g
from engram_context.python.walk import Handler, PythonWalk
from engram_context.records import SyntaxProblem


def read_python(builder: RecordBuilder, tree: Tree) -> list[SyntaxProblem]:
    """Fill a builder from the tree of its text; what the grammar takes and Python 3 does not."""
    walk = PythonWalk(builder, tree)
    walk.run(HANDLERS)
    return walk.problems


HANDLERS: dict[int, Handler] = {
    at: handler
    for names, handler in (
        (("string",), expressions.on_string),
        (("attribute", "member_type"), expressions.on_attribute),
        (("call",), expressions.on_call),
        (("keyword_argument",), expressions.on_keyword_argument),
        (("subscript", "generic_type"), expressions.on_subscript),
        (("assignment",), statements.on_assignment),
        (("augmented_assignment",), statements.on_augmented_assignment),
        (("named_expression",), statements.on_named_expression),
        (("for_statement",), statements.on_for),
        (
            ("list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression"),
            statements.on_comprehension,
        ),
        (("as_pattern",), statements.on_as_pattern),
        (("except_clause", "except_group_clause"), statements.on_except),
        (("delete_statement",), statements.on_delete),
        (("global_statement", "nonlocal_statement"), statements.on_declaration),
        (("return_statement",), statements.on_return),
        (("yield",), statements.on_yield),
        (("if_statement", "elif_clause"), conditions.on_if),
        (("while_statement",), conditions.on_while),
        (("try_statement",), conditions.on_try),
        (("else_clause",), conditions.on_branch),
        (("assert_statement",), conditions.on_assert),
        (("boolean_operator",), conditions.on_boolean),
        (("conditional_expression",), conditions.on_conditional),
        (("with_statement",), statements.on_branching),
        (("case_clause",), patterns.on_case),
        (("decorated_definition",), definitions.on_decorated),
        (("function_definition",), definitions.on_function),
        (("class_definition",), definitions.on_class),
        (("lambda",), definitions.on_lambda),
        (("type_alias_statement",), definitions.on_type_alias),
        (("import_statement",), imports.on_import),
        (("import_from_statement", "future_import_statement"), imports.on_import_from),
        (("print_statement", "exec_statement"), statements.on_print),
    )
    for at in g.ids(*names)
}
