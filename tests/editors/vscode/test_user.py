"""What a user of VS Code does, with keys and eyes."""

import re

from editor_support import (
    CART,
    EXPECTED_REST,
    HANDLERS,
    ORDERS,
    PRICES,
    REPAIRED,
    STOCK,
    TRACE,
    Server,
    git,
    position,
    until,
)
from editors.vscode.window import BAR, Window

ROW = ".monaco-list-row"
LIST = f".quick-input-widget:not(.hidden) .quick-input-list {ROW}"
PREVIEW = ".bulk-edit-panel"


def test_the_status_bar_tells_of_the_reading_and_has_a_menu(window: Window) -> None:
    window.load("shop/cart.py")
    seen = window.page.evaluate("window.seenInBar")
    assert any(re.fullmatch(r"Engram \d+ %", text) for text in seen), seen
    window.page.hover(BAR)
    told = window.see(".monaco-hover:visible", "Files in memory").inner_text()
    assert "Model" in told and "CPU" in told
    window.shot("status", still=False)

    window.page.click(BAR)
    window.choose("Why is this file (not) in the memory?")
    window.see(".notification-toast", "it is in the project memory")
    window.command("Engram: Status Report")
    window.see(".view-line", re.compile("engram-ls.report"))


def test_problems_of_other_files_come_and_go_while_typing(window: Window) -> None:
    def marked(name: str) -> str:
        return f'.explorer-folders-view .monaco-icon-label[aria-label*="{name}"][aria-label*="problem"]'

    window.load("shop/prices.py")
    window.go(*position(PRICES, "rate: float) -> Price", "utf-16"))
    window.type("land: str, ")
    window.see(marked("cart.py"))
    window.see(marked("orders.py"))
    window.open("shop/cart.py")
    window.see(".squiggly-error")
    window.press("Control+Shift+M")
    window.see(f".markers-panel {ROW}", "'with_tax' needs an argument for 'rate'")
    window.shot("diagnostics")
    window.open("shop/prices.py")
    window.undo_all()
    window.see(".markers-panel", "No problems have been detected")
    window.open("shop/cart.py")
    window.gone(".squiggly-error")


def test_a_completion_brings_its_import(window: Window) -> None:
    window.load("shop/orders.py")
    window.press("Control+End")
    window.type("\n\ndef left(stock, name):\nreturn remain")
    window.press("Control+Space")
    window.see(f".suggest-widget.visible {ROW}.focused", "remaining")
    window.shot("completion")
    window.press("Enter")
    window.save()
    text = window.saved("shop/orders.py")
    assert "from shop.stock import remaining\n" in text and text.endswith("    return remaining")


def test_ghost_text_is_accepted_by_word_by_line_and_whole(window: Window) -> None:
    begun = "\ndef handle_cancel(request: Request) -> None:\n"
    first, second = "    started = time.perf_counter()", '    logger.info("handling' + EXPECTED_REST
    window.load("shop/handlers.py")
    window.press("Control+End")
    window.type(begun)
    window.ghost_is(f"{first.strip()}\n{second}")
    window.shot("ghost-text")
    window.press("Control+ArrowRight")
    window.ghost_is(f" = time.perf_counter()\n{second}")
    window.press("Control+ArrowDown")
    window.ghost_is(second)
    # Before ghost text that is indented, Tab indents.
    window.press("Tab")
    window.ghost_is(second.strip())
    window.press("Tab")
    window.save()
    assert window.saved("shop/handlers.py") == f"{HANDLERS}{begun}{first}\n{second}"


def test_ghost_text_only_when_asked_for(window: Window, server: Server) -> None:
    window.load("shop/handlers.py")
    window.command("Engram: Ghost Text While Typing or Only When Asked For")
    window.page.hover(BAR)
    window.see(".monaco-hover:visible", "only when asked for")
    window.press("Control+End")
    window.type("\ndef handle_cancel(request: Request) -> None:\n")

    def asked() -> bool:
        """Whether the server was asked while the cursor was where it is now, and has answered."""
        requests = server.messages("textDocument/inlineCompletion", sent_by="client")
        last = requests[-1]["params"]["position"]["line"] if requests else -1
        return last == HANDLERS.count("\n") + 2 and len(server.answers("textDocument/inlineCompletion")) == len(
            requests
        )

    window.until(asked, "ghost text to be asked for")
    assert not window.ghost()
    window.press("Alt+\\")
    window.until(lambda: window.ghost().startswith("started = time.perf_counter()"), "ghost text")


