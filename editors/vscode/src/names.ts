// Names for the symbol at the cursor, and the rename shown before it is made.

import * as vscode from "vscode";
import { RenameRequest } from "vscode-languageclient/node";
import type { Engram } from "./engram.ts";
import { preview } from "./trace.ts";

interface Name {
  readonly name: string;
  readonly why: string;
}

const ANOTHER = "$(edit) Another name…";

export async function suggestNames(engram: Engram): Promise<void> {
  const { client } = engram;
  const editor = vscode.window.activeTextEditor;
  if (!client || !editor) return;
  const { uri } = editor.document;
  const place = client.code2ProtocolConverter.asTextDocumentPositionParams(editor.document, editor.selection.active);
  const names = engram.execute<Name[]>("engram.suggestNames", [place.textDocument.uri, place.position]);
  const items = names.then((all) => [
    ...all.map(({ name, why }) => ({ label: name, description: why })),
    { label: ANOTHER },
  ]);
  const chosen = await vscode.window.showQuickPick(items, {
    title: "Rename to",
    placeHolder: "The rename is shown before it is made",
  });
  if (!chosen) return;
  if (chosen.label === ANOTHER) {
    await vscode.commands.executeCommand("editor.action.rename", [uri, editor.selection.active]);
    return;
  }
  const edit = await client.sendRequest(RenameRequest.type, { ...place, newName: chosen.label });
  if (edit) await preview(engram, edit, { chosen: false });
}
