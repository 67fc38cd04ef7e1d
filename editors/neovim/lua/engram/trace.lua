--- From a stack trace to a fix: what the server found, shown as diffs; nothing is applied before the user says so.

local server = require("engram.server")

local M = {}

local found = {} ---@type table[] the suspects of the newest answer

local function lines_of(buffer) return vim.api.nvim_buf_get_lines(buffer, 0, -1, false) end

local function terminal()
  local here = vim.api.nvim_get_current_buf()
  if vim.bo[here].buftype == "terminal" then return here end
  local infos = vim.fn.getbufinfo({ bufloaded = 1 })
  table.sort(infos, function(a, b) return a.lastused > b.lastused end)
  for _, info in ipairs(infos) do
    if vim.bo[info.bufnr].buftype == "terminal" then return info.bufnr end
  end
end

--- The lines of the quickfix list. Entries whose place Neovim has read out of the text are written as Python would.
local function quickfix()
  local lines, inside = {}, false
  for _, item in ipairs(vim.fn.getqflist()) do
    local placed = item.valid == 1 and item.bufnr > 0
    if placed and not inside then table.insert(lines, "Traceback (most recent call last):") end
    inside = placed
    if placed then
      local name = vim.api.nvim_buf_get_name(item.bufnr)
      table.insert(lines, ('  File "%s", line %d, in ?'):format(name, item.lnum))
    end
    local text = placed and vim.trim(item.text) or item.text
    if text ~= "" then table.insert(lines, text) end
  end
  return lines
end

local sources = {
  buffer = function() return lines_of(0) end,
  quickfix = quickfix,
  terminal = function()
    local buffer = terminal()
    return buffer and lines_of(buffer) or {}
  end,
  clipboard = function()
    local text = vim.fn.has("clipboard") == 1 and vim.fn.getreg("+") or ""
    return { text ~= "" and text or vim.fn.getreg('"') }
  end,
}
M.sources = vim.tbl_keys(sources)
table.sort(M.sources)

--- The text of a source: a name of `sources` or a register; by default a terminal that is looked at, or the clipboard.
---@param source? string
---@return string
function M.text(source)
  source = source or (vim.bo.buftype == "terminal" and "terminal" or "clipboard")
  local get = sources[source] or function() return { vim.fn.getreg(source) } end
  return table.concat(get(), "\n")
end

--- Asks what a text with stack traces in it says, and shows the answer.
---@param text string
function M.explain(text)
  server.run("engram.trace", { text, vim.NIL, { preview = true } }, function(answer, client)
    if #answer.traces == 0 then
      server.say("no stack trace was found in that text", vim.log.levels.WARN)
    else
      M.show(answer.traces, client)
    end
  end)
end

function M.clear()
  found = {}
  server.run("engram.trace.clear")
end

--- Puts the suspects of the newest trace into the quickfix list.
function M.suspects()
  if #found == 0 then
    server.say("there are no suspects; :Engram trace finds some")
    return
  end
  local items = {}
  for _, suspect in ipairs(found) do
    table.insert(items, {
      filename = vim.uri_to_fname(suspect.uri),
      lnum = suspect.lines[1],
      end_lnum = suspect.lines[2],
      text = suspect["function"] .. ": " .. table.concat(suspect.reasons, "; "),
    })
  end
  vim.fn.setqflist({}, " ", { title = "engram: suspects", items = items })
  vim.cmd.copen()
end

--- Every file that an edit changes: what is in it, and what would be. The edit loses what would make Neovim ask again.
local function changes(edit, encoding)
  local by_uri = vim.deepcopy(edit.changes or {})
  for _, change in ipairs(edit.documentChanges or {}) do
    by_uri[change.textDocument.uri] = vim.deepcopy(change.edits)
  end
  local files = {}
  for uri, edits in pairs(by_uri) do
    local buffer = vim.uri_to_bufnr(uri)
    vim.fn.bufload(buffer)
    local before, scratch = lines_of(buffer), vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_lines(scratch, 0, -1, false, before)
    for _, one in ipairs(edits) do
      one.annotationId = nil
    end
    vim.lsp.util.apply_text_edits(vim.deepcopy(edits), scratch, encoding)
    table.insert(files, { uri = uri, buffer = buffer, edits = edits, before = before, after = lines_of(scratch) })
    vim.api.nvim_buf_delete(scratch, { force = true })
  end
  table.sort(files, function(a, b) return a.uri < b.uri end)
  return files
