"""What can be folded, as pairs of markers."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from engram_context.languages import language_of
from engram_context.project import Project
from engram_context.reader import parse
from engram_context.text import Text
from engram_context.views.folding import Fold, folds


def folded(source: str, path: str = "a.py", limit: int | None = None) -> list[str]:
    """Each fold like "1-3 comment", lines counted from 1."""
    text = Text.of(source)
    language = language_of(path) or ""
    tree = parse(text, language)
    assert tree is not None
    return [spelled(fold) for fold in folds(tree, text, limit)]


def spelled(fold: Fold) -> str:
    return f"{fold.start + 1}-{fold.end + 1} {fold.kind or ''}".strip()


def test_definitions_and_branches_fold_from_their_headers_on() -> None:
    source = "def f(a,\n      b):\n    if a:\n        x\n    elif b:\n        y\n    else:\n        z\n\nclass A:\n    x = 1\n"
    assert folded(source) == ["1-8", "3-4", "5-6", "7-8", "10-11"]


def test_loops_tries_and_matches_fold_by_their_parts() -> None:
    source = (
        "try:\n    a\nexcept E:\n    b\nfinally:\n    c\nmatch x:\n    case 1:\n        d\n    case _:\n        e\n"
    )
    assert folded(source) == ["1-2", "3-4", "5-6", "7-11", "8-9", "10-11"]


def test_brackets_leave_a_closing_line_to_be_seen() -> None:
    assert folded("x = [\n    1,\n    2,\n]\n") == ["1-3"]
    assert folded("x = {'a': 1,\n     'b': 2}\n") == ["1-2"]
    assert folded("f(g(\n    1,\n))\n") == ["1-2"]
    assert folded("x = (\n)\n") == []


def test_comments_strings_and_imports_have_their_kinds() -> None:
    assert folded("# a\n# b\n\n# alone\nx = 1  # c\n# d\n") == ["1-2 comment"]
    assert folded('"""Doc.\n\nMore."""\nx = """a\nb"""\n') == ["1-3 comment", "4-5"]
    assert folded("import a\n\n# why\nfrom b import (\n    c,\n)\nx = 1\nimport d\n") == ["1-6 imports", "4-5"]
    assert folded("if 1:\n    import a\n    import b\n") == ["1-3", "2-3 imports"]


def test_regions_nest() -> None:
    source = "# region One\nx = 1\n#region\ny = 1\n# endregion\n# endregion\n#endregion\n"
    assert folded(source) == ["1-6 region", "3-5 region"]


def test_decorators_fold_apart_from_what_they_decorate() -> None:
    assert folded("@d(\n    1,\n)\ndef f():\n    pass\n") == ["1-2", "4-5"]


def test_broken_and_empty_texts_fold_what_they_can() -> None:
    assert folded("") == []
    assert folded("def f(\n") == []
    assert folded("def f():\n    x\n  )\ndef g():\n    y\n")[-1] == "4-5"


def test_with_a_limit_the_widest_are_kept() -> None:
    source = "def f():\n    if a:\n        b\n    c\ndef g():\n    d\n"
    assert folded(source, limit=1) == ["1-4"]
    assert folded(source, limit=2) == ["1-4", "2-3"]


def test_real_code_folds_in_order_and_within_the_file() -> None:
    text = Text.of(Path(argparse.__file__).read_text(encoding="utf-8"))
    tree = parse(text, "python")
    assert tree is not None
    found = folds(tree, text)
    assert len(found) > 200
    assert [fold.start for fold in found] == sorted({fold.start for fold in found})
    assert all(0 <= fold.start < fold.end < text.line_count for fold in found)


def test_a_tree_that_is_edited_folds_like_one_that_is_parsed_anew(tmp_path: Path) -> None:
    project = Project(tmp_path, cache_folder=tmp_path / "cache")
    lines = Path(argparse.__file__).read_text(encoding="utf-8").splitlines()
    chance = random.Random(2)
    for _ in range(20):
        at = chance.randrange(len(lines))
        lines[at : at + chance.randrange(2)] = chance.choice(
            [["def f("], ["x = ["], ["    pass"], [")"], ["# a", "# b"], []]
        )
        text = Text.of("\n".join(lines))
        project.edit("a.py", text)
        edited, anew = project.tree("a.py", text), parse(text, "python")
        assert edited is not None and anew is not None
        assert folds(edited, text) == folds(anew, text)
    project.close_project()
