"""Completing, problems, and renames of symbols, files and folders."""

from editor_support import CART, ORDERS, PRICES, STOCK, position
from nvim import Neovim, Session

BEFORE = "vim.o.completeopt = 'menuone,noselect,popup'\n"
# A busy machine may let the model take longer than a person would wait for.
SETUP = "completion = true, settings = { completion = { waitMs = 20000 } }"
PROBLEMS = "return vim.tbl_map(function(found) return found.code end, vim.diagnostic.get(0))"


def popup(nvim: Neovim) -> list[str]:
    return nvim.lua("return vim.tbl_map(function(item) return item.word end, vim.fn.complete_info({ 'items' }).items)")


def text_of(nvim: Neovim, session: Session, name: str) -> str:
    """What a file says in the editor."""
    buffer = nvim.lua("return vim.fn.bufnr((...))", str(session.project / name))
    return nvim.text(buffer) if buffer > 0 else ""


def test_a_completion_brings_its_import(clean: Session) -> None:
    nvim = clean.nvim
    nvim.keys("Goprice = with_ta<C-x><C-o>")
    nvim.until(lambda: "with_tax" in popup(nvim), "the list")
    assert "with_tax" in nvim.screen()
    nvim.keys("<C-n>" * (popup(nvim).index("with_tax") + 1) + "<C-y>")
    imported = "from shop.prices import with_tax"
    nvim.until(lambda: imported in nvim.text(), "the import")
    nvim.keys("<Esc>")
    assert nvim.text() == STOCK.replace("\n\n\ndef", f"\n\n{imported}\n\n\ndef", 1) + "price = with_tax\n"


