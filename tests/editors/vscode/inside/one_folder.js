const assert = require("node:assert");
const vscode = require("vscode");
const { behind, execute, file, open, run, until } = require("./scenarios.js");

const BEGUN = "\ndef handle_cancel(request: Request) -> None:\n    started = ";

async function ghostText(engram, triggerKind) {
  const { document, selection } = vscode.window.activeTextEditor;
  const { client } = engram;
  const params = client.code2ProtocolConverter.asTextDocumentPositionParams(document, selection.active);
  const answer = await client.sendRequest("textDocument/inlineCompletion", { ...params, context: { triggerKind } });
  return (answer?.items ?? answer ?? []).map((item) => item.insertText);
}

async function typeAtEnd(editor, text) {
  const end = editor.document.lineAt(editor.document.lineCount - 1).range.end;
  await editor.edit((edit) => edit.insert(end, text));
  const after = editor.document.lineAt(editor.document.lineCount - 1).range.end;
  editor.selection = new vscode.Selection(after, after);
}

/** What a setting does, while it is set. */
async function whileSet(name, value, does) {
  const settings = vscode.workspace.getConfiguration("engram");
  await settings.update(name, value, vscode.ConfigurationTarget.Workspace);
  try {
    return await does();
  } finally {
    await settings.update(name, undefined, vscode.ConfigurationTarget.Workspace);
  }
}

exports.run = () =>
  run({
    async "client and server agree"({ client }) {
      const can = client.initializeResult.capabilities;
      assert.equal(can.positionEncoding, "utf-16");
      assert.ok(can.renameProvider.prepareProvider);
      assert.ok(can.workspace.fileOperations.willRename);
    },

    async "problems are reported"() {
      await open("shop/stock.py");
      const found = await until(() => vscode.languages.getDiagnostics(file("shop/stock.py")).find((one) => one.severity === 0), "a problem");
      assert.match(found.message, /time/);
      assert.equal(vscode.window.activeTextEditor.document.getText(found.range), "time");
      assert.ok(found.code.target, "a problem says where it is explained");
    },

    async "a completion brings its import"() {
      const editor = await open("shop/orders.py");
      await typeAtEnd(editor, "\n\nleft = remain");
      const at = editor.selection.active;
      const list = await vscode.commands.executeCommand("vscode.executeCompletionItemProvider", editor.document.uri, at, undefined, 20);
      const item = list.items.find((one) => (one.label.label ?? one.label) === "remaining");
      const [extra] = item.additionalTextEdits;
      assert.match(extra.newText, /from shop\.stock import remaining/);
    },

    async "a rename finds every mention behind astral characters"() {
      const { document } = await open("shop/prices.py");
      const at = behind(document, "def with_tax");
      const edit = await vscode.commands.executeCommand("vscode.executeDocumentRenameProvider", document.uri, at, "including_tax");
      const changed = edit.entries();
      assert.deepEqual(changed.map(([uri]) => vscode.workspace.asRelativePath(uri)).sort(), ["shop/cart.py", "shop/orders.py", "shop/prices.py"]);
      for (const [uri, edits] of changed) {
        const text = await vscode.workspace.openTextDocument(uri);
        assert.ok(edits.every((one) => text.getText(one.range) === "with_tax" && one.newText === "including_tax"));
        assert.equal(edits.length, text.getText().split("with_tax").length - 1);
      }
    },

    async "ghost text is committed"() {
      const editor = await open("shop/handlers.py");
      await typeAtEnd(editor, BEGUN);
      await until(async () => {
        await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
        await vscode.commands.executeCommand("editor.action.inlineSuggest.commit");
        return editor.document.getText().includes(`${BEGUN}time.perf_counter()`);
      }, "ghost text");
    },

    async "settings reach the server at once"(engram) {
      const editor = await open("shop/handlers.py");
      await typeAtEnd(editor, BEGUN);
      const [automatic, invoked] = [2, 1];
      const shown = (kind) => ghostText(engram, kind);
      const settled = (wanted) => until(async () => ((await shown(automatic)).length > 0) === wanted, `ghost text: ${wanted}`);
      await settled(true);
      await whileSet("inline.automatic", false, async () => {
        await settled(false);
        assert.ok((await shown(invoked)).length, "asked for, it still comes");
      });
      await settled(true);
      await whileSet("inline.quietHours", ["00:00-12:00", "12:00-00:00"], async () => {
        await settled(false);
        assert.ok((await shown(invoked)).length, "asked for, it still comes");
      });
      await settled(true);
    },

    async "every command is there and those that ask nothing run"(engram) {
      const { contributes } = vscode.extensions.getExtension("engram-ls.engram-ls").packageJSON;
      const there = await vscode.commands.getCommands();
      const ours = contributes.commands.map(({ command }) => command);
      assert.deepEqual(ours.filter((command) => !there.includes(command)), []);

      await vscode.commands.executeCommand("engram-ls.report");
      assert.match(vscode.window.activeTextEditor.document.getText(), /^# engram-ls report/);
      await vscode.commands.executeCommand("engram-ls.pauseReading");
      await until(() => engram.health === "paused", "the pause");
      await vscode.commands.executeCommand("engram-ls.resumeReading");
      await until(() => engram.health === "ready", "the end of the pause");
      await vscode.commands.executeCommand("engram-ls.rebuildMemory");
      await until(async () => (await execute(engram, "engram.status")).folders[0].fromStore === 0, "a memory made anew");
      await vscode.commands.executeCommand("engram-ls.restart");
      await until(async () => engram.health === "ready" && (await execute(engram, "engram.status")).folders[0].fromStore > 0, "the memory");
    },

    async "why a file is not in the memory"(engram) {
      const why = (name) => execute(engram, "engram.why", file(name).toString());
      assert.equal((await why("shop/cart.py")).indexed, true);
      await vscode.workspace.fs.writeFile(file(".env"), Buffer.from("KEY=1\n"));
      assert.equal((await why(".env")).indexed, false);
    },

    // The last one: it changes what is on disk.
    async "renaming a module updates who imports it"() {
      const edit = new vscode.WorkspaceEdit();
      edit.renameFile(file("shop/prices.py"), file("shop/tariffs.py"));
      assert.ok(await vscode.workspace.applyEdit(edit));
      const cart = await vscode.workspace.openTextDocument(file("shop/cart.py"));
      const orders = await vscode.workspace.openTextDocument(file("shop/orders.py"));
      await until(() => /^from shop\.tariffs import/m.test(cart.getText()), "the import of cart.py");
      assert.match(orders.getText(), /^from shop import tariffs$/m);
      assert.match(orders.getText(), /tariffs\.with_tax/);
    },
  });
