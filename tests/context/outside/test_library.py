"""Modules from outside the project: stubs and sources, read as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from engram_context.outside.environment import Environment
from engram_context.outside.library import Library, is_outside, without_dead_branches
from engram_context.outside.record_cache import RecordCache
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Location, Text
from fixture import Fixture, parse_fixture


@pytest.fixture(autouse=True)
def no_active_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)


def written(root: Path, files: str) -> None:
    for path, content in parse_fixture(files).files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")


def project(tmp_path: Path, installed: str, source: str) -> tuple[Snapshot, Fixture]:
    """A project with an environment that has some files in its site-packages."""
    venv = tmp_path / "project" / ".venv"
    site = venv / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = {tmp_path / 'nowhere' / 'bin'}\nversion = 3.12.1\n")
    written(site, installed)
    fixture = parse_fixture(source)
    library = Library(Environment.discover(tmp_path / "project"))
    snapshot = Snapshot.empty(fixture.text, library).after(fixture.snapshot().records)
    return snapshot, fixture


def names(snapshot: Snapshot, found: tuple[Location, ...]) -> list[str]:
    """What stands at locations, with the file's last two parts."""
    shown: list[str] = []
    for location in found:
        text = snapshot.text(location.path)
        assert text is not None
        shown.append("/".join(location.path.split("/")[-2:]) + ":" + text.slice(location.span))
    return shown


def defined(source: str) -> list[str]:
    fixture = parse_fixture(source)
    snapshot = fixture.snapshot()
    return names(snapshot, snapshot.definitions(fixture.cursor))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("'a,b'.spl$0it(',')", "typeshed/builtins.pyi:split"),
        ("[1].app$0end(2)", "typeshed/builtins.pyi:append"),
        ("print(le$0n('x'))", "typeshed/builtins.pyi:len"),
        ("import os\nos.path.jo$0in('a')", "typeshed/posixpath.pyi:join"),
        ("from os.path import join\njo$0in('a')", "typeshed/posixpath.pyi:join"),
        ("from pathlib import Path\nPath('x').parent.stat().st_si$0ze", "os/__init__.pyi:st_size"),
        ("with open('x') as file:\n    file.readli$0nes()", "typeshed/_io.pyi:readlines"),
        ("with open('x', 'rb') as file:\n    file.pe$0ek()", "typeshed/_io.pyi:peek"),
        (
            "import threading\nclass A(threading.Thread):\n    def go(self): self.sta$0rt()",
            "typeshed/threading.pyi:start",
        ),
    ],
)
def test_members_of_the_standard_library_are_defined_in_its_stubs(source: str, expected: str) -> None:
    found = defined(source)
    assert found
    assert set(found) == {expected}


def test_a_module_from_outside_is_its_file() -> None:
    fixture = parse_fixture("import js$0on")
    (found,) = fixture.snapshot().definitions(fixture.cursor)
    assert is_outside(found.path)
    assert found.path.endswith("/json/__init__.pyi")


def test_references_of_an_outside_name_are_the_projects_mentions_whatever_it_is_called_by() -> None:
    fixture = parse_fixture("""
        -- a.py --
        import os
        os.path.$1join("a")
        -- b.py --
        from os.path import $2join
        $3jo$0in("b")
        ",".join([])
        -- c.py --
        import os.path as paths
        paths.$4join("c")
    """)
    found = fixture.snapshot().references(fixture.cursor)
    assert [(one.path, one.span.start) for one in found] == [(at.path, at.offset) for at in fixture.answers]


def test_references_of_a_method_of_a_library_class_are_those_on_its_objects() -> None:
    fixture = parse_fixture("""
        names = "a b".$1sp$0lit()
        for name in names:
            name.$2split()
        b"".split()
    """)
    found = fixture.snapshot().references(fixture.cursor)
    assert [one.span.start for one in found] == [at.offset for at in fixture.answers]


def test_installed_packages_are_read_from_their_sources(tmp_path: Path) -> None:
    snapshot, fixture = project(
        tmp_path,
        """
        -- tool/__init__.py --
        from .core import Engine
        -- tool/core.py --
        class Engine:
            def start(self):
                return Wheel()
        class Wheel:
            def turn(self): ...
        """,
        """
        from tool import Engine
        Engine().start().tu$0rn()
        """,
    )
    assert names(snapshot, snapshot.definitions(fixture.cursor)) == ["tool/core.py:turn"]


def test_stubs_come_before_sources_whether_beside_them_or_in_a_package_of_their_own(tmp_path: Path) -> None:
    snapshot, fixture = project(
        tmp_path,
        """
        -- fast.py --
        def make(): return eval("1")
        -- fast.pyi --
        def make() -> str: ...
        -- other/__init__.py --
        def made(): ...
        -- other-stubs/__init__.pyi --
        def made() -> str: ...
        """,
        """
        from fast import make
        from other import made
        make().up$0per()
        """,
    )
    assert set(names(snapshot, snapshot.definitions(fixture.cursor))) == {"typeshed/builtins.pyi:upper"}
    other = snapshot.library.find("other")
    assert other is not None
    assert other.path.endswith("other-stubs/__init__.pyi")


def test_a_sibling_that_is_installed_editable_is_followed_into_its_own_folder(tmp_path: Path) -> None:
    sibling = tmp_path / "sibling" / "src"
    written(
        sibling,
        """
        -- sib/__init__.py --
        class Thing:
            def work(self): ...
        """,
    )
    snapshot, fixture = project(tmp_path, f"-- sibling.pth --\n{sibling}\n", "from sib import Thing\nThing().wo$0rk()")
    (found,) = snapshot.definitions(fixture.cursor)
    assert Path(found.path) == sibling / "sib" / "__init__.py"


