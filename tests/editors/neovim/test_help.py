"""`:help engram`: its tags resolve, and it says all there is and nothing else."""

import re
import shutil
from pathlib import Path

from engram_lsp.settings import table
from nvim import PLUGIN, Session, Start

HELP = (PLUGIN / "doc/engram.txt").read_text(encoding="utf-8")
TAGS = re.findall(r"(?:^|\s)\*(\S+)\*(?=\s|$)", HELP, re.M)


def test_every_tag_and_every_link_is_found(start: Start, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    shutil.copytree(PLUGIN, plugin)
    nvim = start(runtime=(plugin,))
    nvim.command(f"helptags {plugin / 'doc'}")
    assert (plugin / "doc/tags").read_text(encoding="utf-8") == (PLUGIN / "doc/tags").read_text(encoding="utf-8")
    links = set(re.findall(r"(?<![\w|])\|([^|\s]+)\|(?!\|)", HELP))
    assert len(TAGS) > 30 and len(links) > 20
    if nvim.lua("return vim.fn.has('nvim-0.12')") == 0:
        links -= {"lsp-inline_completion", "vim.lsp.codelens.enable()"}
    for tag in [*TAGS, *links]:
        found = nvim.lua("return vim.fn.getcompletion((...), 'help')", tag)
        assert tag in found, f"{tag} leads nowhere"
    nvim.command("silent! help engram")  # Debian's Neovim comes without the parser that would colour it
    assert nvim.lua("return vim.bo.filetype") == "help"


def test_commands_and_keys_are_those_that_there_are(clean: Session) -> None:
    commands = set(clean.nvim.lua("return vim.tbl_keys(require('engram.commands').all)"))
    assert {tag.removeprefix(":Engram-") for tag in TAGS if tag.startswith(":Engram-")} == commands
    plugs = {
        mapping["lhs"]
        for mode in "inx"
        for mapping in clean.nvim.call("nvim_get_keymap", mode)
        if mapping["lhs"].startswith("<Plug>(engram")
    }
    assert {tag for tag in TAGS if tag.startswith("<Plug>")} == plugs
    keys = clean.nvim.lua("return require('engram').keys")
    listed = dict(re.findall(r"^    (<\S+>) .*<Plug>\(engram-([\w-]+)\)", HELP, re.M))
    assert listed == {key: name.replace("_", "-") for name, key in keys.items()}
    sources = clean.nvim.lua("return require('engram.trace').sources")
    assert set(re.findall(r"^    `(\w+)`  ", HELP, re.M)) == set(sources)


def test_no_key_is_mapped_unless_asked_for(clean: Session) -> None:
    for mode in "inxvsoc":
        for mapping in clean.nvim.call("nvim_get_keymap", mode):
            assert "engram" not in mapping.get("desc", "") or mapping["lhs"].startswith("<Plug>")


def test_the_lua_functions_are_those_that_there_are(clean: Session) -> None:
    members = set(clean.nvim.lua("return vim.tbl_keys(require('engram'))"))
    section = HELP[HELP.index("*engram-lua*", HELP.index("12. LUA")) : HELP.index("13. WHAT IT READS AND")]
    named = set(re.findall(r"\b([a-z_]+)\(", section)) - {"require"}
    assert named | {"keys"} == members
    options = set(
        re.findall(r"^    \{(\w+)\}  ?", HELP[HELP.index("*engram.setup()*") : HELP.index("3. GHOST TEXT   ")], re.M)
    )
    source = (PLUGIN / "lua/engram/init.lua").read_text(encoding="utf-8")
    declared = source[source.index("class engram.Options") : source.index("class engram.Keys")]
    assert options == set(re.findall(r"@field (\w+)\?", declared))


def test_settings_that_are_named_are_settings() -> None:
    known = {name.removeprefix("engram.") for name, *_ in table()}
    for group, inner in re.findall(r"\b(\w+) = \{ (\w+) = ", HELP):
        if group not in ("settings", "keys"):
            assert f"{group}.{inner}" in known
    health = (PLUGIN / "lua/engram/health.lua").read_text(encoding="utf-8")
    for name in re.findall(r"\b(\w+\.\w+) = (?:false|'none')", health):
        assert name in known


def test_lua_is_lua(clean: Session) -> None:
    for path in PLUGIN.rglob("*.lua"):
        assert clean.nvim.lua("return select(2, loadfile((...)))", str(path)) is None


def test_the_examples_are_lua(clean: Session) -> None:
    blocks = re.findall(r">lua\n\n?((?:    .*\n|\n)+)", HELP)
    assert len(blocks) > 8
    for block in blocks:
        for code in (block, f"return {block}", f"return {{ {block} }}"):
            problem = clean.nvim.lua("return select(2, loadstring((...)))", code)
            if problem is None:
                break
        assert problem is None, f"{problem}\n{block}"
