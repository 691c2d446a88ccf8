import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What a command in the container did. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      // proc(5): pid (comm) state ppid; comm may hold blanks and parentheses.
      const stat = readFileSync(`/proc/${Number(name)}/stat`, "latin1");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      return parent === pid ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** A helper that sets the container up has the same parent; only the guest's init is number 1 of its own. */
function isInit(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return /^NSpid:\s+\d+\s+1$/m.test(status) && /^Name:\s+systemd$/m.test(status);
  } catch {
    return false;
  }
}

/** Runs `check` until it gives something. @throws Error naming `what` after `deadlineMs`. */
export async function eventually<T>(
  what: string,
  check: () => T | undefined | false,
  deadlineMs = 60_000,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const found = check();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await delay(100);
  }
}

/** A machine with a real systemd as its first process, and a network of its own with nothing but loopback. */
export class Container {
  readonly #nspawn: ChildProcess;
  readonly #closed: Promise<void>;
  #console = "";
  #leader = 0;

  private constructor(root: string) {
    this.#nspawn = spawn(
      "systemd-nspawn",
      [
        "--register=no",
        "--keep-unit",
        "--quiet",
        "--private-network",
        "--kill-signal=SIGRTMIN+3",
        "--console=pipe",
        "--directory",
        root,
        "--boot",
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const collect = (chunk: Buffer): void => {
      this.#console = (this.#console + chunk.toString("utf8")).slice(-50_000);
    };
    this.#nspawn.stdout?.on("data", collect);
    this.#nspawn.stderr?.on("data", collect);
    this.#closed = new Promise((done) => this.#nspawn.on("close", () => done()));
  }

  /** Boots `root` and waits until systemd has nothing left to start. */
  static async boot(root: string): Promise<Container> {
    const container = new Container(root);
    try {
      const pid = container.#nspawn.pid;
      if (pid === undefined) throw new Error("systemd-nspawn did not start");
      container.#leader = await eventually("the container's first process", () => {
        if (container.#nspawn.exitCode !== null) throw new Error(`nspawn: ${container.#console}`);
        return childrenOf(pid).find(isInit);
      });
      await eventually("systemd to be up", () => {
        const state = container.run("systemctl", "is-system-running").stdout.trim();
        return state === "running" || state === "degraded";
      });
      return container;
    } catch (error) {
      await container.shutDown();
      throw error;
    }
  }

  /** Runs a command inside, as root. */
  run(...command: string[]): Outcome {
    const inside = [`--target=${this.#leader}`, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"];
    // Nothing of this process's environment holds inside, least of all the test runner's hooks for Node.js.
    const clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    const done = spawnSync("nsenter", [...inside, ...clean, ...command], {
      encoding: "utf8",
      timeout: 60_000,
    });
    return { status: done.status ?? -1, stdout: done.stdout ?? "", stderr: done.stderr ?? "" };
  }

  /** What systemd says of one property of a unit. */
  property(unit: string, name: string): string {
    return this.run("systemctl", "show", "--value", "-p", name, unit).stdout.trim();
  }

  /** Shuts systemd down in order. KILL would leave the guest's processes behind, so it is not used. */
  async shutDown(): Promise<void> {
    if (this.#nspawn.exitCode === null) this.#nspawn.kill("SIGTERM");
    await this.#closed;
  }

  /** The container's console, for a failed test to show. */
  get console(): string {
    return this.#console;
  }
}

/** @returns why containers cannot be booted here, or false when they can. */
export function containersUnavailable(): string | false {
  if (process.getuid?.() !== 0) return "needs root to boot a container";
  for (const tool of ["systemd-nspawn", "mmdebstrap", "nsenter"]) {
    try {
      execFileSync("which", [tool], { stdio: "ignore" });
    } catch {
      return `needs ${tool}: apt-get install systemd-container mmdebstrap util-linux`;
    }
  }
  return false;
}
