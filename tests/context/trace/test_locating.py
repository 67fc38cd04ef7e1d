"""Frames of other machines, and of yesterday, in the project of today."""

import random

import pytest
from engram_context.trace.locating import Locator, is_test
from engram_context.trace.values import Frame, LocatedFrame
from fixture import snapshot_of

CORE = """\
import os


class Store:
    def get(self, key):
        value = self.items[key]
        return value

    def put(self, key, value):
        self.items[key] = value
        return value


def get(store):
    return store.get("a")
"""
FILES = {
    "src/shop/core.py": CORE,
    "src/shop/__init__.py": "",
    "src/shop/web/utils.py": "def load():\n    return 1\n",
    "src/shop/db/utils.py": "def save():\n    return 2\n",
    "tests/test_core.py": "from shop.core import get\n\ndef test_get():\n    get(None)\n",
    "json/decoder.py": "def decode():\n    return 3\n",
    "web/app.ts": "export function run() {\n  return 1;\n}\n",
    "java/src/app/shop/Box.java": "package app.shop;\nclass Box {\n  int len() { return 1; }\n}\n",
    "java/src/app/other/Box.java": "package app.other;\nclass Box {\n  int len() { return 2; }\n}\n",
}
CODE = "value = self.items[key]"


def located(file: str, line: int = 6, function: str = "get", code: str = CODE, module: str = "") -> LocatedFrame:
    return Locator(snapshot_of(FILES)).frame(Frame(file, line, function, code, module=module))


@pytest.mark.parametrize(
    "file",
    [
        "src/shop/core.py",
        "shop/core.py",
        "./src/shop/core.py",
        "/home/runner/work/shop/shop/src/shop/core.py",
        "/usr/lib/python3/dist-packages/shop/core.py",
        "/opt/venv/lib/python3.12/site-packages/shop/core.py",
        "C:\\Users\\me\\shop\\src\\shop\\core.py",
        "D:/a/shop/src/shop/core.py",
        "/tmp/app.zip/shop/core.py",
        "/private/var/folders/x/shop/core.pyc",
    ],
)
def test_a_file_is_found_wherever_it_lay(file: str) -> None:
    found = located(file)
    assert (found.path, found.line, found.sureness) == ("src/shop/core.py", 6, "exact")


@pytest.mark.parametrize(
    "file",
    [
        "/usr/lib/python3.12/json/decoder.py",
        "/opt/venv/lib/python3.12/site-packages/other/core.py",
        "/opt/venv/lib/python3.12/site-packages/json/tool.py",
        "/srv/other/core.py",
        "<frozen importlib._bootstrap>",
        "<string>",
        "node:internal/modules/cjs/loader",
        "/srv/node_modules/lib/app.ts",
        "/rustc/0123456789abcdef/library/core/src/ops/function.rs",
        "",
    ],
)
def test_what_is_not_of_the_project_stays_outside(file: str) -> None:
    assert located(file, 3, "other", "pass").path is None


def test_of_files_of_one_name_the_one_with_the_longest_common_path_is_meant() -> None:
    assert located("/ci/build/shop/db/utils.py", 2, "save", "return 2").path == "src/shop/db/utils.py"


def test_where_only_the_name_agrees_the_function_decides() -> None:
    assert located("/elsewhere/utils.py", 1, "load", "return 1").path == "src/shop/web/utils.py"
    assert located("/elsewhere/utils.py", 1, "save", "return 2").path == "src/shop/db/utils.py"


def test_the_package_of_a_class_chooses_its_file() -> None:
    found = located("Box.java", 3, "len", "", "app.other.Box")
    assert (found.path, found.line, found.sureness) == ("java/src/app/other/Box.java", 3, "line")


def test_what_was_compiled_is_found_by_its_source() -> None:
    assert located("/srv/dist/web/app.js", 2, "run", "").path == "web/app.ts"


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        (6, CODE, (6, "exact")),
        (99, CODE, (6, "moved")),
        (1, "value=self.items[ key ]", (6, "moved")),
        (40, "value = self.items[name]", (6, "likely")),
        (7, "nothing like it is here at all", (7, "line")),
        (400, "nothing like it is here at all", (5, "file")),
    ],
)
def test_a_line_that_moved_is_found_by_its_code_in_its_function(
    line: int, code: str, expected: tuple[int, str]
) -> None:
    found = located("src/shop/core.py", line, "get", code)
    assert (found.line, found.sureness) == expected


def test_the_same_code_in_another_function_is_not_taken() -> None:
    found = located("src/shop/core.py", 7, "put", "return value")
    assert (found.line, found.sureness) == (11, "moved")


def test_a_line_of_a_module_is_in_no_function() -> None:
    found = located("src/shop/core.py", 1, "<module>", "import os")
    assert (found.sureness, found.function) == ("exact", -1)


def test_frames_know_their_function_and_whether_it_is_of_tests() -> None:
    snapshot = snapshot_of(FILES)
    found = Locator(snapshot).frame(Frame("tests/test_core.py", 4, "test_get", "get(None)"))
    assert found.test and snapshot.records["tests/test_core.py"].symbols[found.function].name == "test_get"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/helper.py", True), ("pkg/test_a.py", True), ("pkg/a_test.go", True), ("conftest.py", True),
        ("web/app.test.ts", True), ("src/test/java/BoxTests.java", True), ("pkg/testing.py", False),
        ("pkg/contest.py", False), ("latest/a.py", False),
    ],
)  # fmt: skip
def test_tests_are_known_by_their_names(path: str, expected: bool) -> None:
    assert is_test(path) is expected


@pytest.mark.parametrize("seed", range(20))
def test_wherever_lines_are_put_in_or_taken_out_their_code_is_found_again(seed: int) -> None:
    """Each line has a code of its own; whatever happens around it, its frame is found there."""
    rng = random.Random(seed)
    before = [f"def f{at // 4}():" if not at % 4 else f"    step{at} = {at}" for at in range(40)]
    after: list[str] = []
    for line in before:
        if line.startswith("def") or rng.random() < 0.8:
            after.append(line)
        if not line.startswith("def") and rng.random() < 0.4:
            after.append(f"    other{len(after)}()")
    locator = Locator(snapshot_of({"m.py": "\n".join(after) + "\n"}))
    for at, line in enumerate(before):
        if line in after and not line.startswith("def"):
            found = locator.frame(Frame("/srv/m.py", at + 1, f"f{at // 4}", line.strip()))
            assert (found.line, after[found.line - 1]) == (after.index(line) + 1, line)
            assert found.sureness == ("exact" if after.index(line) == at else "moved")
