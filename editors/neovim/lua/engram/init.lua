--- What a user's own Lua calls: `require("engram")`. See `:help engram-lua`.

local server = require("engram.server")

local M = {}

---@class engram.Options
---@field enable? boolean start the server for its filetypes (default: true)
---@field cmd? string[] how it is started (default: { "engram-ls", "serve" })
---@field settings? table the section `engram` of the server's settings
---@field ghost_text? boolean show ghost text where Neovim can, 0.12 or newer (default: true)
---@field completion? boolean Neovim's own completion list, opened by the server's trigger characters (default: false)
---@field inlay_hints? boolean (default: false)
---@field keys? boolean|engram.Keys map keys: true for those of `M.keys`, or a table of your own (default: none)

---@class engram.Keys
---@field accept? string|false
---@field accept_word? string|false
---@field accept_line? string|false
---@field next? string|false
---@field previous? string|false
---@field ask? string|false
---@field dismiss? string|false

--- The keys of `keys = true`, in Insert mode.
---@type engram.Keys
M.keys = {
  accept = "<Tab>",
  accept_word = "<M-Right>",
  accept_line = "<M-C-Right>",
  next = "<M-]>",
  previous = "<M-[>",
  ask = "<M-\\>",
  dismiss = "<C-]>",
}

local options = {} ---@type engram.Options

--- Maps a key that does what it did before where there is no ghost text.
local function map(key, name)
  vim.keymap.set("i", key, function()
    if name ~= "ask" and not require("engram.ghost").shown() then return key end
    return ("<Plug>(engram-%s)"):format((name:gsub("_", "-")))
  end, { expr = true, remap = true, desc = "engram: ghost text, " .. name })
end

---@param chosen? engram.Options
function M.setup(chosen)
  options = vim.tbl_extend("force", { enable = true, ghost_text = true }, chosen or {})
  require("engram.load") -- as plugin/engram.lua does, perhaps only later
  if options.cmd then vim.lsp.config(server.name, { cmd = options.cmd }) end
  if options.settings then vim.lsp.config(server.name, { settings = { engram = options.settings } }) end
  local keys = options.keys == true and M.keys or options.keys or {}
  for name, key in pairs(keys) do
    if key then map(key, name) end
  end
  if options.enable then vim.lsp.enable(server.name) end
end

--- Called for every buffer that the server is attached to.
---@param client vim.lsp.Client
---@param buffer integer
function M.attach(client, buffer)
  if options.ghost_text then require("engram.ghost").enable(buffer, true) end
  if options.completion then vim.lsp.completion.enable(true, client.id, buffer, { autotrigger = true }) end
  if options.inlay_hints then vim.lsp.inlay_hint.enable(true, { bufnr = buffer }) end
end

--- Ghost text on or off, in all buffers. Answers what it is now.
---@return boolean
function M.toggle_ghost_text()
  options.ghost_text = not options.ghost_text
  for _, client in ipairs(vim.lsp.get_clients({ name = server.name })) do
    for buffer in pairs(client.attached_buffers) do
      require("engram.ghost").enable(buffer, options.ghost_text)
    end
  end
  return options.ghost_text
end

--- Ghost text while typing, or only when asked for. Answers what it is now.
---@return boolean
function M.toggle_automatic()
  local automatic = vim.tbl_get(vim.lsp.config[server.name], "settings", "engram", "inline", "automatic") == false
  M.change({ inline = { automatic = automatic } })
  return automatic
end

--- Changes settings of the section `engram`, also in servers that run.
---@param settings table
function M.change(settings)
  vim.lsp.config(server.name, { settings = { engram = settings } })
  for _, client in ipairs(vim.lsp.get_clients({ name = server.name })) do
    client.settings = vim.tbl_deep_extend("force", client.settings, { engram = settings })
    client:notify("workspace/didChangeConfiguration", { settings = client.settings })
  end
end

--- For a status line.
---@return string
function M.statusline() return require("engram.status").line(0) end

--- What the server of the current buffer said last about itself.
---@return engram.Status?
function M.status() return require("engram.status").of(0) end

function M.accept() return require("engram.ghost").accept() end
function M.accept_word() return require("engram.ghost").accept_word() end
function M.accept_line() return require("engram.ghost").accept_line() end
function M.shown() return require("engram.ghost").shown() end
function M.next() require("engram.ghost").select(1) end
function M.previous() require("engram.ghost").select(-1) end
function M.ask() require("engram.ghost").ask() end
function M.dismiss() require("engram.ghost").dismiss() end

function M.names() require("engram.renaming").names() end
---@param old? string
---@param new? string
function M.rename_file(old, new) require("engram.renaming").file(old, new) end
---@param text? string a text with a stack trace; the clipboard by default
function M.trace(text)
  local trace = require("engram.trace")
  trace.explain(text or trace.text())
end
function M.restart() server.restart() end

return M