end

local function name_of(uri) return vim.fn.fnamemodify(vim.uri_to_fname(uri), ":.") end

local function diff(file)
  local unified = vim.text and vim.text.diff or vim.diff
  local text = unified(table.concat(file.before, "\n") .. "\n", table.concat(file.after, "\n") .. "\n", { ctxlen = 3 })
  local name = name_of(file.uri)
  return vim.list_extend({ "--- " .. name, "+++ " .. name }, vim.split(vim.trim(text --[[@as string]]), "\n"))
end

--- Applies a fix after a question. False if the user, or a change meanwhile, said no.
---@return boolean
local function apply(files, encoding)
  for _, file in ipairs(files) do
    if not vim.api.nvim_buf_is_loaded(file.buffer) or not vim.deep_equal(file.before, lines_of(file.buffer)) then
      server.say("the text has changed since; ask again with :Engram trace", vim.log.levels.WARN)
      return false
    end
  end
  local names = table.concat(vim.tbl_map(function(file) return name_of(file.uri) end, files), ", ")
  if vim.fn.confirm("Apply this fix to " .. names .. "?", "&Yes\n&No", 2, "Question") ~= 1 then return false end
  for _, file in ipairs(files) do
    vim.bo[file.buffer].buflisted = true
    vim.lsp.util.apply_text_edits(file.edits, file.buffer, encoding)
  end
  vim.cmd.redraw() -- the question goes, else Neovim would want a key before it says more
  server.say("applied, not yet written: " .. names)
  return true
end

local function said(text) return text and text ~= "" end

--- The lines that are shown of these traces, and what stands in each: a place to go to or a fix to apply.
local function report(traces, encoding)
  local lines, marks = {}, {}
  local function add(line, mark)
    for _, one in ipairs(vim.split(line, "\n")) do
      table.insert(lines, one)
      marks[#lines] = mark
    end
  end
  for _, trace in ipairs(traces) do
    add(vim.iter({ trace.error, trace.message }):filter(said):join(": "))
    if said(trace.test) then add("in the test " .. trace.test) end
    add("")
    if #trace.suspects > 0 then add("Suspects, the likeliest first (<CR> goes there):") end
    for _, suspect in ipairs(trace.suspects) do
      local place = ("  %s:%d %s"):format(name_of(suspect.uri), suspect.lines[1], suspect["function"])
      add(place, { suspect = suspect })
      add("      " .. table.concat(suspect.reasons, "; "), { suspect = suspect })
    end
    for number, proposal in ipairs(trace.proposals) do
      if proposal.edit then
        local mark = { files = changes(proposal.edit, encoding) }
        local tested = proposal.verified == true and ", with it the test passes" or ""
        add("")
        add(("Fix %d (a applies it): %s%s"):format(number, proposal.why, tested), mark)
        for _, file in ipairs(mark.files) do
          for _, line in ipairs(diff(file)) do
            add(line, mark)
          end
        end
      end
    end
    add("")
  end
  return lines, marks
end

--- Shows traces in a window of their own, whose keys go to suspects and apply fixes.
function M.show(traces, client)
  found = {}
  for _, trace in ipairs(traces) do
    vim.list_extend(found, trace.suspects)
  end
  local encoding = client.offset_encoding
  local lines, marks = report(traces, encoding)
  local origin = vim.api.nvim_get_current_win()
  local buffer = require("engram.page").open("trace", lines, "diff")
  local function mark() return marks[vim.api.nvim_win_get_cursor(0)[1]] or {} end
  local function key(lhs, does, act) vim.keymap.set("n", lhs, act, { buffer = buffer, desc = "engram: " .. does }) end
  key("<CR>", "go to the suspect", function()
    local suspect = mark().suspect
    if not suspect then return end
    if vim.api.nvim_win_is_valid(origin) then vim.api.nvim_set_current_win(origin) end
    vim.cmd.edit(vim.fn.fnameescape(vim.uri_to_fname(suspect.uri)))
    vim.api.nvim_win_set_cursor(0, { suspect.lines[1], 0 })
  end)
  key("a", "apply the fix under the cursor", function()
    local files = mark().files
    if not files then
      server.say("the cursor is on no fix")
    elseif apply(files, encoding) then
      vim.api.nvim_buf_delete(buffer, { force = true })
    end
  end)
end

return M
