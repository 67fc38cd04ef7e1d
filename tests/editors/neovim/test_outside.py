"""What happens to the project outside Neovim, which does not watch files on Linux: the server does so itself."""

from pathlib import Path

from editor_support import COUPONS, git
from nvim import Session

SYMBOLS = """
    local client = vim.lsp.get_clients({ name = "engram" })[1]
    local answer = client:request_sync("workspace/symbol", { query = (...) }, 30000)
    return vim.tbl_map(function(symbol) return symbol.name end, answer.result or {})
"""


def test_another_branch_is_absorbed_and_left_again(clean: Session) -> None:
    nvim = clean.nvim
    watched = [m for m in clean.server.messages("client/registerCapability") if "didChangeWatchedFiles" in str(m)]
    assert not watched  # nothing was asked of Neovim
    assert nvim.lua(SYMBOLS, "redeem_coupon") == []
    git(clean.project, "checkout", "--quiet", "other")
    nvim.until(lambda: nvim.lua(SYMBOLS, "redeem_coupon") == ["redeem_coupon"], "the other branch")
    nvim.edit(clean.project / "shop/coupons.py")
    assert nvim.text() == COUPONS
    nvim.command("bwipeout")
    git(clean.project, "checkout", "--quiet", "main")
    nvim.until(lambda: nvim.lua(SYMBOLS, "redeem_coupon") == [], "the first branch")


def test_an_open_file_that_changes_on_disk_is_read_again(clean: Session) -> None:
    nvim = clean.nvim
    path = clean.project / "shop/stock.py"
    nvim.until_lua("return #vim.diagnostic.get(0) == 1", "the problem")
    path.write_text("import time\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    nvim.command("checktime")
    nvim.until_lua("return #vim.diagnostic.get(0) == 0", "no problem")


def test_no_file_text_is_in_neovims_log(clean: Session) -> None:
    log = clean.nvim.lua("return vim.lsp.log.get_filename()")
    assert "looked_at" not in Path(log).read_text(encoding="utf-8")
