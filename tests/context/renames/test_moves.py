from engram_context.edits import ProjectEdit, Refusal
from engram_context.renames.moves import move
from engram_context.renames.rename import rename
from engram_context.snapshot import Snapshot
from engram_context.text import Place
from fixture import parse_fixture, snapshot_of


def after_move(source: str, *pairs: tuple[str, str]) -> dict[str, str] | Refusal:
    """The files as they are after moving what `pairs` say; only edits that need no confirmation."""
    fixture = parse_fixture(source)
    return _applied(fixture.files, move(fixture.snapshot(), pairs))


def after_rename(source: str, new_name: str) -> dict[str, str] | Refusal:
    fixture = parse_fixture(source)
    return _applied(fixture.files, rename(fixture.snapshot(), fixture.cursor, new_name))


def _applied(files: dict[str, str], found: ProjectEdit | Refusal) -> dict[str, str] | Refusal:
    if isinstance(found, Refusal):
        return found
    snapshot = snapshot_of(files)
    texts = {path: text for path in files if (text := snapshot.text(path)) is not None}
    after = {path: text.decode() for path, text in {**texts, **found.certain.texts_after(texts)}.items()}
    moved: dict[str, str] = {}
    for path, text in after.items():
        for old, new in found.moves:
            if path == old or path.startswith(old + "/"):
                path = new + path[len(old) :]
                break
        moved[path] = text
    return moved


def check_move(source: str, expected: str, *pairs: tuple[str, str]) -> None:
    assert after_move(source, *pairs) == parse_fixture(expected).files


def check_rename(source: str, new_name: str, expected: str) -> None:
    assert after_rename(source, new_name) == parse_fixture(expected).files


PACKAGE = """
-- pkg/__init__.py --
from .old import helper
from . import old
__all__ = ["helper", "old"]
-- pkg/old.py --
from .other import base
def helper(): return base
-- pkg/other.py --
base = 1
-- app.py --
import pkg.old
import pkg.old as o
from pkg import old, other
from pkg.old import helper as h
print(pkg.old.helper, old.helper(), o.helper, other.base, h)
"""


def test_a_renamed_module_is_renamed_in_every_form_of_import_and_where_it_is_used():
    check_move(
        PACKAGE,
        """
        -- pkg/__init__.py --
        from .new import helper
        from . import new
        __all__ = ["helper", "new"]
        -- pkg/new.py --
        from .other import base
        def helper(): return base
        -- pkg/other.py --
        base = 1
        -- app.py --
        import pkg.new
        import pkg.new as o
        from pkg import new, other
        from pkg.new import helper as h
        print(pkg.new.helper, new.helper(), o.helper, other.base, h)
        """,
        ("pkg/old.py", "pkg/new.py"),
    )


def test_renaming_at_an_import_moves_the_file():
    source = "-- pkg/__init__.py --\n-- pkg/old.py --\nx = 1\n-- app.py --\nfrom pkg.o$0ld import x\n"
    check_rename(source, "new", "-- pkg/__init__.py --\n-- pkg/new.py --\nx = 1\n-- app.py --\nfrom pkg.new import x\n")


def test_a_renamed_package_takes_its_modules_along():
    check_rename(
        """
        -- pkg/__init__.py --
        -- pkg/sub/__init__.py --
        from .mod import f
        -- pkg/sub/mod.py --
        from .. import top
        def f(): return top
        -- pkg/top.py --
        -- app.py --
        from pkg.s$0ub.mod import f
        import pkg.sub
        pkg.sub.f()
        """,
        "part",
        """
        -- pkg/__init__.py --
        -- pkg/part/__init__.py --
        from .mod import f
        -- pkg/part/mod.py --
        from .. import top
        def f(): return top
        -- pkg/top.py --
        -- app.py --
        from pkg.part.mod import f
        import pkg.part
        pkg.part.f()
        """,
    )


def test_a_namespace_package_can_be_renamed():
    check_rename(
        "-- space/mod.py --\nx = 1\n-- app.py --\nimport sp$0ace.mod\nprint(space.mod.x)\n",
        "room",
        "-- room/mod.py --\nx = 1\n-- app.py --\nimport room.mod\nprint(room.mod.x)\n",
    )


def test_a_module_that_goes_to_another_package_is_imported_from_there():
    check_move(
        """
        -- pkg/__init__.py --
        -- pkg/a/__init__.py --
        from .mod import f
        -- pkg/a/mod.py --
        from . import near
        from .near import g
        from ..top import t
        def f(): return near, g, t
        -- pkg/a/near.py --
        def g(): pass
        -- pkg/b/__init__.py --
        -- pkg/top.py --
        t = 1
        -- app.py --
        from pkg.a.mod import f
        from pkg.a import mod, near
        import pkg.a.mod
        print(f, mod.f, near, pkg.a.mod.f)
        """,
        """
        -- pkg/__init__.py --
        -- pkg/a/__init__.py --
        from ..b.mod import f
        -- pkg/b/mod.py --
        from ..a import near
        from ..a.near import g
        from ..top import t
        def f(): return near, g, t
        -- pkg/a/near.py --
        def g(): pass
        -- pkg/b/__init__.py --
        -- pkg/top.py --
        t = 1
        -- app.py --
        from pkg.b.mod import f
        from pkg.b import mod
        from pkg.a import near
        import pkg.b.mod
        print(f, mod.f, near, pkg.b.mod.f)
        """,
        ("pkg/a/mod.py", "pkg/b/mod.py"),
    )


