"""The set-ups of the help: each starts the server with what it promises."""

import json
import shutil
from pathlib import Path

import pytest
from editor_support import Server, git, make_project
from nvim import PLUGIN, Neovim, Start

ATTACHED = (
    "local client = vim.lsp.get_clients({ bufnr = 0, name = 'engram' })[1] return client and client.initialized == true"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "shop", library=False)


def attached(nvim: Neovim) -> None:
    nvim.until_lua(ATTACHED, "the server")


def test_the_file_for_neovims_own_client_is_enough(start: Start, server: Server, project: Path, tmp_path: Path) -> None:
    alone = tmp_path / "config/lsp"
    alone.mkdir(parents=True)
    shutil.copy(PLUGIN / "lsp/engram.lua", alone)
    init = f'vim.env.PATH = "{server.folder}:" .. vim.env.PATH\nvim.lsp.enable("engram")'
    nvim = start(project / "shop/stock.py", init=init, runtime=(alone.parent,))
    attached(nvim)
    nvim.until_lua("return #vim.diagnostic.get(0) == 1", "a problem")
    assert nvim.lua("return vim.fn.exists(':Engram')") == 0
    assert nvim.lua("return vim.lsp.get_clients()[1].root_dir") == str(project)


def test_the_plain_set_up(start: Start, server: Server, project: Path) -> None:
    text = (PLUGIN / "doc/engram.txt").read_text(encoding="utf-8")
    plain = text[text.index('    vim.lsp.config("engram", {\n      cmd') : text.index("<\nThe file `lsp/engram.lua`")]
    nvim = start(
        project / "shop/stock.py", init=f'vim.env.PATH = "{server.folder}:" .. vim.env.PATH\n{plain}', runtime=()
    )
    attached(nvim)


def test_by_hand(start: Start, server: Server, project: Path) -> None:
    init = f"""
        vim.opt.runtimepath:append("{PLUGIN}")
        require("engram").setup({{ cmd = {{ "{server.path}", "serve" }} }})
    """
    nvim = start(project / "shop/stock.py", init=init, runtime=())
    attached(nvim)
    assert nvim.lua("return vim.fn.exists(':Engram')") == 2


def test_as_engram_ls_sets_it_up(start: Start, server: Server, project: Path, tmp_path: Path) -> None:
    """`engram-ls setup neovim` writes a file of the same name as ours into the user's configuration."""
    config = tmp_path / "config"
    (config / "plugin").mkdir(parents=True)
    (config / "plugin/engram.lua").write_text(
        f"""
        vim.opt.runtimepath:append("{PLUGIN}")
        require("engram").setup({{ cmd = {{ "{server.path}", "serve" }} }})
        _G.times = (_G.times or 0) + 1
        """,
        encoding="utf-8",
    )
    nvim = start(project / "shop/stock.py", init="", runtime=(config,))
    attached(nvim)
    assert nvim.lua("return times") == 1 and nvim.lua("return vim.fn.exists(':Engram')") == 2
    assert nvim.lua("return vim.fn.getcompletion('engram-setup', 'help')") == ["engram-setup"]


