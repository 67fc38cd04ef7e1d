// The language client and what it says of itself.

import * as vscode from "vscode";
import {
  type ClientCapabilities,
  CloseAction,
  type ErrorHandler,
  LanguageClient,
  type LanguageClientOptions,
  type StaticFeature,
} from "vscode-languageclient/node";
import type { Engram } from "./engram.ts";
import type { Server } from "./finding.ts";
import { forServer } from "./settings.ts";

export const LANGUAGES = ["python", "typescript", "typescriptreact", "javascript", "javascriptreact", "go", "rust", "java", "c", "cpp"];

/** More crashes than this within three minutes, and the server is not started again by itself. */
const RESTARTS = 4;

export function languageClient(engram: Engram, server: Server): LanguageClient {
  const extra = vscode.workspace.getConfiguration("engram").get<string[]>("server.arguments", []);
  // A working folder of our own: nothing of an opened project is found by being the current one.
  const cwd = engram.context.globalStorageUri.fsPath;
  const options: LanguageClientOptions = {
    documentSelector: LANGUAGES.flatMap((language) => ["file", "untitled"].map((scheme) => ({ scheme, language }))),
    outputChannel: engram.log,
    initializationOptions: () => forServer(vscode.workspace.getConfiguration().get("engram"), vscode.workspace.isTrusted),
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
  };
  const client = new LanguageClient("engram", "Engram", { command: server.path, args: ["serve", ...extra], options: { cwd } }, options);
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

/** The client's own, which starts a server that died again, but says by us when it gives up. */
function errorHandler(client: LanguageClient): ErrorHandler {
  const usual = client.createDefaultErrorHandler(RESTARTS);
  return {
    error: (error, message, count) => usual.error(error, message, count),
    async closed() {
      const result = await usual.closed();
      if (result.action === CloseAction.DoNotRestart) void gaveUp();
      return { ...result, handled: true };
    },
  };
}

export async function gaveUp(): Promise<void> {
  const chosen = await vscode.window.showErrorMessage(
    `The Engram server ended ${RESTARTS + 1} times within three minutes and is not started again.`,
    "Restart",
    "Show Log",
  );
  if (chosen === "Restart") await vscode.commands.executeCommand("engram-ls.restart");
  if (chosen === "Show Log") await vscode.commands.executeCommand("engram-ls.showLog");
}
