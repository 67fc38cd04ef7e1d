"""Renames that meet something which names are no proof of: refused, or asked about."""

import pytest
from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames.rename import rename
from fixture import parse_fixture


def renamed(source: str, new_name: str) -> ProjectEdit | Refusal:
    fixture = parse_fixture(source)
    return rename(fixture.snapshot(), fixture.cursor, new_name)


def check_refused(source: str, new_name: str, reason: str) -> None:
    result = renamed(source, new_name)
    assert isinstance(result, Refusal), result
    assert reason in result.reason, result.reason


def check_asked(source: str, new_name: str, reason: str) -> None:
    """Every edit asks, for the reason."""
    result = renamed(source, new_name)
    assert isinstance(result, ProjectEdit), result
    edits = [edit for of_file in result.edits.values() for edit in of_file]
    assert edits
    assert all(edit.annotation is not None for edit in edits)
    assert any(reason in (edit.annotation or "") for edit in edits), edits


def check_certain(source: str, new_name: str) -> None:
    result = renamed(source, new_name)
    assert isinstance(result, ProjectEdit), result
    assert len(result)
    assert not result.needs_confirmation


@pytest.mark.parametrize(("source", "new_name"), [("$0hit", "d"), ("hit", "hit")])
def test_a_walrus_does_not_get_the_name_of_what_its_comprehension_loops_over(source: str, new_name: str):
    loop = "d" if source.startswith("$0") else "$0d"
    text = f"def f(data):\n    any(({source} := d) > 2 for {loop} in data)\n    return hit\n"
    check_refused(text, new_name, "no valid Python")


def test_a_member_does_not_override_one_of_a_base_by_chance():
    check_refused(
        """
        class A:
            value = 3
            def show(self): return self.value
        class B(A):
            def $0peek(self): return 2
        """,
        "value",
        "a class of the same family already has 'value'",
    )


def test_fields_of_a_named_tuple_get_no_underscore():
    source = "from typing import NamedTuple\nclass P(NamedTuple):\n    $0x: int\n"
    check_refused(source, "_x", "cannot begin with an underscore")
    check_certain(source, "z")


def test_a_name_that_python_reads_as_another_is_refused():
    check_refused("$0ﬁle = 1\nprint(file)\n", "other", "Python reads")


PROTOCOL = """
from typing import Protocol
class Closer(Protocol):
    def {}close(self): ...
class File:
    def {}close(self): ...
def shut(c: Closer): c.close()
shut(File())
"""


def test_a_protocol_and_what_keeps_to_it_are_asked_about():
    check_asked(PROTOCOL.format("$0", ""), "end", "File may have 'close' because Closer asks for it")
    check_asked(PROTOCOL.format("", "$0"), "end", "File may have 'close' because Closer asks for it")


def test_a_class_that_lacks_a_part_of_a_protocol_does_not_keep_to_it():
    lacking = PROTOCOL.replace("(self): ...\nclass File", "(self): ...\n    def open(self): ...\nclass File")
    check_certain(lacking.format("", "$0"), "end")


@pytest.mark.parametrize("call", ["'%(a)s' % locals()", "eval('a')", "'{a}'.format(**vars())"])
def test_a_function_that_asks_for_its_own_variables_is_asked_about(call: str):
    check_asked(f"def f($0a):\n    return {call}\n", "other", "may name 'a' in f")
    check_certain(f"def g():\n    return {call}\ndef f($0a):\n    return a\n", "other")


def test_a_modules_name_in_the_source_of_an_eval_is_asked_about():
    check_asked("$0val = 3\nprint(eval('val + 1'))\n", "other", "eval() at main.py:2 may name 'val'")
    check_certain("$0val = 3\nprint(val, eval('valid'))\n", "other")


def test_a_parameter_that_a_class_statement_passes_is_asked_about():
    check_asked(
        """
        class Base:
            def __init_subclass__(cls, $0tag=None): cls.tag = tag
        class Sub(Base, tag="s"): ...
        """,
        "label",
        "a class statement in main.py passes 'tag'",
    )


@pytest.mark.parametrize("call", ["f(1, **{'b': 3})", "options = dict(b=8)\nf(1, **options)"])
def test_a_parameter_that_unpacked_arguments_may_name_is_asked_about(call: str):
    check_asked(f"def f(a, $0b=2): return a, b\n{call}\n", "other", "calls f with unpacked arguments")