def test_members_are_offered_behind_a_dot(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/orders.py")
    nvim.ready()
    nvim.keys("Goprices.")
    nvim.until(lambda: {"shown", "with_tax", "Price"} <= set(popup(nvim)), "the list")
    nvim.keys("<Esc>")


def test_a_whole_line_is_in_the_list_where_there_is_no_ghost_text(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/handlers.py")
    nvim.ready()
    nvim.command("normal! Godef handle_more(request: Request) -> None:")
    nvim.keys("ostarted = <C-x><C-o>")
    whole = "time.perf_counter()"
    nvim.until(lambda: popup(nvim), "the list")
    assert any(whole in word for word in popup(nvim)) == (clean.version == "0.11")
    nvim.keys("<Esc>")


def test_problems_appear_and_are_withdrawn(clean: Session) -> None:
    nvim = clean.nvim
    nvim.until(lambda: nvim.lua(PROBLEMS) == ["undefined-name"], "the problem")
    (found,) = nvim.lua("return vim.diagnostic.get(0)")
    line, column = position(STOCK, "time.time", "utf-8")
    assert (found["lnum"], found["col"], found["end_col"]) == (line, column, column + len("time"))
    assert "time" in found["message"] and found["source"] == "engram"
    nvim.go(1, 0)
    nvim.keys("iimport time<CR><Esc>")
    nvim.until(lambda: nvim.lua(PROBLEMS) == [], "no problem")
    nvim.keys("u")
    nvim.until(lambda: nvim.lua(PROBLEMS) == ["undefined-name"], "the problem again")


def test_a_problem_in_another_file_appears_as_soon_as_a_change_makes_it(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/prices.py")
    nvim.ready()
    nvim.go(*position(PRICES, "shown(", "utf-8"))
    nvim.keys("ciwprinted<Esc>")
    nvim.until(lambda: "unknown-import-name" in codes_of(nvim, clean, "shop/cart.py"), "the problem elsewhere")
    nvim.keys("u")
    nvim.until(lambda: "unknown-import-name" not in codes_of(nvim, clean, "shop/cart.py"), "it to be withdrawn")


def codes_of(nvim: Neovim, session: Session, name: str) -> list[str]:
    """The problems of a file, open or not."""
    asked = """
        local buffer = vim.fn.bufnr((...))
        local found = buffer > 0 and vim.diagnostic.get(buffer) or {}
        return vim.tbl_map(function(problem) return problem.code end, found)
    """
    return nvim.lua(asked, str(session.project / name))


def test_a_rename_reaches_all_files_and_is_undone(clean: Session) -> None:
    nvim = clean.nvim
    before = {"shop/prices.py": PRICES, "shop/cart.py": CART, "shop/orders.py": ORDERS}
    nvim.edit(clean.project / "shop/cart.py")
    nvim.ready()
    # Behind characters that take two UTF-16 units each.
    nvim.go(*position(CART, "with_tax", "utf-8", nth=2))
    nvim.keys(":lua vim.lsp.buf.rename()<CR>")
    nvim.until(lambda: nvim.mode()["mode"] == "c", "the question for the new name")
    nvim.keys("<C-u>taxed<CR>")
    for name, text in before.items():
        nvim.until(lambda name=name, text=text: text_of(nvim, clean, name) == text.replace("with_tax", "taxed"), name)
    for name in before:
        nvim.edit(clean.project / name)
        nvim.keys("u")
    for name, text in before.items():
        nvim.until(lambda name=name, text=text: text_of(nvim, clean, name) == text, f"{name} to be undone")


def test_the_right_characters_are_replaced_in_a_line_of_wide_ones(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/cart.py")
    nvim.ready()
    # The uses of `rate` in this function, one behind "🧾🧾" and "𝔣𝔯𝔢𝔢".
    nvim.go(*position(CART, "rate))", "utf-8"))
    nvim.lua("vim.lsp.buf.rename('percent')")
    head, tail = CART.split("    def lines")
    nvim.until(lambda: nvim.text() == f"{head}    def lines{tail.replace('rate', 'percent')}", "the rename")


def test_a_renamed_file_takes_its_importers_along(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/cart.py")
    nvim.edit(clean.project / "shop/prices.py")
    nvim.ready()
    nvim.command("Engram rename-file shop/costs.py")
    nvim.until_lua("return vim.api.nvim_buf_get_name(0):match('costs.py$') ~= nil", "the renamed buffer")
    assert not (clean.project / "shop/prices.py").exists()
    assert (clean.project / "shop/costs.py").read_text(encoding="utf-8") == PRICES
    cart, orders = CART.replace("shop.prices", "shop.costs"), ORDERS.replace("prices", "costs")
    orders = orders.replace("cart.costs", "cart.prices")
    assert text_of(nvim, clean, "shop/cart.py") == cart
    assert text_of(nvim, clean, "shop/orders.py").count("costs") >= 1
    assert "imports in 2 files follow" in nvim.messages()
    nvim.command("wall")
    nvim.until(lambda: nvim.run("engram.why", (clean.project / "shop/costs.py").as_uri())["indexed"], "the new file")
    # The server knows the file by its new name: what it defines is found from an importer.
    nvim.edit(clean.project / "shop/cart.py")
    nvim.go(*position(cart, "with_tax", "utf-8", nth=1))
    nvim.until(lambda: "shop/costs.py" in definition(nvim), "the definition")
    assert nvim.lua(PROBLEMS) == []


def definition(nvim: Neovim) -> str:
    asked = """
        local client = vim.lsp.get_clients({ bufnr = 0, name = "engram" })[1]
        local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
        return vim.json.encode(client:request_sync("textDocument/definition", params, 30000).result)
    """
    return nvim.lua(asked).replace("\\/", "/")


def test_a_renamed_folder_takes_its_importers_along(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/cart.py")
    nvim.ready()
    nvim.command(f"Engram rename-file {clean.project / 'shop'} {clean.project / 'store'}")
    if clean.version == "0.12":  # which can ask: "shop" in pyproject.toml need not be the package
        nvim.until(lambda: nvim.mode()["mode"] == "r?", "the question")
        nvim.keys("n")
    nvim.until_lua("return vim.api.nvim_buf_get_name(0):match('store/cart.py$') ~= nil", "the renamed buffer")
    assert nvim.text() == CART.replace("shop.prices", "store.prices")
    nvim.edit(clean.project / "store/orders.py")
    assert nvim.text() == ORDERS.replace("shop import", "store import").replace("shop.cart", "store.cart")


def test_a_file_is_not_renamed_over_another(clean: Session) -> None:
    nvim = clean.nvim
    nvim.keys(":Engram rename-file shop/cart.py<CR>")
    nvim.until(lambda: "shop/cart.py exists" in nvim.messages(), "a word about it")
    assert (clean.project / "shop/stock.py").read_text(encoding="utf-8") == STOCK


def test_a_new_path_is_asked_for(clean: Session) -> None:
    nvim = clean.nvim
    nvim.keys(":Engram rename-file<CR>")
    nvim.until(lambda: nvim.mode()["mode"] == "c", "the question")
    nvim.keys("<BS><BS><BS>s.py<CR>")
    nvim.until_lua("return vim.api.nvim_buf_get_name(0):match('stocks.py$') ~= nil", "the renamed buffer")
    assert (clean.project / "shop/stocks.py").exists()


def test_a_name_is_chosen_from_suggestions(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/orders.py")
    nvim.ready()
    line, column = position(ORDERS, "first", "utf-8")
    nvim.go(line, column)
    names = nvim.run(
        "engram.suggestNames", nvim.lua("return vim.uri_from_bufnr(0)"), {"line": line, "character": column}
    )
    assert names
    nvim.lua(
        "vim.ui.select = function(items, options, choose) _G.offered = vim.tbl_map(options.format_item, items) choose(items[1]) end"
    )
    nvim.command("Engram names")
    new = names[0]["name"]
    nvim.until(lambda: nvim.text() == ORDERS.replace("first", new), "the rename")
    assert len(nvim.lua("return offered")) == len(names) and nvim.lua("return offered")[0].startswith(new)


def test_where_nothing_can_be_named_that_is_said(clean: Session) -> None:
    nvim = clean.nvim
    nvim.go(0, 5)
    nvim.command("Engram names")
    nvim.until(lambda: "engram: " in nvim.messages(), "a word about it")
    assert nvim.text() == STOCK
