// The language client and what it says of itself.

import { type ChildProcess, spawn } from "node:child_process";
import * as vscode from "vscode";
import {
  type ClientCapabilities,
  CloseAction,
  ErrorAction,
  type ErrorHandler,
  LanguageClient,
  type LanguageClientOptions,
  RevealOutputChannelOn,
  State,
  type StaticFeature,
} from "vscode-languageclient/node";
import type { Engram } from "./engram.ts";
import type { Server } from "./finding.ts";
import { forServer } from "./settings.ts";

export const LANGUAGES = [
  "python",
  "typescript",
  "typescriptreact",
  "javascript",
  "javascriptreact",
  "go",
  "rust",
  "java",
  "c",
  "cpp",
];

/** More crashes than this within three minutes, and the server is not started again by itself. */
const RESTARTS = 4;

export function languageClient(engram: Engram, server: Server): Client {
  const extra = vscode.workspace.getConfiguration("engram").get<string[]>("server.arguments", []);
  // A working folder of our own: nothing of an opened project is found by being the current one.
  const cwd = engram.context.globalStorageUri.fsPath;
  const options: LanguageClientOptions = {
    documentSelector: LANGUAGES.flatMap((language) => ["file", "untitled"].map((scheme) => ({ scheme, language }))),
    outputChannel: engram.log,
    initializationOptions: () =>
      forServer(vscode.workspace.getConfiguration().get("engram"), vscode.workspace.isTrusted),
    middleware: {
      workspace: {
        configuration: async (params, token, next) => {
          const answers = await next(params, token);
          if (!Array.isArray(answers)) return answers;
          return answers.map((answer: unknown, place) =>
            params.items[place]?.section === "engram" ? forServer(answer, vscode.workspace.isTrusted) : answer,
          );
        },
      },
    },
    initializationFailedHandler: () => false,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
  };
  const client = new Client(() => started(server.path, ["serve", ...extra], cwd), options);
  client.clientOptions.errorHandler = errorHandler(client);
  client.registerFeature(SHOWS_STATUS);
  return client;
}

/** Has the server send `engram/status`. */
const SHOWS_STATUS: StaticFeature = {
  fillClientCapabilities(capabilities: ClientCapabilities) {
    capabilities.experimental = { ...(capabilities.experimental as object | undefined), engram: { status: true } };
  },
  initialize() {},
  getState: () => ({ kind: "static" }),
  clear() {},
};

/** What is grave is said by one message with something to do about it; the rest is in the log. */
export class Client extends LanguageClient {
  private telling = false;
  private child: ChildProcess | undefined;

  constructor(start: () => Promise<ChildProcess>, options: LanguageClientOptions) {
    super("engram", "Engram", async () => (this.child = await start()), options);
  }

  /** Ends a server that has not answered yet, which the client cannot stop: it may be none. */
  giveUp(): void {
    if (this.state === State.Starting) this.child?.kill();
  }

  override error(message: string, data?: unknown, show: boolean | "force" = true): void {
    super.error(message, data, false);
    if (show !== "force" || this.telling) return;
    this.telling = true;
    void tell(this.state === State.StartFailed ? "The Engram server could not be started." : message).finally(
      () => (this.telling = false),
    );
  }
}

function started(program: string, args: readonly string[], cwd: string): Promise<ChildProcess> {
  const child = spawn(program, args, { cwd, windowsHide: true });
  return new Promise((resolve, reject) => {
    child.once("spawn", () => resolve(child));
    child.once("error", reject);
  });
}

async function tell(message: string): Promise<void> {
  const chosen = await vscode.window.showErrorMessage(message, "Restart", "Show Log");
  if (chosen === "Restart") await vscode.commands.executeCommand("engram-ls.restart");
  if (chosen === "Show Log") await vscode.commands.executeCommand("engram-ls.showLog");
}

/** A server that died is started again, unless that happened too often or while it started. */
function errorHandler(client: LanguageClient): ErrorHandler {
  const usual = client.createDefaultErrorHandler(RESTARTS);
  return {
    // Who cannot be written to is gone, which `closed` is told too.
    error: () => ({ action: ErrorAction.Continue, handled: true }),
    async closed() {
      if (client.state === State.Starting) {
        return { action: CloseAction.DoNotRestart, message: "The Engram server ended while it was starting." };
      }
      const { action } = await usual.closed();
      if (action === CloseAction.Restart) return { action, handled: true };
      return {
        action,
        message: `The Engram server ended ${RESTARTS + 1} times within three minutes and is not started again.`,
      };
    },
  };
}
