import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { moduleSum, type ZipEntry, zipEntries } from "./go-module-zip.ts";

const VERSION = "1.26.8";
const DOWNLOAD_TIMEOUT_MS = 180_000;
/** What `go.sum` would say of the toolchain's module; checked before anything of it is run. */
const SUMS: Readonly<Record<string, readonly [architecture: string, sum: string]>> = {
  x64: ["amd64", "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="],
  arm64: ["arm64", "h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc="],
};

/** The go command with the environment it is to run in. */
export interface GoToolchain {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

/** What came of one command. */
export interface GoOutcome {
  readonly code: number | undefined;
  readonly said: string;
}

/** @returns the installed Go when it is at least this version, such as `1.26.6` */
export function installedGo(versionMin: string): GoToolchain | undefined {
  const env = { ...process.env, GOTOOLCHAIN: "local" };
  const { stdout, error } = spawnSync("go", ["env", "GOVERSION"], {
    env,
    encoding: "utf8",
    cwd: tmpdir(),
  });
  const version = /^go(\d+)\.(\d+)(?:\.(\d+))?/.exec(error === undefined ? stdout : "");
  if (version === null) return undefined;
  const have = version.slice(1).map((part: string | undefined) => Number(part ?? 0));
  const want = versionMin.split(".").map(Number);
  const first = want.findIndex((part, at) => part !== (have[at] ?? 0));
  if (first >= 0 && (have[first] ?? 0) < (want[first] ?? 0)) return undefined;
  return { program: "go", env };
}

/**
 * Fetches Go from the module proxy, where toolchains are modules, and unpacks it.
 * @param directory everything goes here, the caches of the go command too
 * @returns why it can not be had where it can not, beginning with `offline:` when nobody answered
 * @throws Error when what came is not what was asked for
 */
export async function fetchGo(directory: string): Promise<GoToolchain | { missing: string }> {
  const [architecture, sum] = SUMS[process.arch] ?? [];
  if (architecture === undefined || sum === undefined)
    return { missing: `there is no Go to fetch for ${process.arch}` };
  const module = `golang.org/toolchain@v0.0.1-go${VERSION}.linux-${architecture}`;
  const entries = await fetchModule(module, sum);
  if ("missing" in entries) return entries;
  const root = join(directory, "go");
  for (const { name, bytes } of entries) {
    if (!name.startsWith(`${module}/`)) throw new Error(`${module} holds ${name}`);
    const file = join(root, name.slice(module.length + 1));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  // Archives of modules keep no modes.
  for (const programs of [join(root, "bin"), join(root, `pkg/tool/linux_${architecture}`)])
    for (const name of readdirSync(programs)) chmodSync(join(programs, name), 0o755);
  const env = {
    ...process.env,
    GOROOT: root,
    GOTOOLCHAIN: "local",
    GOPATH: join(directory, "path"),
    GOMODCACHE: join(directory, "modules"),
    GOCACHE: join(directory, "build"),
    GOTMPDIR: directory,
    // Otherwise only root could remove the modules again.
    GOFLAGS: "-modcacherw",
  };
  return { program: join(root, "bin/go"), env };
}

/**
 * Fetches a module from the module proxy.
 * @param module with its version, as `path@v1.2.3` @param sum what `go.sum` says of it
 * @returns its files, or why it can not be had, beginning with `offline:`
 * @throws Error when what came is not what was asked for
 */
export async function fetchModule(
  module: string,
  sum: string,
): Promise<readonly ZipEntry[] | { missing: string }> {
  const archive = await download(module.replace("@", "/@v/"));
  if (typeof archive === "string") return { missing: `offline: ${archive}` };
  const entries = [...zipEntries(archive)];
  const came = moduleSum(entries);
  if (came !== sum) throw new Error(`${module} has the sum ${came}, not ${sum}`);
  return entries;
}

async function download(path: string): Promise<Buffer | string> {
  const proxies = moduleProxies()
    .split(/[,|]/)
    .filter((proxy) => /^https?:/.test(proxy));
  const faults: string[] = [];
  for (const proxy of proxies) {
    const url = `${proxy.replace(/\/$/, "")}/${path}.zip`;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
      if (response.ok) return Buffer.from(await response.arrayBuffer());
      await response.body?.cancel();
      faults.push(`${url}: ${response.status}`);
    } catch (error) {
      const { message, cause } = error as Error;
      faults.push(`${url}: ${cause instanceof Error ? cause.message : message}`);
    }
  }
  return faults.length > 0 ? faults.join("; ") : "GOPROXY names no module proxy";
}

/** What the environment names; else what a go command does, however old it is. */
function moduleProxies(): string {
  const named = process.env["GOPROXY"];
  if (named !== undefined) return named;
  const asked = spawnSync("go", ["env", "GOPROXY"], { encoding: "utf8", cwd: tmpdir() });
  return asked.error === undefined ? asked.stdout.trim() : "";
}

/** Runs the go command to its end. @returns its exit code, and the last of what it said */
export function runGo(
  { program, env }: GoToolchain,
  words: readonly string[],
  options: { readonly cwd: string; readonly timeoutMs: number },
): Promise<GoOutcome> {
  const { cwd, timeoutMs } = options;
  const child = spawn(program, words, {
    cwd,
    env,
    stdio: ["ignore", "ignore", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? undefined, said }));
  });
}
