// From a stack trace to suspects to look at, and to fixes that are shown before they change anything.

import * as vscode from "vscode";
import type { WorkspaceEdit } from "vscode-languageclient/node";
import type { Engram } from "./engram.ts";
import { type Choice, choices, type Suspect, toPreview, type Trace } from "./traced.ts";

export async function explainClipboard(engram: Engram): Promise<void> {
  await explain(engram, await vscode.env.clipboard.readText(), "The clipboard holds no stack trace of this project.");
}

/** VS Code does not tell what is selected in a terminal, so it is copied, and the clipboard put back. */
export async function explainTerminal(engram: Engram): Promise<void> {
  const before = await vscode.env.clipboard.readText();
  await vscode.env.clipboard.writeText("");
  await vscode.commands.executeCommand("workbench.action.terminal.copySelection");
  const text = await vscode.env.clipboard.readText();
  await vscode.env.clipboard.writeText(before);
  await explain(engram, text, "Select a stack trace of this project in the terminal first.");
}

export async function explainSelection(engram: Engram): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const chosen = editor && !editor.selection.isEmpty ? editor.selection : undefined;
  await explain(
    engram,
    editor?.document.getText(chosen) ?? "",
    "No stack trace of this project was found in the text.",
  );
}

async function explain(engram: Engram, text: string, otherwise: string): Promise<void> {
  const traces = text.trim() ? await traced(engram, text) : [];
  const { title, items } = choices(traces, (uri) =>
    vscode.workspace.asRelativePath(engram.client!.protocol2CodeConverter.asUri(uri)),
  );
  if (!items.length) {
    void vscode.window.showInformationMessage(otherwise);
    return;
  }
  const picks = items.map((item) => ({ ...item, ...(item.heading && { kind: vscode.QuickPickItemKind.Separator }) }));
  const options = {
    title,
    placeHolder: "A fix is shown before it changes anything",
    matchOnDescription: true,
    matchOnDetail: true,
  };
  const chosen: Choice | undefined = await vscode.window.showQuickPick(picks, options);
  if (chosen?.suspect) await show(engram, chosen.suspect);
  if (chosen?.proposal?.edit) await preview(engram, chosen.proposal.edit, { chosen: true });
}

async function traced(engram: Engram, text: string): Promise<readonly Trace[]> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: "Reading the stack trace",
    cancellable: true,
  };
  const answer = await vscode.window.withProgress(options, (_, token) =>
    engram.execute<{ traces: readonly Trace[] }>("engram.trace", [text], token),
  );
  return answer.traces;
}

async function show(engram: Engram, suspect: Suspect): Promise<void> {
  const uri = engram.client!.protocol2CodeConverter.asUri(suspect.uri);
  const line = suspect.lines[0] !== undefined ? suspect.lines[0] - 1 : await lineOf(uri, suspect.function);
  const at = new vscode.Range(line, 0, line, 0);
  await vscode.window.showTextDocument(uri, { selection: at });
}

/** The line of a function that is named like "Class.method"; 0 where there is none. */
async function lineOf(uri: vscode.Uri, name: string): Promise<number> {
  const symbols = await vscode.commands.executeCommand<vscode.DocumentSymbol[] | undefined>(
    "vscode.executeDocumentSymbolProvider",
    uri,
  );
  let inner = symbols ?? [];
  let line = 0;
  for (const part of name.split(".")) {
    const found = inner.find((symbol) => symbol.name === part);
    if (!found) break;
    line = found.selectionRange.start.line;
    inner = found.children;
  }
  return line;
}

/** Has VS Code show the edit; it is made only if the user then applies it. */
export async function preview(engram: Engram, edit: WorkspaceEdit, options: { chosen: boolean }): Promise<boolean> {
  const made = await engram.client!.protocol2CodeConverter.asWorkspaceEdit(toPreview(edit, options.chosen));
  return vscode.workspace.applyEdit(made, { isRefactoring: true });
}
