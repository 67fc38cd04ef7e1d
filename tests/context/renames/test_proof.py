"""A rename that needs no reading again gives what reading again would give."""

import pytest
from engram_context.renames.proof import Proof
from engram_context.renames.rename import rename
from engram_context.text import Place
from fixture import parse_fixture

PROGRAMS = (
    """
    count = 0
    def inc():
        global count
        count += 1
        def inner():
            nonlocal_one = [count for count in range(3)]
            return any((hit := d) for d in nonlocal_one), hit
        return inner()
    class A:
        count = 2
        __slots__ = ("x", "_y")
        both = [count for _ in range(2)]
        def __init__(self, x, *, y=count): self.x = x; self._y = y
        @property
        def size(self): return self.x
        @size.setter
        def size(self, value): self.x = value
    class B(A):
        def __init__(self, **rest): super().__init__(x=1, **rest)
    try: print(A(1, y=2).size, B(y=3).x)
    except (ValueError, KeyError) as error: print(error)
    """,
    """
    -- a.py --
    one = 1
    _two = 2
    def three(): return one
    for loop in range(3): pass
    -- b.py --
    from a import *
    from a import _two as two
    __all__ = ["one", "four"]
    four = loop
    -- main.py --
    from b import *
    import a, b as c
    print(one, four, c.two, a.three(), c.loop)
    """,
    """
    from dataclasses import dataclass
    from typing import Literal, overload
    @dataclass
    class P:
        x: int
        y: "int" = 0
    @overload
    def f(a: int) -> int: ...
    @overload
    def f(a: str) -> str: ...
    def f(a): return a
    match P(1):
        case P(x=left, y=0 as right): print(left, right, f(a=1), f"{left!r:>{right}}")
        case {"k": value, **rest}: print(value, rest)
    type Pair[T] = tuple[T, T]
    def first[T](pair: Pair[T], kind: Literal["x"] = "x") -> T: return pair[0]
    """,
)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("new_name", ["fresh", "_fresh", "match", "property"])
def test_a_plain_rename_is_what_reading_again_would_prove(program: str, new_name: str, monkeypatch: pytest.MonkeyPatch):
    snapshot = parse_fixture(program).snapshot()
    places = [Place(path, start) for path, record in snapshot.records.items() for start in record.occurrences.start]
    plain = [rename(snapshot, place, new_name) for place in places]

    def never(self: Proof, edits: object) -> bool:
        return False

    monkeypatch.setattr(Proof, "is_plain", never)
    assert plain == [rename(snapshot, place, new_name) for place in places]
