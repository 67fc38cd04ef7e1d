"""What expressions are taken to be: each source asks at `$0` and says what an annotation there would spell."""

from __future__ import annotations

import textwrap

import pytest
from engram_context.resolve import Resolver
from engram_context.views.hover import type_names
from fixture import parse_fixture, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

CLASSES = """\
class A:
    def run(self): ...
class B(A):
    def more(self): ...
"""


def spelled(source: str) -> str:
    fixture = parse_fixture(CLASSES + textwrap.dedent(source).removeprefix("\n"))
    resolver = Resolver(fixture.snapshot())
    record = resolver.record(fixture.cursor.path)
    index = None if record is None else record.occurrence_at(fixture.cursor.offset)
    assert index is not None
    return type_names(resolver, resolver.types.of_ref(fixture.cursor.path, index))


def check(*cases: tuple[str, str]) -> None:
    assert [(source, spelled(source)) for source, _ in cases] == list(cases)


def test_literals_and_displays_are_objects_of_builtins() -> None:
    check(
        ("x = 'a'\n$0x", "str"),
        ("x = f'a{1}'\n$0x", "str"),
        ("x = b'a'\n$0x", "bytes"),
        ("x = -1\n$0x", "int"),
        ("x = 1 < 2\n$0x", "bool"),
        ("x = None\n$0x", "None"),
        ("x = [A(), None]\n$0x", "list[A | None]"),
        ("x = {'a': [1]}\n$0x", "dict[str, list[int]]"),
        ("x = {1, 2}\n$0x", "set[int]"),
        ("x = (1, 'a')\n$0x", "tuple[int, str]"),
        ("x = [a for a in [A()]]\n$0x", "list[A]"),
        ("x = {a: 1 for a in 'ab'}\n$0x", "dict[str, int]"),
        ("x = []\n$0x", "list"),
    )


def test_loops_and_unpacking_give_elements() -> None:
    check(
        ("for x in [A()]: $0x", "A"),
        ("for x in {'k': A()}: $0x", "str"),
        ("for k, v in {'k': A()}.items(): $0v", "A"),
        ("for i, x in enumerate([A()]): $0x", "A"),
        ("for i, (k, x) in enumerate({'k': A()}.items()): $0x", "A"),
        ("for i, x in zip([1], [A()]): $0x", "A"),
        ("for x in reversed(sorted([A()])): $0x", "A"),
        ("for x in (1, A()): $0x", "int | A"),
        ("x, (y, z) = 1, ('a', A())\n$0z", "A"),
        ("x, *y = [A()]\n$0x", "A"),
        ("def f(*args: A, **named: B):\n    for x in args: $0x", "A"),
        ("def f(*args: A, **named: B):\n    for x in named.values(): $0x", "B"),
        ("class C:\n    def __iter__(self): return self\n    def __next__(self): return A()\nfor x in C(): $0x", "A"),
        ("class C:\n    def __getitem__(self, i): return A()\nfor x in C(): $0x", "A"),
        ("def f():\n    yield A()\nfor x in f(): $0x", "A"),
        ("def f():\n    yield from [A()]\nfor x in f(): $0x", "A"),
        ("from typing import Generator\ndef f() -> Generator[int, A, None]:\n    x = yield 1\n    $0x", "A"),
    )


