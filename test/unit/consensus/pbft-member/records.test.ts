// What a member keeps, how it is written, and how it travels.
import * as fc from "fast-check";
import t from "tap";
import { decodeEnvelope, encodeEnvelope } from "../../../../src/consensus/pbft-member/envelope.ts";
import {
  changeEntry,
  decodeOperation,
  encodeOperation,
  keyOf,
  valueEntry,
} from "../../../../src/consensus/pbft-member/operation.ts";
import { RecentKeys } from "../../../../src/consensus/pbft-member/recent-keys.ts";
import { RecordWriter } from "../../../../src/consensus/pbft-member/record-writer.ts";
import { ReplicatedState } from "../../../../src/consensus/pbft-member/replicated-state.ts";
import { decodeTicket, encodeTicket } from "../../../../src/consensus/pbft-member/ticket.ts";
import { StoreError, type StoreOperation } from "../../../../src/platform/key-value-store.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { GROUP, Journal } from "../../../support/pbft-member-world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 200) });

const ID = Uint8Array.from({ length: 16 }, (_, at) => at);
const id = fc.uint8Array({ minLength: 16, maxLength: 16 });
const entry = fc.oneof(
  fc.tuple(id, fc.uint8Array({ maxLength: 50 })).map(([id, value]) => valueEntry(id, value)),
  fc
    .tuple(id, fc.constantFrom("add" as const, "remove" as const), fc.string({ maxLength: 30 }))
    .map(([id, kind, peer]) => changeEntry(id, { kind, peer })),
);
const keyNumber = (number: number): string => number.toString(16).padStart(32, "0");

t.test("an operation says what was put into it", async () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
      const decoded = decodeOperation(encodeOperation(entries)) ?? [];
      const told = (one: (typeof entries)[number]) => [
        one.kind === "value" ? Buffer.from(one.value).toString("hex") : JSON.stringify(one.step),
        keyOf(one, nodeHasher),
      ];
      return JSON.stringify(decoded.map(told)) === JSON.stringify(entries.map(told));
    }),
  );
});

t.test("whatever bytes come in is an operation, a message, a ticket or nothing", async (t) => {
  const operation = encodeOperation([
    valueEntry(ID, ID),
    changeEntry(ID, { kind: "add", peer: "p" }),
  ]);
  const handover = {
    epoch: 1,
    sequence: 9,
    members: ["a", "b", "c", "d"],
    genesis: "0".repeat(64),
  };
  const signatures = new Map([["a", ID]]);
  const message = encodeEnvelope({ kind: "handovers", handovers: [{ handover, signatures }] });
  const ticket = encodeTicket({ group: GROUP, peer: "e", epoch: 3, members: handover.members });
  t.same(decodeTicket(ticket), { group: GROUP, peer: "e", epoch: 3, members: handover.members });
  const known = decodeEnvelope(message);
  t.same(known?.kind === "handovers" && known.handovers[0]?.handover, handover);
  fc.assert(
    fc.property(
      fc.constantFrom(operation, message, ticket),
      fc.nat(),
      fc.nat({ max: 255 }),
      fc.nat(),
      (bytes, at, value, cut) => {
        const changed = bytes.slice(0, 1 + (cut % bytes.length));
        changed[at % changed.length] = value;
        for (const decode of [decodeOperation, decodeEnvelope, decodeTicket]) decode(changed);
      },
    ),
  );
  const unsorted = encodeTicket({
    group: GROUP,
    peer: "e",
    epoch: 3,
    members: ["b", "a", "c", "d"],
  });
  t.equal(decodeTicket(unsorted), undefined);
  t.equal(decodeTicket(Uint8Array.from([2, ...ticket.subarray(1)])), undefined);
});

t.test("a value is known again by its id and by what it says", async (t) => {
  const key = keyOf(valueEntry(ID, Buffer.from("value")), nodeHasher);
  t.equal(keyOf(valueEntry(ID, Buffer.from("value")), nodeHasher), key);
  t.not(keyOf(valueEntry(ID, Buffer.from("other")), nodeHasher), key);
  t.not(keyOf(valueEntry(ID.slice().reverse(), Buffer.from("value")), nodeHasher), key);
});

t.test("the last keys are known, and no others, after a snapshot as well", async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.nat({ max: 150 }), { maxLength: 400 }),
      fc.nat({ max: 400 }),
      (max, numbers, snapshotAt) => {
        let keys = new RecentKeys(max);
        const expected: string[] = [];
        for (const [at, number] of numbers.entries()) {
          if (at === snapshotAt) {
            const restored = new RecentKeys(max);
            restored.restore(keys.snapshot());
            keys = restored;
          }
          const key = keyNumber(number);
          const isNew = !expected.includes(key);
          if (keys.add(key) !== isNew) return false;
          if (isNew) expected.push(key);
          if (expected.length > max) expected.shift();
        }
        for (let number = 0; number <= 150; number++)
          if (keys.has(keyNumber(number)) !== expected.includes(keyNumber(number))) return false;
        return true;
      },
    ),
  );
});

