// What installing the server runs. Nothing here knows of VS Code.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { inEnvironment, type Machine, parent, program } from "./finding.ts";

export interface Step {
  readonly says: string;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly folder: string;
}

export interface Tool {
  readonly name: "uv" | "pip";
  readonly command: string;
  readonly arguments: readonly string[];
}

const OLDEST = "3.11";
const FITS = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";

/** uv if there is one, for it is quick and brings its own Python; else a Python that is new enough and can make environments. */
export async function tool(machine: Machine): Promise<Tool | undefined> {
  const uv = program(machine, "uv");
  if (uv) return { name: "uv", command: uv, arguments: [] };
  const pythons = ["python3", "python", ...[14, 13, 12, 11].map((minor) => `python3.${minor}`)].map((name) => [name]);
  if (machine.platform === "win32") pythons.unshift(["py", "-3"]);
  for (const [name = "", ...first] of pythons) {
    const command = program(machine, name);
    if (command && (await succeeds(command, [...first, "-I", "-c", FITS])))
      return { name: "pip", command, arguments: first };
  }
  return undefined;
}

/**
 * The commands that put `what`, a wheel or the name of a package, into a new environment. They run beside it, and Python without what
 * its variables and the current folder would add (`-I`): an opened project has no say in this.
 */
export function steps(machine: Machine, tool: Tool, environment: string, what: string): Step[] {
  const python = inEnvironment(machine, environment, "python");
  const folder = parent(machine, environment);
  const run = (says: string, command: string, ...rest: string[]): Step => ({ says, command, arguments: rest, folder });
  const making = "Making an environment";
  const installing = "Downloading and installing packages";
  return tool.name === "uv"
    ? [
        run(making, tool.command, "venv", "--no-project", "--python", `>=${OLDEST}`, environment),
        run(installing, tool.command, "pip", "install", "--python", python, what),
      ]
    : [
        run(making, tool.command, ...tool.arguments, "-I", "-m", "venv", environment),
        run(installing, python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", what),
      ];
}

/** Runs one step; its output goes to `say`, line by line or in larger parts. Throws when it fails or is stopped. */
export function perform(step: Step, say: (text: string) => void, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    say(`> ${[step.command, ...step.arguments].join(" ")}\n`);
    const child = spawn(step.command, step.arguments, {
      cwd: step.folder,
      stdio: ["ignore", "pipe", "pipe"],
      signal: stop,
    });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", say);
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`${step.says} failed (${code ?? "stopped"})`)),
    );
  });
}

/** Has a folder made anew. When that fails, what was there is there again. */
export async function anew(folder: string, make: () => Promise<void>): Promise<void> {
  const before = `${folder}-before`;
  const remove = (path: string) => rm(path, { recursive: true, force: true });
  await remove(before);
  if (existsSync(folder)) await rename(folder, before);
  try {
    await make();
  } catch (error) {
    await remove(folder);
    if (existsSync(before)) await rename(before, folder);
    throw error;
  }
  await remove(before);
}

async function succeeds(command: string, rest: readonly string[]): Promise<boolean> {
  const step = { says: command, command, arguments: rest, folder: tmpdir() };
  return perform(step, () => {}, AbortSignal.timeout(20_000)).then(
    () => true,
    () => false,
  );
}
