"""Names that may stand at a place, in every language."""

import pytest
from engram_context.completion.candidates import Candidates
from engram_context.text import Text
from fixture import parse_fixture


def offered(source: str) -> dict[str, str]:
    """The origin of each name that is offered at `$0`."""
    fixture = parse_fixture(source)
    return {found.name: found.origin for found in fixture.snapshot().candidates(fixture.cursor)}


@pytest.mark.parametrize(
    "source",
    [
        "-- a.ts --\nclass Box { size = 1; grow() {} }\nfunction f(box: Box) {\n  box.$0\n}\n",
        "-- a.ts --\nclass Box { size = 1; grow() { this.$0 } }\n",
        "-- a.go --\npackage a\ntype Box struct { size int }\nfunc (b *Box) grow() {}\nfunc f(b *Box) {\n\tb.$0\n}\n",
        "-- a.rs --\nstruct Box2 { size: u8 }\nimpl Box2 { fn grow(&self) {} }\nfn f(b: &Box2) {\n    b.$0\n}\n",
        "-- A.java --\nclass Box { int size; void grow() {} void f(Box b) {\n b.$0\n } }\n",
        "-- a.cpp --\nclass Box { int size; void grow(); };\nvoid f(Box *b) {\n  b->$0\n}\n",
    ],
)
def test_members_are_offered_where_the_class_is_known(source: str):
    found = offered(source)
    assert found["size"] == found["grow"] == "member"
    assert "f" not in found or found["f"] == "member"


@pytest.mark.parametrize(
    "source",
    [
        "-- a.ts --\nconst top = 1;\nfunction f(given: number) {\n  const near = 2;\n  $0\n}\n",
        "-- a.go --\npackage a\nvar top = 1\nfunc f(given int) {\n\tnear := 2\n\t$0\n}\n",
        "-- a.rs --\nconst top: u8 = 1;\nfn f(given: u8) {\n    let near = 2;\n    $0\n}\n",
        "-- A.java --\nclass A { int top; void f(int given) {\n int near = 2;\n $0\n } }\n",
        "-- a.c --\nint top;\nint f(int given) {\n  int near = 2;\n  $0\n}\n",
    ],
)
def test_names_in_scope_and_keywords_are_offered(source: str):
    found = offered(source)
    assert found["near"] == found["given"] == "local"
    assert found["top"] in ("module", "local")
    assert found["return"] == "keyword"


def test_a_name_is_not_offered_before_it_is_there():
    assert "later" not in offered("-- a.go --\npackage a\nfunc f() {\n\t$0\n\tlater := 1\n\t_ = later\n}\n")


def test_names_of_the_package_and_of_included_files_are_offered():
    assert "helper" in offered("-- a.go --\npackage a\nfunc f() {\n\t$0\n}\n-- b.go --\npackage a\nfunc helper() {}\n")
    assert "helper" in offered('-- a.c --\n#include "b.h"\nint f(void) {\n  $0\n}\n-- b.h --\nint helper(void);\n')


def test_exports_of_other_files_come_with_the_import_that_they_need():
    fixture = parse_fixture(
        "-- src/a.ts --\nimport { x } from '../x';\nfunction f() {\n  hel$0\n}\n-- lib/b.ts --\nexport function helper() {}\nfunction helping() {}\n"
    )
    found = {one.name: one for one in fixture.snapshot().candidates(fixture.cursor)}
    assert "helping" not in found
    edit = found["helper"].import_edit
    text = fixture.text("src/a.ts")
    assert edit is not None and text is not None
    assert edit.new_text == "\nimport { helper } from '../lib/b';"
    assert text.position(edit.span.start) == (0, 25)


def test_nothing_is_offered_in_strings_and_comments():
    assert offered("-- a.ts --\nconst near = 1; // $0\n") == {}
    assert offered("-- a.ts --\nconst near = 'a$0b';\n") == {}
    assert offered('-- a.go --\npackage a\nvar s = "x$0y"\n') == {}


def test_the_answers_while_a_word_grows_are_those_of_reading_anew():
    source = "-- a.ts --\nconst value = 1;\nfunction f(vast: number) {\n  $0\n}\n-- b.ts --\nexport const vault = 1;\n"
    fixture = parse_fixture(source)
    kept, files = Candidates(), dict(fixture.files)
    for typed in ("", "v", "va", "val"):
        offset = fixture.cursor.offset
        text = Text.of(files["a.ts"]).splice(offset, offset, typed.encode())
        grown = parse_fixture(f"-- a.ts --\n{text.decode()}-- b.ts --\n{files['b.ts']}")
        place = type(fixture.cursor)("a.ts", offset + len(typed))
        snapshot = grown.snapshot()
        assert kept.at(snapshot, place) == Candidates().at(snapshot, place)