def test_a_top_level_module_moves_into_a_package():
    check_move(
        "-- tool.py --\nx = 1\n-- pkg/__init__.py --\n-- app.py --\nimport tool\nprint(tool.x)\n",
        "-- pkg/tool.py --\nx = 1\n-- pkg/__init__.py --\n-- app.py --\nfrom pkg import tool\nprint(tool.x)\n",
        ("tool.py", "pkg/tool.py"),
    )


def test_a_file_that_moves_and_gets_another_name_keeps_its_users_names():
    check_move(
        "-- tool.py --\nx = 1\n-- pkg/__init__.py --\n-- app.py --\nimport tool\nprint(tool.x)\n",
        "-- pkg/kit.py --\nx = 1\n-- pkg/__init__.py --\n-- app.py --\nfrom pkg import kit\nprint(kit.x)\n",
        ("tool.py", "pkg/kit.py"),
    )


def test_where_the_new_name_is_taken_the_old_one_stays_as_an_alias():
    check_move(
        "-- pkg/__init__.py --\n-- pkg/old.py --\nx = 1\n-- app.py --\nfrom pkg import old\nnew = old.x\n",
        "-- pkg/__init__.py --\n-- pkg/new.py --\nx = 1\n-- app.py --\nfrom pkg import new as old\nnew = old.x\n",
        ("pkg/old.py", "pkg/new.py"),
    )


def test_a_function_of_the_modules_name_is_another_thing():
    check_move(
        """
        -- pkg/__init__.py --
        from .glob import glob
        -- pkg/glob.py --
        def glob(): pass
        -- app.py --
        import pkg
        from pkg.glob import glob
        pkg.glob()
        """,
        """
        -- pkg/__init__.py --
        from .find import glob
        -- pkg/find.py --
        def glob(): pass
        -- app.py --
        import pkg
        from pkg.find import glob
        pkg.glob()
        """,
        ("pkg/glob.py", "pkg/find.py"),
    )


def test_a_move_onto_a_name_that_would_hide_another_module_is_refused():
    found = after_move(
        "-- tool.py --\n-- app.py --\nimport tool\nimport json\njson.dumps(tool)\n", ("tool.py", "json.py")
    )
    assert isinstance(found, Refusal) and "something else" in found.reason


def test_a_module_is_not_renamed_onto_one_that_is_there():
    found = after_rename("-- a.py --\n-- b.py --\n-- app.py --\nimport $0a\n", "b")
    assert isinstance(found, Refusal) and "already" in found.reason


def test_a_file_that_nobody_could_import_any_more_is_refused_only_where_it_is_imported():
    assert isinstance(after_move("-- a.py --\n-- app.py --\nimport a\n", ("a.py", "my-a.py")), Refusal)
    assert after_move("-- a.py --\n-- app.py --\n", ("a.py", "my-a.py")) == {"my-a.py": "", "app.py": ""}


def test_strings_that_name_the_module_are_left_to_the_person():
    fixture = parse_fixture(
        """
        -- pkg/__init__.py --
        -- pkg/old.py --
        def f(): pass
        -- pyproject.toml --
        [project.scripts]
        run = "pkg.old:f"
        -- tests/test_old.py --
        from unittest import mock
        from pkg.old import f
        mock.patch("pkg.old.f")
        -- tests/test_other.py --
        import pkg
        assert match(r"<pkg\\.old\\.f at", "pkg.older", "mypkg.old")
        """
    )
    found = move(fixture.snapshot(), [("pkg/old.py", "pkg/new.py")])
    assert isinstance(found, ProjectEdit)
    doubtful = {path: [e.new_text for e in edits if e.annotation] for path, edits in found.edits.items()}
    assert doubtful == {"pyproject.toml": ["new"], "tests/test_old.py": ["new"], "tests/test_other.py": ["new"]}


def test_line_endings_and_aliases_stay_when_a_statement_becomes_two():
    source = "-- pkg/__init__.py --\n-- pkg/a.py --\n-- pkg/b.py --\n-- to/__init__.py --\n-- app.py --\n"
    files = {
        **parse_fixture(source).files,
        "app.py": "def f():\r\n    from pkg import a as x, b\r\n    return x, b\r\n",
    }
    found = _applied(files, move(snapshot_of(files), [("pkg/a.py", "to/a.py")]))
    assert isinstance(found, dict)
    assert found["app.py"] == "def f():\r\n    from to import a as x\r\n    from pkg import b\r\n    return x, b\r\n"


def test_a_move_there_and_back_gives_the_same_files():
    files = parse_fixture(PACKAGE).files
    there = _applied(files, move(snapshot_of(files), [("pkg/old.py", "pkg/deep/new.py")]))
    assert isinstance(there, dict) and there != files
    back = _applied(there, move(snapshot_of(there), [("pkg/deep/new.py", "pkg/old.py")]))
    assert isinstance(back, dict)
    assert _meaning(snapshot_of(back)) == _meaning(snapshot_of(files))


def _meaning(snapshot: Snapshot) -> dict[str, list[tuple[str, list[str]]]]:
    """Every mention in each file, with the files in which it is defined."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for path in snapshot.paths:
        record = snapshot.records[path]
        for index in range(len(record.occurrences)):
            name = record.names[record.occurrences.name[index]]
            where = snapshot.definitions(Place(path, record.occurrences.start[index]))
            if name not in ("pkg", "deep"):
                found.setdefault(path, []).append((name, [at.path for at in where]))
    return found
