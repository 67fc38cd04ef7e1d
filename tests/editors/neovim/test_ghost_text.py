"""Ghost text, as it stands on the screen and in the text once it is accepted."""

from collections.abc import Iterator

import pytest
from editor_support import BEGUN, EXPECTED_REST
from nvim import Neovim, Session

SETUP = "keys = true"
SHOWN = "return require('engram').shown()"
FIRST, *MIDDLE, LAST = BEGUN.split("\n")
WHOLE = LAST + EXPECTED_REST


@pytest.fixture(scope="module", params=["0.12"])
def version(request: pytest.FixtureRequest) -> str:
    """Older ones have no ghost text; what they have instead is tested in test_completion.py."""
    return request.param


@pytest.fixture
def typing(clean: Session) -> Iterator[Session]:
    """Handlers.py, with the cursor in Insert mode behind the beginning of a line whose rest the project tells."""
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/handlers.py")
    nvim.ready()
    nvim.command("set paste | normal! Go" + FIRST)
    for line in MIDDLE:
        nvim.command("normal! o" + line)
    nvim.command("normal! o" + LAST[:-1])
    nvim.command("set nopaste")
    nvim.keys("A" + LAST[-1])
    yield clean


def shown(nvim: Neovim) -> None:
    nvim.until_lua(SHOWN, "ghost text")


def of_screen(nvim: Neovim) -> str:
    """The line of the cursor as it is drawn."""
    return nvim.screen().split("\n")[nvim.lua("return vim.fn.winline()") - 1]


def test_it_is_shown_behind_what_is_typed_and_accepted_whole(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    assert nvim.line() == LAST
    assert of_screen(nvim).startswith(WHOLE)
    before = nvim.text()
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.line() != LAST, "the text")
    assert nvim.line() == WHOLE
    nvim.keys("<Esc>u")
    nvim.until(lambda: nvim.text() == before, "what was accepted to be undone by itself")


def test_the_words_are_accepted_one_by_one_while_the_rest_stays(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    asked = nvim.run("engram.status")["ghostText"]["computed"]
    for text in (" %", "s", " of", " %", "s", '",', " request", ".", "name"):
        before = nvim.line()
        nvim.keys("<M-Right>")
        nvim.until(lambda before=before: nvim.line() != before, "the next word")
        assert nvim.line() == before + text
        assert nvim.lua(SHOWN)
        assert of_screen(nvim).startswith(WHOLE)
    assert nvim.run("engram.status")["ghostText"]["computed"] == asked
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.line() == WHOLE, "the rest")


