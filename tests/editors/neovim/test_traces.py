"""From a stack trace to a fix: found where the user has it, shown first, applied when they say so."""

import pytest
from editor_support import MAIN, REPAIRED, STOCK, TRACE
from nvim import Neovim, Session

PAGE = "return vim.api.nvim_buf_get_name(0) == 'engram://trace'"


def trace_of(session: Session) -> list[str]:
    return TRACE.format(root=session.project).splitlines()


def page(nvim: Neovim) -> str:
    nvim.until_lua(PAGE, "the page with the trace")
    return nvim.text()


def asked(nvim: Neovim) -> bool:
    """Whether a question is waiting for an answer by one key."""
    return nvim.mode()["mode"] == "r?"


def from_clipboard(session: Session) -> None:
    session.nvim.lua("vim.fn.setreg('\"', (...))", trace_of(session))
    session.nvim.command("Engram trace")


def from_register(session: Session) -> None:
    session.nvim.lua("vim.fn.setreg('q', (...))", trace_of(session))
    session.nvim.command("Engram trace q")


def from_range(session: Session) -> None:
    nvim = session.nvim
    nvim.command("enew")
    nvim.call("nvim_buf_set_lines", 0, 0, -1, False, ["nothing", *trace_of(session), "nothing"])
    nvim.command("2,$-1Engram trace")


def from_selection(session: Session) -> None:
    nvim = session.nvim
    nvim.command("enew")
    nvim.call("nvim_buf_set_lines", 0, 0, -1, False, ["nothing", *trace_of(session)])
    nvim.command("xmap gt <Plug>(engram-trace)")
    nvim.keys("2GVGgt")


def from_quickfix(session: Session) -> None:
    session.nvim.lua("vim.fn.setqflist({}, ' ', { lines = (...) })", trace_of(session))
    session.nvim.command("Engram trace quickfix")


def from_understood_quickfix(session: Session) -> None:
    """As an 'errorformat' for tracebacks leaves it: places have been taken out of the text."""
    error = trace_of(session)[-1]
    items = [
        {"text": "FAILED"},
        {"filename": str(session.project / "shop/__main__.py"), "lnum": 6, "text": ""},
        {"filename": str(session.project / "shop/stock.py"), "lnum": 5, "text": f"\n{error}"},
    ]
    session.nvim.lua("vim.fn.setqflist({}, ' ', { items = (...) })", items)
    assert session.nvim.lua("return vim.iter(vim.fn.getqflist()):any(function(item) return item.valid == 1 end)")
    session.nvim.command("Engram trace quickfix")


def from_terminal(session: Session) -> None:
    nvim = session.nvim
    (session.project / "trace.txt").write_text("\n".join(trace_of(session)), encoding="utf-8")
    nvim.command("terminal cat trace.txt")
    nvim.until(lambda: "NameError" in nvim.text(), "the output")
    nvim.command("Engram trace")


def from_another_terminal(session: Session) -> None:
    from_terminal(session)
    page(session.nvim)
    session.nvim.keys("q")
    session.nvim.edit(session.project / "shop/cart.py")
    session.nvim.command("Engram trace terminal")


def from_buffer(session: Session) -> None:
    (session.project / "trace.txt").write_text("\n".join(trace_of(session)), encoding="utf-8")
    session.nvim.edit(session.project / "trace.txt")
    session.nvim.command("Engram trace buffer")


@pytest.mark.parametrize(
    "source",
    [
        from_clipboard,
        from_register,
        from_range,
        from_selection,
        from_quickfix,
        from_understood_quickfix,
        from_terminal,
        from_another_terminal,
        from_buffer,
    ],
)
def test_a_trace_is_found_where_it_is(clean: Session, source) -> None:
    source(clean)
    shown = page(clean.nvim)
    assert shown.startswith("NameError: name 'time' is not defined")
    assert "shop/stock.py:5 remaining" in shown
    assert "+import time" in shown.splitlines()


