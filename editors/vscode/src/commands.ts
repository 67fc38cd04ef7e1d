// What the extension's commands do.

import { homedir } from "node:os";
import * as vscode from "vscode";
import type { Location, Position } from "vscode-languageclient/node";
import type { Engram } from "./engram.ts";
import { install, offer, offerUpdate } from "./installing.ts";
import { suggestNames } from "./names.ts";
import { askQuietHours, showMenu, toggle } from "./status.ts";
import { explainClipboard, explainSelection, explainTerminal } from "./trace.ts";

/** Starts the server, the one that runs ended first; says what is missing. */
async function restart(engram: Engram): Promise<void> {
  void ((await engram.restart()) ? offerUpdate(engram) : offer(engram));
}

export function registerCommands(engram: Engram): vscode.Disposable {
  const commands: Record<string, (...args: never[]) => unknown> = {
    menu: () => showMenu(engram),
    restart: () => restart(engram),
    install: () => install(engram),
    showLog: () => engram.log.show(),
    report: () => report(engram),
    exportStatus: () => exportStatus(engram),
    why: (uri?: vscode.Uri) => why(engram, uri),
    traceClipboard: () => explainClipboard(engram),
    traceTerminal: () => explainTerminal(engram),
    traceSelection: () => explainSelection(engram),
    traceClear: () => engram.execute("engram.trace.clear"),
    suggestNames: () => suggestNames(engram),
    rebuildMemory: () => rebuild(engram),
    pauseReading: () => engram.execute("engram.pauseReading"),
    resumeReading: () => engram.execute("engram.resumeReading"),
    toggleGhostText: () => toggle("enable"),
    toggleAutomatic: () => toggle("automatic"),
    setQuietHours: () => askQuietHours(),
    showReferences: (uri: string, position: Position, places: Location[]) =>
      showReferences(engram, uri, position, places),
  };
  const registered = Object.entries(commands).map(([name, run]) =>
    vscode.commands.registerCommand(`engram-ls.${name}`, (...args: never[]) => said(engram, () => run(...args))),
  );
  return vscode.Disposable.from(...registered);
}

/** Runs something; what it throws is shown, in words. */
async function said(engram: Engram, run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof vscode.CancellationError) return undefined;
    const words = error instanceof Error ? error.message : String(error);
    void vscode.window.showErrorMessage(`Engram: ${words}`, "Show Log").then((chosen) => chosen && engram.log.show());
    return undefined;
  }
}

async function report(engram: Engram): Promise<void> {
  const own = editor(engram).map(([name, value]) => `- **${name}** ${value}\n`);
  const content = `${(await engram.execute<string>("engram.report")).trimEnd()}\n\n## Editor\n\n${own.join("")}`;
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ language: "markdown", content }));
}

async function exportStatus(engram: Engram): Promise<void> {
  const status = { ...(await engram.execute<object>("engram.status")), editor: Object.fromEntries(editor(engram)) };
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const target = await vscode.window.showSaveDialog({
    title: "Export Status",
    filters: { JSON: ["json"] },
    ...(folder && { defaultUri: vscode.Uri.joinPath(folder, "engram-status.json") }),
  });
  if (target)
    await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(`${JSON.stringify(status, null, 2)}\n`));
}

function editor(engram: Engram): [string, string][] {
  return [
    ["editor", `${vscode.env.appName} ${vscode.version}`],
    ["extension", String((engram.context.extension.packageJSON as { version: string }).version)],
    ["remote", vscode.env.remoteName ?? "no"],
    ["workspace trusted", vscode.workspace.isTrusted ? "yes" : "no"],
    ["server", `${engram.server?.path.replace(homedir(), "~")} (found by: ${engram.server?.origin})`],
  ];
}

async function why(engram: Engram, uri = vscode.window.activeTextEditor?.document.uri): Promise<void> {
  if (!uri) return;
  const { text } = await engram.execute<{ text: string }>("engram.why", [
    engram.client!.code2ProtocolConverter.asUri(uri),
  ]);
  void vscode.window.showInformationMessage(text);
}

async function rebuild(engram: Engram): Promise<void> {
  const options = { location: vscode.ProgressLocation.Window, title: "Rebuilding the memory" };
  await vscode.window.withProgress(options, () => engram.execute("engram.rebuildMemory"));
}

/** A click on a lens: the server names places as the protocol does. */
function showReferences(engram: Engram, uri: string, position: Position, places: Location[]): Thenable<unknown> {
  const convert = engram.client!.protocol2CodeConverter;
  const locations = places.map((place) => convert.asLocation(place));
  return vscode.commands.executeCommand(
    "editor.action.showReferences",
    convert.asUri(uri),
    convert.asPosition(position),
    locations,
  );
}
