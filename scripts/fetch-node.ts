/**
 * Fetches the Node.js of another architecture, for an image or an SD card made on this machine: npm itself
 * only installs the one that fits. Version and checksum are those of package-lock.json.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = resolve(import.meta.dirname, "..");
const usage = `Usage: node scripts/fetch-node.ts [--arch arm64|x64] [--out DIR]

Fetches the Node.js binary that a device of another architecture needs.

  --arch ARCH   arm64 (default) or x64
  --out DIR     where to (node_modules/node-linux-ARCH)
  --help        this text
`;

function fetchNode(architecture: string, out: string): string {
  const name = `node-linux-${architecture}`;
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version: string; integrity: string } | undefined>;
  };
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined)
    throw new Error(`package-lock.json has no ${name}; --arch is x64 or arm64`);
  mkdirSync(dirname(out), { recursive: true });
  const directory = mkdtempSync(join(dirname(out), ".fetch-node-"));
  try {
    const spec = `${name}@${locked.version}`;
    const args = ["pack", spec, "--silent", "--pack-destination", directory];
    const file = execFileSync("npm", args, { cwd: directory, encoding: "utf8" }).trim();
    const tar = join(directory, file.split("\n").at(-1) ?? "");
    const digest = createHash("sha512").update(readFileSync(tar)).digest("base64");
    if (`sha512-${digest}` !== locked.integrity) {
      throw new Error(`${spec}: what was fetched is not what package-lock.json names`);
    }
    execFileSync("tar", ["-C", directory, "-xzf", tar]);
    rmSync(out, { recursive: true, force: true });
    renameSync(join(directory, "package"), out);
    return `${name} ${locked.version} is in ${out}`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

try {
  const { values } = parseArgs({
    options: {
      arch: { type: "string", default: "arm64" },
      out: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
  } else {
    const out = values.out ?? join(root, `node_modules/node-linux-${values.arch}`);
    console.log(fetchNode(values.arch, resolve(out)));
  }
} catch (error) {
  console.error(`fetch-node: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
