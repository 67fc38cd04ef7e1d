"""Fixes for what a trace shows: which repairs are found, which is best, and when nothing is proposed."""

from __future__ import annotations

import difflib
import re

import pytest
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.text import Span
from engram_context.trace.fixes import Proposal, candidates, proposals
from engram_context.trace.repairs.ranking import confidences
from engram_context.trace.repairs.trouble import trouble_of
from engram_context.trace.suspects import suspects
from engram_context.trace.values import Frame, Suspect, Trace

from tests.fixture import Fixture, parse_fixture

_DEF = re.compile(r"^( *)(?:async )?def (\w+)", re.MULTILINE)


def traced(fixture: Fixture, error: str, message: str, **more: object) -> Trace:
    """A trace whose frames are the lines of the marks 1, 2, ..., outermost first, and 0 the innermost."""
    frames: list[Frame] = []
    for number in [*sorted(fixture.marks)[1:], 0]:
        place = fixture.marks[number]
        text = fixture.text(place.path)
        assert text is not None
        line = text.line_of(place.offset)
        above = [match[2] for match in _DEF.finditer(text.data[: text.line_start(line)].decode())]
        code = text.slice(text.line_span(line)).strip()
        frames.append(Frame(place.path, line + 1, above[-1] if above else "<module>", code))
    return Trace("python", error, message, tuple(frames), **more)  # type: ignore[arg-type]


def proposed(source: str, error: str, message: str) -> tuple[Fixture, tuple[Proposal, ...]]:
    fixture = parse_fixture(source)
    snapshot = fixture.snapshot()
    trace = traced(fixture, error, message)
    found = suspects(snapshot, trace)
    return fixture, proposals(snapshot, trace, found, Environment.standard())


def changed_lines(fixture: Fixture, proposal: Proposal) -> list[str]:
    texts = {path: text for path in proposal.edit.edits if (text := fixture.text(path)) is not None}
    found: list[str] = []
    for path, after in proposal.edit.texts_after(texts).items():
        lines = difflib.ndiff(texts[path].decode().splitlines(), after.decode().splitlines())
        found += [line[2:].strip() for line in lines if line.startswith("+ ") and line[2:].strip()]
    return found


def check_best(source: str, error: str, message: str, *lines: str, within: int = 3) -> None:
    """One of the first proposals has exactly these new lines."""
    fixture, found = proposed(source, error, message)
    assert list(lines) in [changed_lines(fixture, one) for one in found[:within]]


# --- what is found --------------------------------------------------------------------------------------


def test_an_attribute_that_is_not_there_becomes_the_one_that_is() -> None:
    check_best(
        """
        class Shelf:
            def __init__(self):
                self.books = []

            def add(self, book):
                self.books.append(book)

            def names(self):
                return [book.name for book in self.books]

            def count(self):
                return len(self.$0book)
        """,
        "AttributeError",
        "'Shelf' object has no attribute 'book'",
        "return len(self.books)",
        within=1,
    )


def test_what_a_file_lost_is_renamed_where_it_is_still_called() -> None:
    check_best(
        """
        -- shop.py --
        import stock

        def order(name):
            return stock.$0fetch_item(name)
        -- stock.py --
        def fetch_items(name):
            return [name]
        """,
        "AttributeError",
        "module 'stock' has no attribute 'fetch_item'",
        "return stock.fetch_items(name)",
    )


def test_a_missing_import_is_the_one_that_other_files_have() -> None:
    check_best(
        """
        -- a.py --
        from tools import shape

        def run():
            return shape(1)
        -- b.py --
        def go():
            return $0shape(2)
        -- tools.py --
        def shape(x):
            return x
        """,
        "NameError",
        "name 'shape' is not defined",
        "from tools import shape",
        within=1,
    )


def test_a_module_that_was_not_imported_is() -> None:
    check_best(
        """
        def now():
            return $0time.time()
        """,
        "NameError",
        "name 'time' is not defined",
        "import time",
    )


def test_a_key_that_is_not_there_becomes_the_one_that_is() -> None:
    check_best(
        """
        def load():
            return {"name": 1, "size": 2}

        def show(data):
            return data["$0names"]

        def other(data):
            return data["name"]
        """,
        "KeyError",
        "'names'",
        'return data["name"]',
    )


