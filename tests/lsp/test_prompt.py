"""Prompts as the model is trained on them, and excerpts that stay put while one types."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from engram_context.memory.excerpts import Excerpt
from engram_context.project import Project
from engram_context.text import Span, Text
from engram_lsp.predictor import Predictor, Query
from engram_lsp.prompt import Limits, Pieces, Prompts, beginning, chosen, window
from engram_runtime import fim
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer

TOKENIZER = Tokenizer.read(default_model() / "tokenizer.json")


def excerpt(name: str, size: int = 10) -> Excerpt:
    text = f"{name} = 1\n".ljust(size - 1, "#") + "\n"
    return Excerpt(f"{name}.py", Span(0, len(text)), text[-size:], "")


def test_excerpts_come_before_the_document_each_with_the_line_that_names_its_file() -> None:
    text = Text.of("b = 2\n")
    around = window(text, 6, Limits())
    encode = TOKENIZER.encode
    own = fim.prompt(TOKENIZER, encode("b = 2\n"), encode(""), encode("# own.py\n"), "spm")
    first, second = excerpt("x"), excerpt("y")
    expected = [token for one in (first, second) for token in (TOKENIZER.begin, *encode(f"# {one.path}\n" + one.text))]
    prompts = Prompts(TOKENIZER)
    assert list(prompts.of("own.py", around, (first, second))) == [*expected, *own]
    assert list(prompts.of("own.py", around)) == own


def test_what_is_shown_stays_first_and_in_order_while_it_is_among_the_good_ones() -> None:
    a, b, c, d = (excerpt(name) for name in "abcd")
    assert chosen((), (a, b, c), 25) == (b, a)
    assert chosen((b, a), (c, a, b), 20) == (b, a)
    assert chosen((b, a), (c, a, d), 30) == (a, d, c)
    assert chosen((b, a), (), 30) == ()


def test_no_more_is_chosen_than_there_is_room_for() -> None:
    large, small = excerpt("large", 90), excerpt("small", 12)
    assert chosen((), (large, small), 50) == (small,)


class Later:
    """A background that does what it was given when it is told to."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.work.append(work)

    def now(self) -> None:
        while self.work:
            self.work.pop(0)()


def test_excerpts_change_only_when_the_window_moves() -> None:
    later = Later()
    pieces = Pieces(later)
    a, b = excerpt("a"), excerpt("b")
    assert pieces.of("doc", 0, 10, lambda: (a,)) == ()
    later.now()
    for _ in range(3):
        assert pieces.of("doc", 0, 10, lambda: (b,)) == (a,)
        later.now()
    # Those found meanwhile are shown with the next window; what they are to be for the one after is looked for then.
    assert pieces.of("doc", 700, 10, lambda: (a,)) == (b,)
    assert pieces.of("doc", 700, 10, lambda: (a,)) == (b,)
    later.now()
    assert pieces.of("doc", 1400, 10, lambda: (a,)) == (a,)


def test_a_document_that_was_forgotten_or_another_one_begins_anew() -> None:
    later = Later()
    pieces = Pieces(later)
    a = excerpt("a")
    pieces.of("doc", 0, 10, lambda: (a,))
    later.now()
    assert pieces.of("doc", 0, 10, lambda: (a,)) == (a,)
    assert pieces.of("other", 0, 10, lambda: (a,)) == ()
    pieces.forget("doc")
    assert pieces.of("doc", 0, 10, lambda: (a,)) == ()


def test_without_room_nothing_is_looked_for() -> None:
    later = Later()
    assert Pieces(later).of("doc", 0, 0, lambda: (excerpt("a"),)) == ()
    assert later.work == []


def test_typing_a_line_extends_a_prompt_with_excerpts_at_its_end_alone() -> None:
    predictor = Predictor(TOKENIZER, None)
    shown = (excerpt("helper", 60), excerpt("other", 60))
    before, line = "import os\n\n\ndef f(path):\n", "    return os.path.join(path, name)"
    prompts: list[tuple[int, ...]] = []
    for end in range(4, len(line), 5):
        text = Text.of(before + line[:end] + "\n\nprint(1)\n")
        assert beginning(text, len(before) + end, Limits()) == 0
        prompts.append(predictor.prompt(Query("app.py", text, len(before) + end, 0, excerpts=shown)))
    for earlier, later in pairwise(prompts):
        shared = next((i for i, (a, b) in enumerate(zip(earlier, later, strict=False)) if a != b), len(earlier))
        assert shared >= len(earlier) - 2


@pytest.mark.parametrize("secret", [".env.py", "ignored.py"])
def test_excerpts_are_never_of_the_file_itself_nor_of_one_that_the_project_leaves_out(
    tmp_path: Path, secret: str
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / ".gitignore").write_text("ignored.py\n.env.py\n")
    (root / secret).write_text("token_of_service = load_service('s3cret')\n")
    (root / "other.py").write_text("token_of_service = load_service('other')\n")
    (root / "own.py").write_text("value = token_of_service\nload_service(\n")
    project = Project(root, cache_folder=tmp_path / "cache")
    project.apply(project.load())
    found = project.excerpts("own.py", 46, 4000)
    assert [one.path for one in found] == ["other.py"]
    project.close_project()