def test_type_parameters_are_followed_through_bases_receivers_and_calls() -> None:
    old = """
        from typing import Generic, TypeVar
        T = TypeVar("T")
        class Box(Generic[T]):
            def __init__(self, item: T): self.item = item
            def get(self) -> T: ...
            def many(self) -> list[T]: ...
        """
    new = """
        class Box[T]:
            def __init__(self, item: T): self.item = item
            def get(self) -> T: ...
            def many(self) -> list[T]: ...
        """
    for header in (old, new):
        head = textwrap.dedent(header)
        check(
            (head + "x = Box(A())\n$0x", "Box[A]"),
            (head + "x = Box(A()).get()\n$0x", "A"),
            (head + "x = Box(A()).item\n$0x", "A"),
            (head + "for x in Box(A()).many(): $0x", "A"),
            (head + "class Own(Box[B]): ...\nx = Own(B()).get()\n$0x", "B"),
            (head + "def f(box: Box[A]):\n    x = box.get()\n    $0x", "A"),
            (head + "def f(box: 'Box[Box[A]]'):\n    x = box.get().get()\n    $0x", "A"),
        )
    check(
        ("def same[T](x: T) -> list[T]: ...\nx = same(A())\n$0x", "list[A]"),
        ("def first[T](x: list[T] | None) -> T: ...\nx = first([A()])\n$0x", "A"),
        ("def make[T](of: type[T]) -> T: ...\nx = make(A)\n$0x", "A"),
        ("from typing import Callable\ndef call[T](f: Callable[[], T]) -> T: ...\nx = call(A)\n$0x", "A"),
        (
            "from typing import TypeVar\nT = TypeVar('T', bound='A')\ndef f(self: T) -> T:\n    x = self\n    self.r$0un",
            "(function)",
        ),
        ("from collections import defaultdict\nx = defaultdict(A)['a']\n$0x", "A"),
        ("x = dict(a=A())['a']\n$0x", "A"),
        ("x = max([A()], key=id)\n$0x", "A"),
        ("x = next(iter({'a': A()}.values()))\n$0x", "A"),
        ("type Boxes[T] = dict[str, T]\ndef f(x: Boxes[A]):\n    y = x['a']\n    $0y", "A"),
    )


def test_self_and_classes_called_through_names_are_the_receivers_class() -> None:
    check(
        ("from typing import Self\nclass C:\n    def own(self) -> Self: ...\nclass D(C): ...\nx = D().own()\n$0x", "D"),
        ("class C:\n    @classmethod\n    def make(cls): return cls()\nclass D(C): ...\nx = D.make()\n$0x", "D"),
        ("x = type(A())\n$0x", "type[A]"),
        ("x = A().__class__()\n$0x", "A"),
        ("class C:\n    def f(self):\n        x = type(self)()\n        $0x", "C"),
        ("class C(A):\n    def run(self):\n        super().ru$0n()", "(function)"),
        ("def f(x: type[A]):\n    y = x()\n    $0y", "A"),
    )


def test_overloads_are_chosen_by_the_arguments() -> None:
    overloads = textwrap.dedent("""
        from typing import Literal, overload
        @overload
        def f(x: int) -> A: ...
        @overload
        def f(x: str) -> B: ...
        @overload
        def f(x: int, y: int) -> str: ...
        @overload
        def f(*, key: Literal["a", "b"]) -> A: ...
        @overload
        def f(*, key: Literal["c"]) -> bytes: ...
        def f(*a, **k): ...
        """)
    check(
        (overloads + "x = f(1)\n$0x", "A"),
        (overloads + "x = f('a')\n$0x", "B"),
        (overloads + "x = f(1, 2)\n$0x", "str"),
        (overloads + "x = f(key='b')\n$0x", "A"),
        (overloads + "x = f(key='c')\n$0x", "bytes"),
        ("x = open('f')\n$0x", "TextIOWrapper"),
        ("x = open('f', 'rb')\n$0x", "BufferedReader"),
        ("x = [1, 2][0]\n$0x", "int"),
        ("x = [1, 2][0:1]\n$0x", "list[int]"),
    )


def test_context_managers_give_what_entering_them_gives() -> None:
    check(
        ("with open('f') as x: $0x", "TextIOWrapper"),
        ("from contextlib import contextmanager\n@contextmanager\ndef m():\n    yield A()\nwith m() as x: $0x", "A"),
        (
            "from contextlib import contextmanager\nfrom typing import Iterator\n"
            "class C:\n    @contextmanager\n    def m(self) -> Iterator[A]: ...\nwith C().m() as x: $0x",
            "A",
        ),
        (
            "class C:\n    async def __aenter__(self): return A()\nasync def f():\n    async with C() as x: $0x",
            "A",
        ),
        ("from contextlib import suppress, ExitStack\nwith ExitStack() as x: $0x", "ExitStack"),
    )


