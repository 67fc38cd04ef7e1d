"""A project that its user does not trust decides nothing of what runs."""

import json
from pathlib import Path
from typing import Any

from editor_support import Server
from editors.vscode.window import BAR, Window

# Without the option that trusts every folder.
OPTIONS = ()


def told(server: Server) -> list[dict[str, Any]]:
    """Every configuration that the server was given."""
    first = [message["params"]["initializationOptions"] for message in server.messages("initialize")]
    asked = {message["id"] for message in server.messages("workspace/configuration", sent_by="server")}
    answers = [message for message in server.messages(sent_by="client") if message.get("id") in asked]
    return first + [section for answer in answers for section in answer.get("result", [])]


def settings(project: Path, **values: str) -> None:
    (project / ".vscode").mkdir()
    named = {f"engram.{name.replace('_', '.')}": value for name, value in values.items()}
    (project / ".vscode" / "settings.json").write_text(json.dumps(named), encoding="utf-8")


def test_what_it_says_about_programs_is_not_followed(window: Window, server: Server) -> None:
    program, ran = window.folder / "program", window.folder / "ran"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    program.chmod(0o755)
    settings(
        window.folder,
        server_path=str(program),
        python_interpreter=str(program),
        trace_testCommand=str(program),
        inline_quietHours=["00:00-06:00"],
    )
    window.load("shop/stock.py")
    window.see(".squiggly-error")
    assert server.pids() and not ran.exists()
    assert str(program) not in json.dumps(told(server))
    # What runs nothing is followed.
    assert told(server)[-1]["inline"]["quietHours"] == ["00:00-06:00"]


def test_once_it_is_trusted_its_test_command_counts(window: Window, server: Server) -> None:
    settings(window.folder, trace_testCommand="python -m pytest {test}")
    window.load("shop/stock.py")
    assert "testCommand" not in json.dumps(told(server))
    window.command("Workspaces: Manage Workspace Trust")
    window.see(".workspace-trust-editor .monaco-button", "Trust").click()
    window.until(lambda: "python -m pytest {test}" in json.dumps(told(server)), "the test command to be told")
    window.see(f"{BAR} .codicon-sparkle")
