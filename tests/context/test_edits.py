import pytest
from engram_context.edits import Edit, EditError, ProjectEdit, apply, newline_of, project_edit
from engram_context.text import Span, Text
from hypothesis import given
from hypothesis import strategies as st


def edit(start: int, end: int, new: str, annotation: str | None = None) -> Edit:
    return Edit(Span(start, end), new, annotation)


def test_edits_speak_of_the_text_as_it_was_in_any_order():
    text = Text.of("one two three")
    edits = [edit(8, 13, "drei"), edit(0, 3, "eins"), edit(4, 7, "")]
    assert apply(text, edits).data == b"eins  drei"


def test_insertions_at_one_place_keep_their_order_and_may_touch_a_replacement():
    text = Text.of("abc")
    assert apply(text, [edit(1, 1, "1"), edit(1, 1, "2"), edit(1, 2, "B"), edit(2, 2, "3")]).data == b"a12B3c"


@pytest.mark.parametrize("edits", [[(0, 3, "x"), (2, 4, "y")], [(0, 3, "x"), (1, 1, "y")], [(0, 1, ""), (0, 1, "")]])
def test_overlapping_edits_are_refused(edits: list[tuple[int, int, str]]):
    with pytest.raises(EditError, match="overlap"):
        apply(Text.of("abcdef"), [edit(*values) for values in edits])


@pytest.mark.parametrize("span", [(0, 4), (4, 5), (-1, 0), (2, 1)])
def test_edits_outside_the_text_are_refused(span: tuple[int, int]):
    with pytest.raises(EditError):
        apply(Text.of("abc"), [edit(*span, "x")])


@given(
    st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8), st.text(max_size=4)), max_size=6)
)
def test_bytes_outside_the_edits_stay_as_they_are(data: bytes, wishes: list[tuple[int, int, str]]):
    edits: list[Edit] = []
    reached = 0
    expected = b""
    for start, length, new in sorted(wishes):
        if start < reached or start + length > len(data):
            continue
        expected += data[reached:start] + new.encode("utf-8", "surrogatepass")
        reached = start + length
        edits.append(edit(start, reached, new))
    expected += data[reached:]
    assert apply(Text.of(data), edits).data == expected


def test_a_project_edit_is_sorted_and_says_each_thing_once_and_certain_wins():
    text = Text.of("a b")
    made = project_edit({"p.py": [edit(2, 3, "x"), edit(0, 1, "x", "a guess"), edit(0, 1, "x")]}, {"p.py": text})
    assert made == ProjectEdit({"p.py": (edit(0, 1, "x"), edit(2, 3, "x"))}, (), {"p.py": text.digest})
    assert len(made) == 2
    assert not made.needs_confirmation
    assert project_edit({"p.py": []}, {"p.py": text}).edits == {}


def test_the_certain_part_leaves_out_what_needs_confirmation():
    texts = {"p.py": Text.of("a b"), "q.py": Text.of("a")}
    made = project_edit({"p.py": [edit(0, 1, "x"), edit(2, 3, "x", "?")], "q.py": [edit(0, 1, "x", "?")]}, texts)
    assert made.needs_confirmation
    assert made.certain.edits == {"p.py": (edit(0, 1, "x"),)}
    assert set(made.certain.digests) == {"p.py"}
    assert {path: text.data for path, text in made.texts_after(texts).items()} == {"p.py": b"x x", "q.py": b"x"}


def test_edits_made_for_another_version_of_a_text_are_refused():
    made = project_edit({"p.py": [edit(0, 1, "x")]}, {"p.py": Text.of("a")})
    with pytest.raises(EditError, match=r"p\.py changed"):
        made.texts_after({"p.py": Text.of("b")})
    with pytest.raises(EditError, match=r"p\.py is gone"):
        made.texts_after({})


@pytest.mark.parametrize(
    ("source", "newline"),
    [("", "\n"), ("a", "\n"), ("a\nb\r\n", "\n"), ("a\r\nb\n", "\r\n"), ("a\rb", "\r"), ("\n", "\n")],
)
def test_new_lines_end_like_the_first_one(source: str, newline: str):
    assert newline_of(Text.of(source)) == newline