def test_awaiting_gives_results() -> None:
    check(
        ("async def g(): return A()\nasync def f():\n    x = await g()\n    $0x", "A"),
        (
            "import asyncio\nasync def g(): return A()\nasync def f():\n    x = await asyncio.gather(g(), g())\n    $0x",
            "tuple[A, A]",
        ),
        (
            "import asyncio\nasync def g(): return A()\nasync def f():\n    x = await asyncio.create_task(g())\n    $0x",
            "A",
        ),
        ("from typing import Awaitable\nasync def f(a: Awaitable[A]):\n    x = await a\n    $0x", "A"),
        ("async def g():\n    yield A()\nasync def f():\n    async for x in g(): $0x", "A"),
    )


def test_operators_call_their_methods() -> None:
    check(
        ("class V:\n    def __add__(self, other): return A()\nx = V() + 1\n$0x", "A"),
        ("class V:\n    def __radd__(self, other): return A()\nx = 1 + V()\n$0x", "A"),
        ("x = 1 + 2.0\n$0x", "float"),
        ("x = 'a' % 1\n$0x", "str"),
        ("x = [A()] + [A()]\n$0x", "list[A]"),
        ("import pathlib\nx = pathlib.Path('a') / 'b'\n$0x", "Path"),
        ("x = A() or None\n$0x", "A | None"),
        ("def f(x: A | None):\n    y = x or B()\n    $0y", "A | B"),
        ("x = A() if 1 else 'a'\n$0x", "A | str"),
    )


def test_properties_descriptors_and_special_methods_are_seen_through() -> None:
    check(
        ("class C:\n    @property\n    def p(self): return A()\nx = C().p\n$0x", "A"),
        (
            "from functools import cached_property\nclass C:\n    @cached_property\n    def p(self): return A()\nx = C().p\n$0x",
            "A",
        ),
        ("class D:\n    def __get__(self, o, t): return A()\nclass C:\n    p = D()\nx = C().p\n$0x", "A"),
        (
            "class D:\n    def __init__(self, f): ...\n    def __get__(self, o, t): return self.f(o)\nclass C:\n    @D\n    def p(self): return A()\nx = C().p\n$0x",
            "A",
        ),
        ("class C:\n    def __call__(self): return A()\nx = C()()\n$0x", "A"),
        ("class C:\n    def __getattr__(self, name) -> A: ...\nx = C().anything\n$0x", "A"),
        ("class M(type):\n    def make(cls): return A()\nclass C(metaclass=M): ...\nx = C.make()\n$0x", "A"),
        ("class M(type):\n    def __iter__(cls):\n        yield A()\nclass C(metaclass=M): ...\nfor x in C: $0x", "A"),
    )


def test_decorated_functions_give_what_their_decorators_make_of_them() -> None:
    check(
        ("from functools import lru_cache\n@lru_cache\ndef f(): return A()\nx = f()\n$0x", "A"),
        (
            "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef f(): return A()\nf.cache_cl$0ear()",
            "(function)",
        ),
        (
            "from functools import wraps\ndef d(f):\n    @wraps(f)\n    def w(*a): return f(*a)\n    return w\n@d\ndef g(): return A()\nx = g()\n$0x",
            "A",
        ),
        ("def d(f): return f\n@d\ndef g(): return A()\nx = g()\n$0x", "A"),
        ("def d[F](f: F) -> F: ...\n@d\ndef g(): return A()\nx = g()\n$0x", "A"),
        ("@unknown\ndef g(): return A()\nx = g()\n$0x", "A"),
        ("from functools import partial\nx = partial(A)()\n$0x", "A"),
    )


def test_fields_of_tuples_and_dictionaries_are_known_by_place_and_key() -> None:
    named = "from typing import NamedTuple\nclass P(NamedTuple):\n    a: A\n    b: str\n"
    typed = "from typing import TypedDict\nclass P(TypedDict):\n    a: A\n    b: str\n"
    check(
        (named + "x, y = P(A(), '')\n$0x", "A"),
        (named + "x = P(A(), '')[0]\n$0x", "A"),
        (named + "x = P(A(), '').a\n$0x", "A"),
        (typed + "def f(p: P):\n    x = p['a']\n    $0x", "A"),
        ("x = (A(), 'a')[-1]\n$0x", "str"),
        ("def f(x: tuple[A, ...]):\n    y = x[3]\n    $0y", "A"),
    )


