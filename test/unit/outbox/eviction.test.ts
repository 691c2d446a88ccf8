import t from "tap";
import { Outbox } from "../../../src/outbox/outbox.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore, VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

const QUOTA = 6_000;

function open(disk: VirtualDisk, clock: VirtualClock): Promise<Outbox> {
  return Outbox.open({
    store: new MemoryKeyValueStore(disk),
    clock,
    logger: silentLogger,
    events: { emit: () => undefined },
    agentId: "agent",
    options: {
      bytesMax: QUOTA,
      evict: "drop-lowest-priority",
      commitLingerMs: 0,
      commitLingerMaxMs: 1_000,
      compress: false,
      expireAfterMs: 0,
      updateBytesMax: 1_000,
      streamsMax: 10,
      deadLetterBytesMax: 10_000,
      cacheBytesMax: 100_000,
    },
  });
}

interface Wanted {
  readonly payload: string;
  readonly priority: number;
  readonly expiresAfterMs?: number;
}

function append(outbox: Outbox, wanted: Wanted): Promise<string> {
  const stream = `press/${wanted.priority}`;
  const draft = { ...wanted, stream, contentType: "text/plain" };
  return new Promise((resolve) => {
    outbox.append({ ...draft, payload: Buffer.from(wanted.payload) }, (error) =>
      resolve(error?.code ?? "kept"),
    );
  });
}

t.test("what could not be dropped, the disk being full, is still there", async (t) => {
  const clock = new VirtualClock();
  const disk = new VirtualDisk();
  const before = await open(disk, clock);
  t.equal(await append(before, { payload: "first", priority: 2 }), "kept");
  t.equal(await append(before, { payload: "stale", priority: 2, expiresAfterMs: 1_000 }), "kept");
  // It leaves behind one that stays: the books must remember it by its number.
  await clock.advance(31_000);
  t.equal(before.status().expired, 1);
  // The outbox is full but for some bytes.
  while ((await append(before, { payload: ".".repeat(200), priority: 9 })) === "kept")
    if (before.status().bytes > QUOTA - 300) break;
  await before.close();

  const after = await open(disk, clock);
  const { updates } = after.status();
  disk.bytesMax = disk.bytes + 100;
  const answers = Array.from({ length: 12 }, (_, n) =>
    append(after, { payload: `${n}`.padEnd(20, "."), priority: 2 }),
  );
  t.same(new Set(await Promise.all(answers)), new Set(["outbox.store-failed"]));
  disk.bytesMax = Number.POSITIVE_INFINITY;
  // It reads its books back.
  await clock.advance(2_000);
  t.equal(after.status().updates, updates, "nobody dropped anything");
  const leased = await after.lease(100);
  t.equal(leased.length, updates);
  t.equal(Buffer.from(leased.at(-1)?.payload ?? []).toString(), "first");
  for (const update of leased) after.acknowledge(update);
  await clock.advance(1_000);
  t.equal(after.status().lost, 0);
  await after.close();
});
