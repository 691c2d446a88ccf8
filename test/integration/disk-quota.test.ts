import { randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { Outbox } from "../../src/outbox/outbox.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { keptLog } from "../support/kept-log.ts";
import { appender } from "../support/outbox-appender.ts";

const MIB = 1024 * 1024;
const QUOTA = 8 * MIB;
/**
 * Tables are merged into new ones before they go. On a disk that merges slower than it takes writes, LevelDB lets
 * twelve tables of 4 MiB gather before it stops its writer; two logs and what is deleted before it is told come on top.
 */
const DISK_BYTES_MAX = 2 * QUOTA + 64 * MIB;

function bytesIn(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

t.test(
  "however much passes through, the disk holds twice the quota and 64 MiB at most",
  async (t) => {
    const directory = join(t.testdir(), "store");
    const logger = keptLog();
    const store = await LevelStore.open({ directory, logger });
    const parts = appender.parts(store, new SystemClock(), logger);
    const options = { ...parts.options, bytesMax: QUOTA, evict: "drop-oldest" as const };
    const outbox = await Outbox.open({ ...parts, options });
    let most = 0;
    for (let megabyte = 0; megabyte < 200; megabyte++) {
      const appended = Array.from(
        { length: 64 },
        () =>
          new Promise<void>((resolve, reject) => {
            const payload = randomBytes(16 * 1024);
            const draft = { stream: "a", payload, contentType: "image/jpeg", priority: 5 };
            outbox.append(draft, (error) => (error === undefined ? resolve() : reject(error)));
          }),
      );
      await Promise.all(appended);
      most = Math.max(most, bytesIn(directory));
    }
    t.ok(outbox.status().bytes <= QUOTA, "the queue itself keeps to its quota");
    t.ok(outbox.status().shed > 0, "and has dropped what did not fit");
    t.ok(most <= DISK_BYTES_MAX, `${Math.round(most / MIB)} MiB on disk at most`);
    await outbox.close();
    await store.close();
  },
);
