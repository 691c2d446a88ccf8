import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fetchGo, type GoToolchain, installedGo, runGo } from "./go-toolchain.ts";

const sources = resolve(import.meta.dirname, "go-peer");
const cache = resolve(import.meta.dirname, "../../node_modules/.cache");
const MODULES_TIMEOUT_MS = 300_000;
const BUILD_TIMEOUT_MS = 600_000;
/** How the go command says that nobody is there to ask. */
const UNREACHABLE =
  /dial tcp|lookup |i\/o timeout|connection re(?:fused|set)|no route to host|network is unreachable|TLS handshake|deadline exceeded|: 5\d\d |module lookup disabled/;

/** The built peer, or why it can not be had. */
export type GoPeerProgram = { readonly program: string } | { readonly missing: string };

/**
 * Builds the go-libp2p peer once for each state of its sources and keeps it. Go itself is taken from the path, or
 * fetched for the build and removed again.
 * @throws Error when the peer does not compile, or when what was fetched has another sum than expected
 */
export async function goPeerProgram(): Promise<GoPeerProgram> {
  const program = join(cache, `go-peer-${sourcesHash()}`);
  if (existsSync(program)) return { program };
  const scratch = join(cache, `go-peer-build.${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    const go = installedGo(versionMin()) ?? (await fetchGo(scratch));
    if ("missing" in go) return go;
    const missing = await build(go, join(scratch, "go-peer"));
    if (missing !== undefined) return { missing };
    renameSync(join(scratch, "go-peer"), program);
    return { program };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function build(go: GoToolchain, output: string): Promise<string | undefined> {
  // Listing fetches what the build needs and nothing else, so that the two can fail for different reasons.
  const listed = await runGo(go, ["list", "-deps", "."], {
    cwd: sources,
    timeoutMs: MODULES_TIMEOUT_MS,
  });
  if (listed.code === undefined || UNREACHABLE.test(listed.said))
    return `offline: the modules of go-libp2p can not be fetched (${lastLine(listed.said)})`;
  if (listed.code !== 0) throw new Error(`go list failed:\n${listed.said}`);
  const words = ["build", "-p", "2", "-trimpath", "-ldflags=-s -w", "-o", output, "."];
  const built = await runGo(go, words, { cwd: sources, timeoutMs: BUILD_TIMEOUT_MS });
  if (built.code !== 0) throw new Error(`go build failed (${built.code}):\n${built.said}`);
  return undefined;
}

function lastLine(said: string): string {
  return said.trim().split("\n").at(-1)?.slice(0, 300) ?? "nothing was said";
}

function versionMin(): string {
  const text = readFileSync(join(sources, "go.mod"), "utf8");
  const version = /^go (\S+)$/m.exec(text)?.[1];
  if (version === undefined) throw new Error("go.mod names no version of Go");
  return version;
}

function sourcesHash(): string {
  const hash = createHash("sha256").update(process.arch);
  for (const name of readdirSync(sources).sort())
    hash.update(`\0${name}\0`).update(readFileSync(join(sources, name)));
  return hash.digest("hex").slice(0, 16);
}