def test_the_projects_own_modules_come_before_the_librarys() -> None:
    assert defined("""
        -- app.py --
        import json
        json.lo$0ads
        -- json.py --
        def loads(): ...
    """) == ["json.py:loads"]


def test_members_of_library_objects_are_offered() -> None:
    fixture = parse_fixture("'x'.$0")
    found = {one.name: one for one in fixture.snapshot().candidates(fixture.cursor)}
    assert {"join", "upper", "__len__"} <= found.keys()
    assert found["upper"].kind == "method"
    assert found["upper"].detail.startswith("def upper(self")


def test_names_of_a_library_module_are_offered() -> None:
    fixture = parse_fixture("import os\nos.$0")
    found = {one.name for one in fixture.snapshot().candidates(fixture.cursor)}
    assert {"path", "getcwd", "environ"} <= found
    assert "sys" not in found


def test_files_that_cannot_be_read_have_no_record(tmp_path: Path) -> None:
    library = Library.standard()
    assert library.record((tmp_path / "nothing.pyi").as_posix()) is None
    (tmp_path / "binary.py").write_bytes(b"\0\0")
    assert library.record((tmp_path / "binary.py").as_posix()) is None


def test_branches_for_other_versions_are_blanked_and_offsets_hold() -> None:
    source = (
        b"import sys\n"
        b"if sys.version_info >= (3, 12):\n    def new(): ...\n"
        b"elif sys.version_info >= (3, 10):\n    def middle(): ...\n"
        b"else:\n    def old(): ...\n"
        b"class A:\n    if sys.version_info < (3, 11):\n        x: int\n    y: int\n"
    )
    found = {version: without_dead_branches(source, version) for version in ((3, 9), (3, 11), (3, 12))}
    assert all(len(text) == len(source) for text in found.values())
    kept = {
        version: [word for word in (b"new", b"middle", b"old", b"x: int", b"y: int") if word in text]
        for version, text in found.items()
    }
    assert kept == {
        (3, 9): [b"old", b"x: int", b"y: int"],
        (3, 11): [b"middle", b"y: int"],
        (3, 12): [b"new", b"y: int"],
    }


def test_tests_that_cannot_be_decided_leave_both_branches() -> None:
    source = b"import sys\nif sys.flags.debug:\n    a = 1\nelse:\n    b = 1\n"
    assert without_dead_branches(source, (3, 12)) == source


def test_records_that_were_not_asked_for_lately_are_let_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("engram_context.outside.library._MEMORY", 1000)
    library = Library(Environment.discover(tmp_path))
    for number in range(10):
        (tmp_path / f"m{number}.py").write_text(f"value{number} = {'1 + ' * 40}1\n")
    paths = [(tmp_path / f"m{number}.py").as_posix() for number in range(10)]
    first = [library.record(path) for path in paths]
    again = [library.record(path) for path in paths]
    assert first == again
    assert first[0] is not again[0]


def test_records_kept_on_disk_are_those_that_are_read_anew(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path / "cache")
    fresh = Library(Environment.standard(), cache)
    module = fresh.find("collections")
    assert module is not None
    first = fresh.record(module.path)
    (file,) = (tmp_path / "cache").iterdir()
    assert Library(Environment.standard(), cache).record(module.path) == first
    file.write_bytes(file.read_bytes()[:-7])
    assert Library(Environment.standard(), cache).record(module.path) == first
    (tmp_path / "taken").write_text("")
    assert Library(Environment.standard(), RecordCache(tmp_path / "taken")).record(module.path) == first


def test_imports_offer_the_librarys_modules_and_their_names() -> None:
    def offered(line: str) -> list[str]:
        fixture = parse_fixture(f"-- app.py --\n{line}$0\n-- own.py --\n")
        return [one.name for one in fixture.snapshot().candidates(fixture.cursor)]

    assert {"json", "os", "own"} <= set(offered("import "))
    assert offered("import ").index("own") < offered("import ").index("json")
    assert "path" in offered("import os.")
    assert {"decoder", "encoder"} <= set(offered("from json."))
    assert {"getcwd", "environ"} <= set(offered("from os import "))
    assert "sys" not in offered("from os import ")


@pytest.mark.parametrize(
    "module", ["os", "typing", "asyncio.base_events", "collections", "tkinter", "posixpath", "json"]
)
def test_what_a_file_binds_is_never_ruled_out_by_its_bytes(module: str) -> None:
    library, looking = Library.standard(), Library(Environment.standard())
    whole = library.find(module)
    found = [whole, *(library.submodules(whole).values() if whole is not None else ())][:6]
    for one in found:
        record = None if one is None else library.record(one.path)
        assert one is not None
        assert record is not None
        bound = {record.names[record.symbols.name[row]] for row in record.symbols_in(0)}
        assert [name for name in bound if not looking.may_have(one.path, name)] == []


def test_a_source_that_only_mentions_a_name_is_not_read_for_it(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import nx\n# Graph\ndef f(x):\n    '''A Graph of\n    nodes.'''\n    return nx.Graph(x) == Graph\n"
    )
    library = Library(Environment.discover(tmp_path))
    assert not library.may_have(path.as_posix(), "Graph")
    assert library.may_have(path.as_posix(), "f")
    assert not library.may_have((tmp_path / "none.py").as_posix(), "f")


def test_a_branch_with_a_text_of_several_lines_is_blanked_whole():
    source = b'''import sys
if sys.version_info >= (3, 12) and sys.platform == "no platform":
    @deprecated("""\\
Use another one.
""")
    def gone(): ...
else:
    def kept(): ...
'''
    record = read_record(Text.of(without_dead_branches(source, (3, 11))), "python")
    assert (record.errors, record.bindings(0, "gone")) == ((), ())
    assert record.bindings(0, "kept")
