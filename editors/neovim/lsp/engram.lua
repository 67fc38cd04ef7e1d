--- engram-ls for `vim.lsp.enable("engram")`, Neovim 0.11 or newer.
---
--- Complete by itself: this one file in a folder `lsp/` of the 'runtimepath' is a working set-up. What the rest of the
--- plug-in adds is said in lua/engram/load.lua.

---@type vim.lsp.Config
return {
  cmd = { "engram-ls", "serve" },
  filetypes = {
    "python",
    "typescript",
    "typescriptreact",
    "javascript",
    "javascriptreact",
    "go",
    "rust",
    "java",
    "c",
    "cpp",
  },
  -- The nearest folder with any of these.
  root_markers = {
    {
      "pyproject.toml",
      "setup.py",
      "setup.cfg",
      "package.json",
      "tsconfig.json",
      "go.mod",
      "Cargo.toml",
      "pom.xml",
      "build.gradle",
      "build.gradle.kts",
      "compile_commands.json",
      ".git",
    },
  },
  settings = { engram = { codeLens = { command = "engram.references" } } },
  commands = {
    -- What a click on "3 references" does: the quickfix list.
    ["engram.references"] = function(command, context)
      local client = assert(vim.lsp.get_client_by_id(context.client_id))
      local items = vim.lsp.util.locations_to_items(command.arguments[3], client.offset_encoding)
      vim.fn.setqflist({}, " ", { title = command.title, items = items })
      vim.cmd.copen()
    end,
  },
}