def test_an_argument_too_many_goes() -> None:
    check_best(
        """
        def area(width, height):
            return width * height

        def main(w, h):
            return $0area(w, h, None)
        """,
        "TypeError",
        "area() takes 2 positional arguments but 3 were given",
        "return area(w, h)",
    )


def test_an_argument_that_lacks_comes() -> None:
    check_best(
        """
        def area(width, height):
            return width * height

        def main(width, height):
            return $0area(width)
        """,
        "TypeError",
        "area() missing 1 required positional argument: 'height'",
        "return area(width, height)",
    )


def test_a_keyword_gets_the_name_of_the_parameter() -> None:
    check_best(
        """
        def draw(colour=None):
            return colour

        def main():
            return $0draw(colours=1)
        """,
        "TypeError",
        "draw() got an unexpected keyword argument 'colours'",
        "return draw(colour=1)",
    )


def test_a_forgotten_return_is_written() -> None:
    check_best(
        """
        def names(data):
            sorted(data)

        def main(data):
            for name in $0names(data):
                print(name)
        """,
        "TypeError",
        "'NoneType' object is not iterable",
        "return sorted(data)",
        within=5,
    )


def test_an_index_that_is_one_too_far_comes_nearer() -> None:
    check_best(
        """
        def last(items):
            return items[$0len(items)]
        """,
        "IndexError",
        "list index out of range",
        "return items[len(items) - 1]",
    )


def test_a_condition_the_wrong_way_round_is_turned() -> None:
    check_best(
        """
        def first(items):
            if items is not None:
                return []
            return $0items[0]
        """,
        "TypeError",
        "'NoneType' object is not subscriptable",
        "if items is None:",
        within=5,
    )


# --- when nothing is proposed ---------------------------------------------------------------------------

_PROGRAM = """
    -- app.py --
    import net

    def main(url):
        if url is not None:
            return net.$1fetch(url)
    -- net.py --
    import socket

    def fetch(url):
        for index in range(3):
            return socket.$0create_connection(url)
"""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("ConnectionRefusedError", "[Errno 111] Connection refused"),
        ("socket.gaierror", "[Errno -2] Name or service not known"),
        ("KeyboardInterrupt", ""),
        ("MemoryError", ""),
        ("requests.exceptions.ConnectionError", "HTTPSConnectionPool(host='x', port=443)"),
        ("TimeoutError", "timed out"),
    ],
)
def test_what_comes_from_outside_is_not_repaired(error: str, message: str) -> None:
    assert proposed(_PROGRAM, error, message)[1] == ()


def test_tests_are_not_changed() -> None:
    _, found = proposed(
        """
        -- test_app.py --
        from app import double

        def test_double():
            assert $1double(2) == 4 and len("ab") < 3
        -- app.py --
        def double(x):
            return $0x + x + 1
        """,
        "AssertionError",
        "assert 5 == 4",
    )
    assert found and {path for one in found for path in one.edit.edits} == {"app.py"}


def test_without_suspects_nothing_is_proposed() -> None:
    fixture = parse_fixture("x = $0 1\n")
    trace = traced(fixture, "ValueError", "no")
    assert proposals(fixture.snapshot(), trace, (), Environment.standard()) == ()


def test_a_proposal_that_nothing_verified_and_that_is_not_sure_is_not_shown() -> None:
    _, found = proposed(
        """
        def clip(x, low, high):
            if x < low:
                return low
            return $0min(x, high)
        """,
        "AssertionError",
        "assert 3 == 4",
    )
    assert found and not any(one.is_shown for one in found)


# --- what is true of all --------------------------------------------------------------------------------

_MANY = """
    class Table:
        def __init__(self, rows=None, width=2):
            self.rows = rows or []
            self.width = width
            self._cache = {"first": 0, "last": -1}

        def cell(self, row, column):
            if row < 0 or column >= self.width:
                return None
            key = self._cache.get("first")
            line = self.rows[row + 1]
            return line[column], key

        def show(self, *rows):
            for index in range(1, len(rows)):
                value, _ = self.cell(rows[index], column=index - 1)
                if not value and index in rows:
                    print($0value.name, index, sep="")
"""


