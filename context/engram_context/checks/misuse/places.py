"""Reads of variables that are worth asking about: what may be meant instead, and the signs that the text gives of
it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import tree_sitter

from engram_context.checks.misuse.callables import Callables
from engram_context.checks.misuse.functions import Function, Variable
from engram_context.checks.misuse.habits import Context, Experience
from engram_context.records import KEYWORDS, VARIADIC, FileRecord
from engram_context.text import Span, Text

MOST_ALTERNATIVES = 10
"""Names that may be meant instead, for each place: parameters first, then what was bound last."""

SIGNS = (
    "unused parameter",
    "unused variable",
    "unused beside",
    "namesakes",
    "reads",
    "alternative's reads",
    "only read",
    "parameters",
    "variables",
    "other kind",
    "other annotation",
    "star",
    "habit here",
    "habit elsewhere",
    "unlike here",
    "unlike elsewhere",
    "target is it",
    "target is alternative",
    "parameter is it",
    "parameter is alternative",
    "overlap",
    "alternative's overlap",
    "twice in operation",
    "twice in call",
    "of itself",
    "same on both sides",
    "alternative beside",
    "again in statement",
    "alternative in statement",
    "guarded",
    "alternative guarded",
    "in nested function",
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAMES = re.compile(rb"(?<![.\w])[^\W\d]\w*(?!\w*\s*=(?!=))")
_COMPOUND = frozenset(
    (
        "if_statement",
        "elif_clause",
        "while_statement",
        "for_statement",
        "with_statement",
        "try_statement",
        "function_definition",
        "class_definition",
        "match_statement",
        "case_clause",
        "except_clause",
    )
)
_OPERATIONS = frozenset(("comparison_operator", "binary_operator", "boolean_operator"))
_GUARDS = frozenset(("if_statement", "elif_clause", "while_statement"))


@dataclass(frozen=True, slots=True)
class Suspicion:
    """`name`, read at `span`, may have to be `alternative`. `signs` are numbers in the order of SIGNS."""

    index: int
    span: Span
    name: str
    alternative: str
    signs: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Places:
    """What is asked about in one function."""

    text: Text
    record: FileRecord
    tree: tree_sitter.Tree
    experience: Experience
    function: Function
    callables: Callables

    def suspicions(self) -> Iterator[Suspicion]:
        """Each read with each alternative."""
        if self._unused > 3:
            return  # a function that takes what it does not want tells nothing by what it leaves unread
        for variable in self.function.variables:
            for index in variable.reads:
                span = self.record.occurrences.span(index)
                if self.function.span.start <= span.start < self.function.span.end:
                    yield from self._at(variable, index, span)

    @cached_property
    def _unused(self) -> int:
        """How many parameters nothing reads."""
        return sum(one.is_parameter and not one.reads and not _may_be_unused(one) for one in self.function.variables)

    @cached_property
    def _namesakes(self) -> int:
        return max(0, self.callables.namesakes(self.function.name) - 1)

    def _at(self, variable: Variable, index: int, span: Span) -> Iterator[Suspicion]:
        alternatives = self._alternatives(variable, span)
        if not alternatives:
            return
        around = _Around.of(self.tree, self.text, span, variable.name, self.callables)
        if around is None:
            return
        for other in alternatives:
            signs = self._signs(variable, other, index, around)
            yield Suspicion(index, span, variable.name, other.name, signs)

    def _alternatives(self, variable: Variable, span: Span) -> list[Variable]:
        # What is bound in the same line is bound by what is read there.
        before = self.text.line_start(self.text.line_of(span.start))
        found = [
            other
            for other in self.function.variables
            if other.name != variable.name
            and not other.name.startswith("_")
            and (other.is_parameter or other.bound[0] < before)
            and not any(start == span.start for start in other.bound)
        ]
        found.sort(key=lambda one: (not one.is_parameter, -max(at for at in one.bound if at <= one.bound[-1])))
        return found[:MOST_ALTERNATIVES]

    def _signs(self, one: Variable, other: Variable, index: int, around: _Around) -> tuple[float, ...]:
        habits = self._habits(one.name, other.name, index)
        goal = around.target
        unused = not other.reads and not _may_be_unused(other)
        stars = VARIADIC | KEYWORDS
        return (
            float(unused and other.is_parameter),
            float(unused and not other.is_parameter),
            float(self._unused - (unused and other.is_parameter)) if unused else 0.0,
            math.log1p(self._namesakes) if unused else 0.0,
            math.log1p(len(one.reads) - 1),
            math.log1p(len(other.reads)),
            float(len(one.reads) == 1),
            float(one.is_parameter and other.is_parameter),
            float(not one.is_parameter and not other.is_parameter),
            float(one.is_parameter != other.is_parameter),
            float(one.is_parameter and other.is_parameter and one.annotation != other.annotation),
            float((one.flags & stars) != (other.flags & stars)),
            *habits,
            float(goal == _bare(one.name)),
            float(goal == _bare(other.name)),
            around.parameter_is(one.name),
            around.parameter_is(other.name),
            _overlap(one.name, around.words),
            _overlap(other.name, around.words),
            float(around.in_operation(one.name)),
            float(around.in_call(one.name)),
            float(around.of_itself),
            float(around.twin),
            float(around.in_operation(other.name) or around.in_call(other.name)),
            float(around.statement.count(one.name) > 1),
            float(other.name in around.statement),
            around.guarded(one.name, other.name),
            around.guarded(other.name, one.name),
            float(self.record.occurrences.scope[index] != self.function.scope),
        )

    def _habits(self, name: str, other: str, index: int) -> tuple[float, float, float, float]:
        """How much better the alternative fits what is done with it, here and elsewhere: log ratios, and whether the
        name itself has never been seen so though it has been seen often."""
        found = self.experience.contexts.get(index, ())
        here = elsewhere = unlike_here = unlike_elsewhere = 0.0
        for context in found:
            ratio, unlike = _ratio(self.experience, name, other, context, here=True)
            here, unlike_here = _stronger(here, ratio), max(unlike_here, unlike)
            ratio, unlike = _ratio(self.experience, name, other, context, here=False)
            elsewhere, unlike_elsewhere = _stronger(elsewhere, ratio), max(unlike_elsewhere, unlike)
        return here, elsewhere, unlike_here, unlike_elsewhere


def _ratio(experience: Experience, name: str, other: str, context: Context, *, here: bool) -> tuple[float, float]:
    habits = experience.here if here else experience.together
    itself = 1 if here else 0  # the place that is judged counts for neither
    with_name, with_other = habits.count(name, context) - itself, habits.count(other, context)
    of_name, of_other = habits.count(name) - itself, habits.count(other)
    ratio = math.log((with_other + 0.2) / (of_other + 1.0)) - math.log((with_name + 0.2) / (of_name + 1.0))
    return ratio if with_name or with_other else 0.0, float(with_other > 0 and with_name == 0 and of_name > 2)


def _stronger(one: float, other: float) -> float:
    return other if abs(other) > abs(one) else one


def _may_be_unused(variable: Variable) -> bool:
    return bool(variable.flags & (VARIADIC | KEYWORDS)) or variable.name.startswith("_")


def words_of(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORDS.findall(name))


def _overlap(name: str, words: frozenset[str]) -> float:
    """How much of a name's words are said by what stands around."""
    own = words_of(name)
    return len(own & words) / len(own) if own else 0.0


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around one read. `target`: the name of what it is assigned to or passed as; `words`: those of the
    names that it is given to; `parameters`: what its place in a call is called by each function of that name;
    `operands`, `beside`: what stands beside it in an operation and in a call; `of_itself`: it is given to a method of
    its own; `twin`: the two sides of an operation are the same; `statement`: the names in the statement; `guards`:
    conditions it depends on, the nearest first, each with the names in what depends on it."""

    target: str
    words: frozenset[str]
    parameters: Sequence[str]
    operands: Sequence[str]
    beside: Sequence[str]
    of_itself: bool
    twin: bool
    statement: Sequence[str]
    guards: Sequence[tuple[frozenset[str], Sequence[str]]]

    def in_operation(self, name: str) -> bool:
        return name in self.operands

    def in_call(self, name: str) -> bool:
        return name in self.beside

    def parameter_is(self, name: str) -> float:
        """The share of the functions that may be called whose parameter has a name."""
        bare = _bare(name)
        return sum(_bare(one) == bare for one in self.parameters) / len(self.parameters) if self.parameters else 0.0

    def guarded(self, name: str, other: str) -> float:
        """Whether a condition around asks about a name, and not the other, of which nothing is read there otherwise."""
        for asked, read in self.guards:
            if name in asked and other not in asked:
                return 1.0 if name not in read else 0.3
            if other in asked:
                return 0.0
        return 0.0

    @staticmethod
    def of(tree: tree_sitter.Tree, text: Text, span: Span, name: str, callables: Callables) -> _Around | None:
        node = tree.root_node.descendant_for_byte_range(span.start, span.end)
        if node is None or node.type != "identifier":
            return None
        operands: list[str] = []
        beside: list[str] = []
        parameters: list[str] = []
        of_itself = False
        holder, parent = node, node.parent
        target = ""
        if parent is not None and parent.type == "keyword_argument":
            target = _text(parent.child_by_field_name("name"))
            holder, parent = parent, parent.parent
        said = [target]
        if parent is not None:
            if parent.type in _OPERATIONS or parent.type == "subscript":
                operands = [_text(child) for child in parent.named_children if child.id != holder.id]
                said += operands if parent.type == "subscript" else []
            elif parent.type == "argument_list":
                at = 0
                for child in parent.named_children:
                    if child.id == holder.id:
                        at = len(beside)
                        continue
                    value = child.child_by_field_name("value") if child.type == "keyword_argument" else child
                    beside.append(_text(value))
                call = parent.parent
                called = _text(call.child_by_field_name("function")) if call is not None else ""
                if "(" not in called:
                    said.append(called.rpartition(".")[2])
                    of_itself = called.partition(".")[0] == name
                    if not target:
                        known = callables.parameters(called.rpartition(".")[2])
                        parameters = [one[at] for one in known if at < len(one)]
            elif parent.type == "assignment" and parent.child_by_field_name("right") == holder:
                target = _goal(parent.child_by_field_name("left"))
                said.append(target)
            elif parent.type == "pair" and parent.child_by_field_name("value") == holder:
                target = _quoted(parent.child_by_field_name("key"))
                said.append(target)
            elif parent.type == "attribute":
                said.append(_text(parent.child_by_field_name("attribute")))
        words = frozenset(word for some in said for word in words_of(some[:100]))
        guards = tuple(_guards(node, text))
        statement = names_in(_statement(node), text)
        return _Around(_bare(target), words, parameters, operands, beside, of_itself, _is_twin(node), statement, guards)


def _bare(name: str) -> str:
    return name.strip("_")


def _goal(node: tree_sitter.Node | None) -> str:
    """The last name of what is assigned to; of a key, its text."""
    if node is None:
        return ""
    if node.type == "subscript":
        return _quoted(node.child_by_field_name("subscript"))
    return _text(node).rpartition(".")[2]


def _quoted(node: tree_sitter.Node | None) -> str:
    return _text(node).strip("'\"") if node is not None and node.type == "string" else ""


def _is_twin(node: tree_sitter.Node) -> bool:
    """Whether a node stands in one of two equal operands of an operation."""
    for _ in range(4):
        parent = node.parent
        if parent is None or parent.type in ("block", "argument_list", "assignment"):
            return False
        if parent.type in _OPERATIONS and len(parent.named_children) == 2:
            first, second = parent.named_children
            if first.text == second.text:
                return True
        node = parent
    return False


def _text(node: tree_sitter.Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def _statement(node: tree_sitter.Node) -> tree_sitter.Node:
    """The statement around a node, or, of one that holds others, the part of its head."""
    while (
        (parent := node.parent) is not None and parent.type not in ("block", "module") and parent.type not in _COMPOUND
    ):
        node = parent
    return node


def names_in(node: tree_sitter.Node, text: Text) -> tuple[str, ...]:
    """The names that are read or bound in a piece of source: neither attributes nor keywords of arguments. Words of
    strings count, too."""
    found = _NAMES.findall(text.data[node.start_byte : node.end_byte])
    return tuple(name.decode("utf-8", "replace") for name in found)


def _guards(node: tree_sitter.Node, text: Text) -> Iterator[tuple[frozenset[str], tuple[str, ...]]]:
    child, parent = node, node.parent
    count = 0
    while parent is not None and parent.type != "function_definition" and count < 2:
        if parent.type in _GUARDS and child.type == "block":
            condition = parent.child_by_field_name("condition")
            if condition is not None:
                yield frozenset(names_in(condition, text)), names_in(child, text)
                count += 1
        elif parent.type == "conditional_expression" and len(parent.named_children) == 3:
            value, condition, _ = parent.named_children
            if child.id == value.id:
                yield frozenset(names_in(condition, text)), names_in(child, text)
                count += 1
        child, parent = parent, parent.parent
