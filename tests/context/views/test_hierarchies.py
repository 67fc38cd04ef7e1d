"""Calls to and from, classes above and below."""

from __future__ import annotations

from pathlib import Path

import pytest
from engram_context.outside.environment import Environment
from engram_context.snapshot import Snapshot
from engram_context.views.call_hierarchy import Calls, Definition, definitions_at, incoming, outgoing, show
from engram_context.views.type_hierarchy import classes_at, implementations, subtypes, supertypes
from fixture import Fixture, parse_fixture, starts


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment.discover(tmp_path_factory.mktemp("empty"))


def named(snapshot: Snapshot, definition: Definition) -> str:
    found = show(snapshot, definition)
    assert found is not None
    return f"{Path(found.path).stem}:{found.name}"


def the_definition(fixture: Fixture) -> Definition:
    (found,) = definitions_at(fixture.snapshot(), fixture.cursor)
    return found


def check(fixture: Fixture, calls: tuple[Calls, ...], path: str | None, *ends: str) -> None:
    """The other ends in order; the markers are the starts of all spans, which stand in the caller's file."""
    snapshot = fixture.snapshot()
    assert [named(snapshot, call.definition) for call in calls] == list(ends)
    places = sorted((path or call.definition.path, span.start) for call in calls for span in call.spans)
    assert places == [(place.path, place.offset) for place in fixture.answers]


def check_incoming(source: str, *callers: str) -> None:
    fixture = parse_fixture(source)
    check(fixture, incoming(fixture.snapshot(), the_definition(fixture)), None, *callers)


def check_outgoing(source: str, *callees: str) -> None:
    fixture = parse_fixture(source)
    start = the_definition(fixture)
    check(fixture, outgoing(fixture.snapshot(), start), start.path, *callees)


def test_callers_are_the_functions_that_calls_stand_in() -> None:
    check_incoming(
        """
        -- app.py --
        from util import greet
        from util import greet as hello
        import util
        $1greet()
        def one():
            $2greet(), [$3greet() for _ in 'ab']
            other = greet
        def two(): return lambda: util.$4greet()
        class A:
            x = $5hello()
            def method(self): $6hello()
        -- util.py --
        def gr$0eet(): ...
        """,
        "app:app", "app:one", "app:two", "app:A", "app:method",
    )  # fmt: skip


def test_methods_are_called_through_objects_of_their_class() -> None:
    check_incoming(
        """
        class A:
            def r$0un(self): ...
            def go(self): self.$1run()
        class B:
            def run(self): ...
        def f(a: A, b: B): a.$2run(), b.run()
        """,
        "main:go", "main:f",
    )  # fmt: skip


def test_calling_a_class_calls_its_initializer() -> None:
    source = """
        class A:
            def __i$0nit__(self): ...
        def f(): return $1A()
        class B(A):
            def __init__(self): super().$2__init__()
    """
    check_incoming(source, "main:f", "main:__init__")


def test_reading_a_property_calls_it() -> None:
    check_incoming(
        """
        class A:
            @property
            def si$0ze(self): return 1
        def f(a: A): return a.$1size
        """,
        "main:f",
    )


def test_calls_go_to_functions_methods_and_classes() -> None:
    check_outgoing(
        """
        -- app.py --
        import util
        from util import Thing
        def f$0():
            util.$1greet()
            thing = $2Thing()
            thing.$3run($4local(1))
            def inner(): util.greet()
            return [util.$5greet() for _ in $6print()]
        def local(x): ...
        -- util.py --
        def greet(): ...
        class Thing:
            def run(self, x): ...
        """,
        "util:greet", "util:Thing", "util:run", "app:local", "builtins:print",
    )  # fmt: skip


def test_a_class_calls_what_its_initializer_calls() -> None:
    check_outgoing(
        """
        def f(): ...
        class $0A:
            x = $1f()
            def __init__(self): $2f()
            def other(self): f()
        """,
        "main:f",
    )


def test_what_is_no_function_has_no_calls() -> None:
    fixture = parse_fixture("x$0 = 1")
    assert definitions_at(fixture.snapshot(), fixture.cursor) == ()
    assert incoming(fixture.snapshot(), Definition("main.py", 99)) == ()
    assert outgoing(fixture.snapshot(), Definition("gone.py", 0)) == ()
    assert show(fixture.snapshot(), Definition("main.py", 99)) is None


HIERARCHY = """
    -- app.py --
    import util as u
    from util import Base as B
    class {one}One(B):
        def {m1}run(self): ...
    class {two}Two(u.Base, One): ...
    class {three}Three(One):
        def {m3}run(self): ...
    -- util.py --
    from abc import abstractmethod
    class {base}Base:
        @abstractmethod
        def {m0}run(self): ...
        def {k}keep(self): ...
"""


def hierarchy(**marks: str) -> Fixture:
    names = ("one", "two", "three", "base", "m0", "m1", "m3", "k")
    return parse_fixture(HIERARCHY.format(**{name: marks.get(name, "") for name in names}))


def test_classes_have_bases_and_classes_below_across_files(environment: Environment) -> None:
    fixture = hierarchy(two="$0")
    (two,) = classes_at(fixture.snapshot(), fixture.cursor)
    assert [named(fixture.snapshot(), one) for one in supertypes(fixture.snapshot(), two)] == ["util:Base", "app:One"]
    fixture = hierarchy(base="$0")
    (base,) = classes_at(fixture.snapshot(), fixture.cursor)
    below = subtypes(fixture.snapshot(), base, environment)
    assert [named(fixture.snapshot(), one) for one in below] == ["app:One", "app:Two"]
    assert supertypes(fixture.snapshot(), base) == ()


def test_what_is_no_class_has_no_types_around_it(environment: Environment) -> None:
    fixture = hierarchy(m0="$0")
    assert classes_at(fixture.snapshot(), fixture.cursor) == ()
    assert subtypes(fixture.snapshot(), Definition("gone.py", 0), environment) == ()


def check_implementations(fixture: Fixture, environment: Environment) -> None:
    found = implementations(fixture.snapshot(), fixture.cursor, environment)
    assert starts(found) == fixture.answers


def test_an_abstract_method_is_implemented_by_what_overrides_it(environment: Environment) -> None:
    check_implementations(hierarchy(m0="$0", m1="$1", m3="$2"), environment)


def test_a_method_is_implemented_by_itself_and_what_overrides_it(environment: Environment) -> None:
    check_implementations(hierarchy(m1="$1$0", m3="$2"), environment)
    check_implementations(hierarchy(k="$1$0"), environment)


def test_a_class_is_implemented_by_the_classes_below_it(environment: Environment) -> None:
    check_implementations(hierarchy(base="$1$0", one="$2", two="$3", three="$4"), environment)


def test_anything_else_is_implemented_where_it_is_defined(environment: Environment) -> None:
    check_implementations(parse_fixture("def $1f(): ...\n$0f()"), environment)
    check_implementations(parse_fixture("$0unknown()"), environment)
