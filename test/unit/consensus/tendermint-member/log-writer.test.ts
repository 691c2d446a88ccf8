import t from "tap";
import type { WalEntry } from "../../../../src/consensus/tendermint/wal.ts";
import { LogDisk } from "../../../../src/consensus/tendermint-member/log-disk.ts";
import { LogWriter } from "../../../../src/consensus/tendermint-member/log-writer.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { VirtualDisk } from "../../../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";

const GROUP = "ab".repeat(16);
const SYNC_MS = 50;
const height: WalEntry = {
  kind: "height",
  height: 1,
  validators: [{ id: "a", power: 1, priority: 0 }],
  proposer: "a",
};
const vote = (round: number): WalEntry => ({
  kind: "vote",
  vote: {
    kind: "prevote",
    height: 1,
    round,
    valueId: null,
    validator: "a",
    signature: new Uint8Array(64),
  },
});

async function made() {
  const clock = new VirtualClock();
  const random = new SeededRandom("log writer");
  const manners = { syncMs: [SYNC_MS, SYNC_MS] as const, writeFailureRate: 0 };
  const store = new SimulatedStore(new VirtualDisk(), {
    clock,
    random,
    manners,
    generation: 0,
    repairs: [],
  });
  const creating = LogDisk.create(
    store,
    GROUP,
    { kind: "found", members: ["a"] },
    {
      logEntriesMax: 100,
      evidenceKeptMax: 4,
    },
  );
  await clock.advance(SYNC_MS);
  const lost: Error[] = [];
  const writer = new LogWriter({
    disk: await creating,
    clock,
    random,
    logger: silentLogger,
    lost: (error) => lost.push(error),
  });
  return { clock, store, manners, writer, lost };
}

t.test("nothing is said before what it stands on is durable, in the order of both", async (t) => {
  const { clock, store, writer } = await made();
  const said: string[] = [];
  writer.push([], () => said.push("free"));
  t.same(said, ["free"], "with nothing to write, and nothing under way");
  writer.push([height, vote(0)], () => said.push("first"));
  writer.push([], () => said.push("after the first"));
  writer.push([vote(1)], () => said.push("second"));
  writer.push([vote(2)], () => said.push("third"));
  const { syncs } = store.written();
  await clock.advance(SYNC_MS - 1);
  t.same(said, ["free"]);
  await clock.advance(1);
  t.same(said, ["free", "first"]);
  await clock.advance(SYNC_MS);
  t.same(said, ["free", "first", "after the first", "second", "third"]);
  t.equal(store.written().syncs - syncs, 2, "what came meanwhile went together");
});

t.test("a write that fails is made again, and nothing is said until then", async (t) => {
  const { clock, manners, writer, lost } = await made();
  const said: string[] = [];
  manners.writeFailureRate = 1;
  writer.push([height], () => said.push("first"));
  await clock.advance(30_000);
  writer.push([vote(0)], () => said.push("second"));
  await clock.advance(30_000);
  t.same(said, []);
  manners.writeFailureRate = 0;
  await clock.advance(10_000);
  t.same(said, ["first", "second"]);
  t.same(lost, []);
});

t.test("a store that lost something ends it", async (t) => {
  const { clock, store, writer, lost } = await made();
  const said: string[] = [];
  Object.defineProperty(store, "generation", { value: 1 });
  writer.push([height], () => said.push("never"));
  await clock.advance(10_000);
  t.equal(lost.length, 1);
  t.same(said, []);
});

t.test("after it is closed nothing is said", async (t) => {
  const { clock, writer } = await made();
  const said: string[] = [];
  writer.push([height], () => said.push("too late"));
  const closed = writer.close();
  writer.push([], () => said.push("later"));
  await clock.advance(SYNC_MS);
  await closed;
  t.same(said, []);
});
