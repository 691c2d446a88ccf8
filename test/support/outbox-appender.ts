import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Outbox } from "../../src/outbox/outbox.ts";
import type { OutboxParts } from "../../src/outbox/parts.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { KeyValueStore } from "../../src/platform/key-value-store.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import type { Logger } from "../../src/platform/logger.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { keptLog } from "./kept-log.ts";

/** An outbox on a real store, and a program that fills one until it is killed. */
export const appender = {
  program: fileURLToPath(import.meta.url),
  parts: (store: KeyValueStore, clock: Clock, logger: Logger): OutboxParts => ({
    store,
    clock,
    logger,
    events: { emit: () => undefined },
    agentId: "agent",
    options: {
      bytesMax: 64 * 1024 * 1024,
      evict: "reject",
      expireAfterMs: 0,
      updateBytesMax: 65_536,
      streamsMax: 100,
      deadLetterBytesMax: 65_536,
      commitLingerMs: 0,
      compress: true,
      commitLingerMaxMs: 1_000,
      cacheBytesMax: 65_536,
    },
  }),
};

/** Tells `thanked SEQUENCE` or `refused CODE MESSAGE` for every update of 2,000 bytes. */
async function appendForEver(data: string): Promise<void> {
  const logger = keptLog();
  const store = await LevelStore.open({ directory: join(data, "store"), logger });
  const outbox = await Outbox.open(appender.parts(store, new SystemClock(), logger));
  const next = (): void => {
    const draft = {
      stream: "s",
      payload: Buffer.alloc(2_000, 7),
      contentType: "application/octet-stream",
      priority: 5,
    };
    outbox.append(draft, (error, update) => {
      const line =
        error === undefined
          ? `thanked ${update?.sequence}\n`
          : `refused ${error.code} ${error.message}\n`;
      process.stdout.write(line, () => setTimeout(next, 1));
    });
  };
  for (let writers = 0; writers < 4; writers++) next();
}

if (process.argv[1] === appender.program) await appendForEver(process.argv[2] ?? "");
