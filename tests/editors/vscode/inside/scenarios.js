// What the suites share: scenarios run one after the other in the extension host, and say how each ended.
const vscode = require("vscode");

/** Runs every scenario, also behind one that failed. */
exports.run = async (scenarios) => {
  const failed = [];
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      await scenario(await started());
      console.log(`ok ${name}`);
    } catch (error) {
      failed.push(name);
      console.log(`FAILED ${name}: ${error.stack}`);
    }
  }
  if (failed.length) throw new Error(failed.join(", "));
};

/** Our extension's own interface, once its server has read all. */
async function started() {
  const extension = vscode.extensions.getExtension("engram-ls.engram-ls");
  const engram = await extension.activate();
  await engram.started;
  await until(() => engram.health === "ready", "the project to be read");
  return engram;
}

exports.until = until;
async function until(true_, what) {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await true_();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

exports.file = file;
function file(name, folder = 0) {
  return vscode.Uri.joinPath(vscode.workspace.workspaceFolders[folder].uri, name);
}

/** Opens a file of the project as it is on disk. */
exports.open = async (name, folder = 0) => {
  const document = await vscode.workspace.openTextDocument(file(name, folder));
  const editor = await vscode.window.showTextDocument(document);
  await vscode.commands.executeCommand("workbench.action.files.revert");
  return editor;
};

/** The place behind the last mention of a text. */
exports.behind = (document, text) => document.positionAt(document.getText().lastIndexOf(text) + text.length);

exports.execute = (engram, command, ...args) =>
  engram.client.sendRequest("workspace/executeCommand", { command, arguments: args });
