"""Our server beside ruff's on one buffer, with the settings that the documentation says."""

import json
import sys
from pathlib import Path

from docs_support import DOCS, blocks
from editor_support import Server
from nvim import Start

RUFF = Path(sys.executable).with_name("ruff")
TEXT = "import json\n\nfrom shop.prices import Price, with_tax\n\nprint(with_tax(Price(1)), unknown)\n"
FOUND = """
return vim.tbl_map(function(found) return found.source .. ": " .. found.code end, vim.diagnostic.get(0))
"""
BOTH = """
vim.lsp.config("ruff", { cmd = { "%s", "server" }, filetypes = { "python" }, root_markers = { "pyproject.toml" } })
vim.lsp.enable("ruff")
require("engram").setup({ cmd = { "%s", "serve" } })
"""


def advised() -> dict[str, object]:
    """The settings for beside ruff, without the name of the section."""
    page = (DOCS / "how-to/several-servers.md").read_text(encoding="utf-8")
    found = [json.loads(block.text) for block in blocks(page) if block.language == "json"]
    (settings,) = [each for each in found if "engram.diagnostics.severity" in each]
    return {name.removeprefix("engram."): value for name, value in settings.items()}


def test_nothing_is_told_twice(start: Start, server: Server, project: Path) -> None:
    (project / "shop/till.py").write_text(TEXT, encoding="utf-8")
    nvim = start(project / "shop/till.py", init=BOTH % (RUFF, server.path))
    nvim.ready()
    edit = "Go<Esc>"  # 0.11 has asked before everything was read, and asks again after an edit only
    nvim.keys(edit)
    ours, theirs = {"engram: missing-argument"}, {"Ruff: F401", "Ruff: F821"}
    same = {"engram: unused-import", "engram: undefined-name"}
    nvim.until(lambda: set(nvim.lua(FOUND)) >= ours | theirs | same, "the problems of both")
    nvim.lua("require('engram').change(vim.json.decode((...)))", json.dumps(advised()))
    nvim.keys(edit)
    nvim.until(lambda: set(nvim.lua(FOUND)) == ours | theirs, "what ruff says as well to go")