def test_unpacked_arguments_where_nothing_spells_the_parameter_are_no_reason_to_ask():
    check_certain("def f(a, $0b=2): return a, b\ndef g(**options): return f(1, **options)\n", "other")


@pytest.mark.parametrize(
    "call",
    ["partial(f, 1, b=5)", "Thread(target=f, args=(1,), kwargs={'b': 3})", "Thread(target=f, kwargs=dict(a=1, b=2))"],
)
def test_a_parameter_that_is_named_where_its_function_is_passed_on_is_asked_about(call: str):
    source = f"from threading import Thread\nfrom functools import partial\ndef f(a, $0b=2): return a, b\n{call}\n"
    check_asked(source, "other", "passes f on, together with 'b'")


def test_the_argument_beside_a_function_that_is_passed_on_is_renamed():
    source = "from functools import partial\ndef f(a, $0b=2): return a, b\npartial(f, 1, b=5)\n"
    result = renamed(source, "other")
    assert isinstance(result, ProjectEdit)
    [edits] = result.edits.values()
    assert len(edits) == 3


def test_a_function_that_is_passed_on_by_itself_is_no_reason_to_ask():
    check_certain("def f(a, $0b=2): return a, b\nb = 1\nmap(f, [b])\n", "other")


def test_a_lambdas_parameter_that_some_call_may_pass_is_asked_about():
    check_asked("fs = {'a': lambda x, $0y=1: x + y}\nfs['a'](1, y=2)\n", "z", "perhaps to this lambda")
    check_certain("f = lambda x, $0y=1: x + y\nf(1, 2)\n", "z")


def test_a_field_that_unpacked_arguments_may_name_is_asked_about():
    source = """
    from dataclasses import dataclass, replace
    @dataclass
    class P:
        $0x: int
        def moved(self, **changes): return replace(self, **changes)
    P(1).moved({})
    """
    check_asked(source.format("x=2"), "z", "unpacked arguments")
    check_certain(source.format("y=2"), "z")


@pytest.mark.parametrize("key", ["vars(self)['full']", "self.__dict__['full']", "self.__dict__.get('full')"])
def test_a_key_of_an_objects_own_names_is_offered(key: str):
    result = renamed(f"class A:\n    def f(self):\n        self.$0full = 1\n        return {key}\n", "whole")
    assert isinstance(result, ProjectEdit)
    [edits] = result.edits.values()
    assert [edit.likelihood for edit in edits if edit.annotation is not None] == [0.9]


def test_an_example_in_a_docstring_is_offered():
    source = 'def $0add(a, b):\n    """Add.\n\n    >>> add(1, b=2)\n    3\n    """\n    return a + b\n'
    result = renamed(source, "plus")
    assert isinstance(result, ProjectEdit)
    [edits] = result.edits.values()
    assert [edit.annotation for edit in edits] == [None, "an example that uses 'add'"]


def test_unpacked_arguments_of_another_function_of_that_name_are_no_reason_to_ask():
    check_certain(
        """
        class A:
            def get(self, $0key=1): return key
        class B:
            def get(self, **options): return options
        B().get(**{"key": 2})
        """,
        "other",
    )


def test_a_member_does_not_get_the_name_that_python_gives_to_a_private_one():
    source = "class A:\n    def __secret(self): ...\nclass B(A):\n    def $0peek(self): ...\n"
    check_refused(source, "_A__secret", "private members of classes")


@pytest.mark.parametrize("parameters", ["$0self, a=1, **others", "self, $0a=1, **others"])
def test_a_parameter_does_not_get_the_name_of_what_calls_pass_besides(parameters: str):
    source = f"class T:\n    def __init__({parameters}): self.others = others\nT(b=1)\n"
    check_refused(source, "b", "passed as an argument already (main.py:3)")
    check_certain(source, "c")


def test_what_is_passed_to_another_function_of_that_name_is_no_hindrance():
    source = "class A:\n    def get(self, $0a): return a\nclass B:\n    def get(self, b): ...\nB().get(b=1)\n"
    check_certain(source, "b")
