from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames.rename import RenameTarget, rename, rename_target
from fixture import parse_fixture


def renamed(source: str, new_name: str) -> ProjectEdit | Refusal:
    """What renaming at `$0` gives; every other marker is the start of an edit that must be certain."""
    fixture = parse_fixture(source)
    result = rename(fixture.snapshot(), fixture.cursor, new_name)
    if isinstance(result, ProjectEdit):
        starts = sorted((path, edit.span.start) for path, edits in result.certain.edits.items() for edit in edits)
        assert starts == [(place.path, place.offset) for place in fixture.answers]
    return result


def check_rename(source: str, new_name: str, expected: str | None = None) -> ProjectEdit:
    """Rename at `$0`; exactly the marked mentions change, and the files read like `expected` when given."""
    result = renamed(source, new_name)
    assert isinstance(result, ProjectEdit), result
    if expected is not None:
        fixture = parse_fixture(source)
        texts = {path: text for path in fixture.files if (text := fixture.text(path)) is not None}
        after = {**texts, **result.certain.texts_after(texts)}
        wanted = parse_fixture(expected).files
        assert {path: text.decode() for path, text in after.items()} == wanted
    return result


def check_refused(source: str, new_name: str, reason: str) -> None:
    fixture = parse_fixture(source)
    result = rename(fixture.snapshot(), fixture.cursor, new_name)
    assert isinstance(result, Refusal), result
    assert reason in result.reason, result.reason


def doubts(result: ProjectEdit) -> list[tuple[str, int]]:
    return [(path, e.span.start) for path, edits in result.edits.items() for e in edits if e.annotation is not None]


# --- variables ----------------------------------------------------------------------------------------


def test_a_local_variable_is_renamed_in_its_function_alone():
    check_rename(
        """
        def f(items):
            $1total = 0
            for item in items:
                $2tot$0al += item
            return $3total
        def g():
            total = 1
            return total
        """,
        "result",
        """
        def f(items):
            result = 0
            for item in items:
                result += item
            return result
        def g():
            total = 1
            return total
        """,
    )


def test_a_global_is_renamed_through_global_statements_and_other_files():
    check_rename(
        """
        -- state.py --
        $1coun$0ter = 0
        def bump():
            global $2counter
            $3counter += 1
        def other():
            counter = 5
            return counter
        -- app.py --
        import state
        from state import $4counter
        print($5counter, state.$6counter)
        """,
        "total",
    )


def test_a_nonlocal_is_renamed_in_both_functions():
    check_rename(
        """
        def outer():
            $1n = 0
            def inner():
                nonlocal $2n
                $3$0n += 1
            inner()
            return $4n
        n = 1
        """,
        "count",
    )


def test_comprehension_and_walrus_names_keep_to_their_scopes():
    check_rename("def f(xs):\n    x = 1\n    return [$1x + $2$0x for $3x in xs], x\n", "y")
    check_rename("def f(xs):\n    if any(($1$0y := x) for x in xs):\n        return $2y\n", "last")


def test_match_captures_except_and_with_names_are_renamed():
    check_rename(
        """
        def f(v):
            match v:
                case [$1firs$0t, *rest]:
                    return $2first
        """,
        "head",
    )
    check_rename("try:\n    pass\nexcept E as $1er$0r:\n    print($2err)\n", "error")


# --- functions and classes ----------------------------------------------------------------------------


def test_a_function_is_renamed_with_its_imports_reexports_and_all():
    check_rename(
        """
        -- pkg/__init__.py --
        from .util import $1greet
        __all__ = ["$2greet"]
        -- pkg/util.py --
        def $3gr$0eet(): ...
        -- app.py --
        from pkg import $4greet as hello
        import pkg
        from pkg.util import *
        hello()
        pkg.$5greet()
        $6greet()
        """,
        "salute",
    )


def test_renaming_at_an_import_renames_the_symbol_everywhere():
    check_rename(
        """
        -- app.py --
        from util import $1gre$0et
        $2greet()
        -- util.py --
        def $3greet(): ...
        """,
        "salute",
    )


