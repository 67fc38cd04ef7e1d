"""VS Code's own server in a network namespace of its own, and Chromium looking at it from within."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editors.installing.vscode import Code

ADDRESS = "127.0.0.1:8000"
# A busy machine with two cores needs some of this for the first start.
PATIENCE = 90

# What would ask, announce or move something while a test types.
QUIET = {
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.enableExperiments": False,
    "workbench.tips.enabled": False,
    "workbench.layoutControl.enabled": False,
    "window.commandCenter": False,
    "chat.disableAIFeatures": True,
    "git.enabled": False,
    "editor.minimap.enabled": False,
    "editor.accessibilitySupport": "off",
    "files.autoSave": "off",
}
CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True)
class Host:
    """A running VS Code server with one profile."""

    process: subprocess.Popen[str]
    profile: Path

    def set(self, server: Path, settings: Mapping[str, Any] | None = None) -> None:
        """The settings from now on; open windows follow. Where the server is, is a matter of the machine, not of the user."""
        self._write("User", {**QUIET, **(settings or {})})
        self._write("Machine", {"engram.server.path": str(server)})

    def _write(self, whose: str, settings: Mapping[str, Any]) -> None:
        file = self.profile / "data" / whose / "settings.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(settings), encoding="utf-8")
        fresh.replace(file)


@contextmanager
def running(code: Code, offline: tuple[str, ...], profile: Path, *options: str) -> Iterator[Host]:
    """VS Code with our extension as users install it, until the end of the block; then nothing of it runs any more."""
    serve = [str(code.node), str(code.server), "--server-data-dir", str(profile)]
    serve += ["--extensions-dir", str(profile / "extensions"), "--accept-server-license-terms"]
    installed = subprocess.run(
        [*offline, *serve, "--install-extension", str(code.extension)], capture_output=True, text=True
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    host, port = ADDRESS.split(":")
    listen = ("--host", host, "--port", port, "--without-connection-token", "--telemetry-level", "off")
    process = subprocess.Popen(
        [*offline, *serve, *listen, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        _wait_until_it_listens(process)
        yield Host(process, profile)
    finally:
        # Its extension hosts outlive it otherwise.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_listens(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if re.search(r"agent listening on \d+", line):
            # Who writes to a full pipe waits for ever.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return
    raise AssertionError("VS Code's server ended: " + "".join(said))


@contextmanager
def browsing(code: Code, host: Host, folder: Path) -> Iterator[Any]:
    """A browser in the namespace of the server, as playwright's object; each of its contexts is a fresh one."""
    sys.path.append(str(code.python))
    from playwright.sync_api import sync_playwright

    inside = folder / "chromium"
    # Playwright talks to it over pipes, so it may be in another namespace than the tests are.
    rights = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    command = ["nsenter", "--target", str(host.process.pid), "--net", *rights, "--", str(code.chromium)]
    inside.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    inside.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=inside, args=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()
