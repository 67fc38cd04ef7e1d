import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { registerCommands } from "./commands.ts";
import { Engram } from "./engram.ts";
import { showStatus } from "./status.ts";
import type { Health, Status } from "./words.ts";

/** What `activate` answers, for other extensions and for tests. */
export interface Api {
  readonly client: LanguageClient | undefined;
  readonly serverPath: string | undefined;
  readonly status: Status | undefined;
  readonly health: Health;
  /** Fires when any of these may have changed. */
  readonly onDidChange: vscode.Event<void>;
  /** Settles once the server was started for the first time, or found missing. */
  readonly started: Promise<void>;
}

let engram: Engram | undefined;

export function activate(context: vscode.ExtensionContext): Api {
  const its = (engram = new Engram(context));
  context.subscriptions.push(
    its,
    registerCommands(its),
    showStatus(its),
    vscode.workspace.onDidGrantWorkspaceTrust(() => vscode.commands.executeCommand("engram-ls.restart")),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("engram.server")) void vscode.commands.executeCommand("engram-ls.restart");
    }),
  );
  const started = Promise.resolve(vscode.commands.executeCommand<void>("engram-ls.restart"));
  return {
    get client() {
      return its.client;
    },
    get serverPath() {
      return its.server?.path;
    },
    get status() {
      return its.status;
    },
    get health() {
      return its.health;
    },
    onDidChange: its.onDidChange,
    started,
  };
}

export function deactivate(): Promise<void> | undefined {
  return engram?.stop();
}
