"""What each name of a file is, and how that is sent."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engram_context.text import Span, Text
from engram_context.views.semantic import (
    TOKEN_MODIFIERS,
    TOKEN_TYPES,
    Tokens,
    difference,
    encoded,
    semantic_tokens,
)
from fixture import parse_fixture, snapshot_of

Seen = dict[str, set[str]]


def seen(source: str, path: str | None = None) -> Seen:
    """What each name is somewhere in a file, like {"x": {"variable declaration", "variable"}}."""
    fixture = parse_fixture(source)
    path = path or next(iter(fixture.files))
    tokens, text = semantic_tokens(fixture.snapshot(), path), fixture.text(path)
    assert tokens is not None and text is not None
    found: Seen = {}
    for start, end, kind, modifiers in rows(tokens):
        words = [TOKEN_TYPES[kind]]
        words += [name for at, name in enumerate(TOKEN_MODIFIERS) if modifiers >> at & 1]
        found.setdefault(text.slice(Span(start, end)), set()).add(" ".join(words))
    return found


def rows(tokens: Tokens) -> list[tuple[int, int, int, int]]:
    columns: list[Any] = [tokens.start, tokens.end, tokens.type, tokens.modifiers]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_names_are_what_their_scopes_bind() -> None:
    found = seen("""
        LIMIT = 1
        count = 2
        def go(first, *rest, key=None):
            local = first
            count = rest
            return local, key, LIMIT
        class Thing: ...
        go(Thing, key=count)
        """)
    assert found == {
        "LIMIT": {"variable declaration readonly", "variable readonly"},
        "count": {"variable declaration", "variable"},
        "go": {"function declaration", "function"},
        "first": {"parameter declaration", "parameter"},
        "rest": {"parameter declaration", "parameter"},
        "key": {"parameter declaration", "parameter"},
        "local": {"variable declaration", "variable"},
        "Thing": {"class declaration", "class"},
    }


def test_a_class_body_is_not_seen_from_its_methods() -> None:
    found = seen("""
        def size(): ...
        class A:
            size = 1
            other = size
            def f(self): return size()
        """)
    assert found["size"] == {"function declaration", "property declaration", "property", "function"}
    assert found["other"] == {"property declaration"}


def test_members_are_found_in_the_class_and_its_bases() -> None:
    found = seen("""
        class Base:
            def inherited(self): ...
            @property
            def shape(self): ...
        class A(Base):
            def run(self, other):
                self.value = self.run
                self.inherited, self.shape, other.called(), other.field
            @staticmethod
            def plain(): ...
        A.plain
        """)
    assert found["run"] == {"method declaration", "method"}
    assert found["value"] == {"property declaration"}
    assert found["inherited"] == {"method declaration", "method"}
    assert found["shape"] == {"property declaration", "property"}
    assert found["called"] == {"method"}
    assert found["field"] == {"property"}
    assert found["plain"] == {"method declaration static", "method static"}
    assert found["property"] == {"decorator defaultLibrary"}


def test_imported_names_are_what_they_are_where_they_come_from() -> None:
    found = seen("""
        -- app.py --
        import util, os
        import pack.inner as deep
        from util import Thing, go as run, VALUE, Colour
        from outside import Unknown, other
        util.go(), util.Thing, deep.leaf(), pack.inner
        run(Thing, VALUE, Colour.RED, Unknown, other, os.path.join(1), os.PathLike)
        -- util.py --
        from enum import Enum
        class Thing: ...
        async def go(): ...
        VALUE = 1
        class Colour(Enum):
            RED = 1
        -- pack/__init__.py --
        -- pack/inner.py --
        def leaf(): ...
        """)
    assert found["util"] == {"namespace"}
    assert found["Thing"] == {"class"}
    assert found["RED"] == {"enumMember readonly"}
    assert found["go"] == {"function async"}
    assert found["run"] == {"function declaration async", "function async"}
    assert found["VALUE"] == {"variable readonly"}
    assert found["Colour"] == {"enum"}
    assert found["leaf"] == {"function"}
    assert found["deep"] == {"namespace declaration", "namespace"}
    assert found["inner"] == {"namespace", "property"}  # `pack` itself was not imported
    assert found["Unknown"] == {"class"}
    assert found["other"] == {"variable"}
    assert found["PathLike"] == {"class"}


def test_enums_and_their_members() -> None:
    found = seen("import enum\nclass C(enum.IntEnum):\n    ONE = 1\n    def f(self): return C.ONE\n")
    assert found["C"] == {"enum declaration", "enum"}
    assert found["ONE"] == {"enumMember declaration readonly", "enumMember readonly"}


def test_builtins_decorators_and_type_parameters() -> None:
    found = seen("""
        @wraps(len)
        async def f[T](x: T) -> int:
            print(x)
            x = None
        """)
    assert found["len"] == {"function defaultLibrary"}
    assert found["int"] == {"class defaultLibrary"}
    assert found["wraps"] == {"decorator"}
    assert found["f"] == {"function declaration async"}
    assert found["T"] == {"typeParameter declaration", "typeParameter"}
    assert found["x"] == {"parameter declaration", "parameter", "variable modification"}


def test_members_are_found_through_bases_of_other_files_and_dotted_names() -> None:
    found = seen("""
        -- app.py --
        import pack.base as b
        from pack.base import Base
        from outside import Other
        class A(b.Base[int]):
            def f(self): return self.size, self.run()
        class B(Other):
            def f(self): return self.size, self.run(), self.other
        b.Base.run, Base.size
        -- pack/__init__.py --
        -- pack/base.py --
        class Root:
            def run(self): ...
        class Base(Root):
            @property
            def size(self): ...
        """)
    assert found["run"] == {"method"}
    assert found["size"] == {"property"}
    assert found["other"] == {"property"}


def test_what_is_deprecated_says_so() -> None:
    assert seen("from warnings import deprecated\n@deprecated('no')\ndef f(): ...\nf()")["f"] == {
        "function declaration deprecated", "function deprecated",
    }  # fmt: skip


def test_what_nothing_is_known_of_has_no_colour() -> None:
    assert seen("nowhere") == {}
    assert seen("# nothing\n") == {}
    assert semantic_tokens(snapshot_of({}), "gone.py") is None


def test_tokens_stand_in_order_and_do_not_overlap() -> None:
    text = Path(random.__file__).read_text(encoding="utf-8")
    tokens = semantic_tokens(snapshot_of({"random.py": text}), "random.py")
    assert tokens is not None and len(tokens) > 1000
    assert bool(np.all(tokens.start[1:] >= tokens.end[:-1]))


def test_a_range_has_the_tokens_that_touch_it() -> None:
    tokens = semantic_tokens(snapshot_of({"a.py": "aa = 1\nbb = aa\ncc = bb\n"}), "a.py")
    assert tokens is not None
    assert [row[0] for row in rows(tokens.within(Span(8, 14)))] == [7, 12]
    assert len(tokens.within(Span(0, 100))) == 5


@pytest.mark.parametrize("unit", ["utf-8", "utf-16", "utf-32"])
def test_relative_rows_add_up_to_the_places_of_the_names(unit: Any) -> None:
    text = Text.of('x = "😀é"; é = x\r\nyy = (é,\n x, "ü", yy)\n')
    tokens = semantic_tokens(snapshot_of({"a.py": text.decode()}), "a.py")
    assert tokens is not None
    lines, columns = text.positions(tokens.start, unit)
    _, ends = text.positions(tokens.end, unit)
    numbers = encoded(lines, columns, ends - columns, tokens).tolist()
    line = column = 0
    places: list[tuple[int, int]] = []
    for down, right, length, _, _ in zip(*(numbers[at::5] for at in range(5)), strict=True):
        line, column = line + down, right if down else column + right
        places.append((text.offset(line, column, unit), text.offset(line, column + length, unit)))
    assert places == [(start, end) for start, end, _, _ in rows(tokens)]


def test_a_difference_makes_the_new_numbers_of_the_old_ones() -> None:
    chance = random.Random(5)
    for _ in range(500):
        old = np.array([chance.randrange(3) for _ in range(chance.randrange(12))], np.int64)
        new = list(old.tolist())
        for _ in range(chance.randrange(3)):
            at = chance.randrange(len(new) + 1)
            new[at : at + chance.randrange(3)] = [chance.randrange(3) for _ in range(chance.randrange(3))]
        made = np.array(new, np.int64)
        splice = difference(old, made)
        if splice is None:
            assert old.tolist() == new
        else:
            after = [*old[: splice.start], *splice.added, *old[splice.start + splice.removed :]]
            assert after == new and (splice.removed or len(splice.added))


def test_many_positions_are_those_of_each() -> None:
    text = Text.of("a😀b\r\né\n\nlast ü😀x")
    offsets = [at for at in range(len(text) + 1) if text.offset(*text.position(at), "utf-16") == at]
    for unit in ("utf-8", "utf-16", "utf-32"):
        lines, columns = text.positions(np.array(offsets, np.int64), unit)
        assert list(zip(lines.tolist(), columns.tolist(), strict=True)) == [text.position(at, unit) for at in offsets]
