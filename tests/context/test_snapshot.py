"""Snapshots: what is reached by changes is what is built from scratch."""

from __future__ import annotations

from dataclasses import dataclass

from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.snapshot import NameIndex, Snapshot
from engram_context.text import Place, Text
from fixture import parse_fixture, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

PATHS = (
    "app.py",
    "util.py",
    "pack/__init__.py",
    "pack/part.py",
    "pack/sub/__init__.py",
    "pack/sub/leaf.py",
    "src/lib/core.py",
    "notes.txt",
    "native.pyi",
)
TEXTS = (
    "",
    "def greet(name): return name\n",
    "from util import greet\ngreet(name=1)\n",
    "from util import *\ngreet\n",
    "from .part import Thing as Other\n__all__ = ['Other']\n",
    "from .part import Thing\nThing().run()\n",
    "class Thing:\n    def run(self): self.size = 1\n",
    "import pack.sub.leaf\npack.sub.leaf.value\n",
    "from . import leaf\nfrom pack import Thing\nvalue = leaf.value\n",
    "value = 1\nfrom app import *\n",
    "class Own(Thing):\n    def more(self): return self.run(",
    "from lib.core import value\nvalue\n",
)
RECORDS: dict[str, FileRecord] = {source: read_record(Text.of(source), "python") for source in TEXTS}
CHANGES = st.lists(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from((*TEXTS, None)), min_size=1, max_size=4),
    min_size=1,
    max_size=8,
)


@dataclass(frozen=True)
class Everything:
    """All that a snapshot answers, in one comparable value."""

    paths: object
    mentions: object
    definers: object
    modules: object
    answers: object


def everything(snapshot: Snapshot) -> Everything:
    answers: list[object] = []
    for path in snapshot.paths:
        record = snapshot.records[path]
        answers.append((path, snapshot.document_symbols(path), snapshot.modules.dotted(path)))
        for start in record.occurrences.start:
            place = Place(path, start)
            answers.append((snapshot.definitions(place), snapshot.references(place), snapshot.hover(place)))
        answers.append(snapshot.candidates(Place(path, record.size)))
    answers.extend(snapshot.workspace_symbols(query) for query in ("", "g", "th", "run", "none"))
    answers.extend(snapshot.import_path(name) for name in ("greet", "Thing", "value"))
    modules = snapshot.modules
    return Everything(
        snapshot.paths,
        {name: snapshot.index[name] for name in snapshot.index.names()},
        {name: snapshot.definers[name] for name in snapshot.definers.names()},
        (set(modules.files), dict(modules.stems), dict(modules.directories)),
        answers,
    )


@given(CHANGES)
@settings(max_examples=40, deadline=None)
def test_a_snapshot_reached_by_changes_equals_one_built_from_scratch(
    steps: list[dict[str, str | None]],
) -> None:
    now: dict[str, str] = {}
    texts: dict[str, Text] = {}
    snapshot = Snapshot.empty(texts.get)
    for step in steps:
        for path, source in step.items():
            if source is None:
                now.pop(path, None)
                texts.pop(path, None)
            else:
                now[path] = source
                texts[path] = Text.of(source)
        before = everything_cheap(snapshot)
        after = snapshot.after({path: source if source is None else RECORDS[source] for path, source in step.items()})
        assert everything_cheap(snapshot) == before, "a snapshot never changes"
        assert after.revision == snapshot.revision + 1
        snapshot = after
    fresh = Snapshot.empty(texts.get).after({path: RECORDS[source] for path, source in now.items()})
    assert everything(snapshot) == everything(fresh)


def everything_cheap(snapshot: Snapshot) -> object:
    return (
        snapshot.paths,
        {name: snapshot.index[name] for name in snapshot.index.names()},
        set(snapshot.modules.files),
        dict(snapshot.modules.directories),
    )


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abc"), st.sets(st.sampled_from("xyz")), max_size=3),
            st.dictionaries(st.sampled_from("abc"), st.sets(st.sampled_from("xyz")), max_size=3),
        ),
        max_size=6,
    ),
    st.integers(1, 4),
)
def test_an_index_forgets_exactly_what_is_lost_however_often_it_settles(
    steps: list[tuple[dict[str, set[str]], dict[str, set[str]]]], limit: int
) -> None:
    index, plain = NameIndex(), dict[str, set[str]]()
    for gained, lost in steps:
        index = index.after(gained, lost, settle_at=limit)
        for name, paths in lost.items():
            plain[name] = plain.get(name, set()) - paths
        for name, paths in gained.items():
            plain[name] = plain.get(name, set()) | paths
        assert index.names() == {name for name, paths in plain.items() if paths}
        assert all(index[name] == tuple(sorted(paths)) for name, paths in plain.items())


def test_a_deleted_file_takes_its_symbols_along() -> None:
    texts = {"a.py": Text.of(TEXTS[1]), "b.py": Text.of("from a import greet\ngreet\n")}
    snapshot = Snapshot.empty(texts.get)
    snapshot = snapshot.after({path: read_record(text, "python") for path, text in texts.items()})
    assert snapshot.definitions(Place("b.py", 20))
    gone = snapshot.after({"a.py": None})
    assert gone.paths == ("b.py",)
    assert gone.record("a.py") is None
    assert gone.workspace_symbols("greet") == ()
    assert all(location.path == "b.py" for location in gone.definitions(Place("b.py", 20)))


def test_a_place_outside_everything_has_no_answers() -> None:
    snapshot = Snapshot.empty({}.get).after({"a.py": RECORDS[""]})
    for place in (Place("a.py", 99), Place("a.py", 0), Place("none.py", 0)):
        assert snapshot.definitions(place) == ()
        assert snapshot.references(place) == ()
        assert snapshot.hover(place) is None
        assert snapshot.candidates(place) == ()
    assert snapshot.document_symbols("none.py") == ()


def test_what_was_asked_before_is_answered_anew_after_a_change() -> None:
    fixture = parse_fixture("""
        -- a.py --
        def $0f(): ...
        -- b.py --
        from a import f
        f()
        """)
    first = fixture.snapshot()
    assert first.references(fixture.cursor) is first.references(fixture.cursor)
    assert len(first.references(fixture.cursor)) == 3
    assert len(first.references(fixture.cursor, declaration=False)) == 2
    then = first.after({"b.py": None})
    assert len(then.references(fixture.cursor)) == 1
    assert then.references(fixture.cursor) == snapshot_of({"a.py": fixture.files["a.py"]}).references(fixture.cursor)
