--- Pages that say how the server and this editor are.

local server = require("engram.server")

local M = {}

---@param status table
---@return string[]
function M.lines(status)
  local lines = {
    ("engram-ls %s: %s"):format(status.version, status.health and status.health.text or ""),
    "",
    "model: " .. status.model,
  }
  if status.remote and status.remote.problem ~= "off" then
    table.insert(lines, "server: " .. (status.remote.problem or status.remote.endpoint or "asked first"))
  end
  for _, folder in ipairs(status.folders or {}) do
    table.insert(lines, "")
    table.insert(lines, folder.root)
    table.insert(
      lines,
      ("  %d files, %d lines, %d of them from the store; %.0f MB of memory"):format(
        folder.files or 0,
        folder.lines or 0,
        folder.fromStore or 0,
        (folder.memoryBytes or 0) / 2 ^ 20
      )
    )
    table.insert(lines, "  watching for changes: " .. (folder.watching or "no"))
    if folder.problem then table.insert(lines, "  " .. folder.problem) end
  end
  return lines
end

function M.status()
  server.run("engram.status", {}, function(status)
    vim.lsp.util.open_floating_preview(M.lines(status), "text", { focus_id = "engram.status" })
  end)
end

--- What the server cannot know.
local function editor()
  local ghost, others = require("engram.ghost"), {}
  for _, client in ipairs(vim.lsp.get_clients({ bufnr = 0 })) do
    if client.name ~= server.name then table.insert(others, client.name) end
  end
  return {
    "",
    "## Editor",
    "",
    "- Neovim " .. tostring(vim.version()),
    "- ghost text: " .. (ghost.available() and "there" or "not in this version"),
    "- other servers here: " .. (#others > 0 and table.concat(others, ", ") or "none"),
  }
end

function M.report()
  local extra = editor()
  server.run("engram.report", {}, function(markdown)
    local lines = vim.split(vim.trim(markdown), "\n")
    require("engram.page").open("report", vim.list_extend(lines, extra), "markdown")
  end)
end

return M
