import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./wait.ts";

/** System calls that change files; LevelDB of Node.js 24 on Linux uses these. */
export const WRITE_CALLS = ["write", "fdatasync", "openat", "rename", "unlink"] as const;

/** A call at which something is made to happen. */
export interface Injection {
  readonly call: string;
  /** `signal=KILL`, `error=EIO`, `error=ENOSPC` */
  readonly what: string;
  /** strace's `when`: the n-th call of a thread, or `first..last`. */
  readonly when: string;
}

/** @returns why system calls can not be tampered with here, or false. */
export function straceUnavailable(): string | false {
  const { error, status } = spawnSync(
    "strace",
    ["-qq", "-e", "trace=none", "-e", "inject=fsync:error=EIO", "true"],
    { stdio: "ignore" },
  );
  if (error !== undefined) return "strace is not installed: apt-get install strace";
  return status === 0 ? false : "strace may not trace processes here";
}

/** Only calls on files of this store count. */
function onStore(store: string): string[] {
  const files = ["", "CURRENT"];
  for (let number = 1; number <= 60; number++) {
    const digits = String(number).padStart(6, "0");
    files.push(`${digits}.log`, `${digits}.ldb`, `${digits}.dbtmp`, `MANIFEST-${digits}`);
  }
  return files.flatMap((file) => ["-P", join(store, file)]);
}

function injecting(store: string, { call, what, when }: Injection): string[] {
  return [...onStore(store), "-e", `trace=${call}`, "-e", `inject=${call}:${what}:when=${when}`];
}

/** @returns words before a command that make the injection happen to it. The store's parent must exist. */
export function straceStart(store: string, injection: Injection): string[] {
  return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", ...injecting(store, injection)];
}

/** @returns words before a command that write down what it does to files of the store. */
export function straceRecord(store: string, log: string): string[] {
  const calls = "write,pwrite64,fdatasync,fsync,rename,unlink";
  return ["strace", "-D", "-f", "-q", "-y", "-s", "0", ...onStore(store)].concat([
    "-e",
    `trace=${calls}`,
    "-e",
    "signal=none",
    "-o",
    log,
  ]);
}

/** @returns who traces a process; 0: nobody. */
export function tracerOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^TracerPid:\s+(\d+)$/m.exec(status)?.[1]);
  } catch {
    return 0;
  }
}

/** Waits until a tracer has written down the end of what it traced. */
export async function tracerEnded(tracer: number): Promise<void> {
  await until("strace to end", () => tracer === 0 || !existsSync(`/proc/${tracer}`));
}

/** Makes an injection happen to a process that runs. @returns what ends it. */
export async function attach(
  pid: number,
  store: string,
  injection: Injection,
): Promise<{ detach(): Promise<void> }> {
  const child: ChildProcess = spawn(
    "strace",
    ["-f", "-p", String(pid), "-o", "/dev/null", ...injecting(store, injection)],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const closed = new Promise<void>((done) => {
    child.once("close", () => done());
  });
  await until("strace to attach", () => said.includes("attached") || child.exitCode !== null);
  return {
    detach: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGINT");
      await closed;
    },
  };
}
