const assert = require("node:assert");
const vscode = require("vscode");
const { execute, open, run, until } = require("./scenarios.js");

async function offered(name, folder, typed) {
  const { document } = await open(name, folder);
  const edit = new vscode.WorkspaceEdit();
  edit.insert(document.uri, document.lineAt(document.lineCount - 1).range.end, `\n${typed}`);
  await vscode.workspace.applyEdit(edit);
  const at = document.lineAt(document.lineCount - 1).range.end;
  const list = await vscode.commands.executeCommand("vscode.executeCompletionItemProvider", document.uri, at);
  return list.items.map((item) => item.label.label ?? item.label);
}

exports.run = () =>
  run({
    async "each folder has a memory of its own"(engram) {
      const { folders } = await until(async () => {
        const status = await execute(engram, "engram.status");
        return status.folders.length === 2 && status.folders.every((folder) => folder.loaded) && status;
      }, "both folders");
      assert.ok(folders.every((folder) => folder.files > 0));
    },

    async "names of one folder are not offered in the other"() {
      assert.ok((await offered("shop/orders.py", 0, "remaini")).includes("remaining"));
      assert.ok((await offered("depot.py", 1, "pallet_wei")).includes("pallet_weight"));
      assert.ok(!(await offered("depot.py", 1, "remaini")).includes("remaining"));
    },
  });
