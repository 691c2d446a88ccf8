import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Random } from "../random.ts";

/** Files of one agent: `store/`, `admin.token`, `agent-id`, `identity.pem`, `run.json`. */
export class DataDirectory {
  readonly path: string;

  /** @param path made if it is not there. @throws Error in words when it can not be used. */
  constructor(path: string) {
    this.path = resolve(path);
    try {
      makeDirectories(this.path);
      if (!statSync(this.path).isDirectory()) throw new Error("it is not a directory");
      accessSync(this.path, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new Error(
        `data directory ${this.path} can not be used: ${reason(error)}; make it writable for ${userName()}, or choose another with --data`,
        { cause: error },
      );
    }
  }

  get storeDirectory(): string {
    return join(this.path, "store");
  }

  /** @returns the agent's id, which is made at the first start and kept. */
  agentId(random: Random): string {
    const file = join(this.path, "agent-id");
    try {
      const known = readFileSync(file, "utf8").trim();
      if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(known)) return known;
      // An empty file is what a power cut leaves of the very first start; there is no id to lose yet.
      if (known !== "")
        throw new Error(`${file} does not hold an agent id; delete it, or set agent.id`);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    const name = hostname()
      .replace(/[^A-Za-z0-9-]/g, "-")
      .replace(/^-+/, "")
      .slice(0, 40);
    const id = `${name || "agent"}-${Buffer.from(random.bytes(4)).toString("hex")}`;
    return this.#keepAgentId(file, id);
  }

  get identityFile(): string {
    return join(this.path, "identity.pem");
  }

  /** Writes the first admin token for the owner of the device, and for nobody else. */
  async writeFirstToken(token: string): Promise<void> {
    await this.#replace("admin.token", `${token}\n`);
  }

  async writeRunInfo(info: object): Promise<void> {
    await this.#replace("run.json", `${JSON.stringify({ pid: process.pid, ...info }, null, 2)}\n`);
  }

  removeRunInfo(): void {
    rmSync(join(this.path, "run.json"), { force: true });
  }

  #keepAgentId(file: string, id: string): string {
    // Synchronous, since everything that follows carries the id.
    try {
      writeFileSync(`${file}.new`, `${id}\n`, { flush: true });
      renameSync(`${file}.new`, file);
    } catch (error) {
      throw new Error(`can not write ${file}: ${reason(error)}`, { cause: error });
    }
    return id;
  }

  /** Through a temporary file, so that a reader never sees half of it. */
  async #replace(name: string, text: string): Promise<void> {
    const file = join(this.path, name);
    const temporary = `${file}.new`;
    await writeFile(temporary, text, { mode: 0o600, flush: true });
    chmodSync(temporary, 0o600);
    await rename(temporary, file);
  }
}

/** Node's own recursive mkdir never ends where a file system takes no directories, such as /proc. */
function makeDirectories(path: string): void {
  if (existsSync(path)) return;
  makeDirectories(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** @returns the first line of a file that holds a password. @throws Error naming the setting. */
export function readPasswordFile(path: string, setting: string): string {
  return readSecretFile(path, setting).toString("utf8").split("\n", 1)[0]?.trimEnd() ?? "";
}

/** @returns the whole of a file that holds secrets. @throws Error naming the setting. */
export function readSecretFile(path: string, setting: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${setting}: can not read ${path}: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const words: Readonly<Record<string, string>> = {
    EACCES: "permission denied",
    EROFS: "the file system is read-only",
    ENOSPC: "the disk is full",
    ENOTDIR: "part of its path is a file",
    EEXIST: "a file of that name is in the way",
    ENOENT: "no such file",
  };
  return words[code ?? ""] ?? message;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

function userName(): string {
  return process.env["USER"] ?? `user ${process.getuid?.() ?? "?"}`;
}
