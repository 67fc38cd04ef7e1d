// Makes engram-ls.vsix: `npm run package`, or `npm run package -- --wheel PATH` (or ENGRAM_WHEEL=PATH) to carry the server in it.
// The same sources give the same bytes.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundle } from "./build.mjs";

// vsce sorts the files itself, and takes their time from here. 1980 is the earliest that a zip can say.
process.env.SOURCE_DATE_EPOCH ??= String(Date.UTC(1980, 0, 2) / 1000);
const { createVSIX } = await import("@vscode/vsce");

const folder = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({ options: { wheel: { type: "string" }, out: { type: "string" } } });
const wheel = values.wheel ?? process.env.ENGRAM_WHEEL;

await bundle();
await rm(join(folder, "server"), { recursive: true, force: true });
if (wheel) {
  await mkdir(join(folder, "server"));
  await copyFile(wheel, join(folder, "server", basename(wheel)));
}
await createVSIX({
  cwd: folder,
  packagePath: values.out ? resolve(values.out) : join(folder, "engram-ls.vsix"),
  dependencies: false,
  allowMissingRepository: true,
  rewriteRelativeLinks: false,
  allowUnusedFilesPattern: true,
});
