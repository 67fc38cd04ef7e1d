"""Mentions of a name within its file, read or written."""

from __future__ import annotations

from engram_context.views.highlight import highlights
from fixture import parse_fixture


def check(source: str, *accesses: str) -> None:
    """`$1`, `$2`, ... are the starts of all highlights, which have these accesses in order of place."""
    fixture = parse_fixture(source)
    found = highlights(fixture.snapshot(), fixture.cursor)
    assert tuple(one.span.start for one in found) == tuple(place.offset for place in fixture.answers)
    assert tuple(one.access for one in found) == accesses


def test_a_variable_is_written_and_read_in_its_scope_alone() -> None:
    check(
        """
        x = 0
        def f($1x):
            $2x += 1
            y = $3$0x
            del $4x
        def g(): return x
        """,
        "write", "write", "read", "write",
    )  # fmt: skip


def test_an_attribute_is_the_same_wherever_its_class_is_known() -> None:
    check(
        """
        class A:
            $1size = 1
            def f(self):
                self.$2$0size = 2
                return self.$3size
        class B:
            size = 3
        A().$4size
        B().size
        """,
        "write", "write", "read", "read",
    )  # fmt: skip


def test_an_attribute_of_which_nothing_is_known_is_the_same_as_others_of_which_nothing_is_known() -> None:
    check(
        """
        class A: size = 1
        def f(a, b):
            size = a.$1$0size
            b.$2size = A.size
        """,
        "read", "write",
    )  # fmt: skip


def test_attributes_of_imports_are_told_apart_by_their_imports() -> None:
    check("import a, b\na.$1$0run()\nb.run(), x.run()\na.$2run", "read", "read")
    check("import a\na.run()\ndef f(x): x.$1$0run, x.y.$2run", "read", "read")


def test_a_parameter_is_named_by_the_keywords_of_calls() -> None:
    check("def f($1$0a): return $2a\nf($3a=1)\ng(a=1)", "write", "read", "read")
    check("def f($1a): return $2a\nf($3$0a=1)\ng(a=1)", "write", "read", "read")


def test_an_import_writes_the_name_it_binds() -> None:
    check("from m import $1name\nprint($2na$0me)", "write", "read")
    check("from m import name as $1other\n$2o$0ther", "write", "read")
    check("import $1os.path\n$2$0os.path", "write", "read")
    check("from m import $1$0name as other\nother", "read")


def test_a_name_in_all_is_only_text() -> None:
    check("__all__ = ['$1one']\ndef $2$0one(): ...", "text", "write")


def test_a_module_variable_is_found_through_its_own_import() -> None:
    check("-- m.py --\nimport m\n$1x = 1\nm.$2$0x", "write", "read")


def test_builtins_and_unknown_names_are_found_too() -> None:
    check("$1pri$0nt(1)\n$2print(2)\no.print()", "read", "read")
    check("$1unkno$0wn\ndef f(): $2unknown.unknown", "read", "read")


def test_where_no_name_is_nothing_is_highlighted() -> None:
    check("x = 1  $0  # x")
