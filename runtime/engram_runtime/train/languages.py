"""What tells the corpus's languages apart: their endings and comments, and how tests and generated files are named."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

_SCRIPT: Final[Mapping[str, str]] = {
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    **dict.fromkeys((".ts", ".tsx", ".mts", ".cts"), "typescript"),
}
ENDINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "python": {".py": "python"},
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "go": {".go": "go"},
    "rust": {".rs": "rust"},
    "java": {".java": "java"},
    "c": dict.fromkeys((".c", ".h"), "c"),
    "c++": dict.fromkeys((".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".ipp"), "c++"),
}
"""By a package's language: which files of it are taken, and which language each of them is in."""

_TEST_NAMES: Final = re.compile(
    r"^(test|tests|testing)\.\w+$|^test[-_]|[-_.](test|tests|spec|unittest|unittests)\.(\w+)$|"
    r"[a-z0-9](Test|Tests|TestCase|TestBase|IT)\.java$|^(bench|benches|benchmark)\.\w+$|[-_](bench|benchmark)\.\w+$"
)
_TEST_FOLDERS: Final = frozenset(
    {"__tests__", "__mocks__", "__fixtures__", "spec", "specs", "e2e", "fixtures", "unittest", "unittests", "testsuite"}
    | {"integration", "test-utils", "testutil", "testutils", "bench", "benches", "benchmark", "benchmarks", "fuzz"}
    | {"fuzzing", "fuzzers", "oss-fuzz", "regress", "src-test", "jmh", "perf", "androidTest", "gtest", "gmock"}
)
_BUNDLED_FOLDERS: Final = frozenset(
    {"3rdparty", "3rd_party", "third-party", "deps", "subprojects", "submodules", "bundled", "bower_components"}
    | {"jspm_packages", "dist", "umd", "vendors", "Godeps", "_workspace", "extlib", "extlibs", "external_libs"}
)
_GENERATED_NAMES: Final = re.compile(
    r"([.-]min|[.-]bundle|\.umd|\.iife)\.[cm]?js$|\.pb(\.\w+)?\.(go|cc|h)$|\.pb-c\.[ch]$|_(grpc|string|enumer)\.go$|"
    r"^zz_generated|[._-](gen|generated|autogen)\.\w+$|^bindata\.go$|^(lex\.\w+|y\.tab|.*[._]tab)\.[ch]$|"
    r"^moc_|^ui_.*\.h$|^qrc_|^config\.h$|^(package|module)-info\.java$"
)


def comment_marks(path: str) -> tuple[str, ...]:
    """What a line of this file begins with when it is nothing but comment."""
    return ("#",) if path.endswith(".py") else ("//", "/*", "* ", "*/")


def is_comment(line: str, marks: tuple[str, ...]) -> bool:
    """Whether a stripped line is nothing but comment."""
    return line.startswith(marks) or (line == "*" and "*/" in marks)


def is_test_elsewhere(path: PurePosixPath) -> bool:
    """Whether a file of a language other than Python is a test or a benchmark, beyond what its folders' names say."""
    return bool(_TEST_NAMES.search(path.name)) or not _TEST_FOLDERS.isdisjoint(path.parts[:-1])


def is_bundled(path: PurePosixPath) -> bool:
    """Whether a file of a language other than Python lies where other projects' code or build results are kept."""
    return not _BUNDLED_FOLDERS.isdisjoint(path.parts[:-1])


def has_generated_name(path: PurePosixPath) -> bool:
    return bool(_GENERATED_NAMES.search(path.name))
