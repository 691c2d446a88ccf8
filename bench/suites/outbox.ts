import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { resolveConfig } from "../../src/config/resolve.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import type { Logger } from "../../src/platform/logger.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { type Figure, race } from "../figure.ts";
import { temporaryDirectory } from "../support/processes.ts";

const PAYLOAD = Buffer.alloc(200, "r");

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: console.warn,
  error: console.error,
  child: () => quiet,
};

/** Durable appends (each settles after its fsync) beside LevelDB's own synced batches of the same size. */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const store = await LevelStore.open({ directory: join(directory.path, "outbox"), logger: quiet });
  const outbox = await Outbox.open({
    store,
    clock: new SystemClock(),
    logger: quiet,
    events: { emit: () => undefined },
    agentId: "bench",
    options: resolveConfig({ sets: ["outbox.bytesMax=4000000000"] }).outbox,
  });
  const raw = new ClassicLevel<string, Buffer>(join(directory.path, "raw"), {
    valueEncoding: "buffer",
  });
  await raw.open();

  const append = (stream: string): Promise<void> =>
    new Promise((resolve, reject) => {
      outbox.append(
        { stream, payload: PAYLOAD, contentType: "text/plain", priority: 5 },
        (error) => (error === undefined ? resolve() : reject(error)),
      );
    });
  const ours = (writers: number, total: number) => async (): Promise<number> => {
    let left = total;
    const startedMs = performance.now();
    const writer = async (_: unknown, at: number): Promise<void> => {
      while (left-- > 0) await append(`sensors/${at % 8}`);
    };
    await Promise.all(Array.from({ length: writers }, writer));
    return (total * 1_000) / (performance.now() - startedMs);
  };
  let key = 0;
  const theirs = (batch: number, total: number) => async (): Promise<number> => {
    const startedMs = performance.now();
    for (let done = 0; done < total; done += batch) {
      const operations = Array.from({ length: batch }, () => ({
        type: "put" as const,
        key: `k${String(key++).padStart(11, "0")}`,
        value: PAYLOAD,
      }));
      await raw.batch(operations, { sync: true });
    }
    return (total * 1_000) / (performance.now() - startedMs);
  };
  await ours(64, 20_000)();
  await theirs(64, 20_000)();
  yield await race({
    suite: "outbox",
    metric: "durable appends, 64 writers",
    unit: "updates/s",
    peer: "classic-level batch of 64, sync",
    bar: { floor: 0.4, goal: 0.8, better: "higher" },
    rounds: 9,
    ours: ours(64, 40_000),
    theirs: theirs(64, 40_000),
  });
  yield await race({
    suite: "outbox",
    metric: "durable appends, 1 writer",
    unit: "updates/s",
    peer: "classic-level put, sync",
    bar: { floor: 0.7, goal: 0.9, better: "higher" },
    rounds: 9,
    ours: ours(1, 2_000),
    theirs: theirs(1, 2_000),
  });
  await outbox.close();
  await store.close();
  await raw.close();
}