def test_renaming_an_alias_renames_the_alias_alone():
    check_rename(
        """
        -- app.py --
        from util import greet as $1hello
        $2hel$0lo()
        -- util.py --
        def greet(): ...
        """,
        "hi",
    )


def test_a_class_is_renamed_in_annotations_and_their_strings():
    check_rename(
        """
        from typing import Optional, cast
        class $1No$0de:
            left: "Optional[$2Node]"
            def clone(self) -> "$3Node": ...
        Maybe = Optional["$4Node"]
        value = cast("$5Node", object())
        """,
        "Tree",
    )


def test_a_conditional_definition_is_renamed_with_the_import_it_stands_for():
    check_rename(
        """
        -- app.py --
        try:
            from fast import $1work
        except ImportError:
            def $2work(): ...
        $3wo$0rk()
        -- fast.py --
        def $4work(): ...
        """,
        "run",
    )


# --- methods and attributes ---------------------------------------------------------------------------


def test_a_method_is_renamed_with_all_its_overrides():
    check_rename(
        """
        -- base.py --
        class Base:
            def $1ru$0n(self): ...
            def go(self):
                self.$2run()
        -- app.py --
        from base import Base
        class Child(Base):
            def $3run(self):
                super().$4run()
        class GrandChild(Child): ...
        def use(child: GrandChild):
            child.$5run()
            GrandChild().$6run()
        class Unrelated:
            def run(self): ...
        Unrelated().run()
        """,
        "execute",
    )


def test_an_attribute_is_renamed_wherever_it_is_assigned():
    check_rename(
        """
        class Point:
            __slots__ = ("$1x", "y")
            def __init__(self, x):
                self.$2$0x = x
            def move(self, by):
                self.$3x += by
        def show(p: Point):
            return p.$4x
        """,
        "left",
    )


def test_a_dataclass_field_is_renamed_with_the_keywords_that_set_it():
    check_rename(
        """
        from dataclasses import dataclass
        @dataclass
        class Point:
            $1$0x: int
            y: int = 0
        p = Point($2x=1, y=2)
        print(p.$3x)
        """,
        "left",
    )


def test_a_property_is_renamed_with_its_setter():
    check_rename(
        """
        class Box:
            @property
            def $1si$0ze(self): return self._size
            @$2size.setter
            def $3size(self, value): self._size = value
        Box().$4size = 3
        """,
        "volume",
    )


def test_attributes_of_unknown_objects_need_confirmation():
    result = check_rename(
        """
        class Job:
            def $1sta$0rt(self): ...
        def use(thing):
            thing.start()
            getattr(thing, "start")
            getattr(Job(), "start")
            print("start", {"start": 1})
        """,
        "begin",
    )
    doubtful = [edit for edit in result.edits["main.py"] if edit.annotation]
    assert [edit.annotation for edit in doubtful] == [
        "attribute 'start' of something that is not known",
        "a string that spells 'start'",
    ]
    assert (
        doubtful[1].span.start > doubtful[0].span.end + len("getattr(thing, 'start')") and doubtful[1].likelihood > 0.9
    )


def test_what_most_likely_means_something_else_is_not_offered():
    result = check_rename(
        """
        -- job.py --
        class Job:
            def $1sta$0rt(self): ...
        class Race:
            def start(self): ...
        -- use.py --
        from job import Race
        def first(): Race().start()
        def second(): Race().start()
        def third(race): race.start()
        """,
        "begin",
    )
    assert not result.needs_confirmation


def test_a_parameters_documentation_is_offered_to_follow():
    result = check_rename(
        '''
        def f($1wid$0th, other):
            """Nothing much about width.

            :param width: how wide
            """
            return $2width
        ''',
        "w",
    )
    [edit] = [edit for edit in result.edits["main.py"] if edit.annotation]
    assert edit.annotation == "the documentation of 'width'" and edit.span.start > 50


