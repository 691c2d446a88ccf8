import { fileURLToPath } from "node:url";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { keptLog } from "./kept-log.ts";

/** A program that writes to a store until it is killed; small buffers, so that tables come and go. */
export const storeWriter = {
  program: fileURLToPath(import.meta.url),
  key: (n: number): string => `k${String(n).padStart(6, "0")}`,
  value: (n: number): Buffer => Buffer.alloc(2_000, `value ${n}, `),
  open: (directory: string) =>
    LevelStore.open({ directory, logger: keptLog(), writeBufferBytes: 64 * 1024 }),
};

/** Tells `thanked N` when entry N is durable, `refused N CODE` when it may not be; ends after `entries` of them. */
async function write(directory: string, entries: number): Promise<void> {
  const store = await storeWriter.open(directory);
  const { key, value } = storeWriter;
  for (let n = 0; n < entries; n++) {
    const unsynced = { type: "put" as const, key: `u${n}`, value: value(n) };
    await store.write([unsynced], { durable: false }).catch((error: { code?: string }) => {
      process.stdout.write(`refused u${n} ${error.code}\n`);
    });
    const operation = { type: "put" as const, key: key(n), value: value(n) };
    const line = await store
      .write([operation], { durable: true })
      .then(() => `thanked ${n}`)
      .catch((error: { code?: string }) => `refused ${n} ${error.code}`);
    await new Promise<void>((done) => process.stdout.write(`${line}\n`, () => done()));
  }
  await store.close();
}

if (process.argv[1] === storeWriter.program)
  await write(process.argv[2] ?? "", Number(process.argv[3] ?? 0));
