"""The signatures at a call that is being written."""

from __future__ import annotations

from engram_context.views.signatures import Signature, SignatureHelp, signature_help
from fixture import parse_fixture


def help_at(source: str) -> SignatureHelp | None:
    fixture = parse_fixture(source)
    return signature_help(fixture.snapshot(), fixture.cursor)


def shown(source: str) -> str | None:
    """The label of the active signature with the active parameter in angle brackets."""
    found = help_at(source)
    return None if found is None else marked(found.signatures[found.active])


def marked(one: Signature) -> str:
    if one.active is None:
        return one.label
    parameter = one.parameters[one.active]
    return f"{one.label[: parameter.start]}<{one.label[parameter.start : parameter.end]}>{one.label[parameter.end :]}"


F = "def f(a: int, b='x, y', *args: str, key=None, **rest) -> bool: ...\n"


def test_the_parameter_is_found_by_position() -> None:
    assert shown(F + "f($0)") == "f(<a: int>, b='x, y', *args: str, key=None, **rest) -> bool"
    assert shown(F + "f(1$0)") == "f(<a: int>, b='x, y', *args: str, key=None, **rest) -> bool"
    assert shown(F + "f(1, $0)") == "f(a: int, <b='x, y'>, *args: str, key=None, **rest) -> bool"
    assert shown(F + "f(1, 2, 3, 4$0)") == "f(a: int, b='x, y', <*args: str>, key=None, **rest) -> bool"


def test_the_parameter_is_found_by_name() -> None:
    assert shown(F + "f(1, key=$0)") == "f(a: int, b='x, y', *args: str, <key=None>, **rest) -> bool"
    assert shown(F + "f(b=$0, a=1)") == "f(a: int, <b='x, y'>, *args: str, key=None, **rest) -> bool"
    assert shown(F + "f(1, other=$0)") == "f(a: int, b='x, y', *args: str, key=None, <**rest>) -> bool"
    assert shown(F + "f(1, **o$0)") == "f(a: int, b='x, y', *args: str, key=None, <**rest>) -> bool"
    assert shown(F + "f(1, key == $0)") == "f(a: int, <b='x, y'>, *args: str, key=None, **rest) -> bool"


def test_behind_a_named_argument_comes_what_is_not_given_yet() -> None:
    assert shown("def f(a, b, c): ...\nf(1, c=2, $0)") == "f(a, <b>, c)"
    assert shown("def f(a, *, b, c): ...\nf(1, $0)") == "f(a, *, <b>, c)"


def test_no_parameter_is_active_where_none_takes_the_argument() -> None:
    assert shown("def f(a): ...\nf(1, 2$0)") == "f(a)"
    assert shown("def f(a, /): ...\nf(a=$0)") == "f(a, /)"
    assert shown("def f(): ...\nf($0)") == "f()"


def test_the_innermost_call_is_shown_unless_nothing_is_known_of_it() -> None:
    source = "def f(a, b): ...\ndef g(x, y): ...\n"
    assert shown(source + "f(g(1, $0), 2)") == "g(x, <y>)"
    assert shown(source + "f(g(1, 2), $0)") == "f(a, <b>)"
    assert shown(source + "f(1, [2, ($0)])") == "f(a, <b>)"
    assert shown(source + "f(1, unknown(3, 4, $0))") == "f(a, <b>)"
    assert shown(source + "f(lambda p, q: p, $0)") == "f(a, <b>)"
    assert shown(source + "f(')(', $0)") == "f(a, <b>)"
    assert shown(source + "f(1,  # why, (\n  $0)") == "f(a, <b>)"


def test_outside_of_arguments_nothing_is_shown() -> None:
    source = "def f(a, b): ...\n"
    assert shown(source + "f(1, 2)$0") is None
    assert shown(source + "f$0(1, 2)") is None
    assert shown(source + "($0)") is None
    assert shown(source + "x = [f, $0]") is None
    assert shown("def f(a, $0): ...") is None
    assert shown("class A: ...\nclass B(A, $0): ...") is None


def test_unfinished_code_has_signatures_too() -> None:
    source = "def f(a, b, c): ...\n"
    assert shown(source + "f(1, $0") == "f(a, <b>, c)"
    assert shown(source + "def g():\n    x = f(1, f(2, $0\n    return x\n") == "f(a, <b>, c)"
    assert shown(source + "def g(o):\n    if f(1, 2, $0\n        return o\n\ndef h(): return g(1)\n") == "f(a, b, <c>)"
    assert shown(source + "f(1,\ndef g():\n    return [$0]") is None


