/**
 * Fetches the Node.js and the native addons of another architecture, for an image or an SD card made on this machine:
 * npm itself only installs those that fit. Versions and checksums are those of package-lock.json.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = resolve(import.meta.dirname, "..");
const usage = `Usage: node scripts/fetch-node.ts [--arch arm64|x64] [--out DIR]

Fetches the Node.js binary and the addons of QUIC and WebRTC that a device of another architecture
needs. The addons go to node_modules, where \`npm run build\` finds them.

  --arch ARCH   arm64 (default) or x64
  --out DIR     where Node.js goes to (node_modules/node-linux-ARCH)
  --help        this text
`;

function fetchPackage(name: string, out: string): string {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version: string; integrity?: string } | undefined>;
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
    // A lock file made where only some platforms can be had has no checksum of the others.
    if (locked.integrity !== undefined && `sha512-${digest}` !== locked.integrity) {
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
    const { arch } = values;
    const modules = join(root, "node_modules");
    const node = `node-linux-${arch}`;
    console.log(fetchPackage(node, resolve(values.out ?? join(modules, node))));
    for (const addon of [
      `@chainsafe/libp2p-quic-linux-${arch}-gnu`,
      `@node-datachannel/linux-${arch}-gnu`,
    ]) {
      try {
        console.log(fetchPackage(addon, join(modules, addon)));
      } catch (error) {
        // The agent runs without them, and says so where its settings ask for one.
        console.error(`fetch-node: ${addon} could not be fetched: ${(error as Error).message}`);
      }
    }
  }
} catch (error) {
  console.error(`fetch-node: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
