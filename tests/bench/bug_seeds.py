"""Runtime bugs as people make them: small changes of real functions, of ten kinds, found in the syntax tree.

`mutations` gives candidates; whether one is a bug (a test that passed fails) is for `bugs.py` to find out.
"""

from __future__ import annotations

import ast
import keyword
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from typing import TypeVar

KINDS = ("attribute", "none", "key", "index", "argument", "off-by-one", "import", "branch", "api", "misspelt")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Piece = tuple[int, int, str]
"""Bytes `start..end` of a text become the string."""


@dataclass(frozen=True)
class Function:
    """A def of a source. `first` is the line it begins at for the interpreter, decorators included."""

    source: Source
    node: FunctionNode
    name: str

    @property
    def first(self) -> int:
        return min([self.node.lineno, *(one.lineno for one in self.node.decorator_list)])

    def nodes(self) -> Iterator[ast.AST]:
        """The nodes of its body, without those of functions in it."""
        waiting: list[ast.AST] = list(reversed(self.node.body))
        while waiting:
            node = waiting.pop()
            if isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
                continue
            yield node
            waiting += reversed(list(ast.iter_child_nodes(node)))


@dataclass(frozen=True, eq=False)
class Source:
    """One Python file of a package."""

    path: str
    data: bytes
    tree: ast.Module = field(repr=False)

    @staticmethod
    def read(path: str, data: bytes) -> Source | None:
        try:
            return Source(path, data, ast.parse(data))
        except (SyntaxError, ValueError):
            return None

    @cached_property
    def starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", self.data))]

    def at(self, line: int, column: int) -> int:
        return self.starts[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self.at(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.at(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode("utf-8")

    @cached_property
    def functions(self) -> list[Function]:
        found: list[Function] = []

        def walk(node: ast.AST, prefix: str) -> None:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, FunctionNode | ast.ClassDef):
                    name = f"{prefix}{child.name}"
                    if isinstance(child, FunctionNode):
                        found.append(Function(self, child, name))
                    walk(child, f"{name}.")
                else:
                    walk(child, prefix)

        walk(self.tree, "")
        return found

    @cached_property
    def attributes(self) -> Counter[str]:
        return Counter(node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute))

    @cached_property
    def keys(self) -> Counter[str]:
        return Counter(
            node.slice.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Subscript) and _is_text(node.slice)  # type: ignore[union-attr]
        )

    @cached_property
    def mentions(self) -> Counter[str]:
        """Every identifier in it, with how often."""
        return Counter(re.findall(r"[^\W\d]\w*", self.data.decode("utf-8", "replace")))

    def changed(self, pieces: list[Piece]) -> bytes:
        data = self.data
        for start, end, new in sorted(pieces, reverse=True):
            data = data[:start] + new.encode() + data[end:]
        return data


@dataclass(frozen=True)
class Mutation:
    """A change of one file. `truth` are the functions that count as found: (path, first line in the changed file,
    name), line 0 for a module's own code. `covers`: the functions of which a test has to run one, (path, first)."""

    kind: str
    source: Source
    pieces: list[Piece]
    line: int
    what: str
    truth: list[tuple[str, int, str]]
    covers: list[tuple[str, int]]

    @property
    def data(self) -> bytes:
        return self.source.changed(self.pieces)


def mutations(kind: str, sources: list[Source], tests: Counter[str], rng: random.Random) -> Iterator[Mutation]:
    """Candidates of a kind in random order, at most one for a function. `tests`: identifiers that the tests mention."""
    if kind == "import":
        yield from _shuffled([one for source in sources for one in _imports(source)], rng)
        return
    if kind == "api":
        yield from _api(sources, tests, rng)
        return
    functions = [one for source in sources for one in source.functions]
    for function in _shuffled(functions, rng):
        found = list(_MUTATORS[kind](function, rng))
        if not found:
            continue
        _, pieces, what = rng.choice(found)
        line = function.source.data.count(b"\n", 0, min(start for start, _, _ in pieces)) + 1
        truth = [(function.source.path, function.node.lineno, function.name)]
        yield Mutation(kind, function.source, pieces, line, what, truth, [(function.source.path, function.first)])


Candidates = Iterator[tuple[ast.AST, list[Piece], str]]