def test_a_call_of_a_method_does_not_show_the_object_it_is_called_on() -> None:
    source = """
        class A:
            def run(self, amount: int): ...
            @classmethod
            def make(cls, size): ...
            @staticmethod
            def plain(thing): ...
        a = A()
        {}
    """
    assert shown(source.format("a.run($0)")) == "run(<amount: int>)"
    assert shown(source.format("A.run($0)")) == "run(<self>, amount: int)"
    assert shown(source.format("A.make($0)")) == "make(<size>)"
    assert shown(source.format("a.make($0)")) == "make(<size>)"
    assert shown(source.format("a.plain($0)")) == "plain(<thing>)"
    assert shown(source.format("a.run(a.run($0")) == "run(<amount: int>)"


def test_a_class_is_called_by_its_initializer() -> None:
    source = """
        class A:
            '''A thing.'''
            def __init__(self, name: str, *, size=1) -> None: ...
        class B(A): ...
        class C:
            '''Empty.'''
        {}
    """
    assert shown(source.format("A($0)")) == "A(<name: str>, *, size=1)"
    assert shown(source.format("B('x', size=$0)")) == "B(name: str, *, <size=1>)"
    assert shown(source.format("C($0)")) == "C()"
    found = help_at(source.format("A($0)"))
    assert found is not None and found.signatures[0].doc == "A thing."


def test_what_super_calls_is_bound() -> None:
    source = """
        class A:
            def __init__(self, name): ...
        class B(A):
            def __init__(self):
                super().__init__($0)
    """
    assert shown(source) == "__init__(<name>)"


def test_data_classes_and_named_tuples_take_their_fields() -> None:
    source = """
        from dataclasses import dataclass, field, KW_ONLY
        from typing import ClassVar, NamedTuple
        @dataclass(frozen=True)
        class A:
            x: int
            shared: ClassVar[int] = 3
            hidden: int = field(init=False)
            y: list[int] = field(default_factory=list)
            _: KW_ONLY
            z: str = "a"
        @dataclass
        class B(A):
            x: float
            w: int = 0
        class T(NamedTuple):
            left: int
            right: int = 2
        {}
    """
    assert shown(source.format("A(1, $0)")) == 'A(x: int, <y: list[int] = ...>, *, z: str = "a")'
    assert shown(source.format("A(z=$0)")) == 'A(x: int, y: list[int] = ..., *, <z: str = "a">)'
    assert shown(source.format("B($0)")) == 'B(<x: float>, y: list[int] = ..., w: int = 0, *, z: str = "a")'
    assert shown(source.format("T(1, $0)")) == "T(left: int, <right: int = 2>)"


def test_overloads_are_signatures_of_their_own_and_the_one_that_fits_is_active() -> None:
    source = """
        from typing import overload
        @overload
        def f(a: int) -> int: ...
        @overload
        def f(a: str, b: int) -> str: ...
        def f(a, b=None): return a
        {}
    """
    found = help_at(source.format("f(1, $0)"))
    assert found is not None
    assert [one.label for one in found.signatures] == ["f(a: int) -> int", "f(a: str, b: int) -> str"]
    assert found.active == 1
    assert shown(source.format("f($0)")) == "f(<a: int>) -> int"
    assert shown(source.format("f(b=$0)")) == "f(a: str, <b: int>) -> str"


def test_signatures_come_from_where_things_are_defined() -> None:
    source = """
        -- app.py --
        import util
        from util import greet as hello
        {}
        -- util.py --
        def greet(name: str,
                  times: int = 1,  # how often
                  ) -> None:
            '''Say hello.'''
    """
    assert shown(source.format("hello('x', $0)")) == "greet(name: str, <times: int = 1>) -> None"
    found = help_at(source.format("util.greet($0)"))
    assert found is not None and found.signatures[0].doc == "Say hello."


def test_labels_count_characters_not_bytes() -> None:
    assert shown("def f(größe='😀', maß=1): ...\nf(1, $0)") == "f(größe='😀', <maß=1>)"


def test_the_standard_library_has_signatures_with_their_documentation() -> None:
    found = help_at("import textwrap\ntextwrap.shorten('a', $0)")
    assert found is not None
    assert marked(found.signatures[0]).startswith("shorten(text: str, <width: int>")
    assert "Collapse" in found.signatures[0].doc
    assert (shown("len($0)") or "").startswith("len(<obj: Sized>")
    assert (shown("''.replace('a', $0)") or "").startswith("replace(old: str, <new: str>")
    found = help_at("dict($0)")
    assert found is not None and len(found.signatures) > 2