def test_every_proposal_changes_something_and_parses() -> None:
    fixture, found = proposed(_MANY, "AttributeError", "'NoneType' object has no attribute 'name'")
    assert len(found) > 10
    text = fixture.text("main.py")
    assert text is not None
    for one in found:
        after = one.edit.texts_after({"main.py": text})["main.py"]
        assert after != text
        assert not read_record(after, "python").errors


def test_no_two_proposals_make_the_same_text() -> None:
    fixture, found = proposed(_MANY, "AttributeError", "'NoneType' object has no attribute 'name'")
    text = fixture.text("main.py")
    assert text is not None
    made = [one.edit.texts_after({"main.py": text})["main.py"].data for one in found]
    assert len(made) == len(set(made))


def test_confidences_are_chances_of_which_at_most_one_is_right() -> None:
    found = confidences([1.0, 0.0, -2.0], {})
    assert all(0 < one < 1 for one in found) and sum(found) < 1
    assert sorted(found, reverse=True) == found


def test_a_suspect_of_another_text_is_left_alone() -> None:
    fixture = parse_fixture("def f(x):\n    return $0x.y\n")
    snapshot = fixture.snapshot()
    suspect = Suspect("gone.py", "f", 0, Span(0, 10), (1,), 1.0, ())
    assert (
        candidates(snapshot, trouble_of(traced(fixture, "AttributeError", "")), (suspect,), Environment.standard())
        == []
    )


@pytest.mark.parametrize(
    ("error", "message", "kind", "name", "owner"),
    [
        ("AttributeError", "'A' object has no attribute 'b'", "attribute", "b", "A"),
        ("AttributeError", "type object 'A' has no attribute 'b'", "attribute", "b", "A"),
        ("AttributeError", "'NoneType' object has no attribute 'b'", "none", "b", ""),
        ("TypeError", "'NoneType' object is not iterable", "none", "", ""),
        ("TypeError", "cannot unpack non-iterable NoneType object", "none", "", ""),
        ("NameError", "name 'x' is not defined. Did you mean: 'y'?", "name", "x", ""),
        ("UnboundLocalError", "cannot access local variable 'x' where it is not associated", "unbound", "x", ""),
        ("ImportError", "cannot import name 'x' from 'a.b' (/a/b.py)", "import", "x", "a.b"),
        ("KeyError", "'x'", "key", "x", ""),
        ("KeyError", "3", "key", "", ""),
        ("IndexError", "list index out of range", "index", "", ""),
        ("TypeError", "A.f() missing 1 required positional argument: 'x'", "missing-argument", "x", "f"),
        ("TypeError", "f() takes 1 positional argument but 2 were given", "extra-argument", "", "f"),
        ("TypeError", "len() takes exactly one argument (2 given)", "extra-argument", "", "len"),
        ("TypeError", "len() takes exactly one argument (0 given)", "missing-argument", "", "len"),
        ("TypeError", "getattr expected at least 2 arguments, got 1", "missing-argument", "", "getattr"),
        ("TypeError", "f() got an unexpected keyword argument 'x'", "keyword", "x", "f"),
        ("ValueError", "not enough values to unpack (expected 2, got 1)", "unpack", "", ""),
        ("TypeError", "unsupported operand type(s) for +: 'int' and 'str'", "type", "", ""),
        ("AssertionError", "assert 1 == 2", "claim", "", ""),
        ("lib.errors.GlomError.wrap(NameError)", "name 'x' is not defined", "name", "x", ""),
        ("pkg.Refused", "no", "other", "", ""),
        ("KeyboardInterrupt", "", "outside", "", ""),
    ],
)
def test_messages_are_understood(error: str, message: str, kind: str, name: str, owner: str) -> None:
    found = trouble_of(Trace("python", error, message))
    assert (found.kind, found.name, found.owner) == (kind, name, owner)


def test_the_interpreters_own_idea_is_known() -> None:
    assert trouble_of(Trace("python", "NameError", "name 'x' is not defined. Did you mean: 'y'?")).hint == "y"


def test_an_error_of_its_own_is_explained_by_what_it_was_raised_from() -> None:
    inner = Trace("python", "KeyError", "'size'")
    assert trouble_of(Trace("python", "app.Bad", "no", others=(("cause", inner),))).name == "size"
