import t from "tap";
import { LostLogError } from "../../../../src/consensus/ordering/lost-log.ts";
import { ProposerRotation } from "../../../../src/consensus/tendermint/proposer-rotation.ts";
import { heightEntry, type WalEntry } from "../../../../src/consensus/tendermint/wal.ts";
import { type LogChange, LogDisk } from "../../../../src/consensus/tendermint-member/log-disk.ts";
import type { ProvenState } from "../../../../src/consensus/tendermint-member/record-codec.ts";
import { StoreError } from "../../../../src/platform/key-value-store.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";

const GROUP = "ab".repeat(16);
const BOUNDS = { logEntriesMax: 6, evidenceKeptMax: 2 };
const ORIGIN = { kind: "found", members: ["a", "b", "c", "d"] } as const;
const rotation = ProposerRotation.begin(ORIGIN.members.map((id) => ({ id, power: 1 })));
const valueId = "1f".repeat(32);
const signature = new Uint8Array(64);

const height = (at: number): WalEntry => heightEntry(at, rotation);
const vote = (at: number, round: number, kind: "prevote" | "precommit" = "prevote"): WalEntry => ({
  kind: "vote",
  vote: { kind, height: at, round, valueId: null, validator: "a", signature },
});
const certificate = (at: number) =>
  ({ kind: "precommit", height: at, round: 0, valueId, signatures: [] }) as const;
const decision = (at: number): WalEntry => ({
  kind: "decision",
  certificate: certificate(at),
  value: new Uint8Array([at]),
});
const state = (at: number): ProvenState => ({
  offer: {
    height: at,
    manifest: { root: valueId, bytes: 1, partBytes: 1 },
    block: new Uint8Array(),
    certificate: certificate(at + 1),
  },
  state: new Uint8Array([at]),
});
const change = (entries: readonly WalEntry[], rest: Partial<LogChange> = {}): LogChange => ({
  entries,
  replaced: undefined,
  kept: undefined,
  evidence: [],
  ...rest,
});

class FailingStore extends MemoryKeyValueStore {
  /** The next write fails, and reaches the disk all the same. */
  fails = false;

  override async write(
    ...[operations, options]: Parameters<MemoryKeyValueStore["write"]>
  ): Promise<void> {
    await super.write(operations, options);
    if (!this.fails) return;
    this.fails = false;
    throw new StoreError("store.failed", "no answer");
  }
}

t.test("a log is read as it was written", async (t) => {
  const store = new MemoryKeyValueStore();
  const disk = await LogDisk.create(store, GROUP, ORIGIN, BOUNDS);
  await disk.write(change([height(1), vote(1, 0)]));
  await disk.write(change([vote(1, 0, "precommit"), decision(1), height(2), vote(2, 0)]));
  const read = await LogDisk.open(store, GROUP, BOUNDS);
  t.same(read.origin, ORIGIN);
  const { decisions, entries, state: kept } = read.take();
  t.same(
    decisions.map((one) => one.certificate.height),
    [1],
  );
  t.same(
    entries.map(({ kind }) => kind),
    ["height", "vote"],
    "the height before is over",
  );
  t.equal(kept, undefined);
  t.same(read.take().entries, [], "it is let go of");
  await t.rejects(LogDisk.create(store, GROUP, ORIGIN, BOUNDS), LostLogError);
});

t.test("a write that failed and is made again with more leaves nothing of itself", async (t) => {
  const store = new FailingStore();
  const disk = await LogDisk.create(store, GROUP, ORIGIN, BOUNDS);
  await disk.write(change([height(1)]));
  store.fails = true;
  const first = [vote(1, 0), vote(1, 0, "precommit"), vote(1, 1), vote(1, 1, "precommit")];
  await t.rejects(disk.write(change(first)), StoreError);
  await disk.write(change([...first, decision(1), height(2)]));
  const { entries } = (await LogDisk.open(store, GROUP, BOUNDS)).take();
  t.same(
    entries.map(({ kind }) => kind),
    ["height"],
  );
});

t.test("the log of a height that goes on for long is compacted", async (t) => {
  const store = new MemoryKeyValueStore();
  const disk = await LogDisk.create(store, GROUP, ORIGIN, BOUNDS);
  await disk.write(change([height(1)]));
  for (let round = 0; round < 50; round++)
    await disk.write(change([vote(1, round), vote(1, round, "precommit")]));
  const records = await store.range({ gte: "c/", lt: "c~", limit: 1_000 });
  t.ok(records.length < 12, `${records.length} records`);
  const { entries } = (await LogDisk.open(store, GROUP, BOUNDS)).take();
  const last = entries.at(-1);
  t.equal(last?.kind === "vote" && last.vote.round, 49, "the last word is there");
});

t.test("states take the place of decisions", async (t) => {
  const store = new MemoryKeyValueStore();
  const disk = await LogDisk.create(store, GROUP, ORIGIN, BOUNDS);
  for (let at = 1; at <= 8; at++) await disk.write(change([height(at), decision(at)]));
  await disk.write(change([], { kept: state(6) }));
  const own = (await LogDisk.open(store, GROUP, BOUNDS)).take();
  t.equal(own.state?.offer.height, 6);
  t.same(
    own.decisions.map((one) => one.certificate.height),
    [7, 8],
  );
  await disk.write(change([height(21)], { replaced: state(20) }));
  const given = (await LogDisk.open(store, GROUP, BOUNDS)).take();
  t.equal(given.state?.offer.height, 20);
  t.same(given.decisions, []);
  await disk.write(change([decision(21), height(22)]));
  t.equal((await LogDisk.open(store, GROUP, BOUNDS)).take().decisions.length, 1);
});

t.test("evidence is kept, the latest", async (t) => {
  const store = new MemoryKeyValueStore();
  const disk = await LogDisk.create(store, GROUP, ORIGIN, BOUNDS);
  const of = (at: number) => {
    const first = {
      kind: "prevote",
      height: at,
      round: 0,
      valueId,
      validator: "d",
      signature,
    } as const;
    return { kind: "votes", first, second: { ...first, valueId: null } } as const;
  };
  for (let at = 1; at <= 5; at++) await disk.write(change([], { evidence: [of(at)] }));
  const { evidence } = (await LogDisk.open(store, GROUP, BOUNDS)).take();
  t.same(new Set(evidence.map(({ first }) => first.height)), new Set([4, 5]));
});

t.test("what is missing is noticed", async (t) => {
  const damaged = async (key: string, value?: Uint8Array): Promise<() => Promise<LogDisk>> => {
    const store = new MemoryKeyValueStore();
    const disk = await LogDisk.create(store, GROUP, ORIGIN, BOUNDS);
    await disk.write(change([height(1), decision(1)]));
    await disk.write(change([height(2), vote(2, 0), vote(2, 1), decision(2)]));
    const all = await store.range({ gte: "c/", lt: "c~", limit: 100 });
    const [at] = all.filter(([one]) => one.startsWith(`c/${GROUP}/${key}`)).map(([one]) => one);
    if (at === undefined) throw new Error(`no ${key}`);
    const operation =
      value === undefined
        ? ({ type: "del", key: at } as const)
        : ({ type: "put", key: at, value } as const);
    await store.write([operation], { durable: true });
    return () => LogDisk.open(store, GROUP, BOUNDS);
  };
  for (const key of ["h", "d/", "w/"]) {
    const missing = await damaged(key);
    await t.rejects(missing, LostLogError, `${key} is missing`);
    const unreadable = await damaged(key, Buffer.from("?"));
    await t.rejects(unreadable, LostLogError, `${key} can not be read`);
  }
});
