// Installing the server, once the user agreed.

import * as vscode from "vscode";
import { type Engram, machine } from "./engram.ts";
import { listed, versionInstalled, versionOfWheel } from "./finding.ts";
import { anew, perform, type Step, steps, tool } from "./steps.ts";

const PACKAGE = "engram-ls";
const INSTALL = "Install…";
const CHOOSE = "Choose a Path…";
const HELP = "Open Help";

/** Says that there is no server, and what can be done. */
export async function offer(engram: Engram): Promise<void> {
  const { configured } = engram.wanted;
  const says = configured
    ? `engram.server.path is “${configured}”, and there is no such program.`
    : "The Engram server was not found, neither installed by this extension nor on the PATH.";
  const chosen = await vscode.window.showWarningMessage(says, INSTALL, CHOOSE, HELP);
  if (chosen === INSTALL) await install(engram);
  if (chosen === CHOOSE) await choose();
  if (chosen === HELP) await openHelp();
}

/** Installs the server into the extension's own environment, in place of the one that is there, and starts it. */
export async function install(engram: Engram): Promise<void> {
  const means = await tool(machine);
  if (!means) {
    const says = "Installing needs uv, or Python 3.11 or newer that can make virtual environments; neither was found.";
    if ((await vscode.window.showErrorMessage(says, HELP)) === HELP) await openHelp();
    return;
  }
  const wheel = bundledWheel(engram);
  const detail =
    `${wheel ? "The server comes with this extension; the packages that it needs" : `The package “${PACKAGE}” and those that it needs`} ` +
    `are downloaded by ${means.name} from the index that it is set to use (PyPI, usually): some hundred megabytes. ` +
    `They are kept in ${engram.environment}, and nothing else is changed.`;
  const agreed = await vscode.window.showInformationMessage(
    "Install the Engram server?",
    { modal: true, detail },
    "Install",
  );
  if (agreed !== "Install") return;
  await engram.stop();
  try {
    await installing(engram, steps(machine, means, engram.environment, wheel ?? PACKAGE));
  } catch (error) {
    const stopped = error instanceof Error && error.name === "AbortError";
    const says = `The Engram server was not installed: ${error instanceof Error ? error.message : String(error)}.`;
    if (!stopped) void vscode.window.showErrorMessage(says, "Show Log").then((chosen) => chosen && engram.log.show());
  }
  await vscode.commands.executeCommand("engram-ls.restart");
}

function installing(engram: Engram, all: readonly Step[]): Thenable<void> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: "Installing the Engram server",
    cancellable: true,
  };
  return vscode.window.withProgress(options, async (progress, token) => {
    const stop = new AbortController();
    token.onCancellationRequested(() => stop.abort());
    await vscode.workspace.fs.createDirectory(engram.context.globalStorageUri);
    await anew(engram.environment, async () => {
      for (const step of all) {
        progress.report({ message: step.says });
        await perform(step, (text) => engram.log.info(text.trimEnd()), stop.signal);
      }
    });
  });
}

/** Says when the extension carries another server than the one it installed before. */
export async function offerUpdate(engram: Engram): Promise<void> {
  const carried = versionOfWheel(bundledWheel(engram) ?? "");
  const installed = versionInstalled(engram.environment, process.platform);
  if (engram.server?.origin !== "extension" || !carried || carried === installed) return;
  const says = `This extension comes with version ${carried} of the Engram server; ${installed ?? "another one"} is installed.`;
  if ((await vscode.window.showInformationMessage(says, INSTALL)) === INSTALL) await install(engram);
}

function bundledWheel(engram: Engram): string | undefined {
  const folder = engram.context.asAbsolutePath("server");
  const wheel = listed(folder).find((name) => versionOfWheel(name) !== undefined);
  return wheel && vscode.Uri.joinPath(vscode.Uri.file(folder), wheel).fsPath;
}

async function choose(): Promise<void> {
  const [file] = (await vscode.window.showOpenDialog({ title: "The program engram-ls", canSelectMany: false })) ?? [];
  if (file)
    await vscode.workspace
      .getConfiguration("engram")
      .update("server.path", file.fsPath, vscode.ConfigurationTarget.Global);
}

function openHelp(): Thenable<unknown> {
  return vscode.commands.executeCommand("workbench.action.openWalkthrough", "engram-ls.engram-ls#start", false);
}
