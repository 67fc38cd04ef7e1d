"""`:Engram`, `:checkhealth engram` and clicks on code lenses."""

from editor_support import PRICES, position
from nvim import Neovim, Session

SETUP = "settings = { codeLens = { references = true } }"


def said(nvim: Neovim, text: str) -> None:
    nvim.until(lambda: text in nvim.messages(), f"{text!r} to be said")


def completed(nvim: Neovim, line: str) -> list[str]:
    return nvim.call("nvim_call_function", "getcompletion", [line, "cmdline"])


def test_the_status_is_shown_in_a_floating_window(clean: Session) -> None:
    nvim = clean.nvim
    nvim.command("Engram status")
    nvim.until(lambda: "engram-ls 0." in nvim.screen(), "the status")
    shown = nvim.screen()
    assert f"{clean.project}" in shown and "model: default on CPU" in shown and "watching for changes: events" in shown


def test_a_report_is_made_for_an_issue(clean: Session) -> None:
    nvim = clean.nvim
    nvim.command("Engram report")
    nvim.until_lua("return vim.api.nvim_buf_get_name(0) == 'engram://report'", "the report")
    text = nvim.text()
    assert text.startswith("#") and f"- Neovim {clean.version}" in text
    assert "looked_at" not in text  # nothing of the project's text
    nvim.keys("q")
    nvim.until_lua("return vim.api.nvim_buf_get_name(0) ~= 'engram://report'", "the page to close")


def test_why_a_file_is_known_or_not(clean: Session) -> None:
    nvim = clean.nvim
    (clean.project / ".gitignore").write_text("*.made.py\n", encoding="utf-8")
    (clean.project / "x.made.py").write_text("x = 1\n", encoding="utf-8")
    nvim.command("Engram why")
    said(nvim, "stock.py")
    made = (clean.project / "x.made.py").as_uri()
    nvim.until(lambda: ".gitignore" in nvim.run("engram.why", made)["text"], "the rule to be read")
    nvim.command("messages clear")
    nvim.command("Engram why x.made.py")
    said(nvim, ".gitignore")


def test_reading_is_paused_resumed_and_done_again(clean: Session) -> None:
    nvim = clean.nvim
    nvim.command("Engram pause")
    nvim.until_lua("return require('engram').statusline() == 'engram paused'", "the pause")
    nvim.command("Engram resume")
    nvim.ready()
    nvim.command("messages clear")
    nvim.command("Engram rebuild")
    said(nvim, "files are known")
    assert nvim.run("engram.status")["folders"][0]["fromStore"] == 0


def test_the_log_is_opened(clean: Session) -> None:
    clean.nvim.command("Engram log")
    assert clean.nvim.lua("return vim.fs.basename(vim.api.nvim_buf_get_name(0))") == "lsp.log"


def test_what_can_be_typed_is_completed(clean: Session) -> None:
    nvim = clean.nvim
    every = nvim.lua("local names = vim.tbl_keys(require('engram.commands').all) table.sort(names) return names")
    assert completed(nvim, "Engram ") == every
    assert completed(nvim, "Engram re") == ["rebuild", "rename-file", "report", "restart", "resume"]
    assert completed(nvim, "Engram toggle ") == ["automatic", "ghost-text", "inlay-hints"]
    assert completed(nvim, "Engram trace q") == ["quickfix"]
    assert completed(nvim, "Engram why shop/pr") == ["shop/prices.py"]
    assert completed(nvim, "Engram rename-file shop/stock.py shop/pr") == ["shop/prices.py"]
    assert completed(nvim, "Engram status x") == []


def test_what_is_no_subcommand_is_said(clean: Session) -> None:
    clean.nvim.keys(":Engram nonsense<CR>")
    said(clean.nvim, "no subcommand nonsense")


def test_without_a_server_that_is_said(clean: Session) -> None:
    nvim = clean.nvim
    nvim.lua("_G.get, vim.lsp.get_clients = vim.lsp.get_clients, function() return {} end")
    try:
        nvim.command("Engram status")
        said(nvim, "the server does not run")
    finally:
        nvim.lua("vim.lsp.get_clients = get")


def test_inlay_hints_are_toggled(clean: Session) -> None:
    nvim = clean.nvim
    assert not nvim.lua("return vim.lsp.inlay_hint.is_enabled()")
    nvim.command("Engram toggle inlay-hints")
    assert nvim.lua("return vim.lsp.inlay_hint.is_enabled()")
    nvim.command("Engram toggle inlay-hints")


def test_the_references_of_a_code_lens_become_a_quickfix_list(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/prices.py")
    nvim.ready()
    nvim.go(*position(PRICES, "def shown", "utf-8"))
    show = (
        "vim.lsp.codelens.enable(true, { bufnr = 0 })"
        if clean.version == "0.12"
        else "vim.lsp.codelens.refresh({ bufnr = 0 })"
    )
    nvim.lua(show)
    nvim.until(lambda: "4 references" in nvim.screen() or "3 references" in nvim.screen(), "the lens")
    nvim.lua("vim.lsp.codelens.run()")
    nvim.until_lua("return vim.bo.buftype == 'quickfix'", "the list")
    items = nvim.lua("return vim.fn.getqflist()")
    names = nvim.lua(
        "return vim.tbl_map(function(item) return vim.fs.basename(vim.fn.bufname(item.bufnr)) end, vim.fn.getqflist())"
    )
    assert {"cart.py", "orders.py"} <= set(names) and len(items) >= 3


def health(nvim: Neovim) -> str:
    nvim.command("checkhealth engram")
    nvim.until(lambda: "Neovim ~" in nvim.text() or "Neovim" in nvim.text(), "the report")
    return nvim.text()


def test_a_healthy_set_up(clean: Session) -> None:
    nvim = clean.nvim
    text = health(nvim)
    assert "engram-ls 0." in text and str(clean.server.path) in text
    assert "model: default on CPU" in text and "watching for changes: events" in text
    assert "none that does what engram-ls does" in text
    assert ("ghost text can be shown" in text) == (clean.version == "0.12")
    assert ("it comes with Neovim 0.12" in text) == (clean.version == "0.11")
    assert "ERROR" not in text


def test_another_server_that_does_the_same_is_named(clean: Session) -> None:
    nvim = clean.nvim
    nvim.lua(
        """
        local function cmd(dispatchers)
          local closing = false
          return {
            request = function(method, _, callback)
              if method == "initialize" then
                callback(nil, { capabilities = { diagnosticProvider = { interFileDependencies = true, workspaceDiagnostics = false } } })
              end
              return true, 1
            end,
            notify = function() return true end,
            is_closing = function() return closing end,
            terminate = function() closing = true dispatchers.on_exit(0, 15) end,
          }
        end
        _G.other = vim.lsp.start({ name = "otherls", cmd = cmd, root_dir = vim.fn.getcwd() })
        """
    )
    nvim.until_lua("return vim.lsp.get_client_by_id(other).initialized == true", "the other server")
    try:
        assert "otherls answers textDocument/diagnostic as well" in health(nvim)
    finally:
        nvim.lua("vim.lsp.get_client_by_id(other):stop(true)")


def test_a_server_that_is_not_there(clean: Session) -> None:
    nvim = clean.nvim
    nvim.lua("_G.cmd = vim.lsp.config.engram.cmd vim.lsp.config('engram', { cmd = { 'no-such-program', 'serve' } })")
    try:
        text = health(nvim)
        assert "no-such-program is not found" in text and "pipx install engram-ls" in text
    finally:
        nvim.lua("vim.lsp.config('engram', { cmd = cmd })")
