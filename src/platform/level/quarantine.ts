import { existsSync, readdirSync } from "node:fs";
import { copyFile, link, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

/** How much of what was damaged is kept beside the store. */
export interface QuarantineLimits {
  readonly casesMax: number;
  readonly bytesMax: number;
}

/**
 * Where damaged files go, one folder for each time: `quarantine/2026-11-22T10-15-00-123Z/`. What was damaged
 * is evidence, and may be worth mending by hand; it must not fill the disk either.
 */
export class Quarantine {
  readonly #directory: string;
  readonly #limits: QuarantineLimits;

  constructor(directory: string, limits: QuarantineLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  /** Makes room and a folder for another case. @returns its path. */
  async open(wallMs: number): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await this.#prune(this.#limits.casesMax - 1, this.#limits.bytesMax);
    const name = new Date(wallMs).toISOString().replaceAll(/[:.]/g, "-");
    let path = join(this.#directory, name);
    for (let more = 2; existsSync(path); more++) path = join(this.#directory, `${name}-${more}`);
    await mkdir(path, { mode: 0o700 });
    return path;
  }

  /**
   * Keeps the files of a store as they are now. LevelDB never changes a file that it has finished, so links
   * do where the file system has them, and cost no room.
   */
  async keepFiles(caseDirectory: string, storeDirectory: string): Promise<void> {
    let room = this.#limits.bytesMax;
    const files = await sizes(storeDirectory);
    // Manifest and log tell most and are small: when there is no room for everything, tables stay out.
    for (const { path, bytes } of files.sort((a, b) => a.bytes - b.bytes)) {
      const to = join(caseDirectory, basename(path));
      if (basename(path) === "LOCK" || bytes > room) continue;
      room -= bytes;
      await link(path, to).catch(() => copyFile(path, to));
    }
    await this.#prune(this.#limits.casesMax, this.#limits.bytesMax);
  }

  /** Moves the whole store away. */
  async moveStore(caseDirectory: string, storeDirectory: string): Promise<void> {
    await rename(storeDirectory, join(caseDirectory, "store"));
    await this.#prune(this.#limits.casesMax, this.#limits.bytesMax);
  }

  async note(caseDirectory: string, name: string, content: string | Uint8Array): Promise<void> {
    await writeFile(join(caseDirectory, name), content, { mode: 0o600 });
  }

  /** Names sort by time; the oldest case goes first, and the newest stays whatever its size. */
  async #prune(casesMax: number, bytesMax: number): Promise<void> {
    const cases = readdirSync(this.#directory).sort().reverse();
    let bytes = 0;
    for (const [index, name] of cases.entries()) {
      const path = join(this.#directory, name);
      bytes += (await sizes(path)).reduce((sum, file) => sum + file.bytes, 0);
      if (index >= casesMax || (index > 0 && bytes > bytesMax))
        await rm(path, { recursive: true, force: true });
    }
  }
}

async function sizes(directory: string): Promise<{ path: string; bytes: number }[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(
    files.map(async ({ name, parentPath }) => {
      const path = join(parentPath, name);
      return { path, bytes: (await stat(path)).size };
    }),
  );
}
