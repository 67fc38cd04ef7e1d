"""`__all__`: entries that are wrong, twice there or missing."""

from collections.abc import Callable

import pytest
from engram_context.edits import apply
from engram_context.findings import Finding
from engram_context.text import Text

Check = Callable[..., list[tuple[str, str, str]]]
AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]

SHAPES = """
-- app.py --
from shapes import height
-- shapes.py --
__all__ = {entries}
def area(): ...
def length(): ...
class Width: ...
def height(): ...
"""


def test_the_one_public_definition_that_is_not_listed_and_that_others_import_is_missing(check: Check):
    source = SHAPES.format(entries="['area', 'length', 'Width']")
    assert check(source, "missing-export") == [("shapes.py", "missing-export", "height")]


@pytest.mark.parametrize(
    "source",
    [
        SHAPES.format(entries="['area', 'length', 'Width', 'height']"),
        SHAPES.format(entries="['area', 'length']"),
        SHAPES.format(entries="['area', 'length', 'Width']").replace("import height", "import area"),
        SHAPES.format(entries="['area', 'length', 'Width']").replace("app.py", "test_app.py"),
        SHAPES.format(entries="['area', 'length', 'Width']") + "height()\n",
        SHAPES.format(entries="['area', 'length', 'Width'] + other.__all__"),
        SHAPES.format(entries="['area', 'length', 'Width']").replace("height", "_height"),
    ],
)
def test_what_is_listed_private_or_nobody_elses_business_is_let_be(check: Check, source: str):
    assert check(source, "missing-export") == []


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("['Width', 'area', 'length']", "['Width', 'area', 'height', 'length']"),
        ("['area', 'length', 'Width']", "['area', 'height', 'length', 'Width']"),
        ("('length', 'area', 'Width')", "('length', 'area', 'Width', 'height')"),
        (
            '[\n    "length",\n    "area",\n    "Width",\n]',
            '[\n    "length",\n    "area",\n    "Width",\n    "height",\n]',
        ),
        (
            '[\n    "Width",\n    "area",\n    "length",\n]',
            '[\n    "Width",\n    "area",\n    "height",\n    "length",\n]',
        ),
    ],
)
def test_the_fix_puts_the_name_where_it_belongs(all_findings: AllFindings, entries: str, expected: str):
    head = "-- app.py --\nfrom shapes import height\n-- shapes.py --\n"
    body = "def area(): ...\ndef length(): ...\nclass Width: ...\ndef height(): ...\n"
    source = f"__all__ = {entries}\n{body}"
    (found,) = [one for one in all_findings(head + source)["shapes.py"] if one.code == "missing-export"]
    after = apply(Text.of(source), found.fixes[0].edit.edits["shapes.py"]).decode()
    assert after == f"__all__ = {expected}\n{body}"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("['a', 'b', 'a']", "['a', 'b']"),
        ("('a', 'a', 'b')", "('a', 'b')"),
        ("[\n    'a',\n    'b',\n    'a',\n]", "[\n    'a',\n    'b',\n]"),
    ],
)
def test_an_entry_that_is_there_twice_can_be_removed(all_findings: AllFindings, entries: str, expected: str):
    source = f"__all__ = {entries}\na = b = 1\n"
    (found,) = [one for one in all_findings(source)["main.py"] if one.code == "duplicate-export"]
    assert (found.severity, found.fixes[0].is_safe) == ("hint", True)
    assert apply(Text.of(source), found.fixes[0].edit.edits["main.py"]).decode() == f"__all__ = {expected}\na = b = 1\n"


def test_displays_that_are_chosen_between_may_both_list_a_name(check: Check):
    source = "if x:\n    __all__ = ['a']\nelse:\n    __all__ = ['a', 'b']\na = b = 1\n"
    assert check(source, "duplicate-export") == []


def test_an_entry_that_is_not_defined_can_be_corrected_or_removed(all_findings: AllFindings):
    source = "__all__ = ['heigth', 'area']\ndef height(): ...\ndef area(): ...\n"
    (found,) = [one for one in all_findings(source)["main.py"] if one.code == "undefined-export"]
    assert [fix.title for fix in found.fixes] == ["Change to 'height'", "Remove 'heigth' from __all__"]
    after = [apply(Text.of(source), fix.edit.edits["main.py"]).decode().splitlines()[0] for fix in found.fixes]
    assert after == ["__all__ = ['height', 'area']", "__all__ = ['area']"]
