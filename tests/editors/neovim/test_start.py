"""The server starts with the first file, says how far it is, comes back when it dies, and goes with the editor."""

from pathlib import Path

from editor_support import Server, until
from nvim import Start

WATCH = """
_G.seen = {}
vim.api.nvim_create_autocmd("User", { pattern = "EngramStatus", callback = function(event)
  table.insert(seen, { event.data.state, require("engram").statusline() })
end })
_G.progress = {}
vim.api.nvim_create_autocmd("LspProgress", { callback = function(event)
  table.insert(progress, event.data.params.value.kind)
end })
vim.o.laststatus = 2
vim.o.statusline = "%f [%{v:lua.require'engram'.statusline()}]"
"""


def test_a_start_is_seen_in_the_status_line_and_as_progress(start: Start, server: Server, project: Path) -> None:
    nvim = start(project / "shop/cart.py", before=WATCH)
    nvim.ready()
    assert nvim.screen().split("\n")[-2] == "shop/cart.py [engram]"
    seen = nvim.lua("return seen")
    assert "reading" in [state for state, _ in seen] and seen[-1] == ["ready", "engram"]
    assert any(line.startswith("engram ") and line.endswith("%") for _, line in seen)
    nvim.until(lambda: "end" in nvim.lua("return progress"), "the end of the progress")
    assert nvim.lua("return progress")[0] == "begin"
    assert nvim.lua("return require('engram').status()")["files"] > 100
    nvim.command("enew")
    assert nvim.lua("return require('engram').statusline()") == ""


def test_nothing_is_left_when_the_editor_is_gone(start: Start, server: Server, project: Path) -> None:
    nvim = start(project / "shop/cart.py")
    nvim.until_lua("return require('engram').status() ~= nil", "the server to talk")
    assert len(server.processes()) >= 2
    assert nvim.quit() == 0
    until(lambda: not server.processes(), "the server to leave", 15)
    assert server.messages("shutdown")


def test_a_killed_server_comes_back_with_its_memory(start: Start, server: Server, project: Path) -> None:
    nvim = start(project / "shop/cart.py", project / "shop/stock.py")
    nvim.edit(project / "shop/stock.py")
    nvim.ready()
    server.kill()
    nvim.until(lambda: len(server.pids()) == 2, "another start")
    nvim.until_lua("return require('engram').status() ~= nil", "the second server to talk")
    status = nvim.run("engram.status", True)
    (folder,) = status["folders"]
    assert folder["fromStore"] == folder["files"] > 100
    buffers = nvim.lua(
        "return vim.tbl_map(vim.fs.basename, vim.tbl_map(vim.api.nvim_buf_get_name, "
        "vim.tbl_keys(vim.lsp.get_clients({ name = 'engram' })[1].attached_buffers)))"
    )
    assert sorted(buffers) == ["cart.py", "stock.py"]
    assert "the server ended and is started again" in nvim.messages()


def test_restart(start: Start, server: Server, project: Path) -> None:
    nvim = start(project / "shop/cart.py")
    nvim.ready()
    nvim.command("Engram restart")
    nvim.until(lambda: len(server.pids()) == 2, "another start")
    nvim.ready()
    assert nvim.lua("return #vim.lsp.get_clients()") == 1
    assert "ended" not in nvim.messages()
    until(lambda: len([p for p in server.processes() if p.pid in server.pids()]) == 1, "the first server to leave")


def test_a_server_that_cannot_start_is_not_tried_for_ever(start: Start, project: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho >> $0.log\nexit 3\n")
    broken.chmod(0o755)
    nvim = start(
        project / "shop/cart.py", init=f'vim.o.cmdheight = 16 require("engram").setup({{ cmd = {{ "{broken}" }} }})'
    )
    nvim.until(lambda: "four times in three minutes" in nvim.messages(), "it to give up")
    assert len(Path(f"{broken}.log").read_text().splitlines()) == 4
