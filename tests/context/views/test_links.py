"""Addresses and files that a text names."""

from __future__ import annotations

from pathlib import Path

from engram_context.reader import parse
from engram_context.text import Text
from engram_context.views.links import links


def linked(source: str, *folders: Path) -> dict[str, str | Path]:
    text = Text.of(source)
    return {text.slice(link.span): link.target for link in links(parse(text, "python"), text, folders)}


def test_addresses_in_comments_and_strings_are_links() -> None:
    found = linked('# see https://a.example/x?y=1#z.\nx = "http://b.example/é"\n"""More: https://c.example, or"""\n')
    assert found == {
        "https://a.example/x?y=1#z": "https://a.example/x?y=1#z",
        "http://b.example/é": "http://b.example/é",
        "https://c.example": "https://c.example",
    }


def test_what_stands_around_an_address_is_no_part_of_it() -> None:
    assert set(linked("# (https://a.example/b_(c)), <https://d.example/>!\n")) == {
        "https://a.example/b_(c)", "https://d.example/",
    }  # fmt: skip
    assert linked("# https://\n") == {}
    assert linked("x = f'https://a.example/{x}'\n") == {"https://a.example/": "https://a.example/"}


def test_files_that_are_there_are_links(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.json").write_text("{}")
    (tmp_path / "setup.cfg").write_text("")
    source = "a = 'data/one.json', './setup.cfg', \"setup.cfg\", 'data', 'gone.json', '/etc/passwd', data/one.json\n"
    found = linked(source, tmp_path / "nowhere", tmp_path)
    assert found == {
        "data/one.json": (tmp_path / "data" / "one.json").resolve(),
        "./setup.cfg": (tmp_path / "setup.cfg").resolve(),
        "setup.cfg": (tmp_path / "setup.cfg").resolve(),
    }


def test_a_text_without_a_tree_is_looked_at_as_a_whole() -> None:
    text = Text.of("go to https://a.example now")
    (found,) = links(None, text)
    assert found.target == "https://a.example"