def test_comments_and_texts_that_name_it_are_offered_when_the_name_is_no_common_word():
    source = """
        # read_all is fast, `$0run` too
        def $1%s(): ...
        # see main.%s
        """
    for name, expected in (("read_all", 3), ("run", 1)):
        text = source.replace("$0run", name).replace("%s", name)
        at = text.index("def $1") + len("def $1")
        result = check_rename(text[:at] + "$0" + text[at:], "zq")
        assert sum(edit.annotation is not None for edit in result.edits["main.py"]) == expected


# --- parameters ---------------------------------------------------------------------------------------


def test_a_parameter_is_renamed_with_the_keyword_arguments_of_its_calls():
    check_rename(
        """
        -- util.py --
        def area($1wid$0th, height=1):
            return $2width * height
        -- app.py --
        import util
        from util import area as a
        a($3width=1, height=2)
        util.area(3, height=2)
        print(a(**{"height": 1}, $4width=2))
        """,
        "w",
    )


def test_a_parameter_of_init_is_renamed_at_the_constructor_calls_of_subclasses():
    check_rename(
        """
        class Base:
            def __init__(self, $1si$0ze):
                self.size = $2size
        class Child(Base): ...
        Base($3size=1)
        Child($4size=2)
        """,
        "length",
    )


def test_a_parameter_is_renamed_in_the_overrides_of_its_method():
    check_rename(
        """
        class Base:
            def put(self, $1ite$0m): ...
        class Child(Base):
            def put(self, $2item):
                return $3item
        def use(base: Base):
            base.put($4item=1)
        """,
        "value",
    )


def test_parameters_that_a_decorator_or_a_test_framework_may_name_need_confirmation():
    source = """
    import click
    @click.option("--name")
    def hello(na$0me):
        return name
    """
    fixture = parse_fixture(source)
    result = rename(fixture.snapshot(), fixture.cursor, "who")
    assert isinstance(result, ProjectEdit)
    assert not result.certain.edits
    assert len(doubts(result)) == 2


# --- imported from outside ----------------------------------------------------------------------------


def test_a_name_from_outside_is_imported_under_an_alias():
    check_rename(
        "import os\nfrom json import $1dumps\n$2du$0mps(os.name)\n",
        "encode",
        "import os\nfrom json import dumps as encode\nencode(os.name)\n",
    )
    check_rename("import $1os\n$2o$0s.getcwd()\n", "system", "import os as system\nsystem.getcwd()\n")


def test_a_fallback_from_outside_is_imported_under_the_new_name():
    check_rename(
        """
        try:
            from tomllib import $1loads
        except ImportError:
            def $2loads(): ...
        $3lo$0ads()
        """,
        "parse",
        """
        try:
            from tomllib import loads as parse
        except ImportError:
            def parse(): ...
        parse()
        """,
    )


# --- refusals -----------------------------------------------------------------------------------------


def test_names_that_are_no_names_are_refused():
    for new_name, reason in (
        ("1x", "not a valid name"),
        ("", "not a valid name"),
        ("a b", "not a valid name"),
        ("class", "keyword"),
        ("ﬁ", "would read"),
        ("__init__", "meaning to Python"),
    ):
        check_refused("$0x = 1\n", new_name, reason)


def test_what_is_not_the_projects_is_refused():
    check_refused("pr$0int(1)\n", "show", "is a builtin")
    check_refused("import os\nos.get$0cwd()\n", "x", "outside the project")
    check_refused("x.un$0known()\n", "y", "not known what object")
    check_refused("undef$0ined()\n", "y", "not known what")
    check_refused("class A:\n    def __i$0nit__(self): ...\n", "y", "meaning to Python")
    check_refused("1 $0+ 2\n", "y", "no name here")
    check_refused("import os.pa$0th\n", "y", "outside the project")


def test_a_module_renamed_at_a_mention_moves_its_file():
    fixture = parse_fixture("-- util.py --\n-- a.py --\nimport ut$0il\n")
    found = rename(fixture.snapshot(), fixture.cursor, "tools")
    assert isinstance(found, ProjectEdit) and found.moves == (("util.py", "tools.py"),)
    target = rename_target(fixture.snapshot(), fixture.cursor)
    assert isinstance(target, RenameTarget) and (target.name, target.kind) == ("util", "module")