def test_a_rename_across_files_is_undone_at_once(window: Window, server: Server) -> None:
    window.load("shop/prices.py")
    window.go(*position(PRICES, "with_tax", "utf-16"))
    window.press("F2")
    window.see(".rename-box input:focus")
    window.press("Control+A")
    window.type("including_tax")
    window.shot("rename")
    window.press("Enter")
    files = {"shop/prices.py": PRICES, "shop/cart.py": CART, "shop/orders.py": ORDERS}
    renamed = {name: text.replace("with_tax", "including_tax") for name, text in files.items()}
    window.saved_are(renamed)
    # What is undone while VS Code still saves would count as saved.
    window.until(
        lambda: len(server.messages("textDocument/didClose")) == 2, "the files that are not shown to be closed"
    )
    window.press("Control+Z")
    window.see(".tab.dirty")
    window.command("File: Save All")
    window.saved_are(files)


def test_a_suggested_name_is_shown_before_it_is_taken(window: Window) -> None:
    window.load("shop/stock.py")
    window.go(*position(STOCK, "looked_at", "utf-16"))
    window.command("Engram: Suggest Names…")
    window.see(LIST, "Another name")
    name = window.see(f"{LIST} .label-name").inner_text()
    window.press("Enter")
    window.see(f"{PREVIEW} {ROW}", "stock.py")
    window.see(f"{PREVIEW} {ROW}", name)
    window.page.locator(f"{PREVIEW} .monaco-button", has_text="Discard").click()
    window.gone(f"{PREVIEW} {ROW}")
    assert window.saved("shop/stock.py") == STOCK


def test_a_stack_trace_becomes_a_fix_that_waits_for_consent(window: Window) -> None:
    window.load("shop/stock.py")
    window.page.evaluate("text => navigator.clipboard.writeText(text)", TRACE.format(root=window.folder))
    window.command("Engram: Explain the Stack Trace in the Clipboard")
    window.see(LIST, "Preview")
    window.see(LIST, "remaining")
    window.shot("trace")
    window.choose("Preview")
    window.see(f"{PREVIEW} {ROW}", REPAIRED.strip())
    window.shot("rename-preview")
    assert window.saved("shop/stock.py") == STOCK
    assert not window.page.locator(".tab.dirty").count()

    if not window.page.locator(f"{PREVIEW} .edit-checkbox.checked").count():
        window.page.locator(f"{PREVIEW} .edit-checkbox").first.click()
    window.page.locator(f"{PREVIEW} .monaco-button", has_text="Apply").click()
    window.see(".tab.dirty")
    window.open("shop/stock.py")
    window.save()
    repaired = window.saved("shop/stock.py")
    assert REPAIRED in repaired and repaired.replace("\n" + REPAIRED, "") == STOCK
    window.gone(".squiggly-error")


def test_renaming_a_module_in_the_explorer_updates_who_imports_it(window: Window) -> None:
    window.load("shop/prices.py")
    window.page.click(f'.explorer-folders-view {ROW}[aria-label^="prices.py"]')
    window.press("F2")
    window.see(".explorer-folders-view input:focus")
    window.press("Control+A")
    window.type("tariffs.py")
    window.press("Enter")
    window.see(".monaco-dialog-box .monaco-button", "OK").click()
    window.see('.tab[data-resource-name="tariffs.py"]')
    window.see(".tab.dirty")
    window.command("File: Save All")
    window.saved_are(
        {
            "shop/cart.py": CART.replace("shop.prices", "shop.tariffs"),
            "shop/orders.py": re.sub(r"\bprices\b(?!\[)", "tariffs", ORDERS),
        }
    )


def test_another_branch_is_absorbed(window: Window) -> None:
    window.load("shop/orders.py")
    window.press("Control+End")
    window.type("\nfrom shop.coupons import redeem_coupon")
    window.see(".squiggly-error, .squiggly-warning")
    git(window.folder, "checkout", "--quiet", "other")
    window.gone(".squiggly-error, .squiggly-warning")
    git(window.folder, "checkout", "--quiet", "main")
    window.see(".squiggly-error, .squiggly-warning")


def test_a_server_that_was_killed_comes_back_with_its_memory_and_leaves_with_the_window(
    window: Window, server: Server
) -> None:
    window.load("shop/stock.py")
    window.see(".squiggly-error")
    server.kill()
    window.until(lambda: len(server.pids()) == 2, "another server")
    window.see(f"{BAR} .codicon-sparkle")
    window.see(".squiggly-error")
    window.command("Engram: Status Report")
    window.see(".view-line", re.compile("engram-ls.report"))
    report = server.answers("workspace/executeCommand")[-1]["result"]
    columns, row = (line.split(" | ") for line in report.splitlines() if line.startswith("| ") and "|" in line[2:])
    assert int(row[columns.index("from cache")]) > 0
    window.page.close()
    until(lambda: not server.processes(), "the server to leave with its window")
