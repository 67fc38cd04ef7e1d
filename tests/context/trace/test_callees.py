"""Which functions a line may run: by calls, by operators, by what is handed on, by name alone."""

import pytest
from engram_context.resolve import Resolver
from engram_context.text import Span
from engram_context.trace.callees import Callees
from fixture import parse_fixture, snapshot_of

BASE = """
    -- base.py --
    import datetime

    class Money:
        def __init__(self, cents):
            self.cents = cents

        def __eq__(self, other):
            return self.cents == other.cents

        def __str__(self):
            return "money"

        @property
        def euros(self):
            return self.cents / 100

        def spend(self):
            return self

    class Cheap(Money):
        def spend(self):
            return None

    class Zone(datetime.tzinfo):
        def utcoffset(self, when):
            return None

        def colour(self):
            return None

    class Proxy:
        def __getattr__(self, name):
            return name

    class Once:
        def __call__(self):
            return 1

    class Twice(Once):
        def __call__(self):
            return 2

    def by_text(owner, what):
        return getattr(owner, {"send": "spend"}[what])

    def helper():
        return 1

    HANDLERS = {"a": helper, "b": lambda: Money(1).spend()}

    def dispatch(name):
        return HANDLERS[name]()
    -- main.py --
    from base import Cheap, HANDLERS, Money, Once, Proxy, Twice, Zone, by_text, dispatch, helper
"""


def run_by(line: str, *, classes: tuple[str, ...] = ()) -> set[str]:
    """The names of the functions that a line of main.py may run."""
    files = dict(parse_fixture(BASE).files)
    start = len(files["main.py"])
    files["main.py"] += line + "\n"
    snapshot = snapshot_of(files)
    uses = Callees(Resolver(snapshot), classes).of("main.py", Span(start, start + len(line)))
    found: set[str] = set()
    for use in uses:
        record = snapshot.records[use.definition.path]
        symbol = record.symbols[use.definition.row]
        found.add(f"{record.scopes[symbol.scope].name}.{symbol.name}".lstrip("."))
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("helper()", {"helper"}),
        ("map(helper, [])", {"helper"}),
        ("Money(1)", {"Money.__init__"}),
        ("Money(1) == Money(2)", {"Money.__init__", "Money.__eq__"}),
        ("str(Money(1))", {"Money.__init__", "Money.__str__"}),
        ("Money(1).euros", {"Money.__init__", "Money.euros"}),
        ("Zone()", {"Zone.utcoffset"}),
        ("Proxy().anything", {"Proxy.__getattr__"}),
        ("HANDLERS['a']", {"helper", "Money.__init__", "Money.spend", "Cheap.spend"}),
        ("map(Once(), [])", {"Once.__call__"}),
        ("print(3 + 4)", set[str]()),
    ],
)
def test_a_line_runs_what_it_calls_and_what_its_operators_call(line: str, expected: set[str]) -> None:
    assert run_by(line) == expected


def test_the_methods_of_unknown_objects_are_known_by_name() -> None:
    assert run_by("unknown.spend()") == {"Money.spend", "Cheap.spend"}


def test_of_methods_of_one_name_those_of_objects_that_were_there_are_meant() -> None:
    assert run_by("unknown.spend()", classes=("Cheap",)) == {"Cheap.spend"}


def test_operators_run_the_methods_of_the_subclasses_that_were_there() -> None:
    assert run_by("map(Once(), [])", classes=("Twice",)) == {"Once.__call__", "Twice.__call__"}


def test_operators_of_unknown_objects_run_the_methods_of_the_classes_that_were_there() -> None:
    assert run_by("unknown == other", classes=("Money",)) == {"Money.__eq__"}
    assert run_by("unknown == other") == set()
    assert run_by("text = 'a'; text == other", classes=("Money",)) == set()


def test_what_looks_an_attribute_up_runs_the_functions_that_its_texts_name() -> None:
    files = parse_fixture(BASE).files
    start = files["base.py"].index("return getattr")
    uses = Callees(Resolver(snapshot_of(files))).of("base.py", Span(start, files["base.py"].index("def helper")))
    record = snapshot_of(files).records["base.py"]
    assert {record.symbols[use.definition.row].name for use in uses} == {"spend"}
    assert all(0 < use.share < 1 for use in uses)


def test_names_of_builtin_methods_are_no_calls_of_a_known_builtin() -> None:
    assert run_by("'a'.join([])") == set()