def test_members_of_an_enum_are_its_objects() -> None:
    enum = "from enum import Enum\nclass E(Enum):\n    RED = 1\n    def more(self): ...\n"
    check(
        (enum + "x = E.RED\n$0x", "E"),
        (enum + "x = E(1)\n$0x", "E"),
        (enum + "x = E['RED']\n$0x", "E"),
        (enum + "for x in E: $0x", "E"),
        (enum + "for x in list(E): $0x", "E"),
        (enum + "x = E.RED.name\n$0x", "str"),
    )


def test_forms_of_typing_keep_their_meaning() -> None:
    typing = "import typing as t\n"
    check(
        (typing + "def f(x: t.Optional[A]): $0x", "A | None"),
        (typing + "def f(x: t.Union[A, str]): $0x", "A | str"),
        (typing + "def f(x: 'A | None'): $0x", "A | None"),
        (typing + "def f(x: t.Annotated[A, 'note']): $0x", "A"),
        (typing + "def f(x: t.List['A']): $0x", "list[A]"),
        (typing + "def f(x: t.Literal['a', 'b']): $0x", "Literal['a', 'b']"),
        (typing + "def f(x: t.Type[A]): $0x", "type[A]"),
        (typing + "def f(x: t.Callable[[int], A]):\n    y = x(1)\n    $0y", "A"),
        (typing + "x: t.Final = A()\n$0x", "A"),
        (typing + "class C:\n    x: t.ClassVar[A]\ny = C.x\n$0y", "A"),
        (typing + "N = t.NewType('N', A)\nx = N(1)\n$0x", "A"),
        (typing + "x = t.cast('A', 1)\n$0x", "A"),
        (typing + "x = t.cast(t.List[A], 1)\n$0x", "list[A]"),
        (typing + "Alias: t.TypeAlias = 'dict[str, A]'\ndef f(x: Alias): $0x", "dict[str, A]"),
        (typing + "def f(x: t.Any): $0x", ""),
    )


def test_isinstance_narrows_where_it_holds() -> None:
    check(
        ("def f(x):\n    if isinstance(x, A): $0x", "A"),
        ("def f(x):\n    if isinstance(x, (A, str)): $0x", "A | str"),
        ("def f(x):\n    if isinstance(x, A | str): $0x", "A | str"),
        ("def f(x: A):\n    if isinstance(x, B): $0x", "B"),
        ("def f(x: A | str):\n    if isinstance(x, A): ...\n    else: $0x", "str"),
        (
            "def f(x: A | str | int):\n    if isinstance(x, A): ...\n    elif isinstance(x, str): ...\n    else: $0x",
            "int",
        ),
        ("def f(x: A | str):\n    if not isinstance(x, A): return\n    $0x", "A"),
        ("def f(x: A | str):\n    for y in []:\n        if not isinstance(x, A): continue\n        $0x", "A"),
        ("def f(x: A | str):\n    assert isinstance(x, A)\n    $0x", "A"),
        ("def f(x: A | str):\n    while isinstance(x, A): $0x", "A"),
        ("def f(x: A | str):\n    return isinstance(x, A) and $0x", "A"),
        ("def f(x: A | str):\n    return not isinstance(x, A) or $0x", "A"),
        ("def f(x: A | str):\n    return $0x if isinstance(x, A) else 1", "A"),
        ("def f(xs: list[A | str]):\n    return [$0x for x in xs if isinstance(x, A)]", "A"),
        ("def f(x):\n    if type(x) is A: $0x", "A"),
        ("def f(x):\n    if isinstance(x, A) and x.run(): $0x", "A"),
        ("def f(x):\n    if isinstance(x.y, A): x.$0y", "A"),
        ("def f(x):\n    if not isinstance(x, A): x = A(x)\n    $0x", "A"),
        ("def f(x: A | str):\n    if isinstance(x, A):\n        x = 'a'\n        $0x", "str"),
        ("def f(x):\n    if isinstance(x, A): ...\n    $0x", ""),
        ("def f(x: A):\n    if isinstance(x, unknown): $0x", "A"),
        ("def f[T: A](x, of: type[T]):\n    if isinstance(x, of): $0x", "T"),
        ("def f(x, classes=(A, str)):\n    if isinstance(x, classes): $0x", "A | str"),
    )