t.test("what are no keys are refused", async (t) => {
  const keys = new RecentKeys(2);
  for (const [length, next] of [
    [15, 0],
    [48, 0],
    [16, 0],
    [32, 2],
  ] as const)
    t.throws(() => keys.restore({ keys: new Uint8Array(length), next }), RangeError);
});

t.test("two members that have applied the same have the same state", async (t) => {
  const states = [1, 2].map(() => new ReplicatedState(new Journal(), 4));
  const peers = ["d", "b", "a", "c"];
  for (const state of states) {
    state.found(peers);
    for (let at = 0; at < 6; at++) {
      const value = valueEntry(ID, Buffer.from(`value ${at}`));
      state.apply(value, keyOf(value, nodeHasher));
    }
    const change = changeEntry(ID, { kind: "add", peer: "e" });
    t.equal(state.apply(change, "1".repeat(32)).kind, "changed");
    t.equal(state.apply(change, "2".repeat(32)).kind, "later", "one step for each epoch");
    t.throws(() => new ReplicatedState(new Journal(), 4).advance(1));
    state.advance(7);
  }
  const [one, other] = states;
  t.same(one?.snapshot(), other?.snapshot());
  const journal = new Journal();
  const third = new ReplicatedState(journal, 4);
  third.restore(one?.snapshot() ?? new Uint8Array(0));
  t.same(third.members, ["a", "b", "c", "d", "e"]);
  t.equal(third.base, 7);
  t.same(journal.values.length, 6);
  t.same(third.snapshot(), one?.snapshot());
  t.throws(() => third.restore(new Uint8Array(3)), { message: /can not be read/ });
});

interface Disk {
  readonly writes: StoreOperation[][];
  readonly finish: (() => void)[];
  readonly fail: ((error: Error) => void)[];
}

function writer(disk: Disk, lost: Error[] = []) {
  const clock = new VirtualClock();
  const made = new RecordWriter({
    disk: {
      write: (operations) =>
        new Promise((resolve, reject) => {
          disk.writes.push([...operations]);
          disk.finish.push(resolve);
          disk.fail.push(reject);
        }),
    },
    clock,
    random: new SeededRandom("writer"),
    logger: silentLogger,
    lost: (error) => lost.push(error),
  });
  return { made, clock };
}

const newDisk = (): Disk => ({ writes: [], finish: [], fail: [] });
const put = (key: string): StoreOperation => ({ type: "put", key, value: ID });

t.test(
  "what comes in while the disk is busy goes into one write, and is done in order",
  async (t) => {
    const disk = newDisk();
    const { made, clock } = writer(disk);
    const done: string[] = [];
    made.push([], () => done.push("nothing to write"));
    t.same(done, ["nothing to write"], "at once");
    for (const key of ["a", "b", "c"]) made.push([put(key)], () => done.push(key));
    made.push([], () => done.push("after c"));
    t.same(
      disk.writes.map((write) => write.map(({ key }) => key)),
      [["a"]],
    );
    disk.finish[0]?.();
    await clock.advance(1);
    t.same(
      disk.writes[1]?.map(({ key }) => key),
      ["b", "c"],
    );
    t.same(done.slice(1), ["a"]);
    disk.finish[1]?.();
    await clock.advance(1);
    t.same(done.slice(1), ["a", "b", "c", "after c"]);
  },
);

t.test("a write that failed is made again, with all that came meanwhile", async (t) => {
  const disk = newDisk();
  const { made, clock } = writer(disk);
  const done: string[] = [];
  made.push([put("a")], () => done.push("a"));
  disk.fail[0]?.(new StoreError("store.failed", "input/output error"));
  await clock.advance(0);
  made.push([put("b")], () => done.push("b"));
  await clock.advance(10_000);
  t.same(
    disk.writes[1]?.map(({ key }) => key),
    ["a", "b"],
  );
  t.same(done, []);
  disk.finish[1]?.();
  await clock.advance(1);
  t.same(done, ["a", "b"]);
});

t.test("a disk that lost something ends it; after the end nothing is done", async (t) => {
  const disk = newDisk();
  const lost: Error[] = [];
  const { made, clock } = writer(disk, lost);
  const done: string[] = [];
  made.push([put("a")], () => done.push("a"));
  disk.fail[0]?.(new StoreError("store.corrupt", "repaired"));
  await clock.advance(10_000);
  t.equal(lost.length, 1);
  t.equal(disk.writes.length, 1);
  const second = newDisk();
  const { made: closing, clock: time } = writer(second);
  closing.push([put("a")], () => done.push("a"));
  let isClosed = false;
  void closing.close().then(() => {
    isClosed = true;
  });
  await time.advance(1);
  t.notOk(isClosed, "what is under way is waited for");
  second.finish[0]?.();
  await time.advance(1);
  t.ok(isClosed);
  closing.push([], () => done.push("late"));
  t.same(done, []);
});
