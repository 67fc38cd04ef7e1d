// The status bar's item and its menu.

import * as vscode from "vscode";
import type { Engram } from "./engram.ts";
import { barText, type Ghost, menu, quietHours, tooltip } from "./words.ts";

export function showStatus(engram: Engram): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("engram-ls.status", vscode.StatusBarAlignment.Right, 90);
  item.name = "Engram";
  item.command = "engram-ls.menu";
  const update = () => {
    item.text = barText(engram.health, engram.status?.percent ?? null);
    item.accessibilityInformation = { label: `Engram: ${engram.status?.text ?? engram.health}` };
    item.tooltip = new vscode.MarkdownString(tooltip(engram.health, engram.status, ghost()));
    const bad = engram.health === "missing" || engram.health === "problem";
    item.backgroundColor = bad ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  };
  update();
  item.show();
  return vscode.Disposable.from(item, engram.onDidChange(update), vscode.workspace.onDidChangeConfiguration(update));
}

export async function showMenu(engram: Engram): Promise<void> {
  const chosen = await vscode.window.showQuickPick(menu(engram.health, engram.status, ghost()), { title: "Engram" });
  if (chosen) await vscode.commands.executeCommand(chosen.command);
}

export function toggle(name: "enable" | "automatic"): Thenable<void> {
  return set(name, !ghost()[name]);
}

export async function askQuietHours(): Promise<void> {
  const typed = await vscode.window.showInputBox({
    title: "Quiet hours: no ghost text while typing",
    prompt: "Local time, several with commas; empty: none. Asked for, ghost text still comes.",
    placeHolder: "22:00-07:00, 12:30-13:00",
    value: ghost().quietHours.join(", "),
    validateInput: (text) => (quietHours(text) ? undefined : "Spans of time like 22:00-07:00 are understood"),
  });
  if (typed !== undefined) await set("quietHours", quietHours(typed) ?? []);
}

function ghost(): Ghost {
  const inline = vscode.workspace.getConfiguration("engram.inline");
  return {
    enable: inline.get("enable", true),
    automatic: inline.get("automatic", true),
    quietHours: inline.get<string[]>("quietHours", []),
  };
}

/** Where the workspace says otherwise than the user, it is the workspace's setting that counts. */
function set(name: keyof Ghost, value: Ghost[keyof Ghost]): Thenable<void> {
  const inline = vscode.workspace.getConfiguration("engram.inline");
  const ofWorkspace = inline.inspect(name)?.workspaceValue !== undefined;
  return inline.update(
    name,
    value,
    ofWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global,
  );
}
