"""Definitions and references across files. `$0` asks, `$1` and up are exactly the answers."""

from __future__ import annotations

from engram_context.resolve import Resolver
from engram_context.targets import External, Slot
from fixture import parse_fixture, starts


def check_definitions(source: str) -> None:
    fixture = parse_fixture(source)
    assert starts(fixture.snapshot().definitions(fixture.cursor)) == fixture.answers


def check_references(source: str, *, declaration: bool = True) -> None:
    """Asked at `$0`, and from every answer: references are an equivalence."""
    fixture = parse_fixture(source)
    snapshot = fixture.snapshot()
    for place in (fixture.cursor, *(fixture.answers if declaration else ())):
        assert starts(snapshot.references(place, declaration)) == fixture.answers, place


def test_a_name_is_defined_where_its_import_comes_from() -> None:
    check_definitions("""
        -- app.py --
        from util import greet
        gr$0eet()
        -- util.py --
        def $1greet(): ...
    """)


def test_references_follow_imports_but_not_names_that_only_look_alike() -> None:
    check_references("""
        -- app.py --
        from util import $1greet
        $2gr$0eet()
        def other(greet): return greet
        -- util.py --
        def $3greet(): ...
        __all__ = ["$4greet"]
        -- unrelated.py --
        def greet(): ...
        greet()
    """)


def test_an_alias_is_a_name_of_its_own() -> None:
    check_references("""
        -- app.py --
        from util import greet as $1he$0llo
        $2hello()
        -- util.py --
        def greet(): ...
    """)
    check_references("""
        -- app.py --
        from util import $1greet as hello
        hello()
        -- util.py --
        def $2gr$0eet(): ...
    """)
    check_definitions("""
        -- app.py --
        from util import greet as hello
        hel$0lo()
        -- util.py --
        def $1greet(): ...
    """)


def test_reexports_are_followed_through_any_chain() -> None:
    check_references("""
        -- app.py --
        from pack import $1run
        import pack
        pack.$2ru$0n()
        -- pack/__init__.py --
        from .middle import $3run
        __all__ = ["$4run"]
        -- pack/middle.py --
        from .inner.deep import *
        -- pack/inner/__init__.py --
        -- pack/inner/deep.py --
        def $5run(): ...
    """)


def test_import_cycles_have_an_end() -> None:
    check_definitions("""
        -- a.py --
        from b import *
        $1value = 1
        -- b.py --
        from a import *
        va$0lue
    """)
    check_definitions("""
        -- a.py --
        from b import $1thing
        th$0ing
        -- b.py --
        from a import thing
    """)


def test_a_star_import_brings_what_all_names() -> None:
    check_definitions("""
        -- app.py --
        from util import *
        sh$0own
        -- util.py --
        __all__ = ["shown"]
        __all__ += ["later"]
        $1shown = 1
    """)
    check_definitions("""
        -- app.py --
        from util import *
        hid$0den
        -- util.py --
        __all__ = ["shown"]
        hidden = 1
    """)
    check_definitions("""
        -- app.py --
        from util import *
        _pri$0vate
        -- util.py --
        _private = 1
    """)
    check_definitions("""
        -- app.py --
        from util import *
        de$0ep
        -- util.py --
        from part import *
        import part
        __all__ = part.__all__ + ["other"]
        -- part.py --
        __all__ = ("deep",)
        $1deep = 1
    """)


def test_the_last_star_import_wins_and_an_own_binding_wins_over_all() -> None:
    check_definitions("""
        -- app.py --
        from a import *
        from b import *
        na$0me
        -- a.py --
        name = 1
        -- b.py --
        $1name = 2
    """)
    check_definitions("""
        -- app.py --
        $1name = 0
        from a import *
        na$0me
        -- a.py --
        name = 1
    """)


def test_dotted_imports_bind_the_first_part_and_reach_submodules_by_attribute() -> None:
    check_definitions("""
        -- app.py --
        import pack.sub.leaf
        pack.sub.leaf.va$0lue
        -- pack/__init__.py --
        -- pack/sub/__init__.py --
        -- pack/sub/leaf.py --
        $1value = 1
    """)
    check_definitions("""
        -- app.py --
        import pack.sub.leaf
        pack.s$0ub
        -- pack/__init__.py --
        -- pack/sub/__init__.py --
        $1
        -- pack/sub/leaf.py --
    """)
    check_definitions("""
        -- app.py --
        import pack.sub.leaf as leaf
        leaf.va$0lue
        -- pack/__init__.py --
        -- pack/sub/__init__.py --
        -- pack/sub/leaf.py --
        $1value = 1
    """)


