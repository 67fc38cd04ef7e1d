"""What is shown about a name."""

from __future__ import annotations

from engram_context.views.hover import HoverText
from fixture import parse_fixture


def hover(source: str) -> HoverText | None:
    fixture = parse_fixture(source)
    return fixture.snapshot().hover(fixture.cursor)


def check(source: str, signature: str, doc: str = "", module: str = "main") -> None:
    found = hover(source)
    assert found is not None
    assert (found.signature, found.doc, found.module) == (signature, doc, module)


def test_a_function_shows_its_signature_and_documentation_from_where_it_is_defined() -> None:
    check(
        """
        -- app.py --
        from util import greet as hello
        hel$0lo()
        -- util.py --
        def greet(name: str, times=1) -> None:
            '''Say hello.

            Many times.'''
        """,
        "def greet(name: str, times=1) -> None", "Say hello.", "util",
    )  # fmt: skip


def test_variables_show_their_value_or_what_they_are_known_to_be() -> None:
    check("LIMIT = 10\nLIM$0IT", "(constant) LIMIT = 10")
    check("class A: ...\na = A()\na$0", "(variable) a: A")
    check("def f(x: int = 1): return $0x", "(parameter) x: int = 1")
    check("class A:\n    def f(self): return se$0lf", "(parameter) self: A")
    check("class A:\n    def f(self):\n        self.x = 1\n        self.$0x", "(attribute) self.x = 1")


def test_modules_builtins_and_libraries_say_what_they_are() -> None:
    check("-- app.py --\nimport util\nut$0il\n-- util.py --\n'''Helpers.'''", "(module) util", "Helpers.", "util")
    check("import os\nos.pa$0th", "(module) os.path", "", "os.path")
    check("import nowhere\nnowhere.pa$0th", "(import) path", module="nowhere")
    found = hover("pri$0nt()")
    assert found is not None
    assert found.signature.startswith("def print(*values: object,")
    assert (found.doc, found.module) == ("Prints the values to a stream, or to sys.stdout by default.", "builtins")


def test_the_span_is_the_name_under_the_pointer() -> None:
    found = hover("value = 1\nva$0lue")
    assert found is not None
    assert (found.span.start, found.span.end) == (10, 15)


def test_nothing_is_shown_where_nothing_is_known() -> None:
    assert hover("def f(x): x.un$0known") is None
    assert hover("  $0  ") is None


def test_a_variable_is_shown_as_it_is_where_it_is_read() -> None:
    check("def f(x: int | str):\n    if isinstance(x, str): return $0x", "(parameter) x: str")
    check("def f(x: int | None):\n    if x is not None: return $0x", "(parameter) x: int")
    check("def f(x: int | None):\n    return $0x", "(parameter) x: int | None")
    check("class Box[T]:\n    item: T\ndef f(box: Box[int]): box.it$0em", "(variable) item: int")


def test_types_are_spelled_as_annotations() -> None:
    check("x = {'a': [(1, None)]}\n$0x", "(variable) x: dict[str, list[tuple[int, None]]]")
    check("class A: ...\nx = [A() for _ in 'ab']\n$0x", "(variable) x: list[A]")
    check("async def f(): return 1\nx = f()\n$0x", "(variable) x: Coroutine[Any, Any, int]")


def test_functions_of_the_library_show_their_signature_and_documentation() -> None:
    found = hover("'a'.upp$0er()")
    assert found is not None
    assert found.signature == "def upper(self) -> str"
    assert found.doc == "Return a copy of the string converted to uppercase."
    found = hover("import textwrap\ntextwrap.ded$0ent('x')")
    assert found is not None
    assert found.signature == "def dedent(text: str) -> str"
    assert found.doc.startswith("Remove any common leading whitespace")
    assert found.module == "textwrap"
