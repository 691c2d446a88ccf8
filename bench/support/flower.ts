import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "./processes.ts";

/** What is measured beside ours. */
export const FLOWER = "flwr==1.42.0";
const NUMPY = "numpy==2.4.6";

/**
 * malloc keeps all the memory that it has had. Otherwise it depends on what was allocated before whether NumPy's temporaries cost page
 * faults: Flower's mean then takes 9 ms in one process and 30 ms in the next.
 */
const MALLOC = { MALLOC_MMAP_THRESHOLD_: "1073741824", MALLOC_TRIM_THRESHOLD_: "1073741824" };

/** Installs Flower from PyPI, once. @returns its Python @throws Error with what pip said */
function flowerPython(): string {
  const kept = join(homedir(), ".cache/agent-mesh-bench", FLOWER);
  const python = join(kept, "bin/python");
  if (existsSync(python)) return python;
  mkdirSync(dirname(kept), { recursive: true });
  const making = `${kept}.${process.pid}`;
  try {
    for (const [program, ...args] of [
      ["python3", "-m", "venv", making],
      [join(making, "bin/python"), "-m", "pip", "install", "-q", "--no-input", FLOWER, NUMPY],
    ]) {
      const done = spawnSync(program ?? "", args, { encoding: "utf8", timeout: 600_000 });
      if (done.status !== 0)
        throw new Error(`${FLOWER} can not be installed: ${done.error?.message ?? done.stderr}`);
    }
    renameSync(making, kept);
    return python;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** A Python process with Flower's functions and the updates, which it has read before it is asked. */
export class FlowerPeer {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #said = "";

  /** @param file float32 values, one client after the other */
  constructor(file: string, clients: number, malicious: number, trim: number) {
    const script = join(root, "bench/peers/flower_aggregation.py");
    const args = [script, file, ...[clients, malicious, trim].map(String)];
    const env = { ...process.env, ...MALLOC };
    const child = spawn(flowerPython(), args, { stdio: ["pipe", "pipe", "pipe"], env });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-4_096);
    });
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** @returns how long one call took, without what it takes to read or write updates @throws Error with what Python said */
  async run(rule: string): Promise<{ readonly ms: number; readonly result: Float32Array }> {
    this.#process.stdin?.write(`${rule}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`Flower ended at ${rule}: ${this.#said}`);
    const { ms, result } = JSON.parse(line.value) as { ms: number; result: string };
    const bytes = readFileSync(result);
    return { ms, result: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) };
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}