def test_each_part_of_a_module_path_means_its_module() -> None:
    check_definitions("""
        -- app.py --
        from pack.s$0ub.leaf import value
        -- pack/__init__.py --
        -- pack/sub/__init__.py --
        $1
        -- pack/sub/leaf.py --
        value = 1
    """)


def test_relative_imports_count_dots_from_the_importing_package() -> None:
    check_definitions("""
        -- pack/sub/mod.py --
        from ..other import va$0lue
        -- pack/sub/__init__.py --
        -- pack/__init__.py --
        -- pack/other.py --
        $1value = 1
        -- other.py --
        value = 2
    """)
    check_definitions("""
        -- pack/__init__.py --
        from . import part
        from .part import value
        pa$0rt
        -- pack/part.py --
        $1value = 1
    """)


def test_both_branches_of_a_conditional_import_count() -> None:
    check_definitions("""
        -- app.py --
        try:
            from fast import work
        except ImportError:
            from slow import work
        wo$0rk()
        -- fast.py --
        def $1work(): ...
        -- slow.py --
        def $2work(): ...
    """)


def test_source_layouts_and_namespace_packages_are_found() -> None:
    check_definitions("""
        -- tests/test_app.py --
        from app.core import ma$0in
        -- src/app/__init__.py --
        -- src/app/core.py --
        def $1main(): ...
    """)
    check_definitions("""
        -- main.py --
        from space.one.tool import us$0e
        -- space/one/tool.py --
        def $1use(): ...
    """)
    check_definitions("""
        -- services/web/app.py --
        from billing import char$0ge
        -- services/pay/src/billing/__init__.py --
        def $1charge(): ...
    """)
    check_definitions("""
        -- tests/unit/test_x.py --
        from support import he$0lp
        -- tests/support.py --
        def $1help(): ...
    """)


def test_a_standard_module_is_not_confused_with_a_file_of_its_name_elsewhere() -> None:
    fixture = parse_fixture("""
        -- app.py --
        import json
        json.lo$0ads
        -- tools/json.py --
        def loads(): ...
    """)
    (found,) = fixture.snapshot().definitions(fixture.cursor)
    assert found.path.endswith("/json/__init__.pyi")


def test_stubs_are_modules_where_there_is_no_source() -> None:
    check_definitions("""
        -- app.py --
        from native import fa$0st
        -- native.pyi --
        def $1fast() -> int: ...
    """)


def test_names_in_functions_are_their_own() -> None:
    check_references("""
        value = 0
        def f($1value):
            return [$2va$0lue for other in $3value]
        value
    """)


def test_class_names_are_not_seen_by_methods() -> None:
    check_references("""
        $1name = 1
        class A:
            name = 2
            other = name
            def f(self): return $2na$0me
    """)


def test_global_and_nonlocal_bind_outside() -> None:
    check_references("""
        $1count = 0
        def f():
            global $2count
            $3co$0unt += 1
    """)
    check_references("""
        count = 0
        def f():
            $1count = 1
            def g():
                nonlocal $2count
                $3co$0unt = 2
    """)


def test_a_walrus_in_a_comprehension_binds_around_it() -> None:
    check_references("""
        def f(items):
            found = [$1hit for item in items if ($2hit := item)]
            return $3hi$0t
    """)


def test_match_captures_bind_and_keys_and_classes_are_read() -> None:
    check_references("""
        class Point: ...
        def f(thing):
            match thing:
                case Point(x=$1a) | [$2a, *_]:
                    return $3$0a
                case {"k": b, **rest}:
                    return b, rest
    """)
    check_references("""
        class $1Point: ...
        def f(thing):
            match thing:
                case $2Po$0int() as p:
                    return p
    """)


def test_defaults_and_decorators_are_evaluated_outside() -> None:
    check_references("""
        $1size = 1
        @wraps($2size)
        def f(size=$3si$0ze):
            return size
    """)


def test_type_parameters_have_a_scope_of_their_own() -> None:
    check_references("""
        T = 0
        class Box[$1T]:
            def get(self) -> $2$0T: ...
        def f(x: T): ...
    """)


def test_names_in_string_annotations_are_mentions() -> None:
    check_references("""
        -- app.py --
        from shape import $1Shape
        def f(x: "list[$2Shape]") -> "$3Sha$0pe": ...
        -- shape.py --
        class $4Shape:
            def grow(self: "$5Shape"): ...
    """)


def test_keyword_arguments_name_parameters() -> None:
    check_references("""
        -- app.py --
        from util import greet
        greet($1na$0me="x")
        -- util.py --
        def greet($2name): return $3name
    """)
    check_references("""
        class A:
            def __init__(self, $1si$0ze): self.size = $2size
        A($3size=1)
    """)


