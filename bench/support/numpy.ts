import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { LinePeer } from "./line-peer.ts";
import { root } from "./processes.ts";

/** What is measured beside ours; it brings OpenBLAS. */
const NUMPY = "numpy==2.4.6";

/** One thread; and malloc keeps what it has had, or NumPy's temporaries cost page faults in some processes and not in others. */
const SETTINGS = {
  OPENBLAS_NUM_THREADS: "1",
  MALLOC_MMAP_THRESHOLD_: "1073741824",
  MALLOC_TRIM_THRESHOLD_: "1073741824",
};

/** Starts a script of `bench/peers` with NumPy from PyPI, installed once. @throws Error with what pip said */
export function numpyPeer(script: string, args: readonly string[] = []): LinePeer {
  const kept = join(homedir(), ".cache/agent-mesh-bench", NUMPY);
  const python = join(kept, "bin/python");
  if (!existsSync(python)) install(kept);
  const env = { ...process.env, ...SETTINGS };
  return new LinePeer(script, python, [join(root, "bench/peers", script), ...args], env);
}

function install(kept: string): void {
  mkdirSync(dirname(kept), { recursive: true });
  const making = `${kept}.${process.pid}`;
  try {
    for (const [program, ...args] of [
      ["python3", "-m", "venv", making],
      [join(making, "bin/python"), "-m", "pip", "install", "-q", "--no-input", NUMPY],
    ]) {
      const done = spawnSync(program ?? "", args, { encoding: "utf8", timeout: 240_000 });
      if (done.status !== 0)
        throw new Error(`${NUMPY} can not be installed: ${done.error?.message ?? done.stderr}`);
    }
    renameSync(making, kept);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}
