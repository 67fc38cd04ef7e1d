// Bundles the extension into dist/, with the licences of what is bundled.
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = fileURLToPath(new URL("..", import.meta.url));

export async function bundle() {
  const { metafile } = await build({
    absWorkingDir: folder,
    entryPoints: ["src/extension.ts"],
    outfile: "dist/extension.js",
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["vscode"],
    minify: true,
    metafile: true,
    legalComments: "none",
  });
  await writeFile(join(folder, "dist", "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));
}

async function licences(inputs) {
  const packages = inputs.map((input) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]).filter(Boolean);
  const parts = [...new Set(packages)].sort().map(async (path) => {
    const { name, version, license } = JSON.parse(await readFile(join(folder, path, "package.json"), "utf8"));
    const file = (await readdir(join(folder, path))).find((one) => /^licen[cs]e/i.test(one));
    const text = file ? await readFile(join(folder, path, file), "utf8") : `Licence: ${license}\n`;
    return `${name} ${version}\n\n${text.replaceAll("\r\n", "\n").trim()}\n`;
  });
  return (await Promise.all(parts)).join(`\n${"-".repeat(80)}\n\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
