"""The protocol's types are the same, whether they were finished at once or when they were first used."""

import subprocess
import sys

_DESCRIBE = """
import attrs, enum
from lsprotocol import converters, types
converter = converters.get_converter()
for name, found in sorted(types.ALL_TYPES_MAP.items()):
    if isinstance(found, type) and attrs.has(found):
        print(name, [(f.name, f.type, f.default, repr(f.validator).split(" at ")[0], f.kw_only, f.eq) for f in attrs.fields(found)])
        print([name for name in ("__eq__", "__lt__", "__hash__", "__repr__", "__str__") if name in found.__dict__])
place = types.Position(1, 2)
assert place == types.Position(1, 2) and place < types.Position(1, 3) and repr(place) == "1:2"
try:
    types.Position(-1, 2)
except ValueError as problem:
    print(problem)
params = {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 1, "character": 2}, "context": {"triggerKind": 1}}
structured = converter.structure(params, types.CompletionParams)
print(structured, converter.unstructure(structured))
"""


def described(before: str) -> str:
    done = subprocess.run([sys.executable, "-c", before + _DESCRIBE], capture_output=True, text=True, check=True)
    return done.stdout


def test_types_that_are_finished_late_have_the_same_fields_and_methods() -> None:
    late = "from engram_lsp import lazy_types; lazy_types.install()"
    assert described(late) == described("") != ""


def test_a_server_that_was_built_has_finished_few_of_them() -> None:
    script = """
from engram_lsp import lazy_types; lazy_types.install()
from engram_lsp.server import build_server
build_server()
from lsprotocol import types
classes = [found for found in types.ALL_TYPES_MAP.values() if isinstance(found, type)]
waiting = sum(isinstance(vars(found).get("__attrs_attrs__"), lazy_types._Fields) for found in classes)
print(waiting > 400)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_what_takes_long_to_import_waits_until_it_is_needed() -> None:
    script = """
from engram_lsp import lazy_types; lazy_types.install()
import engram_lsp.server, sys
print([name for name in ("onnxruntime", "engram_runtime.engine", "rich", "httpx", "torch", "engram_context.checks.catalogue") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
