"""Scenarios that run in VS Code's extension host, beside our extension: what it has to say through VS Code's own interface."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from editor_support import Server, until
from editors.vscode.running import ADDRESS, PATIENCE, Host
from wire_support import DATA

INSIDE = Path(__file__).parent / "inside"
# Only so does it run tests.
OPTIONS = ("--enable-smoke-test-driver", "--disable-workspace-trust")
RECORDED = DATA / "clients" / "vscode.json"
DEPOT = '''\
"""Where things lie."""


def pallet_weight(count: int) -> int:
    return 25 * count
'''


def run(browser: Any, server: Server, where: str, suite: str) -> list[str]:
    """Runs a suite in a new window; gives what it said of its scenarios."""
    page = browser.new_page()
    said: list[str] = []
    codes: list[int] = []
    page.expose_function("codeAutomationLog", lambda _, texts: said.append(" ".join(map(str, texts))))
    page.expose_function("codeAutomationExit", lambda code, *_: codes.append(code))
    here = f"vscode-remote://{ADDRESS}{INSIDE}"
    payload = [["extensionDevelopmentPath", here], ["extensionTestsPath", f"{here}/{suite}.js"]]
    page.goto(f"http://{ADDRESS}/?{where}&payload={quote(json.dumps(payload))}", wait_until="domcontentloaded")

    def ended() -> bool:
        page.wait_for_timeout(50)
        return bool(codes)

    try:
        until(ended, "the end of the suite", 180)
    finally:
        print(*said, sep="\n")
        page.close()
    until(lambda: not server.processes(), "the server to leave with its window", PATIENCE)
    assert codes == [0], "\n".join(line for line in said if "FAILED" in line)
    return [line for line in said if line.startswith("ok ")]


def test_one_folder(browser: Any, host: Host, project: Path, server: Server) -> None:
    host.set(server.path)
    assert run(browser, server, f"folder={quote(str(project))}", "one_folder")
    said = server.messages("initialize")[0]["params"]["capabilities"]
    if os.environ.get("UPDATE_CLIENTS"):
        RECORDED.write_text(json.dumps({"capabilities": said}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert said == json.loads(RECORDED.read_text(encoding="utf-8"))["capabilities"], (
        "UPDATE_CLIENTS=1 records them anew"
    )


def test_two_folders(browser: Any, host: Host, project: Path, server: Server, tmp_path: Path) -> None:
    depot = tmp_path / "depot"
    depot.mkdir()
    (depot / "depot.py").write_text(DEPOT, encoding="utf-8")
    both = tmp_path / "both.code-workspace"
    both.write_text(json.dumps({"folders": [{"path": str(project)}, {"path": str(depot)}]}), encoding="utf-8")
    host.set(server.path)
    assert run(browser, server, f"workspace={quote(str(both))}", "two_folders")
