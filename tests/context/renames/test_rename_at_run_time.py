"""Names that mean something where no name stands: passed by pytest, put together, kept in stubs, used as keys."""

from engram_context.edits import ProjectEdit
from rename_support import check_refused, check_rename, renamed

# --- what pytest passes by name -----------------------------------------------------------------------


def test_a_fixture_is_renamed_with_the_parameters_that_are_given_it():
    check_rename(
        """
        -- tests/conftest.py --
        import pytest
        @pytest.fixture
        def $1us$0er(): ...
        @pytest.fixture()
        def admin($2user): return $3user
        -- tests/test_a.py --
        import pytest
        def test_one($4user): assert $5user
        class TestTwo:
            def test_two(self, $6user, admin): ...
        def helper(user): return user
        @pytest.mark.usefixtures("admin", "$7user")
        def test_three(request): request.getfixturevalue("$8user")
        -- other/test_b.py --
        def test_four(user): ...
        """,
        "person",
    )


def test_a_fixture_that_overrides_another_goes_along_and_so_does_the_whole_family_from_a_parameter():
    check_rename(
        """
        -- conftest.py --
        from pytest import fixture
        @fixture
        def $1db(): ...
        -- unit/test_a.py --
        from pytest import fixture
        @fixture
        def $2db($3db): return $4db
        def test_one($5d$0b): ...
        -- unit/test_b.py --
        def test_two($6db): ...
        """,
        "store",
    )


def test_a_fixture_that_is_imported_is_given_where_it_is_imported():
    check_rename(
        """
        -- tests/fixtures.py --
        import pytest
        @pytest.fixture
        def $1cl$0ient(): ...
        -- tests/test_a.py --
        from fixtures import $2client
        def test_one($3client): ...
        -- tests/test_b.py --
        def test_two(client): ...
        """,
        "browser",
    )


def test_a_parametrized_argument_is_renamed_in_the_string_that_names_it_and_not_in_the_values():
    check_rename(
        """
        -- test_a.py --
        import pytest
        @pytest.mark.parametrize("$1a, b", [("a", "b")])
        def test_one($2$0a, b): return $3a
        @pytest.mark.parametrize("a", ["a"])
        def test_two(a): ...
        """,
        "first",
    )
    check_rename(
        """
        -- test_a.py --
        import pytest
        @pytest.mark.parametrize(["$1a", "b"], [("a", "b")], indirect=["$2a"])
        def test_one($3$0a, b): return $4a
        """,
        "first",
    )


def test_a_text_that_names_it_by_the_package_that_passes_it_on_is_offered():
    result = check_rename(
        """
        -- pkg/__init__.py --
        from .deep import $1Thing
        -- pkg/deep.py --
        class $2Thin$0g: ...
        -- test_it.py --
        from pkg import $3Thing
        PROGRAM = "import pkg; pkg.Thing()"
        """,
        "Item",
    )
    assert [edit.likelihood for edit in result.edits["test_it.py"] if edit.annotation] == [0.9]


def test_what_a_class_prints_of_itself_and_tests_in_its_hooks_is_offered():
    result = check_rename(
        """
        class $1Bo$0x:
            def __repr__(self): return f"{type(self).__name__}()"
        assert repr($2Box()) == "Box()" and "a box, Box" and "Box"
        """,
        "Case",
    )
    assert [edit.annotation for edit in result.edits["main.py"] if edit.annotation] == [
        "a text that shows a 'Box'",
        "a string that spells 'Box'",
    ]
    result = check_rename(
        """
        class Box:
            def __init__(self): self.$1_con$0fig = {}
            def __getattr__(self, name):
                if name == "_config": raise AttributeError
        "_config"
        """,
        "_settings",
    )
    assert [edit.likelihood for edit in result.edits["main.py"] if edit.annotation] == [0.8]


def test_a_string_that_a_member_is_looked_up_by_later_is_offered():
    result = check_rename(
        """
        class Field:
            KEY = "size"
            def get(self, options): return getattr(options, self.KEY)
        class Options:
            def __init__(self):
                self.$1si$0ze = 1
                self.sizes = {"size": 2}
        """,
        "width",
    )
    assert [edit.span.start for edit in result.edits["main.py"] if edit.annotation] == [24]


