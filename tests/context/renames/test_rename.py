from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames.rename import RenameTarget, rename, rename_target
from fixture import parse_fixture
from rename_support import check_refused, check_rename, doubts

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
