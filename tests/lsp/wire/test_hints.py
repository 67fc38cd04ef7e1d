"""Hints of model and memory come unasked once a document rests, and go with what they are about."""

from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client
from wire_support import Start, age

pytestmark = pytest.mark.wire

RIGHT = """class Connection:
    def __init__(self, host, port, timeout=10.0):
        self.host = host
        self.port = port
        self.timeout = timeout
"""
WRONG = RIGHT.replace("= timeout", "= port")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "net.py").write_text(RIGHT, encoding="utf-8")
    age(root)
    return root


def published(client: Client, uri: str, code: str) -> dict[str, Any]:
    """The next problems of a document among which is one of a code."""
    return client.expect(
        "textDocument/publishDiagnostics",
        lambda params: params["uri"] == uri and any(item["code"] == code for item in params["diagnostics"]),
    )


def test_a_name_that_was_not_meant_is_hinted_at_with_the_one_that_was(start: Start, project: Path) -> None:
    client = start(project, editor="eglot", settings={"diagnostics.debounceMs": 20})
    uri = client.open(project / "net.py", WRONG)
    (hint,) = published(client, uri, "misused-variable")["diagnostics"]
    assert (hint["severity"], hint["range"]["start"]) == (4, {"line": 4, "character": 23})
    actions = client.request(
        "textDocument/codeAction",
        {"textDocument": {"uri": uri}, "range": hint["range"], "context": {"diagnostics": [hint]}},
    )
    assert "Change to 'timeout'" in [action["title"] for action in actions]
    version = client.change(uri, RIGHT)
    shown = client.expect("textDocument/publishDiagnostics", lambda params: params["version"] == version)
    assert shown["diagnostics"] == []
