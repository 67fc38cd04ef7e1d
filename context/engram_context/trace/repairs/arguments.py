"""Arguments of calls: forgotten, too many, in the wrong order, under a name that the parameter has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tree_sitter import Node

from engram_context.inference.members import ClassType
from engram_context.reader import parse_shallow
from engram_context.records import KEYWORD_ONLY, KEYWORDS, NO_REF, VARIADIC
from engram_context.text import Span, Text
from engram_context.trace.repairs.likeness import likeness, nearest
from engram_context.trace.repairs.site import Repair, Site
from engram_context.views.signatures import callee_at, callees, fields_of, parameters_of

_LIMIT = 24
"""Other calls of the same name that are looked at."""


def argument_repairs(site: Site) -> Iterator[Repair]:
    """Rules `argument-dropped`, `argument-added`, `arguments-swapped` and `keyword`."""
    for node in site.of_type("call"):
        arguments = node.child_by_field_name("arguments")
        function = node.child_by_field_name("function")
        if arguments is not None and function is not None and arguments.type == "argument_list":
            yield from _Call(site, node, function, arguments).repairs()


class _Call:
    def __init__(self, site: Site, node: Node, function: Node, arguments: Node) -> None:
        self.site, self.node, self.list = site, node, arguments
        self.name = site.source(function).rpartition(".")[2]
        self.given = [child for child in arguments.named_children if child.type != "comment"]
        self.keywords = [child for child in self.given if child.type == "keyword_argument"]
        self.positional = [
            child for child in self.given
            if child.type not in ("keyword_argument", "list_splat", "dictionary_splat")
        ]  # fmt: skip
        self.starred = len(self.given) != len(self.keywords) + len(self.positional)
        self.parameters, self.takes_any, self.is_known = self._signature()
        trouble = site.trouble
        self.blamed = float(trouble.owner in (self.name, "") or trouble.owner == "__init__")

    def _signature(self) -> tuple[list[tuple[str, bool, bool]], bool, bool]:
        """(name, is keyword-only, has no default) of each parameter; whether there are stars; whether it is known."""
        site = self.site
        callee = callee_at(site.record, site.text, self.list.start_byte)
        if callee == NO_REF:
            return [], False, False
        for called, function in callees(site.resolver, site.path, callee)[:1]:
            if function is None:
                parts = fields_of(site.resolver, called) if isinstance(called, ClassType) else None
                if parts is None:
                    return [], False, isinstance(called, ClassType)
                return [(part.name, False, False) for part in parts], False, True
            record = site.resolver.record(function.path)
            if record is None:
                return [], False, False
            found: list[tuple[str, bool, bool]] = []
            stars = False
            for row in parameters_of(site.resolver, called, function):
                flags = record.symbols.flags[row]
                if flags & (VARIADIC | KEYWORDS):
                    stars = True
                    continue
                required = record.symbols.value[row] == NO_REF
                found.append((record.names[record.symbols.name[row]], bool(flags & KEYWORD_ONLY), required))
            return found, stars, True
        return [], False, False

    def repairs(self) -> Iterator[Repair]:
        yield from self._dropped()
        yield from self._swapped()
        yield from self._renamed()
        yield from self._added()

    def _places(self) -> list[str]:
        return [name for name, keyword_only, _ in self.parameters if not keyword_only]

    def _agreement(self, texts: list[str]) -> float:
        """How well the positional arguments are named like the parameters they are for."""
        pairs = zip(texts, self._places(), strict=False)
        return sum(likeness(_last_name(text), parameter) for text, parameter in pairs if _last_name(text))

    def _fit(self, positional: int, keywords: set[str]) -> float:
        """1 where that many arguments, and these keywords, fit what is called; 0 where not, or where it is unknown."""
        if not self.is_known or self.starred:
            return 0.0
        places = self._places()
        if positional > len(places) and not self.takes_any:
            return 0.0
        names = {name for name, _, _ in self.parameters}
        if not self.takes_any and not keywords <= names:
            return 0.0
        taken = set(places[:positional])
        needed = {name for name, _, required in self.parameters if required}
        return float(not keywords & taken and needed <= taken | keywords)

    def _evidence(self, positional: int, keywords: set[str]) -> dict[str, float]:
        before = self._fit(len(self.positional), self._names())
        return {"fits": self._fit(positional, keywords) - before, "blamed": self.blamed}

    def _names(self) -> set[str]:
        return {self._name(keyword) for keyword in self.keywords}

    def _name(self, keyword: Node) -> str:
        name = keyword.child_by_field_name("name")
        return "" if name is None else self.site.source(name)

    def _without(self, at: int) -> Span:
        given = self.given
        if at:
            return Span(given[at - 1].end_byte, given[at].end_byte)
        if len(given) > 1:
            return Span(given[0].start_byte, given[1].start_byte)
        return Span(given[0].start_byte, given[0].end_byte)

    def _dropped(self) -> Iterator[Repair]:
        names = self._names()
        for at, argument in enumerate(self.given):
            if argument.type in ("list_splat", "dictionary_splat"):
                continue
            source = self.site.source(argument)
            if argument.type == "keyword_argument":
                evidence = self._evidence(len(self.positional), names - {self._name(argument)})
                evidence["named"] = float(self._name(argument) == self.site.trouble.name)
            else:
                evidence = self._evidence(len(self.positional) - 1, names)
                evidence["last"] = float(argument == self.positional[-1])
            yield self.site.repair(
                "argument-dropped",
                f"without the argument `{source}`",
                (self._without(at), ""),
                at=self.node,
                evidence=evidence,
            )

    def _swapped(self) -> Iterator[Repair]:
        texts = [self.site.source(one) for one in self.positional]
        before = self._agreement(texts)
        for at in range(len(texts) - 1):
            if texts[at] == texts[at + 1]:
                continue
            new = [*texts[:at], texts[at + 1], texts[at], *texts[at + 2 :]]
            evidence = {"agreement": self._agreement(new) - before, "blamed": self.blamed}
            evidence["literal"] = float(_is_literal(self.positional[at]) and not _is_literal(self.positional[at + 1]))
            changes = ((self.positional[at], texts[at + 1]), (self.positional[at + 1], texts[at]))
            why = f"`{texts[at + 1]}` before `{texts[at]}`"
            yield self.site.repair("arguments-swapped", why, *changes, at=self.node, evidence=evidence)

    def _renamed(self) -> Iterator[Repair]:
        given = self._names()
        known = [name for name, _, _ in self.parameters if name not in given]
        for keyword in self.keywords:
            name = keyword.child_by_field_name("name")
            if name is None:
                continue
            old = self.site.source(name)
            wrong = self.is_known and old not in {one for one, _, _ in self.parameters} and not self.takes_any
            blamed = old == self.site.trouble.name and self.site.trouble.kind == "keyword"
            if self.is_known and not wrong and not blamed and not self.takes_any:
                continue
            names = nearest(old, known, 4, 0.0 if blamed else 0.4)
            if blamed and self.site.trouble.hint:
                names.insert(0, (self.site.trouble.hint, likeness(old, self.site.trouble.hint)))
            for new, like in dict(names).items():
                evidence = {
                    "likeness": like,
                    "named": float(blamed),
                    "wrong": float(wrong),
                    "only": float(len(known) == 1),
                }
                yield self.site.repair(
                    "keyword", f"the parameter is called `{new}`", (name, new), at=self.node, evidence=evidence
                )

    def _added(self) -> Iterator[Repair]:
        if self.list.end_byte - self.list.start_byte < 2:
            return
        site, names = self.site, self._names()
        scope = site.record.scope_at(self.node.start_byte)
        known = _variables(site, scope)
        places = self._places()
        missing = [
            (name, keyword_only, required) for at, (name, keyword_only, required) in enumerate(self.parameters)
            if name not in names and (keyword_only or places.index(name) >= len(self.positional) or at < 0)
        ]  # fmt: skip
        wanted = site.trouble.name if site.trouble.kind == "missing-argument" and self.blamed else ""
        if wanted and wanted not in [name for name, _, _ in missing] and not self.is_known:
            missing.append((wanted, False, True))
        for name, keyword_only, required in missing:
            values = [(name, 1.0)] if name in known else nearest(name, known, 2, 0.6)
            if required or name == wanted:
                values += [(f"self.{one}", like) for one, like in nearest(name, _fields(site), 1, 0.7)]
                values += [("self", 0.3)] if "self" in known else []
            if (required or name == wanted) and self.blamed and site.trouble.kind == "missing-argument":
                values += [(one, 0.0) for one in self._near() if one not in dict(values)]
            for value, like in dict(values).items():
                evidence = {"likeness": like, "wanted": float(name == wanted), "required": float(required)}
                evidence |= self._evidence(len(self.positional) + (not keyword_only), names)
                if keyword_only or (self.keywords and not required) or places.index(name) > len(self.positional):
                    yield self._insert(len(self.given), f"{name}={value}", evidence)
                else:
                    yield self._insert(len(self.positional), value, evidence)
                    # The value that is lacking may be one in the middle: the others then stand one further.
                    if required and self.positional:
                        texts = [site.source(one) for one in self.positional]
                        for at in range(len(texts)):
                            gain = self._agreement([*texts[:at], value, *texts[at:]]) - self._agreement([*texts, value])
                            yield self._insert(at, value, {**evidence, "agreement": gain})
        yield from self._as_elsewhere(known)

    def _near(self) -> list[str]:
        """Variables of the function that stand near the call, the nearest first."""
        site = self.site
        scope = site.record.scope_at(self.node.start_byte)
        own = {site.record.symbols[row].name for row in site.record.symbols_in(scope)}
        distance: dict[str, int] = {}
        for node in site.of_type("identifier"):
            name = site.source(node)
            if name in own and name not in ("self", "cls"):
                far = abs(node.start_byte - self.node.start_byte)
                distance[name] = min(distance.get(name, far), far)
        return sorted(distance, key=lambda name: distance[name])[:6]

    def _insert(self, at: int, source: str, evidence: dict[str, float], rule: str = "argument-added") -> Repair:
        given = self.given
        if at < len(given):
            where, new = Span(given[at].start_byte, given[at].start_byte), f"{source}, "
        elif given:
            where, new = Span(given[-1].end_byte, given[-1].end_byte), f", {source}"
        else:
            where, new = Span(self.list.start_byte + 1, self.list.start_byte + 1), source
        return self.site.repair(rule, f"with the argument `{source}`", (where, new), at=self.node, evidence=evidence)

    def _as_elsewhere(self, known: set[str]) -> Iterator[Repair]:
        """Arguments that other calls of the name have at a place where this one has none or another."""
        texts = [self.site.source(one) for one in self.given]
        counts: Counter[tuple[int, str]] = Counter()
        calls = 0
        for other in _calls_of(self.site, self.name):
            if other == texts:
                continue
            calls += 1
            for at, source in enumerate(other):
                if source in texts or "\n" in source or len(source) > 60:
                    continue
                if other[:at] == texts[:at] or at == len(texts):
                    counts[at, source] += 1
                else:
                    counts[at, source] += 0
        for (at, source), count in counts.most_common(4):
            names = set(_names_in(source))
            if not names <= known or at > len(texts):
                continue
            positional = len(self.positional) + ("=" not in source)
            evidence = {"count": float(count), "share": count / max(calls, 1)} | self._evidence(
                positional, self._names()
            )
            yield self._insert(at, source, evidence, "argument-as-elsewhere")


def _variables(site: Site, scope: int) -> set[str]:
    """Names of the functions around a place: parameters and variables; and of the module."""
    found: set[str] = set()
    at: int | None = scope
    while at is not None:
        one = site.record.scopes[at]
        if one.kind != "class":
            for row in site.record.symbols_in(at):
                symbol = site.record.symbols[row]
                if one.kind != "module" or symbol.kind in ("variable", "constant"):
                    found.add(symbol.name)
        at = one.parent
    return found


def _fields(site: Site) -> set[str]:
    return {symbol.name for symbol in site.record.symbols if symbol.kind == "attribute"}


def _calls_of(site: Site, name: str) -> Iterator[list[str]]:
    """The arguments of other calls of a name, those of this file first."""
    if not name.isidentifier():
        return
    paths = [site.path, *(path for path in site.snapshot.files_naming(name) if path != site.path)]
    seen = 0
    for path in paths[:_LIMIT]:
        record, text = site.snapshot.record(path), site.snapshot.text(path)
        if record is None or text is None or record.language != "python" or record.digest != text.digest:
            continue
        callees_ = set(record.occurrences_of(name))
        for row, callee in enumerate(record.calls.callee):
            if callee in callees_:
                seen += 1
                if seen > _LIMIT:
                    return
                yield _split(text, Span(record.calls.inside_start[row], record.calls.inside_end[row]))


def _split(text: Text, inside: Span) -> list[str]:
    source = Text.of(b"f(" + text.data[inside.start : inside.end] + b")")
    tree = parse_shallow(source, "python")
    if tree is None:
        return []
    node = tree.root_node
    while node.type != "argument_list":
        if not node.named_children:
            return []
        node = node.named_children[-1]
    return [source.slice(Span(one.start_byte, one.end_byte)) for one in node.named_children if one.type != "comment"]


def _last_name(source: str) -> str:
    """`a.b.name` and `name`: what an argument is called, "" for anything else."""
    name = source.rpartition(".")[2]
    return name if source.replace(".", "").isidentifier() and name.isidentifier() else ""


def _names_in(source: str) -> Iterator[str]:
    """The first names of what is read in an argument."""
    source = source.partition("=")[2] if "=" in source and "==" not in source else source
    first = source.partition(".")[0].partition("(")[0].partition("[")[0].strip()
    if first.isidentifier() and first not in ("True", "False", "None"):
        yield first


def _is_literal(node: Node) -> bool:
    return node.type in ("string", "integer", "float", "true", "false", "none", "list", "dictionary", "tuple")