def test_a_fix_is_shown_and_applied_only_after_a_yes(clean: Session) -> None:
    nvim = clean.nvim
    from_clipboard(clean)
    shown = page(nvim)
    assert "--- shop/stock.py\n+++ shop/stock.py\n@@ " in shown
    stock = nvim.lua("return vim.fn.bufnr('shop/stock.py')")
    for answer in ("n", "<CR>", "<Esc>"):
        nvim.keys("gg/^Fix 1<CR>a")
        nvim.until(lambda: asked(nvim), "the question")
        nvim.keys(answer)
        nvim.until(lambda: not asked(nvim), "the end of the question")
        assert nvim.text(stock) == STOCK and nvim.lua(PAGE)
    nvim.keys("gg/^Fix 1<CR>a")
    nvim.until(lambda: asked(nvim), "the question")
    nvim.keys("y")
    nvim.until(lambda: REPAIRED in nvim.text(stock), "the fix")
    assert sorted(nvim.text(stock).replace(REPAIRED, "", 1).split("\n")) == sorted(
        [*STOCK.split("\n"), ""][: nvim.text(stock).count("\n")]
    )
    assert (clean.project / "shop/stock.py").read_text(encoding="utf-8") == STOCK
    assert not nvim.lua(PAGE)
    nvim.command("buffer shop/stock.py | undo")
    assert nvim.text() == STOCK


def test_a_fix_for_another_text_is_not_applied(clean: Session) -> None:
    nvim = clean.nvim
    from_clipboard(clean)
    page(nvim)
    stock = nvim.lua("return vim.fn.bufnr('shop/stock.py')")
    nvim.call("nvim_buf_set_lines", stock, 0, 0, False, ["# new"])
    nvim.keys("/^Fix 1<CR>a")
    nvim.until(lambda: "the text has changed since" in nvim.messages(), "a word about it")
    assert nvim.text(stock) == "# new\n" + STOCK


def test_a_file_that_is_not_open_is_fixed_too(clean: Session) -> None:
    nvim = clean.nvim
    nvim.command("%bwipeout!")
    nvim.edit(clean.project / "shop/cart.py")
    nvim.ready()
    from_clipboard(clean)
    page(nvim)
    nvim.keys("/^Fix 1<CR>a")
    nvim.until(lambda: asked(nvim), "the question")
    nvim.keys("y")
    nvim.until(lambda: not asked(nvim) and not nvim.lua(PAGE), "the end of the question")
    nvim.command("buffer shop/stock.py")
    assert REPAIRED in nvim.text() and nvim.lua("return vim.bo.buflisted and vim.bo.modified")


def test_the_suspects_are_gone_to_listed_and_cleared(clean: Session) -> None:
    nvim = clean.nvim
    nvim.command("Engram trace-clear")
    nvim.command("Engram suspects")
    assert "there are no suspects" in nvim.messages()
    from_clipboard(clean)
    page(nvim)
    marked = "return #vim.tbl_filter(function(found) return found.source == 'engram trace' end, vim.diagnostic.get())"
    nvim.until(lambda: nvim.lua(marked) >= 1, "suspects as diagnostics")
    nvim.keys("/shop.stock.py:5<CR><CR>")
    nvim.until_lua("return vim.api.nvim_buf_get_name(0):match('shop/stock.py$') ~= nil", "the suspect's file")
    assert nvim.call("nvim_win_get_cursor", 0)[0] == 5
    nvim.command("Engram suspects")
    items = nvim.lua("return vim.fn.getqflist()")
    assert items[0]["lnum"] == 5 and items[0]["text"].startswith("remaining: ")
    assert nvim.lua("return vim.bo.buftype") == "quickfix"
    nvim.command("Engram trace-clear")
    nvim.until(lambda: nvim.lua(marked) == 0, "no suspects")
    nvim.command("cclose | messages clear")
    nvim.command("Engram suspects")
    assert "there are no suspects" in nvim.messages()


def test_a_text_without_a_trace(clean: Session) -> None:
    nvim = clean.nvim
    nvim.lua("vim.fn.setreg('q', (...))", MAIN)
    nvim.command("Engram trace q")
    nvim.until(lambda: "no stack trace was found" in nvim.messages(), "a word about it")
    assert not nvim.lua(PAGE)
