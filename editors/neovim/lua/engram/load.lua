--- Adds to the plain server of lsp/engram.lua: its state for status lines, a new start when it crashes, the command
--- `:Engram` and `<Plug>` mappings. No key is mapped and no server is started: see `:help engram-setup`.

if vim.fn.has("nvim-0.11") == 0 then
  vim.notify("engram: Neovim 0.11 or newer is needed", vim.log.levels.ERROR)
  return
end

local function call(name, ...)
  local arguments = { ... }
  return function() require("engram")[name](unpack(arguments)) end
end

vim.lsp.config("engram", {
  -- Lets the server say how it is (engram/status).
  capabilities = { experimental = { engram = { status = true } } },
  handlers = { ["engram/status"] = function(...) require("engram.status").receive(...) end },
  on_exit = vim.lsp.config.engram.on_exit or function(...) require("engram.server").ended(...) end,
})

vim.api.nvim_create_user_command("Engram", function(options) require("engram.commands").run(options) end, {
  nargs = "*",
  range = true,
  desc = "engram-ls",
  complete = function(...) return require("engram.commands").complete(...) end,
})

for name, method in pairs({
  accept = "accept",
  ["accept-word"] = "accept_word",
  ["accept-line"] = "accept_line",
  next = "next",
  previous = "previous",
  ask = "ask",
  dismiss = "dismiss",
}) do
  vim.keymap.set("i", ("<Plug>(engram-%s)"):format(name), call(method), { desc = "engram: ghost text, " .. name })
end
vim.keymap.set("n", "<Plug>(engram-names)", call("names"), { desc = "engram: names to choose from" })
vim.keymap.set("n", "<Plug>(engram-trace)", call("trace"), { desc = "engram: the stack trace in the clipboard" })
vim.keymap.set("x", "<Plug>(engram-trace)", ":Engram trace<CR>", { desc = "engram: the selected stack trace", silent = true })

vim.api.nvim_create_autocmd("LspAttach", {
  group = vim.api.nvim_create_augroup("engram", {}),
  desc = "what require('engram').setup() asked for",
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == "engram" then require("engram").attach(client, event.buf) end
  end,
})
