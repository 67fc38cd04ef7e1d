"""Files that give a folder of sources its name: package.json, go.mod, Cargo.toml.

Their records say the name and nothing else, so that the index of names finds the folder of a package that is imported.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engram_context.builder import RecordBuilder
from engram_context.records import FileRecord
from engram_context.text import Text

if TYPE_CHECKING:
    from engram_context.languages.resolving import Names

FILES = {"package.json": "npm-package", "go.mod": "go-module", "Cargo.toml": "cargo-package"}
MANIFESTS = frozenset(FILES.values())
_NAMES = {
    "npm-package": re.compile(rb'"name"\s*:\s*"([^"\\\x00-\x1f]+)"'),
    "go-module": re.compile(rb'^module[ \t]+"?([^\s"]+)', re.MULTILINE),
    "cargo-package": re.compile(rb'^\[package\][^\[]*?^name[ \t]*=[ \t]*"([\w-]+)"', re.MULTILINE),
}


def read_manifest(text: Text, language: str) -> FileRecord:
    """A record that mentions the package's name, as imports spell it."""
    builder = RecordBuilder(text, language)
    builder.add_scope("module", 0, len(text), -1)
    found = _NAMES[language].search(text.data)
    if found is not None and b"\0" not in found[1]:
        name = found[1].replace(b"-", b"_") if language == "cargo-package" else found[1]
        builder.names.setdefault(name, 0)
    return builder.finish(())


def folders_of(names: Names, package: str, language: str) -> list[str]:
    """The folders that are a package of this name, "" for the root."""
    found = [path for path in names.snapshot.files_naming(package) if names.record(path).language == language]
    return [path.rpartition("/")[0] for path in found]
