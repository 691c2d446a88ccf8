import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of 32 MB in memory. */
export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** @returns undefined where nothing may be mounted. */
  static mount(): SmallDisk | undefined {
    const path = mkdtempSync(join(tmpdir(), "faults-disk-"));
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", path]);
    if (status === 0) return new SmallDisk(path);
    rmSync(path, { recursive: true, force: true });
    return undefined;
  }

  /** Takes every byte that is free. @returns what gives them back. */
  fill(): () => void {
    const file = join(this.path, "filler");
    const descriptor = openSync(file, "w");
    for (const bytes of [1024 * 1024, 4_096]) {
      const block = Buffer.alloc(bytes, 1);
      try {
        while (writeSync(descriptor, block) === bytes);
      } catch {
        // Full, as it should be.
      }
    }
    closeSync(descriptor);
    return () => rmSync(file, { force: true });
  }

  unmount(): void {
    spawnSync("umount", ["-l", this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }
}

function newest(store: string, pattern: RegExp): string | undefined {
  const name = readdirSync(store)
    .filter((file) => pattern.test(file))
    .sort()
    .at(-1);
  return name === undefined ? undefined : join(store, name);
}

/** Empties the newest file of a kind. */
export function empty(store: string, pattern: RegExp): void {
  const file = newest(store, pattern);
  if (file !== undefined) truncateSync(file, 0);
}

/** Flips one bit of the newest file of a kind. */
export function flipBit(store: string, pattern: RegExp, share: number): void {
  const file = newest(store, pattern);
  if (file === undefined) return;
  const bytes = readFileSync(file);
  if (bytes.length === 0) return;
  const at = Math.floor(bytes.length * share);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(share * 8)), at);
  writeFileSync(file, bytes);
}

/** Leaves the beginning of a record at the end of the log, as a write that was cut short does. */
export function tearLog(store: string, share: number): void {
  const file = newest(store, /\.log$/);
  if (file === undefined) return;
  const log = readFileSync(file);
  // The header of the first record with some of its data: longer than what follows.
  const record = 7 + (log.length < 7 ? 0 : log.readUInt16LE(4));
  const torn = log.subarray(0, Math.min(Math.floor(record * share), log.length, record - 1));
  writeFileSync(file, Buffer.concat([log, torn]));
}

/** What killed processes and file system checks leave behind. */
export function leaveOrphans(data: string): void {
  const store = join(data, "store");
  writeFileSync(join(store, "000900.dbtmp"), "MANIFEST-0009");
  writeFileSync(join(store, "000901.ldb"), Buffer.alloc(3_000, 7));
  writeFileSync(join(store, "LOG.old"), "");
  mkdirSync(join(store, "lost"), { recursive: true });
  writeFileSync(join(data, "run.json"), '{"pid": 1, "api"');
  writeFileSync(join(data, "run.json.new"), "");
  writeFileSync(join(data, "admin.token.new"), "am_");
  writeFileSync(join(data, "agent-id.new"), "");
  writeFileSync(join(data, "store.generation.new"), "");
}