def _attribute(function: Function, rng: random.Random) -> Candidates:
    source = function.source
    for node in function.nodes():
        if isinstance(node, ast.Attribute) and not node.attr.startswith("__"):
            end = source.span(node)[1]
            new = _confused(node.attr, source.attributes, rng)
            if new:
                yield node, [(end - len(node.attr.encode()), end, new)], f".{node.attr} -> .{new}"


def _misspelt(function: Function, rng: random.Random) -> Candidates:
    """A slip of the fingers in one place where a name is read."""
    for node in function.nodes():
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if len(name) > 3 and isinstance(node.ctx, ast.Load) and not name.startswith("__"):  # type: ignore[attr-defined]
            end = function.source.span(node)[1]
            new = _slipped(name, rng)
            yield node, [(end - len(name.encode()), end, new)], f"{name} -> {new}"


def _slipped(name: str, rng: random.Random) -> str:
    """The name with a letter too few or too many, or with two in the wrong order."""
    at = rng.randrange(1, len(name) - 1)
    options = {
        name[:at] + name[at + 1 :],
        name[: at + 1] + name[at:],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    }
    fit = sorted(one for one in options if one != name and one.isidentifier() and one not in _KEYWORDS)
    return rng.choice(fit) if fit else f"{name}{name[-1]}"


def _none(function: Function, rng: random.Random) -> Candidates:
    source = function.source
    body = function.node.body
    last = body[-1]
    returns = [node for node in function.nodes() if isinstance(node, ast.Return) and node.value is not None]
    if isinstance(last, ast.Return) and last.value is not None:
        start, _ = source.span(last)
        if isinstance(last.value, ast.Constant | ast.Name) and len(body) > 1:
            yield last, [(*source.span(last), "pass")], "no return at the end"
        else:
            yield last, [(start, source.span(last.value)[0], "")], "return forgotten"
    for node in returns:
        if node is not last and len(returns) > 1:
            yield node, [(source.span(node)[0], source.span(node.value)[0], "")], "return forgotten on a path"  # type: ignore[arg-type]
    for node in function.nodes():
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
            left, right = node.values
            if isinstance(right, ast.Constant | ast.List | ast.Dict | ast.Call | ast.Name | ast.Tuple):
                yield node, [(source.span(left)[1], source.span(right)[1], "")], "default dropped"
        if isinstance(node, ast.If) and not node.orelse and node in body and len(body) > 1:
            test = ast.dump(node.test)
            if "None" in test or isinstance(node.test, ast.UnaryOp | ast.Name):
                start = source.starts[node.lineno - 1]
                end = node.end_lineno or node.lineno
                stop = source.starts[end] if end < len(source.starts) else len(source.data)
                yield node, [(start, stop, "")], "guard dropped"


def _key(function: Function, rng: random.Random) -> Candidates:
    source = function.source
    for node in function.nodes():
        if isinstance(node, ast.Subscript) and _is_text(node.slice):
            value = node.slice.value  # type: ignore[attr-defined]
            new = _confused(value, source.keys, rng)
            if new and value.isidentifier():
                yield node, [(*source.span(node.slice), repr(new))], f"[{value!r}] -> [{new!r}]"
        looks = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop")
        if looks and node.args and not node.keywords:
            owner, key = source.text(node.func.value), source.text(node.args[0])
            if node.func.attr == "get":
                yield node, [(*source.span(node), f"{owner}[{key}]")], ".get() -> []"
            elif len(node.args) == 2:
                yield node, [(source.span(node.args[0])[1], source.span(node.args[1])[1], "")], ".pop() default"
            if _is_text(node.args[0]):
                new = _confused(node.args[0].value, source.keys, rng)  # type: ignore[attr-defined]
                if new:
                    yield node, [(*source.span(node.args[0]), repr(new))], f"{key} -> {new!r}"
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if key is not None and _is_text(key) and key.value.isidentifier():  # type: ignore[attr-defined]
                    new = _confused(key.value, source.keys, rng)  # type: ignore[attr-defined]
                    if new:
                        yield node, [(*source.span(key), repr(new))], f"{key.value!r}: -> {new!r}:"  # type: ignore[attr-defined]


