"""Candidates: what may stand at a place, and the import that comes with it."""

from __future__ import annotations

from engram_context.completion.candidates import Candidate
from engram_context.edits import apply
from fixture import parse_fixture


def candidates_of(source: str) -> dict[str, Candidate]:
    fixture = parse_fixture(source)
    return {one.name: one for one in fixture.snapshot().candidates(fixture.cursor)}


def check_members(source: str, *expected: str) -> None:
    """Exactly these, in this order."""
    assert tuple(candidates_of(source)) == expected


def after_import(source: str, name: str) -> str:
    """The file of the cursor once the candidate's import is made."""
    fixture = parse_fixture(source)
    (found,) = (one for one in fixture.snapshot().candidates(fixture.cursor) if one.name == name)
    assert found.origin == "auto-import"
    assert found.import_edit is not None
    text = fixture.text(fixture.cursor.path)
    assert text is not None
    return apply(text, [found.import_edit]).decode()


def test_after_a_dot_stand_the_members_of_the_receiver() -> None:
    check_members(
        """
        class Base:
            limit = 3
            def run(self): ...
            def __init__(self): self._own = 1
        class Own(Base):
            def more(self): ...
        own = Own()
        own.$0
        """,
        "limit", "more", "run", "_own", "__init__",
    )  # fmt: skip


def test_members_are_offered_in_the_midst_of_unfinished_code() -> None:
    check_members(
        """
        class A:
            def first(self): ...
            def go(self):
                if self.$0
                other = 1
        """,
        "first", "go",
    )  # fmt: skip
    check_members(
        """
        class A:
            def first(self): ...
        def f(a: A):
            print(a.fi$0, 1
        """,
        "first",
    )


def test_members_of_a_module_are_its_names_and_submodules() -> None:
    check_members(
        """
        -- app.py --
        import pack
        pack.$0
        -- pack/__init__.py --
        from .part import helper
        VALUE = 1
        -- pack/part.py --
        def helper(): ...
        """,
        "VALUE", "helper", "part",
    )  # fmt: skip


def test_an_unknown_receiver_has_no_members() -> None:
    check_members("def f(x): x.$0")
    check_members("def f(x):\n    y = x + x\n    y.$0")


def test_in_a_from_import_stand_the_names_of_the_module() -> None:
    source = """
        -- app.py --
        from util import {}$0
        -- util.py --
        def greet(): ...
        def _hidden(): ...
        class Thing: ...
    """
    check_members(source.replace("{}", ""), "Thing", "greet", "_hidden")
    check_members(source.replace("{}", "Thing, gr"), "greet", "_hidden")
    check_members(source.replace("{}", "(\n            Thing,\n            "), "greet", "_hidden")


def test_in_an_import_stand_modules() -> None:
    source = """
        -- app.py --
        {}$0
        -- pack/__init__.py --
        -- pack/sub/__init__.py --
        -- pack/sub/leaf.py --
        -- other.py --
    """
    assert {"pack", "other", "app"} <= set(candidates_of(source.replace("{}", "import ")))
    assert {"pack", "other"} <= set(candidates_of(source.replace("{}", "from pa")))
    check_members(source.replace("{}", "import other, pack.sub."), "leaf")
    check_members(source.replace("{}", "from pack."), "sub")
    check_members(source.replace("{}", "from pack "), "import")


def test_a_relative_import_offers_what_lies_beside_the_file() -> None:
    check_members(
        """
        -- pack/a.py --
        from .$0
        -- pack/__init__.py --
        -- pack/b.py --
        """,
        "a", "b",
    )  # fmt: skip


def test_names_in_sight_are_offered_with_their_origin() -> None:
    found = candidates_of("""
        -- app.py --
        from util import greet
        LIMIT = 1
        class A:
            hidden = 1
            def f(self, amount):
                for item in amount:
                    $0
        -- util.py --
        def greet(name): ...
    """)
    assert {
        name: found[name].origin for name in ("item", "amount", "self", "LIMIT", "greet", "A", "print", "while")
    } == {
        "item": "local",
        "amount": "local",
        "self": "local",
        "LIMIT": "module",
        "A": "module",
        "greet": "import",
        "print": "builtin",
        "while": "keyword",
    }
    assert found["greet"].detail == "def greet(name)"
    assert "hidden" not in found
    assert "_" not in found


def test_a_star_import_puts_names_in_sight() -> None:
    found = candidates_of("""
        -- app.py --
        from util import *
        $0
        -- util.py --
        def greet(): ...
        def _hidden(): ...
    """)
    assert found["greet"].origin == "import"
    assert "_hidden" not in found


def test_strings_and_comments_are_left_alone() -> None:
    check_members("x = 'a$0b'")
    check_members("# a$0")
    check_members('"""\n a$0\n"""')
    assert candidates_of("name = 1\nx = f'{na$0}'")["name"].origin == "module"
    assert candidates_of("name = 1\nx = 'a' + $0")["name"].origin == "module"


UTIL = "        -- util.py --\n        def greet(): ...\n"


def test_a_name_from_another_module_comes_with_its_import() -> None:
    source = '        -- app.py --\n        """Doc."""\n\n        gre$0\n' + UTIL
    assert after_import(source, "greet") == '"""Doc."""\n\nfrom util import greet\n\ngre\n'


def test_an_import_goes_to_its_sorted_place() -> None:
    source = """
        -- app.py --
        from __future__ import annotations

        import os
        from alpha import a
        from zeta import z

        gre$0\n"""
    assert after_import(source + UTIL, "greet") == (
        "from __future__ import annotations\n\nimport os\nfrom alpha import a\nfrom util import greet\n"
        "from zeta import z\n\ngre\n"
    )


def test_an_import_joins_one_of_the_same_module() -> None:
    source = """
        -- app.py --
        from util import alpha, zeta

        gre$0
        -- util.py --
        def greet(): ...
        alpha = zeta = 1
    """
    assert after_import(source, "greet") == "from util import alpha, greet, zeta\n\ngre\n"


def test_an_import_comes_after_future_imports_and_comments_at_the_top() -> None:
    assert after_import(
        "        -- app.py --\n        from __future__ import annotations\n\n        gre$0\n" + UTIL, "greet"
    ) == ("from __future__ import annotations\n\nfrom util import greet\n\ngre\n")
    assert after_import("        -- app.py --\n        #!/usr/bin/env python\n        gre$0\n" + UTIL, "greet") == (
        "#!/usr/bin/env python\nfrom util import greet\ngre\n"
    )


def test_a_reexport_is_preferred_to_the_module_inside() -> None:
    found = candidates_of("""
        -- app.py --
        gre$0
        -- pack/__init__.py --
        from .inner import greet
        -- pack/inner.py --
        def greet(): ...
    """)
    assert found["greet"].detail == "pack"
