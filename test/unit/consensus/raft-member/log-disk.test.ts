// What a member of a Raft group wrote is what it finds again, whenever its power goes.

import * as fc from "fast-check";
import t from "tap";
import { LostLogError } from "../../../../src/consensus/ordering/lost-log.ts";
import type { Entry } from "../../../../src/consensus/raft/entry.ts";
import type { HardState } from "../../../../src/consensus/raft/log-storage.ts";
import { checkUnused, LogDisk } from "../../../../src/consensus/raft-member/log-disk.ts";
import {
  MemoryKeyValueStore,
  VirtualDisk,
} from "../../../../src/simulator/memory-key-value-store.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);

const GROUP = "00112233445566778899aabbccddeeff";
const ORIGIN = { number: 1, log: 123_456, sponsors: new Map([[2, { peer: "b", log: 9 }]]) };
const configuration = {
  voters: [1, 2, 3],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** The log as it should be found. */
interface Model {
  readonly hardState: HardState;
  readonly base: number;
  readonly entries: readonly Entry[];
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant("append" as const),
    back: fc.nat(4),
    count: fc.integer({ min: 1, max: 5 }),
  }),
  fc.record({ kind: fc.constant("snapshot" as const), keep: fc.nat(3) }),
  fc.record({ kind: fc.constant("install" as const), ahead: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant("unsynced" as const), count: fc.integer({ min: 1, max: 3 }) }),
);

function entriesFrom(first: number, count: number, term: number): Entry[] {
  return Array.from({ length: count }, (_, at) => ({
    term,
    index: first + at,
    kind: at % 7 === 6 ? ("change-v2" as const) : ("normal" as const),
    data: new Uint8Array((first * 31 + at) % 200).fill(term),
  }));
}

function seen(disk: LogDisk): Model {
  const { log } = disk;
  const { hardState } = log.initialState();
  const [first, last] = [log.firstIndex(), log.lastIndex()];
  const entries = last < first ? [] : (log.entries(first, last + 1, Number.MAX_VALUE) ?? []);
  const plain = entries.map((entry) => ({ ...entry, data: Uint8Array.from(entry.data) }));
  return { hardState, base: first - 1, entries: plain };
}

t.test(
  "after a power cut everything that was made durable is there, and nothing else",
  async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const disk = new VirtualDisk();
        let log = await LogDisk.begin(new MemoryKeyValueStore(disk), GROUP, ORIGIN);
        let synced = seen(log);
        let term = 1;
        for (const each of steps) {
          term++;
          const hardState = { term, vote: term % 3, commit: log.log.firstIndex() - 1 };
          const last = log.log.lastIndex();
          if (each.kind === "append") {
            const first = Math.max(log.log.firstIndex(), last + 1 - each.back);
            const entries = entriesFrom(first, each.count, term);
            await log.write({ hardState, entries, durable: true });
          } else if (each.kind === "install") {
            const snapshot = {
              index: last + each.ahead,
              term,
              configuration,
              data: Uint8Array.of(term % 256),
            };
            const entries = entriesFrom(snapshot.index + 1, term % 3, term);
            await log.write({
              hardState: { ...hardState, commit: snapshot.index },
              snapshot,
              entries,
              durable: true,
            });
          } else if (each.kind === "snapshot") {
            if (last <= (log.log.snapshot()?.index ?? 0) || last < log.log.firstIndex()) continue;
            const snapshot = {
              index: last,
              term: log.log.term(last) ?? 0,
              configuration,
              data: new Uint8Array(3),
            };
            await log.keepSnapshot(snapshot, last - each.keep);
          } else
            await log.write({ entries: entriesFrom(last + 1, each.count, term), durable: false });
          if (each.kind !== "unsynced") synced = seen(log);
          disk.crash();
          log = await LogDisk.open(new MemoryKeyValueStore(disk), GROUP);
          const snapshotIndex = log.log.snapshot()?.index ?? 0;
          const kept = synced.entries.filter(({ index }) => index > snapshotIndex);
          const base = Math.max(synced.base, snapshotIndex);
          t.same(seen(log), { hardState: synced.hardState, base, entries: kept });
        }
      }),
      { seed, numRuns: 100 },
    );
  },
);

t.test("a log of which part is gone is not taken for a whole one", async (t) => {
  const disk = new VirtualDisk();
  const store = new MemoryKeyValueStore(disk);
  const log = await LogDisk.begin(store, GROUP, ORIGIN);
  await t.rejects(checkUnused(store, GROUP), LostLogError, "it was begun before");
  const hardState = { term: 4, vote: 1, commit: 3 };
  await log.write({ hardState, entries: entriesFrom(1, 5, 4), durable: true });
  const keys = disk.range({ gte: "c/", lt: "c~", limit: 100 }).map(([key]) => key);
  t.equal(keys.length, 7);
  for (const key of keys
    .slice(0, 3)
    .concat(keys.filter((each) => each.endsWith("/h") || each.endsWith("/i")))) {
    const damaged = new VirtualDisk();
    for (const [other, value] of disk.range({ gte: "c/", lt: "c~", limit: 100 }))
      if (other !== key) damaged.apply([{ type: "put", key: other, value }], true);
    await t.rejects(LogDisk.open(new MemoryKeyValueStore(damaged), GROUP), LostLogError, key);
  }
  await LogDisk.remove(store, GROUP);
  t.equal(disk.bytes, 0);
  await t.rejects(LogDisk.open(store, GROUP), LostLogError, "nothing was begun");
});
