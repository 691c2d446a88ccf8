import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const PACKAGES = ["grpcio==1.76.0", "grpcio-tools==1.76.0", "protobuf==6.33.6"];
const proto = resolve(import.meta.dirname, "../../proto");
const FILES = [
  "agent_mesh/v1/messaging.proto",
  "agent_mesh/v1/record.proto",
  "agent_mesh/bridge/v1/link.proto",
  "agent_mesh/bridge/v1/bridge.proto",
];

/** A Python with gRPC's own library for it, or why it can not be had. */
export type GrpcPython = { readonly python: string } | { readonly missing: string };

/** Installed from PyPI into the temporary directory, where later runs find it; `GRPC_PYTHON` names another. */
export function grpcPython(): GrpcPython {
  const given = process.env["GRPC_PYTHON"];
  if (given !== undefined) return { python: given };
  const version = spawnSync("python3", ["-c", "import sys; print(sys.version_info[:2])"], {
    encoding: "utf8",
  });
  if (version.status !== 0) return { missing: "there is no python3" };
  const name = `agent-mesh-grpcio-1.76.0-${version.stdout.replaceAll(/\D+/g, "")}-${process.getuid?.()}`;
  const kept = join(tmpdir(), name);
  const python = join(kept, "bin/python");
  if (existsSync(python)) return { python };
  const fault = install(kept);
  if (fault === undefined || existsSync(python)) return { python };
  return { missing: `offline: grpcio can not be installed (${fault}); set GRPC_PYTHON` };
}

function install(target: string): string | undefined {
  const making = mkdtempSync(`${target}.`);
  try {
    for (const [program, ...args] of [
      ["python3", "-m", "venv", making],
      [join(making, "bin/python"), "-m", "pip", "install", "-q", "--no-input", ...PACKAGES],
    ]) {
      const done = spawnSync(program ?? "", args, { encoding: "utf8", timeout: 240_000 });
      if (done.status !== 0)
        return done.error?.message ?? done.stderr.trim().split("\n").at(-1) ?? "pip failed";
    }
    // Programs in there name their directory, and none of them is used: the interpreter finds its own place.
    renameSync(making, target);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Makes a client's code from our schemas, with the other language's own tools. @returns its directory */
export function generatePython(python: string, scratch: string): string {
  const out = join(scratch, "generated");
  mkdirSync(out, { recursive: true });
  const args = ["-m", "grpc_tools.protoc", `-I${proto}`, `--python_out=${out}`];
  const done = spawnSync(python, [...args, `--grpc_python_out=${out}`, ...FILES], {
    encoding: "utf8",
    timeout: 60_000,
  });
  if (done.status !== 0) throw new Error(`protoc failed: ${done.stderr}`);
  return out;
}

/**
 * Runs a script against what was generated.
 * @returns the JSON that it prints
 * @throws Error with what it said when it fails
 */
export async function runPython(
  python: string,
  generated: string,
  script: string,
  args: readonly string[],
): Promise<Record<string, unknown>> {
  const env = {
    ...process.env,
    PYTHONPATH: generated,
    PYTHONDONTWRITEBYTECODE: "1",
    NO_PROXY: "127.0.0.1,localhost",
  };
  const { stdout } = await promisify(execFile)(python, [script, ...args], {
    cwd: dirname(script),
    env,
    timeout: 120_000,
    killSignal: "SIGKILL",
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}
