--- A window at the bottom with a text that is only read.

local M = {}

--- Opens (or fills again) the page of that name and goes there; `q` closes it.
---@param name string
---@param lines string[]
---@param filetype string
---@return integer buffer
function M.open(name, lines, filetype)
  local title = "engram://" .. name
  local buffer = vim.fn.bufnr("^" .. title .. "$")
  if buffer < 0 then
    buffer = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_name(buffer, title)
  end
  vim.bo[buffer].modifiable = true
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  vim.bo[buffer].modifiable = false
  vim.bo[buffer].bufhidden = "wipe"
  local window = vim.fn.bufwinid(buffer)
  if window < 0 then
    window = vim.api.nvim_open_win(buffer, true, { split = "below", win = -1, height = math.min(#lines + 1, 16) })
  end
  vim.api.nvim_set_current_win(window)
  -- Colours fail where Neovim came without the parser for them, as from some distributions.
  vim.cmd.setlocal({ "filetype=" .. filetype, mods = { emsg_silent = true } })
  vim.keymap.set("n", "q", "<Cmd>close<CR>", { buffer = buffer, desc = "engram: close this page" })
  return buffer
end

return M
