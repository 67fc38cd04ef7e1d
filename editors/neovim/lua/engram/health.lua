--- `:checkhealth engram`

local server = require("engram.server")

local health = vim.health

local M = {}

local function neovim()
  health.start("Neovim")
  health.ok("version " .. tostring(vim.version()))
  if not require("engram.ghost").available() then
    health.warn("no ghost text: it comes with Neovim 0.12; the whole line is the first item of completion lists instead")
  elseif not vim.lsp._capability then
    health.info("ghost text is asked for 0.2 s after typing, and accepting a word hides the rest that long")
  else
    health.ok("ghost text can be shown")
  end
end

---@param config vim.lsp.Config
---@return string? program
local function installed(config)
  health.start("The server")
  local cmd = config.cmd
  if type(cmd) ~= "table" then
    health.info("it is started by a function")
    return
  end
  local program = vim.fn.exepath(cmd[1])
  if program == "" then
    health.error(cmd[1] .. " is not found", {
      "install it: pipx install engram-ls, or: uv tool install engram-ls",
      "or say where it is: require('engram').setup({ cmd = { '/path/to/engram-ls', 'serve' } })",
    })
    return
  end
  local asked, done = pcall(function() return vim.system({ program, "--version" }, { text = true }):wait(20000) end)
  if asked and done.code == 0 then
    health.ok(vim.trim(done.stdout) .. " (" .. program .. ")")
  else
    health.error(program .. " does not start", { "run `engram-ls doctor` in a terminal" })
  end
  return program
end

---@param client vim.lsp.Client
local function running(client)
  local buffer = next(client.attached_buffers)
  local params = { command = "engram.status", arguments = {} }
  local answer = client:request_sync("workspace/executeCommand", params, 5000, buffer)
  local status = server.plain(answer and answer.result)
  if not status then
    health.error("it runs but does not answer", { ":Engram restart", ":Engram log" })
    return
  end
  local state = status.health or {}
  local say = state.state == "problem" and health.warn or health.ok
  for _, line in ipairs(require("engram.about").lines(status)) do
    if line ~= "" then say(line) end
  end
end

local shared = {
  ["textDocument/diagnostic"] = "diagnostics.enable = false",
  ["textDocument/semanticTokens/full"] = "semanticTokens.enable = false",
  ["textDocument/inlayHint"] = "inlayHints.parameterNames = 'none', inlayHints.variableTypes = false",
  ["textDocument/inlineCompletion"] = "inline.enable = false",
}

--- Servers on the same buffers that do the same.
local function others(client)
  health.start("Other servers on the same buffers")
  local alone = true
  for buffer in pairs(client.attached_buffers) do
    for _, other in ipairs(vim.lsp.get_clients({ bufnr = buffer })) do
      for method, setting in pairs(other.name ~= client.name and shared or {}) do
        if other:supports_method(method, buffer) and client:supports_method(method, buffer) then
          alone = false
          health.info(("%s answers %s as well; off here by the settings %s"):format(other.name, method, setting))
        end
      end
    end
  end
  if alone then health.ok("none that does what engram-ls does") end
end

function M.check()
  neovim()
  local config = vim.lsp.config[server.name]
  if not config then
    health.error("there is no configuration 'engram': this folder must be on the 'runtimepath'")
    return
  end
  installed(config)
  local client = vim.lsp.get_clients({ name = server.name })[1]
  if client then
    running(client)
    others(client)
  else
    health.warn("it does not run", {
      "vim.lsp.enable('engram') or require('engram').setup() in your init.lua",
      "open a file of a type it knows: " .. table.concat(config.filetypes or {}, ", "),
    })
  end
end

return M