def test_a_class_that_sets_its_attributes_around_its_own_hook_is_understood():
    result = check_rename(
        """
        class Box:
            def __init__(self):
                object.__setattr__(self, "_config", {"_config": 1})
                self.$1_con$0fig = {}
            def __setattr__(self, name, value): ...
        """,
        "_settings",
    )
    assert [edit.span.start for edit in result.edits["main.py"] if edit.annotation] == [69]


# --- names that are put together ----------------------------------------------------------------------


def test_members_that_are_looked_up_by_a_part_of_their_name_are_not_renamed_away_from_it():
    source = """
        class Stats:
            def _calc_$0mode(self): ...
            def get(self, name): return getattr(self, "_calc_" + name)
        """
    check_refused(source, "mode", "looks names up")
    assert isinstance(renamed(source.replace("def _calc_$0mode", "def $1_calc_$0mode"), "_calc_middle"), ProjectEdit)
    check_refused(source.replace('"_calc_" + name', 'f"_calc_{name}"'), "mode", "looks names up")
    check_refused(source.replace('"_calc_" + name', '"%s_mode" % name'), "_calc_x", "looks names up")


def test_lookups_in_something_else_and_of_whole_names_keep_nobody_from_renaming():
    check_rename(
        """
        class Other: ...
        class Stats:
            def $1_calc_$0mode(self): ...
            def get(self, other: Other, name): return getattr(other, "_calc_" + name), getattr(self, "name")
        """,
        "mode",
    )


def test_functions_that_are_looked_up_among_the_modules_names_are_not_renamed():
    check_refused('def do_r$0un(): ...\ndef call(x): globals()["do_" + x]()\n', "run", "looks names up")


def test_a_visitors_methods_keep_their_beginning():
    check_refused("import ast\nclass V(ast.NodeVisitor):\n    def visit_N$0ame(self, node): ...\n", "name", "visit_")


def test_tests_stay_tests():
    check_refused("-- test_a.py --\ndef test_$0one(): ...\n", "check_one", "would not be run")
    check_rename("-- test_a.py --\ndef $1test_$0one(): ...\n", "test_two")


# --- stubs --------------------------------------------------------------------------------------------


def test_a_stub_beside_its_source_is_renamed_along():
    check_rename(
        """
        -- shop.py --
        class Cart:
            def $1a$0dd(self, item): ...
        def add(x): ...
        -- shop.pyi --
        from typing import overload
        class Cart:
            @overload
            def $2add(self, item: int) -> None: ...
            @overload
            def $3add(self, item: str) -> None: ...
        def add(x: int) -> None: ...
        -- app.py --
        from shop import Cart
        Cart().$4add(item=1)
        """,
        "put",
    )
    check_rename(
        """
        -- shop.py --
        def f($1ite$0m): ...
        -- shop.pyi --
        def f($2item: int) -> None: ...
        -- app.py --
        from shop import f
        f($3item=1)
        """,
        "thing",
    )
    check_rename("-- shop.py --\ndef $1f(): ...\n-- shop.pyi --\ndef $2$0f() -> None: ...\n", "g")


# --- members that are named as keys -------------------------------------------------------------------


def test_an_enum_member_is_renamed_where_it_is_a_key():
    check_rename(
        """
        import enum
        class Color(enum.Enum):
            $1R$0ED = 1
        print(Color["$2RED"], Color.$3RED, {"RED": 1}["RED"])
        """,
        "SCARLET",
    )


def test_the_keys_of_a_typed_dictionary_are_renamed_and_all_of_it_is_asked_about():
    result = renamed(
        """
        from typing import TypedDict
        class Movie(TypedDict):
            na$0me: str
        def f(m: Movie, other: dict):
            return m["name"], Movie(name="x"), m.get("name"), other["name"]
        """,
        "title",
    )
    assert isinstance(result, ProjectEdit) and len(result) == 4 and not result.certain.edits


def test_fields_are_renamed_in_constructors_and_in_copies_with_other_values():
    check_rename(
        """
        from dataclasses import dataclass, replace
        @dataclass
        class P:
            $1si$0ze: int
        def f(p: P): return replace(p, $2size=2), p.$3size, P($4size=1), "x".replace("size", "y")
        """,
        "width",
    )
    check_rename(
        """
        from typing import NamedTuple
        class P(NamedTuple):
            $1si$0ze: int
        P($2size=1)._replace($3size=2).$4size
        """,
        "width",
    )
