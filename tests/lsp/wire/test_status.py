"""What the server says about itself: engram/status, engram.status, engram.why, engram.report."""

from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client
from wire_support import Start, capabilities, copy_packages


def run(client: Client, command: str, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": command, "arguments": list(arguments)})


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "cart.py").write_text("def canary_total():\n    return 1\n", encoding="utf-8")
    (root / "made.py").write_text("x = 1\n", encoding="utf-8")
    (root / "credentials.py").write_text("KEY = 1\n", encoding="utf-8")
    (root / ".env").write_text("KEY=1\n", encoding="utf-8")
    (root / ".gitignore").write_text("# made\nmade.py\n", encoding="utf-8")
    return root


def test_the_state_is_told_to_who_shows_it_as_it_changes(tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "json", "email")
    known = capabilities("vscode")
    assert known["experimental"]["engram"] == {"status": True}
    with Client(configuration={"index.cacheFolder": str(tmp_path / "cache"), "model.path": "none"}) as client:
        client.initialize(root, capabilities=known, name="vscode")
        ready = client.state(lambda said: said["state"] == "ready")
        assert ready["files"] == sum(path.is_file() for path in root.rglob("*")) and ready["percent"] is None
        assert ready["provider"] == "none" and "memory answers alone" in ready["model"]
        client.states.clear()
        run(client, "engram.pauseReading")
        assert "paused" in client.state(lambda said: said["state"] == "paused")["text"]
        client.states.clear()
        run(client, "engram.resumeReading")
        client.state(lambda said: said["state"] == "ready")
        (root / "json" / "more.py").write_text("x = 1\n", encoding="utf-8")
        client.state(lambda said: said["files"] == ready["files"] + 1)


def test_nobody_else_is_told(start: Start, shop: Path) -> None:
    client = start(shop, editor="eglot")
    assert run(client, "engram.status", True)["health"]["state"] == "ready"
    assert not client.states


def test_why_names_the_rule_that_decides(start: Start, shop: Path, tmp_path: Path) -> None:
    client = start(shop)
    said = {name: run(client, "engram.why", (shop / name).as_uri()) for name in ("cart.py", "made.py", ".env", "x.bin")}
    assert said["cart.py"]["indexed"] and said["cart.py"]["rule"] is None
    assert not said["made.py"]["indexed"] and said["made.py"]["rule"] == ".gitignore:2"
    assert not said[".env"]["indexed"] and "secret" in said[".env"]["text"]
    assert not said["x.bin"]["indexed"]
    private = run(client, "engram.why", (shop / "credentials.py").as_uri())
    assert private["indexed"] and private["namesOnly"] and "names only" in private["text"]
    for strange in ((tmp_path / "elsewhere.py").as_uri(), "untitled:Untitled-1", "", 7):
        answer = run(client, "engram.why", strange)
        assert not answer["indexed"] and "no folder of the workspace" in answer["text"]
    assert not run(client, "engram.why")["indexed"]


def test_the_report_says_how_things_are_and_nothing_of_the_code(start: Start, shop: Path) -> None:
    client = start(shop, settings={"inline.quietHours": ["22:00-07:00"]})
    text = run(client, "engram.report")
    assert "# engram-ls report" in text and "vscode" in text and "22:00-07:00" in text
    assert "/shop | 2 |" in text  # files: the two that belong to the project
    assert "canary_total" not in text and "cart.py" not in text
