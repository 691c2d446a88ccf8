/**
 * Adds to package-lock.json the optional packages for other platforms that `npm install` left out.
 *
 * A registry mirror may carry only the platforms that its users have. `npm install` then drops what it can not
 * find, and `npm ci` refuses the lock file as incomplete. Nothing of these entries is ever installed on a platform
 * that they are not for; where they are, npm fetches them by name and version.
 *
 * `--check` changes nothing and exits 1 when something is missing.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface LockedPackage {
  version?: string;
  optionalDependencies?: Record<string, string>;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
}

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32", "aix", "sunos"];
const processors = [
  "arm64",
  "arm",
  "x64",
  "ia32",
  "ppc64",
  "riscv64",
  "s390x",
  "loong64",
  "wasm32",
];

const file = join(import.meta.dirname, "../package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, LockedPackage> };
let added = 0;
for (const [path, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (isLocked(path, name)) continue;
    const words = (name.split("/").at(-1) ?? "").split("-");
    const os = systems.filter((system) => words.includes(system));
    const cpu = processors.filter((processor) => words.includes(processor));
    if (os.length === 0 && cpu.length === 0) {
      console.error(`${name}, which ${path} wants, is missing and tells no platform`);
      process.exitCode = 1;
      continue;
    }
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(cpu.length > 0 && { cpu }),
      ...(parent.dev === true && { dev: true }),
      ...(words.some((word) => word.startsWith("musl")) && { libc: ["musl"] }),
      optional: true,
      ...(os.length > 0 && { os }),
    };
    added++;
  }
}
if (process.argv.includes("--check")) {
  if (added > 0) process.exitCode = 1;
  console.log(
    added === 0 ? "lock: complete" : `lock: ${added} packages missing; run: npm run lock`,
  );
  process.exit();
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
writeFileSync(
  file,
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`,
);
console.log(`lock: ${added} packages of other platforms added`);

/** Whether a package that is required at `path` is found there or further up. */
function isLocked(path: string, name: string): boolean {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))) {
    if (lock.packages[`${at === "" ? "" : `${at}/`}node_modules/${name}`] !== undefined)
      return true;
    if (at === "") return false;
  }
}
