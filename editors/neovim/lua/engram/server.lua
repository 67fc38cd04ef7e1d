--- The running server: finding it, asking it, starting it again.

local M = { name = "engram" }

---@param text string
---@param level? integer
function M.say(text, level) vim.notify("engram: " .. text, level or vim.log.levels.INFO) end

--- The client of this buffer.
---@param buffer? integer
---@return vim.lsp.Client?
function M.of(buffer) return vim.lsp.get_clients({ name = M.name, bufnr = buffer or 0 })[1] end

--- The client of the current buffer, or else any; nil was said to the user.
---@return vim.lsp.Client?
function M.any()
  local client = M.of() or vim.lsp.get_clients({ name = M.name })[1]
  if not client then M.say("the server does not run; :checkhealth engram may tell why", vim.log.levels.WARN) end
  return client
end

--- A value of the protocol with nil for null, which some Neovims leave in.
---@generic T
---@param value T
---@return T?
function M.plain(value)
  if value == vim.NIL then return nil end
  return type(value) == "table" and vim.tbl_map(M.plain, value) or value
end

--- Sends a request. Errors are said to the user; `done` is called with results only.
---@param method string
---@param params table
---@param done fun(result: any, client: vim.lsp.Client)
function M.request(method, params, done)
  local client = M.any()
  if not client then return end
  client:request(method, params, function(problem, result)
    if problem then
      M.say(problem.message, vim.log.levels.ERROR)
    else
      done(result, client)
    end
  end)
end

--- Runs a command of the server. `done` gets plain values.
---@param command string
---@param arguments? any[]
---@param done? fun(result: any, client: vim.lsp.Client)
function M.run(command, arguments, done)
  M.request("workspace/executeCommand", { command = command, arguments = arguments }, function(result, client)
    if done then done(M.plain(result), client) end
  end)
end

--- Stops the server where it runs, and starts it for all buffers once it is gone.
function M.restart()
  local old = vim.lsp.get_clients({ name = M.name })
  for _, client in ipairs(old) do
    client:stop()
  end
  local function start_when_gone(tries)
    local left = vim.tbl_filter(function(client) return vim.lsp.get_client_by_id(client.id) ~= nil end, old)
    if #left == 0 then
      vim.lsp.enable(M.name)
      return
    end
    if tries == 0 then
      for _, client in ipairs(left) do
        client:stop(true)
      end
    end
    vim.defer_fn(function() start_when_gone(tries - 1) end, 50)
  end
  start_when_gone(200)
end

local crashes = {} ---@type integer[]

--- The client's `on_exit`: a server that crashed is started again, three times in three minutes at most.
function M.ended(code, signal)
  vim.schedule(function()
    if (code == 0 and signal == 0) or signal == 15 or vim.v.exiting ~= vim.NIL then return end
    local now = vim.uv.now()
    crashes = vim.tbl_filter(function(at) return now - at < 180000 end, crashes)
    table.insert(crashes, now)
    if #crashes > 3 then
      M.say("the server ended four times in three minutes; :Engram log, :Engram restart", vim.log.levels.ERROR)
    else
      M.say("the server ended and is started again", vim.log.levels.WARN)
      M.restart()
    end
  end)
end

return M
