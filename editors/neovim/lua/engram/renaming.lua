--- Renaming with the server's help: names to choose from, and files whose importers follow.

local server = require("engram.server")

local M = {}

--- Lets the user choose among better names for what is under the cursor, and renames it.
function M.names()
  local client = server.any()
  if not client then return end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  local uri, position = params.textDocument.uri, params.position
  server.run("engram.suggestNames", { uri, position }, function(names)
    if not names or #names == 0 then
      server.say("no better name is known for this")
      return
    end
    local function shown(item) return item.why and item.name .. "  (" .. item.why .. ")" or item.name end
    vim.ui.select(names, { prompt = "Rename to", format_item = shown, kind = "engram.names" }, function(choice)
      if choice then server.run("engram.renameTo", { uri, position, choice.name }) end
    end)
  end)
end

--- Renames on disk and in buffers, without what Neovim says about every file: it would want a key after so many lines.
local function move(old, new)
  local shortmess = vim.o.shortmess
  vim.o.shortmess = shortmess .. "FW"
  vim.cmd.redraw()
  local done, problem = pcall(vim.lsp.util.rename, old, new)
  vim.o.shortmess = shortmess
  vim.cmd.redraw()
  if not done then server.say(tostring(problem), vim.log.levels.ERROR) end
  return done
end

local function rename(old, new)
  if vim.fn.isdirectory(new) == 1 then new = vim.fs.joinpath(new, vim.fs.basename(old)) end
  if vim.uv.fs_stat(new) then
    server.say(new .. " exists", vim.log.levels.ERROR)
    return
  end
  local files = { { oldUri = vim.uri_from_fname(old), newUri = vim.uri_from_fname(new) } }
  server.request("workspace/willRenameFiles", { files = files }, function(edit, client)
    if edit then vim.lsp.util.apply_workspace_edit(edit, client.offset_encoding) end
    if not move(old, new) then return end
    local changed = edit and #(edit.documentChanges or vim.tbl_keys(edit.changes or {})) or 0
    if changed > 0 then server.say(("the imports in %d files follow; :wall writes them"):format(changed)) end
  end)
end

--- Renames a file or folder, on disk and in buffers, and lets the imports of it follow.
---@param old? string the current file by default
---@param new? string asked for by default; a folder that exists is moved into
function M.file(old, new)
  old = vim.fs.abspath(old or vim.api.nvim_buf_get_name(0)):gsub("(.)/$", "%1")
  if not vim.uv.fs_stat(old) then
    server.say("there is no file " .. old, vim.log.levels.ERROR)
  elseif new then
    rename(old, (vim.fs.abspath(new):gsub("(.)/$", "%1")))
  else
    vim.ui.input({ prompt = "New path: ", default = old, completion = "file" }, function(answer)
      if answer and answer ~= "" and answer ~= old then M.file(old, answer) end
    end)
  end
end

return M