def test_members_are_found_through_self_and_bases() -> None:
    check_references("""
        -- base.py --
        class Base:
            def $1run(self): ...
            def go(self): self.$2run()
        -- app.py --
        from base import Base
        class Own(Base):
            def again(self):
                self.$3run()
                super().$4ru$0n()
        Own().$5run()
    """)


def test_attributes_assigned_in_methods_are_members() -> None:
    check_references("""
        class A:
            $1size: int = 0
            def __init__(self): self.$2size = 1
            def grow(self): self.$3si$0ze += 1
        a = A()
        a.$4size
    """)


def test_instances_are_known_by_constructor_annotation_and_return() -> None:
    check_references("""
        -- shop.py --
        class Item:
            def $1price(self): ...
        def make() -> Item: ...
        def pick():
            return Item()
        class Cart:
            def __init__(self, first: Item):
                self.first = first
                self.second: "Item | None" = None
            @property
            def best(self) -> Item: ...
            @classmethod
            def of(cls): return cls(Item())
        -- app.py --
        import shop
        from shop import Item, make
        from typing import Optional
        def total(item: Item, maybe: Optional[Item], cart: shop.Cart):
            item.$2price(); maybe.$3price(); cart.first.$4price(); cart.second.$5price()
            cart.best.$6price(); shop.Cart.of().first.$7price()
        make().$8price()
        thing = shop.pick()
        thing.$9pri$0ce()
        with open("x") as unknown: unknown.price()
    """)


def test_context_managers_and_awaited_calls_give_what_they_return() -> None:
    check_references("""
        class Conn:
            def $1send(self): ...
            def __enter__(self): return self
            async def again(self) -> "Conn": ...
        async def main():
            with Conn() as conn:
                conn.$2send()
                (await conn.again()).$3se$0nd()
    """)


def test_the_nearest_class_in_the_resolution_order_has_the_member() -> None:
    check_definitions("""
        class A:
            def m(self): ...
        class B(A): ...
        class C(A):
            def $1m(self): ...
        class D(B, C): ...
        D().$0m()
    """)


def test_an_unknown_receiver_has_no_definition() -> None:
    check_definitions("""
        class A:
            def run(self): ...
        def f(x): x.ru$0n()
    """)


def test_classes_that_inherit_from_themselves_have_an_end() -> None:
    check_definitions("""
        class A(B):
            def $1run(self): ...
        class B(A): ...
        B().ru$0n()
    """)


def test_recursive_functions_have_an_end() -> None:
    check_definitions("""
        def f(): return g().x
        def g(): return f()
        g().th$0ing
    """)


def test_references_can_leave_out_the_bindings() -> None:
    check_references(
        """
        def gr$0eet(): ...
        $1greet()
    """,
        declaration=False,
    )


def test_a_name_that_only_an_outside_star_import_can_bring_is_external() -> None:
    fixture = parse_fixture("""
        from tkinter import *
        unkn$0own
        print
    """)
    snapshot = fixture.snapshot()
    found = snapshot.hover(fixture.cursor)
    assert found is not None
    assert found.module == "tkinter"


def test_imports_from_elsewhere_are_external_and_missing_ones_are_unknown() -> None:
    fixture = parse_fixture("""
        -- app.py --
        import os.path, numpy as np
        from pack import missing
        from . import gone
        os.path.join; np.array; missing; gone
        -- pack/__init__.py --
    """)
    resolver = Resolver(fixture.snapshot())
    record = fixture.snapshot().records["app.py"]
    meant = {
        record.occurrences[index].name: resolver.meanings("app.py", index)
        for index in range(len(record.occurrences))
        if record.occurrences[index].role in ("read", "attribute")
    }
    assert meant == {
        "os": (External("os"),),
        "path": (External("os.path"),),
        "join": (External("os.path.join"),),
        "np": (Slot("app.py", 0, "np"),),
        "array": (External("numpy.array"),),
        "missing": (Slot("app.py", 0, "missing"),),
        "gone": (Slot("app.py", 0, "gone"),),
    }


def test_a_module_can_stand_under_a_name_of_another() -> None:
    check_definitions("""
        -- app.py --
        import shell.path
        shell.path.jo$0in
        -- shell.py --
        import posix_path as path
        -- posix_path.py --
        def $1join(): ...
    """)