def _index(function: Function, rng: random.Random) -> Candidates:
    source = function.source
    for node in function.nodes():
        if not isinstance(node, ast.Subscript):
            continue
        number = _number(node.slice)
        span = source.span(node.slice)
        if number is not None:
            new = rng.choice([number + 1, number - 1])
            yield node, [(*span, str(new))], f"[{number}] -> [{new}]"
        elif isinstance(node.slice, ast.BinOp) and _number(node.slice.right) == 1:
            yield node, [(*span, source.text(node.slice.left))], "[i ± 1] -> [i]"
        elif isinstance(node.slice, ast.Name) and re.fullmatch(
            r"i|j|k|n|idx|index|pos|start|end|\w*_index", node.slice.id
        ):
            yield node, [(*span, f"{node.slice.id} {rng.choice('+-')} 1")], "[i] -> [i ± 1]"


def _argument(function: Function, rng: random.Random) -> Candidates:
    source = function.source
    for node in function.nodes():
        if not isinstance(node, ast.Call) or any(isinstance(one, ast.Starred) for one in node.args):
            continue
        if any(isinstance(one, ast.GeneratorExp) for one in node.args):
            continue
        args = [(source.span(one), source.text(one)) for one in node.args]
        for at, ((start, end), _) in enumerate(args):
            if at + 1 < len(args):
                first, second = args[at], args[at + 1]
                if first[1] != second[1]:
                    yield node, [(*first[0], second[1]), (*second[0], first[1])], f"arguments {at}, {at + 1} swapped"
            if len(args) > 1 or node.keywords:
                before = args[at - 1][0][1] if at else None
                if before is not None:
                    yield node, [(before, end, "")], f"argument {at} dropped"
                elif at + 1 < len(args):
                    yield node, [(start, args[at + 1][0][0], "")], f"argument {at} dropped"
            else:
                yield node, [(start, end, "")], "the argument dropped"
        if args and not node.keywords:
            extra = rng.choice([args[0][1], "None", "True"])
            yield node, [(args[-1][0][1], args[-1][0][1], f", {extra}")], "extra argument"
        for at, named in enumerate(node.keywords):
            start, end = source.span(named)
            if named.arg is None:
                continue
            new = _confused(named.arg, Counter(), rng)
            if new:
                yield node, [(start, start + len(named.arg.encode()), new)], f"{named.arg}= -> {new}="
            before = source.span(node.keywords[at - 1])[1] if at else args[-1][0][1] if args else None
            if before is not None:
                yield node, [(before, end, "")], f"{named.arg}= dropped"


def _off_by_one(function: Function, rng: random.Random) -> Candidates:
    source = function.source
    for node in function.nodes():
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _EDGES:
            old, new = _EDGES[type(node.ops[0])]
            yield node, [_operator(source, node.left, node.comparators[0], old, new)], f"{old} -> {new}"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) and _number(node.right) == 1:
            yield node, [(source.span(node.left)[1], source.span(node)[1], "")], "± 1 dropped"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
            last = node.args[min(len(node.args), 2) - 1]
            text = source.text(last)
            number = _number(last)
            for step in ("+", "-"):
                new = str(number + (1 if step == "+" else -1)) if number is not None else f"{text} {step} 1"
                yield node, [(*source.span(last), new)], f"range {step} 1"
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            for bound in (node.slice.lower, node.slice.upper):
                if bound is None:
                    continue
                number = _number(bound)
                if number is not None:
                    new = str(number + rng.choice((1, -1)))
                else:
                    new = f"{source.text(bound)} {rng.choice('+-')} 1"
                yield node, [(*source.span(bound), new)], f"slice {source.text(bound)} -> {new}"


_EDGES = {ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">")}
_OPPOSITE = {
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Lt: ("<", ">"), ast.Gt: (">", "<"),
    ast.LtE: ("<=", ">="), ast.GtE: (">=", "<="),
}  # fmt: skip


def _branch(function: Function, rng: random.Random) -> Candidates:
    source = function.source
    for node in function.nodes():
        if not isinstance(node, ast.If | ast.IfExp | ast.While):
            continue
        test = node.test
        start, _ = source.span(test)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            yield node, [(start, source.span(test.operand)[0], "")], "not dropped"
        elif isinstance(test, ast.Compare) and len(test.ops) == 1:
            old, new = _OPPOSITE[type(test.ops[0])]
            yield node, [_operator(source, test.left, test.comparators[0], old, new)], f"{old} -> {new}"
        elif isinstance(test, ast.BoolOp):
            old, new = ("and", "or") if isinstance(test.op, ast.And) else ("or", "and")
            if len(test.values) == 2:
                yield node, [_operator(source, *test.values, old, new)], f"{old} -> {new}"
            yield node, [(start, source.span(test.values[1])[0], "")], "a condition dropped"
        elif not isinstance(test, ast.Constant):
            yield node, [(start, start, "not ")], "not added"


