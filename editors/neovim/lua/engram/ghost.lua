--- Ghost text: Neovim's own (`vim.lsp.inline_completion`, 0.12 or newer), accepted whole or piece by piece.
---
--- Neovim shows and keeps the suggestion. Three things it offers no public way for: asking explicitly, asking before its
--- fixed 0.2 seconds are over, and showing what is left of a suggestion. They are done through `keeper`, and left out
--- where a Neovim has no such thing.

local server = require("engram.server")

local AUTOMATIC, INVOKED = 2, 1

local M = {}

---@return boolean
function M.available() return vim.lsp.inline_completion ~= nil end

--- What Neovim shows and knows of a buffer's suggestions.
local function keeper(buffer)
  local _, found = pcall(function() return vim.lsp._capability.all.inline_completion.active[buffer] end)
  return type(found) == "table" and found.client_state and found or nil
end

--- Whether there is a suggestion that could be accepted.
---@return boolean
function M.shown()
  local kept = keeper(vim.api.nvim_get_current_buf())
  return kept ~= nil and kept.current ~= nil
end

---@param buffer integer
---@param enabled boolean
function M.enable(buffer, enabled)
  if not M.available() then return end
  vim.lsp.inline_completion.enable(enabled, { bufnr = buffer })
  local group = vim.api.nvim_create_augroup("engram.ghost." .. buffer, {})
  if enabled then
    vim.api.nvim_create_autocmd("TextChangedI", {
      group = group,
      buffer = buffer,
      desc = "ghost text when the server finds it right to answer, not 0.2 s later",
      callback = function() M.request(AUTOMATIC) end,
    })
  end
end

--- Sends the question now. False where there is nobody to show an answer.
---@param kind integer
---@return boolean
function M.request(kind)
  local buffer, client = vim.api.nvim_get_current_buf(), server.of()
  local kept = client and keeper(buffer)
  if not (client and kept and kept.client_state[client.id]) then return false end
  if vim.tbl_count(kept.client_state) == 1 and kept.reset_timer then kept:reset_timer() end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  ---@diagnostic disable-next-line: inject-field
  params.context = { triggerKind = kind }
  client:request("textDocument/inlineCompletion", params, function(...)
    if kept.client_state[client.id] then kept:handler(...) end
  end, buffer)
  return true
end

--- Asks for ghost text explicitly, also where it does not come by itself.
function M.ask()
  if not M.request(INVOKED) then server.say("no ghost text here; :checkhealth engram", vim.log.levels.WARN) end
end

--- What is left of a suggestion once all up to the cursor is there; nil if something else was typed.
local function rest_of(item, row, column)
  local first_row, first_column, _, last_column = item.range:to_extmark()
  if first_row ~= row or last_column > column then return nil end
  local typed = vim.api.nvim_get_current_line():sub(first_column + 1, column)
  return vim.startswith(item.insert_text, typed) and item.insert_text:sub(#typed + 1) or nil
end

local function show(item, text)
  local client, kept = vim.lsp.get_client_by_id(item.client_id), keeper(vim.api.nvim_get_current_buf())
  if text == "" or not (client and kept and kept.client_state[client.id]) then return end
  local here = vim.lsp.util.make_position_params(0, client.offset_encoding).position
  local range = { start = here, ["end"] = here }
  kept.client_state[client.id].items = { { insertText = text, filterText = text, range = range } }
  kept:select(1)
end

--- Accepts what `piece` takes of the rest of the suggestion. False if nothing is shown.
---@param piece fun(text: string): string
---@return boolean
local function accept(piece)
  if not M.available() then return false end
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      if not item.range or type(item.insert_text) ~= "string" then return item end
      local row, column = unpack(vim.api.nvim_win_get_cursor(0))
      local rest = rest_of(item, row - 1, column)
      if not rest then return end
      local text = piece(rest)
      local lines = vim.split(text, "\n", { plain = true })
      vim.bo.undolevels = vim.bo.undolevels -- what is accepted is undone by itself
      vim.api.nvim_buf_set_text(0, row - 1, column, row - 1, column, lines)
      vim.api.nvim_win_set_cursor(0, { row + #lines - 1, (#lines == 1 and column or 0) + #lines[#lines] })
      show(item, rest:sub(#text + 1))
    end,
  })
end

--- All of it.
---@return boolean
function M.accept()
  return accept(function(text) return text end)
end

--- The next word, with what stands before it.
---@return boolean
function M.accept_word()
  return accept(function(text) return vim.fn.matchstr(text, [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\|\_s*$\)]]) end)
end

--- Up to the end of the line, or the next line.
---@return boolean
function M.accept_line()
  return accept(function(text) return text:match("^\n?[^\n]*") end)
end

--- The next suggestion (or, by a negative count, an earlier one), where there are several.
---@param count? integer
function M.select(count)
  if M.available() then vim.lsp.inline_completion.select({ count = count or 1 }) end
end

--- Takes away what is shown.
function M.dismiss()
  local buffer = vim.api.nvim_get_current_buf()
  local kept = keeper(buffer)
  if kept then
    kept:abort()
  elseif M.available() and vim.lsp.inline_completion.is_enabled({ bufnr = buffer }) then
    vim.lsp.inline_completion.enable(false, { bufnr = buffer })
    vim.lsp.inline_completion.enable(true, { bufnr = buffer })
  end
end

return M
