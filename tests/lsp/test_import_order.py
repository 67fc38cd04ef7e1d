"""Imports sorted as a project's own settings say: as isort sorts them that reads the settings itself."""

from pathlib import Path

import isort
import pytest
from engram_context.edits import apply
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from engram_lsp.import_order import settings_of
from engram_lsp.organize import organized

NAMES = ", ".join(f"some_rather_long_name_{number}" for number in range(9))
SOURCE = f"""import sys, os
from shop import till  # the till
from stock import {NAMES}
from a import b, c  # one
from a import d  # two
import requests
from billing import bills
from os import path, sep, linesep, getcwd, environ, fspath


def f():
    from z import y
    from x import {NAMES}
"""
EDITORS = "root = true\nmax_line_length = 20\n"
BLACK = "multi_line_output = 3\n"
SETTINGS = [
    (".editorconfig", EDITORS + "[*]\nmax_line_length = 100\n"),
    (".editorconfig", EDITORS + f"[*.py]\nmax_line_length = 60\nindent_style = space\nindent_size = 2\n{BLACK}"),
    (".editorconfig", EDITORS + f"[*]\nindent_style = tab\ntab_width = 2\nindent_size = tab\n{BLACK}"),
    (".editorconfig", f"[**.py]\nmax_line_length = 50\nindent_style = tab\n{BLACK}"),
    (".editorconfig", f"[*]\nindent_style = space\nmax_line_length = 30\n[*.{{js, py,pyi}}]\nmax_line_length = 120\n{BLACK}"),
    (".editorconfig", "[*]\nmax_line_length = 40\n[*.{js,ts}]\nmax_line_length = 120\n[*.md]\nmax_line_length = 9\n"),
    (".editorconfig", "# [about]\n\n[*]\nmax_line_length = 300\nprofile = black\nknown_first_party = stock\n"),
    (".editorconfig", "[*.py]\nmax_line_length = 9\n[*]\nmax_line_length = 99\nindent_size = 2\n"),
    (".isort.cfg", f"[settings]\ncomment_prefix = '   #'\nindent = '  '\n{BLACK}"),
    ("setup.cfg", f'[isort]\ncomment_prefix = " #"\nindent = "\t"\n{BLACK}'),
    ("tox.ini", f"[isort]\nindent = 3\n{BLACK}wrap_length = -1\nlines_after_imports = -1\n"),
    (".isort.cfg", f"[settings]\nindent = Tab\n{BLACK}force_grid_wrap = true\n"),
    (".isort.cfg", "[settings]\nprofile = black\nforce_grid_wrap = False\nline_length = 5000\n"),
    ("pyproject.toml", '[tool.isort]\nindent = "  "\nmulti_line_output = 3\ncomment_prefix = "    #"\n'),
    ("pyproject.toml", '[tool.isort]\nindent = "\'   \'"\nmulti_line_output = 3\nline_ending = "\\r\\n"\n'),
    ("pyproject.toml", '[tool.isort]\nindent = 2\nprofile = "black"\nforce_grid_wrap = true\n'),
    ("pyproject.toml", '[tool.isort]\nindent = "tab"\nprofile = "black"\nline_length = -1\nwrap_length = -1\n'),
    ("pyproject.toml", '[tool.isort]\nindent = ""\nprofile = "black"\nimport_heading_stdlib = " Ours"\n'),
    ("pyproject.toml", '[tool.isort]\nprofile = "black"\nsrc_paths = ["packages/*/src"]\n'),
    ("pyproject.toml", '[tool.isort]\nprofile = "black"\nsrc_paths = ["packages/*", "pack*/b/src"]\n'),
    ("pyproject.toml", '[tool.isort]\nprofile = "black"\nsrc_paths = ["**/src"]\n'),
    ("pyproject.toml", '[tool.isort]\nprofile = "black"\nsrc_paths = ["packages/**/src"]\npy_version = 311\n'),
    ("setup.cfg", "[tool:isort]\nprofile = black\nsrc_paths = packages/a/src, lib\n"),
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for place in ("packages/a/src/stock", "packages/b/src/billing", "packages/c/shop"):
        (root / place).mkdir(parents=True)
        (root / place / "__init__.py").touch()
    return root


def ours(root: Path, source: str) -> str:
    text = Text.of(source)
    edit = organized("a.py", text, Snapshot.empty(lambda _: None), root, ())
    return source if edit is None else apply(text, edit.edits["a.py"]).data.decode()


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_imports_are_sorted_as_isort_sorts_them(project: Path, name: str, settings: str) -> None:
    (project / name).write_text(settings)
    expected = isort.code(SOURCE, config=isort.Config(settings_file=str(project / name)))
    assert ours(project, SOURCE) == expected
    assert expected != isort.code(SOURCE, config=isort.Config(directory=str(project)))


def test_no_limit_for_editors_is_none_here(project: Path) -> None:
    """isort means that too, but cannot read it."""
    (project / ".editorconfig").write_text("[*]\nmax_line_length = off\n")
    assert f"from stock import {NAMES}\n" in ours(project, SOURCE)


def test_editors_settings_of_something_else_say_nothing(project: Path) -> None:
    (project / ".editorconfig").write_text(
        "[*]\ncharset = utf-8\n[*.md]\nmax_line_length = 20\n[Makefile]\nindent_style = tab\n"
    )
    assert settings_of(project) is None


@pytest.mark.parametrize("place", ["out", "out/*", "out/**", "*", "packages/*/../..", "**/secret", "../*", "/*"])
def test_sources_are_inside_the_project(project: Path, place: str) -> None:
    (project.parent / "elsewhere/secret").mkdir(parents=True)
    (project / "out").symlink_to(project.parent / "elsewhere")
    (project / "packages/*").mkdir()
    (project / "pyproject.toml").write_text(f'[tool.isort]\nsrc_paths = ["{place}"]\n')
    told = settings_of(project)
    assert told is not None
    assert set(told.get("src_paths", ())) <= {project / "packages"}


def test_many_folders_are_not_all_looked_at(project: Path) -> None:
    for number in range(400):
        (project / f"many/{number}/src").mkdir(parents=True)
    (project / "pyproject.toml").write_text('[tool.isort]\nsrc_paths = ["many/*/*", "**", "many/*/src"]\n')
    told = settings_of(project)
    assert told is not None
    assert 100 < len(told["src_paths"]) <= 300


@pytest.mark.parametrize("prefix", ["; import os", "\\n", "  x #", "#\\nimport os #"])
def test_a_comment_stays_one(project: Path, prefix: str) -> None:
    (project / "pyproject.toml").write_text(f'[tool.isort]\ncomment_prefix = "{prefix}"\n')
    assert "comment_prefix" not in (settings_of(project) or {})
