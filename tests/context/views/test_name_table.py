"""Names by a few of their letters: no name that fits is missed."""

from __future__ import annotations

from engram_context.views.name_table import NameTable
from engram_context.views.symbols import is_subsequence
from fixture import snapshot_of
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sets(st.text("abAB_1é𝒳", min_size=1, max_size=6))


@given(NAMES, st.text("abAB_1é", min_size=1, max_size=3))
def test_a_table_misses_no_name(names: set[str], letters: str) -> None:
    table = NameTable(names)
    low = letters.lower()
    beginning = [name for name in names if name.lower().startswith(low)]
    assert sorted(table.beginning(letters)) == sorted(beginning)
    assert {name for name in names if is_subsequence(low, name.lower())} <= set(table.having(letters)) <= names


def test_a_table_leaves_out_names_that_lack_a_letter() -> None:
    table = NameTable(["read_file", "ReadAll", "write"])
    assert sorted(table.having("rd")) == ["ReadAll", "read_file"]
    assert table.beginning("reada") == ["ReadAll"]
    assert NameTable([]).having("a") == []


def test_symbols_are_the_same_by_table_and_by_looking_at_all_names() -> None:
    sources = {f"m{n}.py": f"def read_{n}(): ...\nclass HTTPReader{n}: ...\nreadme{n} = {n}\n" for n in range(40)}
    snapshot = snapshot_of(sources)
    changed = snapshot.after(snapshot_of({"m3.py": "def reading(): ...\n"}).records).after({"m5.py": None})
    fresh = snapshot_of(
        {**{path: text for path, text in sources.items() if path != "m5.py"}, "m3.py": "def reading(): ...\n"}
    )
    for query in ("read", "r", "READ_1", "hr", "rd3", "reading", "read_3", "read_5", "", "zz"):
        for limit in (3, 30, 500):
            assert changed.workspace_symbols(query, limit) == fresh.workspace_symbols(query, limit)
