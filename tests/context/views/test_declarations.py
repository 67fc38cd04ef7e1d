"""Where names are bound, and where their types are defined."""

from __future__ import annotations

from engram_context.views.declarations import declarations, type_definitions
from fixture import parse_fixture, starts


def check_declarations(source: str) -> None:
    fixture = parse_fixture(source)
    assert starts(declarations(fixture.snapshot(), fixture.cursor)) == fixture.answers


def check_types(source: str) -> None:
    fixture = parse_fixture(source)
    assert starts(type_definitions(fixture.snapshot(), fixture.cursor)) == fixture.answers


UTIL = "\n-- util.py --\ndef {}greet(): ...\nclass {}A: ...\ndef make() -> A: ...\n"


def test_an_imported_name_is_declared_by_its_import() -> None:
    check_declarations("-- app.py --\nfrom util import $1greet\n$0greet()" + UTIL.format("", ""))
    check_declarations("-- app.py --\nfrom util import $0greet\ngreet()" + UTIL.format("$1", ""))


def test_other_names_are_declared_where_they_are_bound() -> None:
    check_declarations("$1x = 1\n$2x = 2\nprint($0x)")
    check_declarations("def f($1a): return $0a")
    check_declarations("$0unknown")


def test_a_variable_has_the_class_of_its_object_as_its_type() -> None:
    check_types("-- app.py --\nfrom util import make\nx = make()\n$0x" + UTIL.format("", "$1"))
    check_types("-- app.py --\nfrom util import make\n$0x = make()" + UTIL.format("", "$1"))
    check_types("-- app.py --\nimport util\ndef f(x: util.A): return $0x" + UTIL.format("", "$1"))


def test_functions_and_classes_are_their_own_types() -> None:
    check_types("-- app.py --\nfrom util import greet\n$0greet()" + UTIL.format("$1", ""))
    check_types("-- app.py --\nfrom util import A\n$0A()" + UTIL.format("", "$1"))


def test_what_nothing_is_known_of_has_no_type() -> None:
    check_types("$0unknown")
    check_types("x = 1  $0  # x")