def test_none_is_left_out_where_a_test_excludes_it() -> None:
    check(
        ("def f(x: A | None):\n    if x is not None: $0x", "A"),
        ("def f(x: A | None):\n    if x: $0x", "A"),
        ("def f(x: A | None):\n    if x is None: return\n    $0x", "A"),
        ("def f(x: A | None):\n    if not x: return\n    $0x", "A"),
        ("def f(x: A | None):\n    if x is None: $0x", "None"),
        ("def f(x=None):\n    if x is None: x = A()\n    $0x", "A"),
        ("class C:\n    x: A | None\n    def f(self):\n        if self.x is not None: self.$0x", "A"),
        ("def f(x: list[A | None]):\n    if (y := x.pop()) is not None: $0y", "A"),
    )


def test_patterns_of_match_say_what_the_subject_is() -> None:
    check(
        ("def f(x):\n    match x:\n        case A(): $0x", "A"),
        ("def f(x):\n    match x:\n        case A() as y: $0y", "A"),
        ("class P:\n    a: A\ndef f(x):\n    match x:\n        case P(a=y): $0y", "A"),
    )


def test_the_last_assignment_before_a_read_decides() -> None:
    check(
        ("x = A()\nx = 'a'\n$0x", "str"),
        ("def f():\n    x = A()\n    x = 'a'\n    $0x", "str"),
        ("def f(y):\n    x = A()\n    if y: x = 'a'\n    $0x", "A | str"),
        ("def f(y):\n    if y: x = A()\n    else: x = 'a'\n    $0x", "A | str"),
        ("def f(y):\n    x = A()\n    if y:\n        x = 'a'\n        $0x", "str"),
        ("def f(y):\n    x = A()\n    while y:\n        $0x\n        x = 'a'", "A | str"),
        ("def f(x: A):\n    for y in []:\n        x = 'a'\n    $0x", "A"),
        ("def f(x: A):\n    x = unknown()\n    $0x", "A"),
        ("from typing import Iterable\ndef f(x: Iterable[A]):\n    x = list(x)\n    $0x", "list[A]"),
        ("def f(x):\n    x = A()\n    $0x", "A"),
        ("def f():\n    x = A()\n    def g(): return $0x\n    x = 'a'", "A | str"),
        ("def f():\n    with open('f') as x: ...\n    x = A()\n    $0x", "A"),
    )


def test_attributes_are_known_by_all_their_assignments_in_the_family() -> None:
    check(
        ("class C:\n    x = None\n    def f(self): self.x = A()\ny = C().x\n$0y", "A | None"),
        ("class C:\n    def f(self): self.x = A()\nclass D(C):\n    x = None\ny = D().x\n$0y", "A | None"),
        ("class C:\n    x: A\n    def f(self): self.x = make()\ny = C().x\n$0y", "A"),
        ("class C:\n    def f(self, x: A): ...\nclass D(C):\n    def f(self, x): $0x", "A"),
    )


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return f(x)\ny = f(1)\n$0y",
        "x = x\n$0x",
        "class C(C): ...\ny = C().z\n$0y",
        "class C[T](C[C[T]]): ...\ny = C().z\n$0y",
        "def d(f): return d(f)\n@d\ndef g(): return g()\ny = g()\n$0y",
        "class C:\n    def __iter__(self): return self\n    def __next__(self): return next(self)\nfor x in C(): $0x",
        "class C:\n    def __getattr__(self, n): return self.other\ny = C().z\n$0y",
        "x = " + "(" * 60 + "y" + ",)" * 60 + "\n$0x",
        "x = y = z = x\nfor x in y: y = [x]\n$0x",
        "def f(x):\n    while x: x = x.next + x\n    $0x",
        "type T = list[T]\ndef f(x: T):\n    y = x[0]\n    $0y",
    ],
)
def test_what_depends_on_itself_has_an_end(source: str) -> None:
    assert isinstance(spelled(source), str)


