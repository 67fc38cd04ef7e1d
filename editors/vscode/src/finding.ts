// Where the server may be, and which one is taken. Nothing here knows of VS Code.

import { existsSync, readdirSync, statSync } from "node:fs";
import { posix, win32 } from "node:path";

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

export interface Wanted {
  /** `engram.server.path`; "" where it is not set. */
  readonly configured: string;
  /** The environment that this extension installs into. */
  readonly environment: string;
  /** What `${workspaceFolder}` stands for. */
  readonly folder?: string | undefined;
}

export interface Server {
  readonly path: string;
  readonly origin: "setting" | "extension" | "path";
}

const PROGRAM = "engram-ls";

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The first server there is. A path in the settings is followed or nothing is: another server would not be what was asked for. */
export function find(machine: Machine, wanted: Wanted, exists: (path: string) => boolean = isFile): Server | undefined {
  return candidates(machine, wanted).find((server) => exists(server.path));
}

export function candidates(machine: Machine, wanted: Wanted): Server[] {
  const { configured, environment } = wanted;
  const program = executable(machine, PROGRAM);
  const { join } = paths(machine);
  const onPath = (name: string) => folders(machine).map((folder) => join(folder, name));
  if (configured && !/[\\/]/.test(configured)) return onPath(executable(machine, configured)).map(from("setting"));
  if (configured) return [from("setting")(expanded(machine, configured, wanted.folder))];
  return [from("extension")(inEnvironment(machine, environment, PROGRAM)), ...onPath(program).map(from("path"))];
}

function from(origin: Server["origin"]): (path: string) => Server {
  return (path) => ({ path, origin });
}

/** A program of a virtual environment. */
export function inEnvironment(machine: Machine, environment: string, program: string): string {
  return paths(machine).join(
    environment,
    machine.platform === "win32" ? "Scripts" : "bin",
    executable(machine, program),
  );
}

/** Where programs are looked for: PATH, then where pipx and uv put tools, since what a desktop starts often lacks that in its PATH. */
export function folders(machine: Machine): string[] {
  const { env, home } = machine;
  const { delimiter, isAbsolute, join } = paths(machine);
  const usual = [env["UV_TOOL_BIN_DIR"], env["PIPX_BIN_DIR"], env["XDG_BIN_HOME"], join(home, ".local", "bin")];
  if (machine.platform === "darwin") usual.push("/opt/homebrew/bin", "/usr/local/bin");
  const all = [...(env["PATH"] ?? env["Path"] ?? "").split(delimiter), ...usual];
  // A relative one would be looked up in whatever folder is open.
  return [...new Set(all.filter((folder): folder is string => !!folder && isAbsolute(folder)))];
}

/** A program on the PATH or in the usual folders. */
export function program(
  machine: Machine,
  name: string,
  exists: (path: string) => boolean = isFile,
): string | undefined {
  return folders(machine)
    .map((folder) => paths(machine).join(folder, executable(machine, name)))
    .find(exists);
}

export function parent(machine: Machine, path: string): string {
  return paths(machine).dirname(path);
}

/** The version of the server in a wheel's file name, or in an environment. */
export function versionOfWheel(wheel: string): string | undefined {
  return /(?:^|[\\/])engram_ls-([^-]+)-[^\\/]+\.whl$/.exec(wheel)?.[1];
}

export function versionInstalled(environment: string, platform: NodeJS.Platform): string | undefined {
  const libraries =
    platform === "win32"
      ? [`${environment}/Lib/site-packages`]
      : listed(`${environment}/lib`).map((python) => `${environment}/lib/${python}/site-packages`);
  const names = libraries.flatMap(listed);
  return names.map((name) => /^engram_ls-(.+)\.dist-info$/.exec(name)?.[1]).find((version) => version !== undefined);
}

export function listed(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function executable(machine: Machine, name: string): string {
  return machine.platform === "win32" && !/\.\w+$/.test(name) ? `${name}.exe` : name;
}

function expanded(machine: Machine, path: string, folder: string | undefined): string {
  const absolute = path
    .replace(/^~(?=[\\/])/, machine.home)
    .replace("${workspaceFolder}", folder ?? "${workspaceFolder}");
  return paths(machine).normalize(absolute);
}

function paths(machine: Machine): typeof posix {
  return machine.platform === "win32" ? win32 : posix;
}