_MUTATORS: dict[str, Callable[[Function, random.Random], Candidates]] = {
    "attribute": _attribute,
    "none": _none,
    "key": _key,
    "index": _index,
    "argument": _argument,
    "off-by-one": _off_by_one,
    "branch": _branch,
    "misspelt": _misspelt,
}


def _imports(source: Source) -> Iterator[Mutation]:
    """One imported name less, which only functions need."""
    outer = {name.id for node in source.tree.body for name in _names_at_once(node)}
    for node in source.tree.body:
        if not isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "module", "") == "__future__":
            continue
        for at, alias in enumerate(node.names):
            name = alias.asname or alias.name.split(".")[0]
            users = [
                function
                for function in source.functions
                if any(isinstance(one, ast.Name) and one.id == name for one in function.nodes())
            ]
            if name in outer or name == "*" or not users:
                continue
            if len(node.names) == 1:
                pieces = [(*source.span(node), "")]
            elif at:
                pieces = [(source.span(node.names[at - 1])[1], source.span(alias)[1], "")]
            else:
                pieces = [(source.span(alias)[0], source.span(node.names[1])[0], "")]
            data = Source.read(source.path, source.changed(pieces))
            if data is None:
                continue
            names = {one.name for one in users}
            truth = [(source.path, one.node.lineno, one.name) for one in data.functions if one.name in names]
            covers = [(source.path, one.first) for one in users]
            yield Mutation(
                "import",
                source,
                pieces,
                node.lineno,
                f"import of {name} dropped",
                [(source.path, 0, ""), *truth],
                covers,
            )


def _names_at_once(node: ast.AST) -> Iterator[ast.Name]:
    """The names that running a statement of a module reads: not those in bodies of functions."""
    if isinstance(node, ast.Name):
        yield node
    for label, value in ast.iter_fields(node):
        if isinstance(node, FunctionNode | ast.Lambda) and label == "body":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _names_at_once(child)


def _api(sources: list[Source], tests: Counter[str], rng: random.Random) -> Iterator[Mutation]:
    """A definition is changed with everything in its file, and its callers in other files are left."""
    defined = Counter(function.node.name for source in sources for function in source.functions)
    functions = [one for source in sources for one in source.functions]
    for function in _shuffled(functions, rng):
        source, name = function.source, function.node.name
        if name.startswith("__") and name != "__init__":
            continue
        users = [other for other in sources if other is not source and name in other.mentions]
        options: list[tuple[list[Piece], str]] = []
        if users and defined[name] == 1 and name not in tests:
            new = _confused(name, Counter(), rng)
            if new and not any(new in other.mentions for other in sources):
                options.append((_renamed(source, source.tree, name, new), f"{name} -> {new}"))
        if users and defined[name] == 1:
            for parameter in (*function.node.args.args, *function.node.args.kwonlyargs):
                old = parameter.arg
                if any(_passes(other, name, old) for other in users):
                    new = _confused(old, Counter(), rng)
                    if new and not re.search(rf"\b{new}\b", source.text(function.node)):
                        options.append((_renamed(source, function.node, old, new), f"{name}({old}=) -> {new}="))
        if any(_calls(one, name) for other in users for one in other.functions) and defined[name] == 1:
            for node in function.nodes():
                if not isinstance(node, ast.Return) or node.value is None:
                    continue
                span, value = source.span(node.value), node.value
                if isinstance(value, ast.Tuple) and len(value.elts) > 1:
                    pieces = [(source.span(value.elts[0])[1], source.span(value.elts[1])[1], "")]
                    options.append((pieces, f"{name} returns one value less"))
                elif isinstance(value, ast.Name | ast.Call):
                    options.append(([(*span, f"({source.text(value)}, None)")], f"{name} returns a pair"))
        if name == "__init__":
            for node in function.nodes():
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr not in tests:
                    old = node.attr
                    others = [other for other in sources if other is not source and other.attributes[old]]
                    new = _confused(old, Counter(), rng)
                    if others and new and not any(new in other.mentions for other in sources):
                        options.append((_renamed(source, source.tree, old, new, attributes=True), f".{old} -> .{new}"))
        if not options:
            continue
        pieces, what = rng.choice(options)
        after = Source.read(source.path, source.changed(pieces))
        if after is None or not pieces:
            continue
        old = re.split(r"[ (.]", what.lstrip("."))[0]
        uses = _calls if "returns" in what or "=" in what else _mentions
        callers = [one for other in sources if other is not source for one in other.functions if uses(one, old)]
        truth = [
            (source.path, one.node.lineno, one.name)
            for one in after.functions
            if one.node.lineno == function.node.lineno
        ]
        truth += [(one.source.path, one.node.lineno, one.name) for one in callers]
        truth += [(other.path, 0, "") for other in users if "returns" not in what and _imports_name(other, old)]
        line = source.data.count(b"\n", 0, min(start for start, _, _ in pieces)) + 1
        covers = [(one.source.path, one.first) for one in callers] or [(source.path, function.first)]
        yield Mutation("api", source, pieces, line, what, truth, covers)