def test_as_a_package(start: Start, server: Server, project: Path, tmp_path: Path) -> None:
    shutil.copytree(PLUGIN, tmp_path / "site/pack/engram/start/engram")
    init = f"""
        vim.opt.packpath:append("{tmp_path / "site"}")
        vim.lsp.config("engram", {{ cmd = {{ "{server.path}", "serve" }} }})
        vim.lsp.enable("engram")
    """
    nvim = start(project / "shop/stock.py", init=init, runtime=())
    attached(nvim)
    nvim.until_lua("return require('engram').statusline() == 'engram'", "the plug-in's part")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the plug-in where it is in ours."""
    root = tmp_path / "repository"
    shutil.copytree(PLUGIN, root / "editors/neovim")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "All")
    return root


@pytest.mark.parametrize("version", ["0.12"], indirect=True)
def test_vim_pack(start: Start, server: Server, project: Path, repository: Path, version: str) -> None:
    init = f"""
        vim.o.messagesopt = "wait:0,history:500" -- what is installed takes more lines than Neovim shows without a key
        vim.pack.add({{ {{ src = "file://{repository}", name = "engram-ls" }} }}, {{ confirm = false }})
        local at = vim.pack.get({{ "engram-ls" }})[1].path
        vim.opt.runtimepath:append(at .. "/editors/neovim")
        require("engram").setup({{ cmd = {{ "{server.path}", "serve" }} }})
    """
    nvim = start(project / "shop/stock.py", init=init, runtime=())
    attached(nvim)
    assert nvim.lua("return vim.fn.exists(':Engram')") == 2


def test_settings_reach_the_server(start: Start, server: Server, project: Path) -> None:
    nvim = start(
        project / "shop/stock.py", setup='settings = { diagnostics = { severity = { ["undefined-name"] = "off" } } }'
    )
    nvim.ready()
    nvim.lua("vim.diagnostic.reset()")
    (asked,) = {
        str(answer["result"]) for answer in server.messages(sent_by="client") if isinstance(answer.get("result"), list)
    }
    assert "undefined-name" in asked
    assert nvim.lua("return #vim.diagnostic.get(0)") == 0
    nvim.lua("require('engram').change({ diagnostics = { severity = { ['undefined-name'] = 'hint' } } })")
    if nvim.lua("return vim.fn.has('nvim-0.12')") == 0:  # which cannot be told to ask again
        nvim.command("normal! Go# changed")
    nvim.until_lua(
        "return #vim.diagnostic.get(0) == 1 and vim.diagnostic.get(0)[1].severity == 4", "the changed severity"
    )


def test_a_project_cannot_change_them(start: Start, project: Path) -> None:
    with (project / "pyproject.toml").open("a", encoding="utf-8") as lines:
        lines.write('\n[tool.engram-ls]\nmodel.path = "none"\n[tool.engram-ls.severity]\nundefined-name = "hint"\n')
    (project / ".nvim.lua").write_text("_G.project_code_ran = true\n", encoding="utf-8")
    nvim = start(project / "shop/stock.py")
    nvim.ready()
    nvim.until_lua("return #vim.diagnostic.get(0) == 1 and vim.diagnostic.get(0)[1].severity == 4", "the severity")
    assert nvim.run("engram.status")["model"] == "default on CPU"
    assert nvim.lua("return project_code_ran") is None


def test_the_program_runs_without_a_project(start: Start, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.py"
    lonely.write_text("def f():\n    return undefined\n", encoding="utf-8")
    nvim = start(lonely)
    attached(nvim)
    nvim.until_lua("return #vim.diagnostic.get(0) == 1", "a problem")
    assert nvim.lua("return vim.lsp.get_clients()[1].root_dir") is None


# What completion plug-ins for Neovim say that they can do besides, as their documentation has it (blink.cmp 1, and
# cmp-nvim-lsp for nvim-cmp).
PROPERTIES = ["documentation", "detail", "additionalTextEdits"]
BLINK = {
    "completionItem": {
        "snippetSupport": True,
        "commitCharactersSupport": False,
        "documentationFormat": ["markdown", "plaintext"],
        "insertReplaceSupport": True,
        "resolveSupport": {"properties": PROPERTIES},
        "insertTextModeSupport": {"valueSet": [1]},
        "labelDetailsSupport": True,
    },
    "completionList": {"itemDefaults": ["commitCharacters", "editRange", "insertTextFormat", "insertTextMode", "data"]},
    "contextSupport": True,
    "insertTextMode": 1,
}
CMP = {
    "completionItem": {
        "snippetSupport": True,
        "commitCharactersSupport": True,
        "insertReplaceSupport": True,
        "resolveSupport": {"properties": PROPERTIES},
        "insertTextModeSupport": {"valueSet": [1, 2]},
        "labelDetailsSupport": True,
    },
    "contextSupport": True,
    "insertTextMode": 1,
    "completionList": {"itemDefaults": {}},
}
ASK = """
    local client = vim.lsp.get_clients({ bufnr = 0, name = "engram" })[1]
    local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
    local list = client:request_sync("textDocument/completion", params, 30000).result
    for _, item in ipairs(list.items) do
      if item.label == "with_tax" then
        local resolved = client:request_sync("completionItem/resolve", item, 30000).result
        return vim.json.encode({ item = item, resolved = resolved, defaults = list.itemDefaults })
      end
    end
"""


@pytest.mark.parametrize("capabilities", [BLINK, CMP], ids=["blink.cmp", "nvim-cmp"])
def test_completion_plug_ins_get_what_they_say_they_understand(
    start: Start, project: Path, capabilities: dict[str, object]
) -> None:
    said = json.dumps({"textDocument": {"completion": capabilities}})
    nvim = start(
        project / "shop/stock.py", before=f"vim.lsp.config('*', {{ capabilities = vim.json.decode([==[{said}]==]) }})\n"
    )
    nvim.ready()
    nvim.command("normal! Goprice = with_ta")
    nvim.keys("A")
    nvim.until(lambda: nvim.mode()["mode"] == "i", "Insert mode")
    answer = json.loads(nvim.lua(ASK))
    item, resolved = answer["item"], answer["resolved"]
    line = nvim.call("nvim_buf_line_count", 0) - 1
    typed = {"start": {"line": line, "character": 8}, "end": {"line": line, "character": 15}}
    edit = item["textEdit"]
    assert edit["newText"] == "with_tax" and item.get("filterText", "with_tax") == "with_tax"
    assert edit.get("insert", edit.get("range")) == typed == edit.get("replace", edit.get("range"))
    # The import comes with the item, or when it is resolved, as both ask for.
    (added,) = resolved["additionalTextEdits"]
    assert "from shop.prices import with_tax" in added["newText"]
    assert item.get("insertTextFormat", 1) == 1 or "$" in edit["newText"]
