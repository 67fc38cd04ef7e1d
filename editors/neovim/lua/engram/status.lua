--- What the servers say about themselves (the notification engram/status).

local server = require("engram.server")

---@class engram.Status
---@field state "starting"|"reading"|"ready"|"paused"|"problem"
---@field percent? integer
---@field text string one line for people
---@field model? string
---@field provider? string
---@field files? integer
---@field version? string

local M = {}

local said = {} ---@type table<integer, engram.Status>

---@param params engram.Status
---@param context lsp.HandlerContext
function M.receive(_, params, context)
  params = server.plain(params)
  said[context.client_id] = params
  vim.api.nvim_exec_autocmds("User", { pattern = "EngramStatus", modeline = false, data = params })
  vim.cmd.redrawstatus({ bang = true })
end

--- What the server of a buffer said last.
---@param buffer? integer
---@return engram.Status?
function M.of(buffer)
  local client = server.of(buffer)
  return client and said[client.id]
end

--- A few characters for the status line; nothing where the server has nothing to do with the buffer.
---@param buffer? integer
---@return string
function M.line(buffer)
  if not server.of(buffer) then return "" end
  local status = M.of(buffer)
  local state = status and status.state or "starting"
  if state == "ready" then return "engram" end
  local percent = status and status.percent
  if state == "reading" and percent then return ("engram %d%%"):format(percent) end
  return "engram " .. state
end

return M