def _renamed(source: Source, root: ast.AST, old: str, new: str, attributes: bool = False) -> list[Piece]:
    """Every mention of a name below a node, in `source`."""
    found: set[Piece] = set()
    size = len(old.encode())
    for node in ast.walk(root):
        start = None
        if isinstance(node, ast.Attribute) and node.attr == old:
            start = source.span(node)[1] - size
        elif attributes:
            continue
        elif (isinstance(node, ast.Name) and node.id == old) or (isinstance(node, ast.arg) and node.arg == old):
            start = source.span(node)[0]
        elif isinstance(node, FunctionNode) and node.name == old:
            start = source.data.index(old.encode(), source.at(node.lineno, node.col_offset) + 3)
        if start is not None:
            found.add((start, start + size, new))
    if root is source.tree and not attributes:
        for node in source.tree.body:
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
            ):
                for one in ast.walk(node.value):
                    if isinstance(one, ast.Constant) and one.value == old:
                        found.add((*source.span(one), repr(new)))
    return sorted(found)


def _passes(source: Source, function: str, name: str) -> bool:
    return any(
        isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") == function or getattr(node.func, "attr", "") == function)
        and any(one.arg == name for one in node.keywords)
        for node in ast.walk(source.tree)
    )


def _calls(function: Function, name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
        for node in function.nodes()
    )


def _imports_name(source: Source, name: str) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and any(one.name == name for one in node.names) for node in source.tree.body
    )


def _mentions(function: Function, name: str) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name)
        for node in function.nodes()
    )


def _operator(source: Source, left: ast.AST, right: ast.AST, old: str, new: str) -> Piece:
    """The operator between two operands; parentheses around these stay."""
    start, end = source.span(left)[1], source.span(right)[0]
    pattern = old.replace(" ", r"\s+")
    match = re.search(
        rf"(?<!\w){pattern}(?!\w)" if old[0].isalpha() else re.escape(old), source.data[start:end].decode()
    )
    assert match is not None
    return start + match.start(), start + match.end(), new


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _number(node: ast.AST) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand)
        return None if number is None else -number
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _confused(name: str, others: Counter[str], rng: random.Random) -> str | None:
    """A name that somebody could take for this one: one like it that is used near by, or a wrong memory of it."""
    near = [other for other in sorted(others) if other != name and SequenceMatcher(None, name, other).ratio() >= 0.6]
    if near and rng.random() < 0.5:
        return rng.choice(near)
    words = name.split("_")
    options = {name[:-1] if name.endswith("s") else f"{name}s", name.lstrip("_") if name[0] == "_" else f"_{name}"}
    if len(words) > 1:
        options |= {"_".join(words[:-1]), "_".join(words[1:]), "_".join(reversed(words)), "".join(words)}
    if len(name) > 5:
        options |= {name[:4], name[:-2]}
    options |= {f"{prefix}_{name.lstrip('_')}" for prefix in ("get", "new")}
    fit = sorted(one for one in options if one.isidentifier() and one != name and one not in _KEYWORDS)
    return rng.choice(fit) if fit else None


_KEYWORDS = frozenset(keyword.kwlist)
T = TypeVar("T")


def _shuffled(items: list[T], rng: random.Random) -> list[T]:
    return rng.sample(items, len(items))
