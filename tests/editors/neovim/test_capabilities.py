"""What Neovim with our plug-in says it can do: as the wire tests have it from the recording.

UPDATE_CLIENTS=1 records it anew.
"""

import json
import os
from pathlib import Path

import pytest
from editor_support import Server
from nvim import Start
from wire_support import DATA, capabilities

RECORDING = DATA / "clients" / "neovim.json"


def said(start: Start, server: Server, project: Path) -> dict[str, object]:
    nvim = start(project / "shop/stock.py")
    nvim.until(lambda: server.messages("initialize"), "the first message")
    return server.messages("initialize")[0]["params"]


@pytest.mark.parametrize("version", ["0.12"], indirect=True)
def test_the_recording_is_what_neovim_says(start: Start, server: Server, project: Path, version: str) -> None:
    params = said(start, server, project)
    assert params["clientInfo"]["name"] == "Neovim"
    if os.environ.get("UPDATE_CLIENTS"):
        recorded = {name: params[name] for name in ("capabilities", "clientInfo")}
        RECORDING.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    # Newer ones may be able to do more.
    assert missing(capabilities("neovim"), params["capabilities"]) == []


def test_both_versions_say_what_the_plug_in_adds(start: Start, server: Server, project: Path, version: str) -> None:
    found = said(start, server, project)["capabilities"]
    assert found["experimental"] == {"engram": {"status": True}}
    assert found["general"]["positionEncodings"][0] == "utf-8"
    assert ("inlineCompletion" in found["textDocument"]) == (version == "0.12")


def missing(wanted: object, found: object, path: str = "") -> list[str]:
    """Where `found` lacks something of `wanted`."""
    if isinstance(wanted, dict):
        absent = [f"{path}.{key}" for key in wanted if not (isinstance(found, dict) and key in found)]
        inner = [
            m
            for key in wanted
            if isinstance(found, dict) and key in found
            for m in missing(wanted[key], found[key], f"{path}.{key}")
        ]
        return absent + inner
    if isinstance(wanted, list):
        return [] if isinstance(found, list) and all(one in found for one in wanted) else [path]
    return [] if wanted == found else [path]