def test_parameters_of_a_lambda_are_what_the_call_expects() -> None:
    check(
        ("def call(f: Callable[[A], int]): ...\nfrom typing import Callable\ncall(lambda x: $0x)", "A"),
        ("[A()].sort(key=lambda x: $0x)", "A"),
        ("sorted([A()], key=lambda x: $0x)", "A"),
        ("x = max({'a': A()}.items(), key=lambda pair: $0pair)", "tuple[str, A]"),
        ("list(map(lambda x: $0x, [A()]))", "A"),
        ("x = list(map(lambda y: y, [A()]))\n$0x", "list[A]"),
        ("unknown(lambda x: $0x)", ""),
    )


STATEMENTS = st.sampled_from(
    [
        "x = y", "y = [x]", "x, y = y, x", "x = {y: z for z in x}", "x = lambda x: y(x)", "x = y or x.a", "x += y",
        "def f(x=y, *y, **z): return x", "def f[T](x: T) -> list[T]: return y", "class A[T](x, A[T]): y = x",
        "class A(f, metaclass=A): z: x", "class B(A, x): x = property(f)", "f = A.x", "x = f(f)", "y = A(x)(y)",
        "for x in y: y = x.x", "with f(x) as y: x = y", "while x: x = x.a", "del x", "import x.y as y",
        "from x import *", "if isinstance(x, y): y = x.a", "x: 'y' = A()", "y: type[x] = x", "type x = list[x]",
        "x = y[0][1:2]", "x = x.a.b", "y.a = x", "@f\ndef x(self): return self.x()", "@x\nclass A: ...",
        "x = super().x", "x = f(*x, **y)", "z = x + y - z", "async def f(): return await f()", "x = y = z = x",
        "def f():\n    global x\n    x = yield x\n    return f", "match x:\n    case A(y=z): x = z",
        "try: x\nexcept (x, y) as z: y = z.a", "from typing import *", "x = Optional[x]", "T = TypeVar('T', bound=x)",
        "y = Union[x, Callable[[y], x]]", "x = cast('y', x)", "x = NewType('x', y)", "x = getattr(y, 'a', x)",
        "y = sorted(x, key=lambda x: y)", "x = dict(zip(x, y))", "y = map(f, x)", "assert x is None or y",
    ]
)  # fmt: skip


@given(st.lists(STATEMENTS, max_size=8), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_a_program_says_every_name_and_member_has_an_answer(statements: list[str], inside: bool) -> None:
    body = "\n".join(statements)
    source = "class A:\n    def m(self, x, y):\n" + textwrap.indent(body, " " * 8) + "\n" if inside else body
    snapshot = snapshot_of({"main.py": source, "x/y.py": body})
    resolver = Resolver(snapshot)
    for path in snapshot.paths:
        record = snapshot.records[path]
        for index in range(len(record.occurrences)):
            resolver.meanings(path, index)
            types = resolver.types.of_ref(path, index)
            assert isinstance(type_names(resolver, types), str)
            for one in types:
                resolver.types.names(one)
                assert isinstance(resolver.types.attribute(one, "x"), list)


def test_many_tests_and_assignments_of_one_name_leave_the_nearest_ones() -> None:
    many = "".join("    if not isinstance(x, A): return\n" for _ in range(200))
    again = "".join(f"    if y: x = {number}\n" for number in range(200))
    check(
        (f"def f(x: A | str, y):\n{many}    $0x", "A"),
        (f"def f(x: A, y):\n{again}    x = B()\n    $0x", "B"),
        (f"def f(x: A, y):\n{again}    $0x", "A"),
    )