def test_keywords_that_are_handed_on_name_the_parameter_that_takes_them() -> None:
    check_definitions("""
        def inner(a, $1key=1): ...
        def outer(a, **options):
            return inner(a, **options)
        outer(1, k$0ey=2)
    """)
    check_definitions("""
        class Base:
            def __init__(self, *, $1name=None): ...
        class Own(Base):
            def __init__(self, other, **kwargs):
                super().__init__(**kwargs)
        Own(1, na$0me=2)
    """)
    check_definitions("""
        from typing import TypedDict, Unpack
        class Options(TypedDict, total=False):
            $1name: str
        class Base:
            def __init__(self, **kwargs: Unpack[Options]): ...
        class Own(Base): ...
        Own(na$0me="")
    """)
    check_definitions("""
        from functools import partial
        def work(a, $1key): ...
        partial(work, k$0ey=2)
    """)
    check_definitions("""
        def inner(**other): ...
        def outer(**options):
            return inner(**options)
        outer(k$0ey=2)
    """)


def test_star_imports_of_modules_that_are_nowhere_but_in_one_another_end():
    fixture = parse_fixture("-- a/__init__.py --\nfrom a.b import *\nfrom a.c import *\n$0x\n")
    assert fixture.snapshot().definitions(fixture.cursor) == ()


def test_a_module_can_make_its_names_when_they_are_asked_for() -> None:
    check_definitions("""
        -- app.py --
        from pack import Thing
        Th$0ing()
        -- pack/__init__.py --
        _names = {"Other": "pack.other", "Thing": ".thing"}
        def __getattr__(name):
            return getattr(import_module(_names[name], __name__), name)
        -- pack/thing.py --
        class $1Thing: ...
    """)
    check_definitions("""
        -- app.py --
        import pack
        pack.Th$0ing()
        -- pack/__init__.py --
        _import_structure = {"other": [], "inner.thing": ["Else", "Thing"]}
        def __getattr__(name): ...
        -- pack/inner/__init__.py --
        -- pack/inner/thing.py --
        class $1Thing: ...
    """)
    check_definitions("""
        -- app.py --
        import pack
        pack.Th$0ing()
        -- pack/__init__.py --
        def __getattr__(name):
            if name == "Thing":
                from .thing import Thing
                return Thing
            raise AttributeError(name)
        -- pack/thing.py --
        class $1Thing: ...
    """)
    check_definitions("""
        -- app.py --
        import pack
        pack.Th$0ing()
        -- pack/__init__.py --
        _names = {"Thing": ".thing"}
        -- pack/thing.py --
        class Thing: ...
    """)


def test_a_module_imported_by_a_literal_name_is_that_module() -> None:
    check_definitions("""
        -- app.py --
        import importlib
        importlib.import_module("pack.part").wo$0rk()
        -- pack/__init__.py --
        -- pack/part.py --
        def $1work(): ...
    """)


def test_a_source_comes_before_the_stub_beside_it() -> None:
    check_definitions("""
        -- app.py --
        from fast import work
        wo$0rk()
        -- fast.py --
        def $1work(): ...
        -- fast.pyi --
        def work() -> int: ...
    """)


def test_imports_for_type_checking_alone_are_followed() -> None:
    check_definitions("""
        -- app.py --
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from thing import Thing
        def f(x: "Thing"): x.wo$0rk()
        -- thing.py --
        class Thing:
            def $1work(self): ...
    """)


def test_type_parameters_are_seen_where_they_are_declared() -> None:
    check_references("""
        T = 1
        class Box[$1T: int]:
            item: $2T
            def get(self, other: $3T) -> $4T:
                return $5$0T
        T
    """)
    check_references("""
        type Pair[$1T] = tuple[$2T, $3$0T]
        T = 1
    """)
    check_references("""
        def first[$1T](items: list[$2T], default: "$3T" = T) -> $4$0T: ...
    """)


def test_names_of_exception_groups_lambdas_and_class_comprehensions_are_their_scopes() -> None:
    check_references("""
        e = 1
        def f():
            try: ...
            except* ValueError as $1e:
                $2$0e.exceptions
    """)
    check_references("""
        def f($1size):
            return lambda x=$2$0size, size=1: size
    """)
    check_references("""
        $1size = 1
        class A:
            size = 2
            rows = [$2$0size for _ in range(size)]
    """)


def test_what_a_base_declares_is_not_made_anew_by_an_assignment() -> None:
    check_references("""
        class Base:
            @property
            def $1url(self): ...
            @$2url.setter
            def $3url(self, value): ...
        class Own(Base):
            def move(self):
                self.$4url = "a"
                return self.$5u$0rl
    """)
    check_references("""
        class Base:
            $1size: int
        class Own(Base):
            def __init__(self):
                self.$2size = 1
        Own().$3$0size
    """)
    check_definitions("""
        class Base:
            def __init__(self):
                self.size = 0
        class Own(Base):
            def __init__(self):
                self.$1size = 1
        Own().si$0ze
    """)
