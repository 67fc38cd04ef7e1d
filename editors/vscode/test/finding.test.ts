import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { find, folders, type Machine, program, versionInstalled, versionOfWheel } from "../src/finding.ts";
import { anew, perform, steps, tool } from "../src/steps.ts";

const linux: Machine = { platform: "linux", env: { PATH: "/usr/bin:bin:." }, home: "/home/ada" };
const windows: Machine = { platform: "win32", env: { Path: "C:\\Windows;tools" }, home: "C:\\Users\\ada" };
const here: Machine = { platform: process.platform, env: process.env, home: homedir() };

function found(machine: Machine, configured: string, there: string[], folder?: string) {
  return find(
    machine,
    { configured, environment: machine === windows ? "C:\\storage\\server" : "/storage/server", folder },
    (path) => there.includes(path),
  );
}

test("the server that the extension installed goes before those on the PATH, these before those of pipx and uv", () => {
  const own = "/storage/server/bin/engram-ls";
  const pipx = "/home/ada/.local/bin/engram-ls";
  assert.deepEqual(found(linux, "", [pipx, "/usr/bin/engram-ls", own]), { path: own, origin: "extension" });
  assert.deepEqual(found(linux, "", [pipx, "/usr/bin/engram-ls"]), { path: "/usr/bin/engram-ls", origin: "path" });
  assert.deepEqual(found(linux, "", [pipx]), { path: pipx, origin: "path" });
  assert.equal(found(linux, "", []), undefined);
});

test("a path in the settings is taken or nothing is", () => {
  const own = "/storage/server/bin/engram-ls";
  assert.deepEqual(
    found(linux, "~/mine/engram-ls", ["/home/ada/mine/engram-ls", own])?.path,
    "/home/ada/mine/engram-ls",
  );
  assert.deepEqual(
    found(linux, "${workspaceFolder}/.venv/bin/engram-ls", ["/p/.venv/bin/engram-ls"], "/p")?.origin,
    "setting",
  );
  assert.deepEqual(found(linux, "my-engram", ["/usr/bin/my-engram"])?.path, "/usr/bin/my-engram");
  assert.equal(found(linux, "/gone/engram-ls", [own]), undefined);
});

test("on Windows programs end in .exe and environments have them in Scripts", () => {
  const own = "C:\\storage\\server\\Scripts\\engram-ls.exe";
  const pipx = "C:\\Users\\ada\\.local\\bin\\engram-ls.exe";
  assert.equal(found(windows, "", [pipx, own])?.path, own);
  assert.equal(found(windows, "", [pipx])?.path, pipx);
  assert.equal(found(windows, "C:/tools/engram-ls.exe", ["C:\\tools\\engram-ls.exe"])?.origin, "setting");
});

test("nothing is looked for in relative folders of the PATH, for these are the opened project's", () => {
  assert.deepEqual(folders(linux), ["/usr/bin", "/home/ada/.local/bin"]);
  assert.deepEqual(folders(windows), ["C:\\Windows", "C:\\Users\\ada\\.local\\bin"]);
});

test("a wheel's name says its version, and only one of the server does", () => {
  assert.equal(versionOfWheel("/x/server/engram_ls-0.2.0-py3-none-any.whl"), "0.2.0");
  assert.equal(versionOfWheel("pygls-2.1.1-py3-none-any.whl"), undefined);
});

test("each tool makes an environment and installs into it", () => {
  const uv = steps(windows, { name: "uv", command: "C:\\uv.exe", arguments: [] }, "C:\\s", "engram-ls");
  assert.deepEqual(
    uv.map((step) => step.arguments.at(-1)),
    ["C:\\s", "engram-ls"],
  );
  const py = steps(windows, { name: "pip", command: "C:\\Windows\\py.exe", arguments: ["-3"] }, "C:\\s", "engram-ls");
  assert.deepEqual(
    py.map((step) => step.command),
    ["C:\\Windows\\py.exe", "C:\\s\\Scripts\\python.exe"],
  );
  assert.deepEqual(py[0]?.arguments, ["-3", "-I", "-m", "venv", "C:\\s"]);
});

test("installing a wheel gives a server that is found, and its version", { timeout: 300_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "engram install "));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const environment = join(folder, "server");
  // Were the current folder's modules taken, installing would fail.
  for (const name of ["venv.py", "ensurepip.py", "pip.py"]) writeFileSync(join(folder, name), "raise SystemExit(9)");
  const said: string[] = [];
  const means = await tool(here);
  assert.ok(means, "neither uv nor a Python was found");
  for (const step of steps(here, means, environment, wheel(folder))) {
    await perform(step, (text) => said.push(text), new AbortController().signal);
  }
  const server = find(here, { configured: "", environment });
  assert.equal(server?.origin, "extension");
  assert.equal(execFileSync(server.path, { encoding: "utf8" }).trim(), "a server");
  assert.equal(versionInstalled(environment, process.platform), "7.8");
  assert.match(said.join(""), /engram_ls-7\.8-py3-none-any\.whl/);
});

test("what is installed stays when another one cannot be, and goes when it can", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "engram anew "));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const environment = join(folder, "server");
  const made = (name: string) => {
    mkdirSync(environment);
    writeFileSync(join(environment, name), "");
  };
  await anew(environment, async () => made("old"));
  const failing = anew(environment, async () => {
    assert.ok(!existsSync(environment));
    made("half");
    throw new Error("no network");
  });
  await assert.rejects(failing, /no network/);
  assert.deepEqual(readdirSync(environment), ["old"]);
  await anew(environment, async () => made("new"));
  assert.deepEqual(readdirSync(environment), ["new"]);
  assert.deepEqual(readdirSync(folder), ["server"]);
});

test("a step that fails or is stopped throws", async () => {
  const step = (code: string) => ({
    says: "Trying",
    command: process.execPath,
    arguments: ["-e", code],
    folder: tmpdir(),
  });
  await assert.rejects(
    perform(step("process.exit(3)"), () => {}, new AbortController().signal),
    /Trying failed \(3\)/,
  );
  const stop = new AbortController();
  const endless = perform(
    step("console.log('on'); setInterval(() => {}, 1e6)"),
    (text) => text.startsWith("on") && stop.abort(),
    stop.signal,
  );
  await assert.rejects(endless, { name: "AbortError" });
});

/** A wheel that is named as the server's, whose program says "a server". */
function wheel(folder: string): string {
  const info = "engram_ls-7.8.dist-info";
  const files = {
    "stand_in.py": "def main():\n    print('a server')\n",
    [`${info}/METADATA`]: "Metadata-Version: 2.1\nName: engram-ls\nVersion: 7.8\n",
    [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    [`${info}/entry_points.txt`]: "[console_scripts]\nengram-ls = stand_in:main\n",
  };
  const record = [...Object.keys(files), `${info}/RECORD`].map((name) => `${name},,\n`).join("");
  const content = join(folder, "content");
  mkdirSync(join(content, info), { recursive: true });
  for (const [name, text] of Object.entries({ ...files, [`${info}/RECORD`]: record }))
    writeFileSync(join(content, name), text);
  const made = join(folder, "engram_ls-7.8-py3-none-any.whl");
  const python = program(here, "python3") ?? program(here, "python") ?? "python3";
  execFileSync(python, ["-m", "zipfile", "-c", made, join(content, "stand_in.py"), join(content, info)]);
  return made;
}
