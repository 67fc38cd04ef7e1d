// The server as this extension has it: found, started, asked, ended.

import { homedir } from "node:os";
import * as vscode from "vscode";
import { ExecuteCommandRequest, State } from "vscode-languageclient/node";
import { type Client, languageClient } from "./client.ts";
import { find, type Machine, type Server, type Wanted } from "./finding.ts";
import type { Health, Status } from "./words.ts";

export const machine: Machine = { platform: process.platform, env: process.env, home: homedir() };

export class Engram implements vscode.Disposable {
  readonly context: vscode.ExtensionContext;
  readonly log = vscode.window.createOutputChannel("Engram", { log: true });
  client: Client | undefined;
  server: Server | undefined;
  status: Status | undefined;
  health: Health = "stopped";

  private readonly changing = new vscode.EventEmitter<void>();
  /** Fires when `server`, `status` or `health` may have changed. */
  readonly onDidChange = this.changing.event;
  /** Starts and stops wait for each other. */
  private turn: Promise<void> = Promise.resolve();

  constructor(context: vscode.ExtensionContext) {
    this.context = context;
  }

  /** The environment that the server is installed into, on the machine where the extension runs. */
  get environment(): string {
    return vscode.Uri.joinPath(this.context.globalStorageUri, "server").fsPath;
  }

  get wanted(): Wanted {
    return {
      configured: vscode.workspace.getConfiguration("engram").get("server.path", "").trim(),
      environment: this.environment,
      folder: vscode.workspace.workspaceFolders?.[0]?.uri.fsPath,
    };
  }

  stop(): Promise<void> {
    return this.inTurn(() => this.stopNow());
  }

  /** Ends the server that runs and starts the one that is found; answers whether there is one. */
  restart(): Promise<boolean> {
    return this.inTurn(async () => {
      await this.stopNow();
      return this.startNow();
    });
  }

  /** Asks the server to run one of its commands. Throws its words when it refuses, and when there is no server. */
  async execute<Answer>(
    command: string,
    args: readonly unknown[] = [],
    token?: vscode.CancellationToken,
  ): Promise<Answer> {
    if (!this.client?.isRunning()) throw new Error("the Engram server is not running");
    try {
      return await this.client.sendRequest(ExecuteCommandRequest.type, { command, arguments: [...args] }, token);
    } catch (error) {
      throw token?.isCancellationRequested ? new vscode.CancellationError() : error;
    }
  }

  dispose(): void {
    this.changing.dispose();
    this.log.dispose();
  }

  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    this.client?.giveUp();
    const result = this.turn.then(work);
    this.turn = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  private async startNow(): Promise<boolean> {
    this.server = find(machine, this.wanted);
    if (!this.server) {
      this.became("missing");
      return false;
    }
    this.log.info(`Starting ${this.server.path}`);
    await vscode.workspace.fs.createDirectory(this.context.globalStorageUri);
    const client = (this.client = languageClient(this, this.server));
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Starting) this.became("starting");
      if (newState === State.Stopped || newState === State.StartFailed) this.became("stopped");
    });
    client.onNotification("engram/status", (status: Status) => this.became(status.state, status));
    // What went wrong the client has said.
    await client.start().catch(() => {});
    return true;
  }

  private async stopNow(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    // Of a server that never came up there is nothing to stop, which the client says by failing.
    await client?.dispose(4000).catch((error: unknown) => this.log.info(`Stopping: ${String(error)}`));
    this.became("stopped");
  }

  private became(health: Health, status?: Status): void {
    this.health = health;
    this.status = status;
    void vscode.commands.executeCommand("setContext", "engram-ls.health", health);
    void vscode.commands.executeCommand(
      "setContext",
      "engram-ls.running",
      health !== "missing" && health !== "stopped",
    );
    this.changing.fire();
  }
}