def test_a_name_that_is_taken_is_refused():
    check_refused("$0a = 1\nb = 2\n", "b", "already defined at main.py:2")
    check_refused("def f(a$0, b): ...\n", "b", "already defined")
    check_refused("class A:\n    def f$0(self): ...\n    def g(self): ...\n", "g", "already defined")


def test_capturing_another_name_is_refused():
    check_refused("b = 1\ndef f():\n    a$0 = 2\n    return a + b\n", "b", "'b' at main.py:4 would mean something else")
    check_refused("def f$0(): ...\nlist([])\n", "list", "'list' at main.py:2")
    check_refused("a$0 = 1\ndef f(b):\n    return a, b\n", "b", "'a' at main.py:3")
    check_refused(
        "-- m.py --\ndef f$0(): ...\n-- app.py --\nfrom n import *\nfrom m import *\ng()\n-- n.py --\ndef g(): ...\n",
        "g",
        "'g' at app.py:3",
    )


def test_a_clash_in_the_class_family_is_refused():
    check_refused(
        "class A:\n    def f$0(self): ...\nclass B(A):\n    def g(self): ...\n",
        "g",
        "a class of the same family already has",
    )
    check_refused("class A(list):\n    def f$0(self): ...\n", "append", "base class from outside")


def test_private_members_that_are_named_from_outside_follow_their_class():
    check_rename(
        """
        class $1A$0:
            __x = 1
        print($2A.$3_A__x, getattr($4A, "$5_A__x"))
        """,
        "B",
        """
        class B:
            __x = 1
        print(B._B__x, getattr(B, "_B__x"))
        """,
    )
    check_refused("class A$0:\n    __x = 1\nprint(A._A__y)\n", "B", "'_A__y' names a private member")
    check_refused("class A$0:\n    __x = 1\nprint(q._B__x)\n", "B", "'_B__x' names a private member")


def test_overriding_something_from_outside_is_refused():
    check_refused("class A(dict):\n    def upd$0ate(self): ...\n", "change", "overrides a member")


def test_a_base_that_cannot_be_seen_makes_every_edit_ask_for_confirmation():
    fixture = parse_fixture("from lib import Base\nclass A(Base):\n    def f$0(self): ...\nA().f()\n")
    result = rename(fixture.snapshot(), fixture.cursor, "g")
    assert isinstance(result, ProjectEdit)
    assert not result.certain.edits
    assert len(doubts(result)) == 2


def test_a_name_from_outside_that_other_files_take_from_here_is_refused():
    check_refused(
        "-- compat.py --\nfrom json import du$0mps\n-- app.py --\nfrom compat import dumps\n", "x", "used from here"
    )


def test_a_syntax_error_in_the_defining_file_is_refused_and_elsewhere_asks():
    check_refused("def f$0(): ...\ndef (\n", "g", "syntax error")
    fixture = parse_fixture("-- a.py --\ndef f$0(): ...\n-- b.py --\nfrom a import f\ndef (\nf()\n")
    result = rename(fixture.snapshot(), fixture.cursor, "g")
    assert isinstance(result, ProjectEdit)
    assert set(result.certain.edits) == {"a.py"}
    assert {path for path, _ in doubts(result)} == {"b.py"}


def test_the_same_name_changes_nothing():
    fixture = parse_fixture("$0a = 1\n")
    assert rename(fixture.snapshot(), fixture.cursor, "a") == ProjectEdit({})


# --- the target ---------------------------------------------------------------------------------------


def test_the_target_is_the_mention_under_or_before_the_cursor():
    fixture = parse_fixture("class A:\n    def meth$0od(self): ...\n")
    target = rename_target(fixture.snapshot(), fixture.cursor)
    assert isinstance(target, RenameTarget)
    assert (target.name, target.kind, target.span.start, target.span.end) == ("method", "method", 17, 23)
    assert isinstance(rename_target(parse_fixture("pri$0nt()").snapshot(), parse_fixture("pri$0nt()").cursor), Refusal)


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
