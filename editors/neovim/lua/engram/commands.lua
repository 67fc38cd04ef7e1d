--- `:Engram`: its subcommands, and what completes them.

local server = require("engram.server")

local M = {}

---@class engram.Command
---@field does string
---@field run fun(arguments: string[], options: vim.api.keyset.create_user_command.command_args)
---@field complete? string[]|fun(lead: string): string[]

local function files(lead) return vim.fn.getcompletion(lead, "file") end

local function toggle(what)
  local engram = require("engram")
  if what == "ghost-text" then
    server.say("ghost text is " .. (engram.toggle_ghost_text() and "on" or "off"))
  elseif what == "automatic" then
    server.say("ghost text comes " .. (engram.toggle_automatic() and "while typing" or "only when asked for"))
  elseif what == "inlay-hints" then
    vim.lsp.inlay_hint.enable(not vim.lsp.inlay_hint.is_enabled())
  else
    server.say("toggle what? ghost-text, automatic or inlay-hints", vim.log.levels.ERROR)
  end
end

local function why(arguments)
  local name = vim.fs.abspath(arguments[1] or vim.api.nvim_buf_get_name(0))
  server.run("engram.why", { vim.uri_from_fname(name) }, function(answer)
    server.say(("%s: %s"):format(vim.fs.basename(name), answer.text))
  end)
end

local function trace(arguments, options)
  local explain = require("engram.trace")
  if options.range > 0 then
    local lines = vim.api.nvim_buf_get_lines(0, options.line1 - 1, options.line2, false)
    explain.explain(table.concat(lines, "\n"))
  else
    explain.explain(explain.text(arguments[1]))
  end
end

local function tell(status) server.say(status.health and status.health.text or "done") end

---@type table<string, engram.Command>
M.all = {
  status = { does = "what the server knows and runs on", run = function() require("engram.about").status() end },
  report = { does = "a report to attach to an issue", run = function() require("engram.about").report() end },
  log = { does = "the log of Neovim's clients", run = function() vim.cmd.edit(vim.lsp.log.get_filename()) end },
  restart = { does = "stop the server and start it again", run = server.restart },
  why = { does = "whether a file is in the memory, and why (not)", run = why, complete = files },
  trace = {
    does = "what a stack trace blames, and fixes for it",
    run = trace,
    complete = function() return require("engram.trace").sources end,
  },
  ["trace-clear"] = { does = "take its suspects away", run = function() require("engram.trace").clear() end },
  suspects = { does = "its suspects as a quickfix list", run = function() require("engram.trace").suspects() end },
  names = { does = "rename to one of the suggested names", run = function() require("engram.renaming").names() end },
  ["rename-file"] = {
    does = "rename a file or folder; imports follow",
    run = function(arguments)
      local new = table.remove(arguments)
      require("engram.renaming").file(arguments[1], new)
    end,
    complete = files,
  },
  rebuild = { does = "forget the memory and read again", run = function() server.run("engram.rebuildMemory", nil, tell) end },
  pause = { does = "stop reading the project", run = function() server.run("engram.pauseReading", nil, tell) end },
  resume = { does = "go on reading", run = function() server.run("engram.resumeReading", nil, tell) end },
  toggle = {
    does = "switch a feature on or off",
    run = function(arguments) toggle(arguments[1]) end,
    complete = { "automatic", "ghost-text", "inlay-hints" },
  },
}

---@param options vim.api.keyset.create_user_command.command_args
function M.run(options)
  local arguments = vim.deepcopy(options.fargs)
  local name = table.remove(arguments, 1) or "status"
  local command = M.all[name]
  if command then
    command.run(arguments, options)
  else
    server.say("there is no subcommand " .. name .. "; see :help :Engram", vim.log.levels.ERROR)
  end
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local words = vim.split(line:gsub("^.-Engram%s+", ""), "%s+")
  local found
  if #words <= 1 then
    found = vim.tbl_keys(M.all)
    table.sort(found)
  else
    local command = M.all[words[1]]
    found = command and command.complete or {}
    if type(found) == "function" then found = found(lead) end
  end
  return vim.tbl_filter(function(word) return vim.startswith(word, lead) end, found)
end

return M
