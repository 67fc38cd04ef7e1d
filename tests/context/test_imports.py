"""Modules: from dotted names to files, and back."""

from __future__ import annotations

import pytest
from engram_context.imports import Module, ModuleMap


def modules(*paths: str) -> ModuleMap:
    return ModuleMap().after(paths, ())


PROJECT = modules(
    "setup.py",
    "src/app/__init__.py",
    "src/app/core.py",
    "src/app/data/table.json",
    "src/space/tool.py",
    "lib2/other/__init__.py",
    "lib2/other/deep/__init__.py",
    "lib2/other/deep/leaf.py",
    "tests/support.py",
    "tests/unit/test_core.py",
    "stubs/native.pyi",
    "json/__init__.py",
    "tools/types.py",
    "tools/run.py",
)


@pytest.mark.parametrize(
    ("importer", "module", "level", "path"),
    [
        ("setup.py", "app", 0, "src/app/__init__.py"),
        ("setup.py", "app.core", 0, "src/app/core.py"),
        ("setup.py", "app.none", 0, None),
        ("setup.py", "app.core.name", 0, None),
        ("setup.py", "space.tool", 0, "src/space/tool.py"),
        ("setup.py", "space", 0, "src/space/"),
        ("setup.py", "other.deep.leaf", 0, "lib2/other/deep/leaf.py"),
        ("setup.py", "tests.support", 0, "tests/support.py"),
        ("tests/unit/test_core.py", "support", 0, "tests/support.py"),
        ("setup.py", "native", 0, "stubs/native.pyi"),
        ("setup.py", "json", 0, "json/__init__.py"),
        ("setup.py", "types", 0, None),
        ("tools/run.py", "types", 0, "tools/types.py"),
        ("tests/unit/test_core.py", "types", 0, None),
        ("src/app/core.py", "", 1, "src/app/__init__.py"),
        ("src/app/__init__.py", "core", 1, "src/app/core.py"),
        ("lib2/other/deep/leaf.py", "deep.leaf", 2, "lib2/other/deep/leaf.py"),
        ("lib2/other/deep/leaf.py", "", 2, "lib2/other/__init__.py"),
        ("lib2/other/deep/__init__.py", "leaf", 1, "lib2/other/deep/leaf.py"),
        ("setup.py", "x", 9, None),
        ("setup.py", "", 1, "/"),
    ],
)
def test_an_import_is_found_where_the_interpreter_would_look(
    importer: str, module: str, level: int, path: str | None
) -> None:
    found = PROJECT.find(importer, module, level)
    assert (found.path if found else None) == path


@pytest.mark.parametrize(
    ("path", "dotted"),
    [
        ("src/app/core.py", "app.core"),
        ("src/app/__init__.py", "app"),
        ("src/space/tool.py", "space.tool"),
        ("lib2/other/deep/leaf.py", "other.deep.leaf"),
        ("lib2/other/deep/__init__.py", "other.deep"),
        ("tests/unit/test_core.py", "tests.unit.test_core"),
        ("setup.py", "setup"),
    ],
)
def test_a_file_is_imported_by_the_name_that_finds_it(path: str, dotted: str) -> None:
    assert PROJECT.dotted(path) == dotted
    found = PROJECT.find("setup.py", dotted)
    assert found == Module(path)


def test_submodules_are_the_modules_directly_inside() -> None:
    found = PROJECT.find("setup.py", "other")
    assert found is not None
    assert set(PROJECT.submodules(found)) == {"deep"}
    assert PROJECT.submodules(Module("src/app/core.py")) == {}


def test_files_that_come_and_go_leave_nothing_behind() -> None:
    there = PROJECT.after(["new/pack/__init__.py", "new/pack/a.py"], ["setup.py"])
    assert there.find("x.py", "pack.a") == Module("new/pack/a.py")
    back = there.after(["setup.py"], ["new/pack/__init__.py", "new/pack/a.py"])
    assert (set(back.files), dict(back.stems), dict(back.directories)) == (
        set(PROJECT.files),
        dict(PROJECT.stems),
        dict(PROJECT.directories),
    )
    assert PROJECT.after([], ["none.py"]) is PROJECT