def test_a_line_is_accepted_and_the_lines_below_it_stay(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    first = nvim.lua("return vim.lsp._capability.all.inline_completion.active[vim.fn.bufnr()].current.insert_text")
    nvim.keys("<M-C-Right>")
    nvim.until(lambda: nvim.line() == WHOLE, "the line")
    lines = f"{LAST}{first[first.index(EXPECTED_REST) :]}" if EXPECTED_REST in first else first
    for line in lines.split("\n")[1:]:
        assert nvim.lua(SHOWN) and line in nvim.screen()
        nvim.keys("<M-C-Right>")
        nvim.until(lambda line=line: nvim.line() == line, "the next line")


def test_what_is_accepted_late_repeats_nothing_that_was_typed_meanwhile(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    # All in one go: the suggestion that is accepted was made for the text before.
    nvim.keys(EXPECTED_REST[:9] + "<Tab>")
    nvim.until(lambda: nvim.line().endswith(")"), "the rest")
    assert nvim.line() == WHOLE


def test_what_no_longer_fits_is_not_accepted(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    nvim.keys(" nothing<Tab>")
    nvim.until(lambda: " nothing" in nvim.line(), "what was typed")
    nvim.keys("<Esc>")
    nvim.until(lambda: nvim.mode()["mode"] == "n", "Normal mode")
    assert nvim.line() == LAST + " nothing"


def test_keys_do_what_they_did_where_nothing_is_shown(clean: Session) -> None:
    nvim = clean.nvim
    nvim.command("enew | set noexpandtab")
    nvim.keys("ix<Tab>y<Esc>")
    nvim.until(lambda: nvim.line() == "x\ty", "a tab character")


def test_it_is_dismissed(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    nvim.keys("<C-]>")
    nvim.until(lambda: not nvim.lua(SHOWN), "nothing to be shown")
    assert of_screen(nvim) == LAST and nvim.line() == LAST
    nvim.keys(EXPECTED_REST[:3])
    shown(nvim)


def test_others_can_be_chosen(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    items = "local _, state = next(vim.lsp._capability.all.inline_completion.active[vim.fn.bufnr()].client_state) return #state.items"
    count = nvim.lua(items)
    nvim.keys("<M-]>" * count)
    assert nvim.lua(SHOWN) and of_screen(nvim).startswith(WHOLE)  # once around


@pytest.fixture
def manual(typing: Session) -> Iterator[Session]:
    nvim = typing.nvim
    shown(nvim)
    nvim.command("Engram toggle automatic")
    nvim.keys("<Esc>")
    nvim.until_lua("return not require('engram').shown()", "nothing to be shown")
    yield typing
    nvim.command("stopinsert | Engram toggle automatic")


def test_it_comes_only_when_asked_for_if_so_wished(manual: Session) -> None:
    nvim = manual.nvim
    assert "only when asked for" in nvim.messages()
    count = len(manual.server.answers("textDocument/inlineCompletion"))
    nvim.keys("A" + EXPECTED_REST[:3])
    nvim.until(lambda: len(manual.server.answers("textDocument/inlineCompletion")) > count, "an answer")
    assert not nvim.lua(SHOWN) and of_screen(nvim) == LAST + EXPECTED_REST[:3]
    nvim.keys("<M-Bslash>")
    shown(nvim)
    assert of_screen(nvim).startswith(WHOLE)


def test_quiet_hours(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    nvim.keys("<Esc>")
    nvim.lua("require('engram').change({ inline = { quietHours = { '00:00-12:00', '12:00-00:00' } } })")
    count = len(typing.server.answers("textDocument/inlineCompletion"))
    nvim.keys("A" + EXPECTED_REST[:3])
    nvim.until(lambda: len(typing.server.answers("textDocument/inlineCompletion")) > count, "an answer")
    assert not nvim.lua(SHOWN)
    nvim.keys("<M-Bslash>")
    shown(nvim)
    nvim.lua("require('engram').change({ inline = { quietHours = {} } })")


def test_it_is_switched_off_and_on(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    nvim.command("Engram toggle ghost-text")
    assert of_screen(nvim) == LAST
    asked = len(typing.server.messages("textDocument/inlineCompletion"))
    nvim.keys("<Esc>A" + EXPECTED_REST[:3])
    nvim.until(lambda: nvim.line() == LAST + EXPECTED_REST[:3], "the text")
    # Whatever is asked now is asked after any ghost text would have been.
    nvim.run("engram.status")
    assert len(typing.server.messages("textDocument/inlineCompletion")) == asked
    nvim.keys("<Esc>")
    nvim.command("Engram toggle ghost-text")
    nvim.keys("A" + EXPECTED_REST[3:5])
    shown(nvim)


def test_wide_characters_before_it(clean: Session) -> None:
    nvim = clean.nvim
    nvim.edit(clean.project / "shop/cart.py")
    nvim.ready()
    nvim.command('normal! Gostrange = ["🧾🧾", "𝕡𝕣𝕚𝕔𝕖", shown(with_tax(Price(0, "𝔣𝔯𝔢𝔢"), rat')
    before = nvim.line()
    nvim.keys("Ae")
    shown(nvim)
    drawn = of_screen(nvim)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.line() != before + "e", "the text")
    assert nvim.line().startswith(before + "e")
    assert drawn.startswith(nvim.line()[:100].rstrip())


def test_without_what_neovim_keeps_to_itself_it_is_still_shown_and_accepted(typing: Session) -> None:
    nvim = typing.nvim
    shown(nvim)
    nvim.lua("_G.kept, vim.lsp._capability.all = vim.lsp._capability.all, {}")
    try:
        nvim.lua("require('engram').accept_word()")
        nvim.until(lambda: nvim.line() == LAST + " %", "a word")
        # The rest comes again by itself.
        nvim.until(lambda: of_screen(nvim).startswith(WHOLE), "the rest")
        nvim.lua("require('engram').dismiss()")
        nvim.until(lambda: of_screen(nvim) == LAST + " %", "nothing to be shown")
    finally:
        nvim.lua("vim.lsp._capability.all = kept")
