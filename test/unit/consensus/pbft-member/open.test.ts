// How a member begins, and how one ends whose disk lost something.
import t from "tap";
import type { Beginning } from "../../../../src/consensus/ordering/ordering.ts";
import { openPbftOrdering } from "../../../../src/consensus/pbft-member/open.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { GROUP, Journal, PbftMemberWorld } from "../../../support/pbft-member-world.ts";

t.setTimeout(60_000);
const FOUR = [1, 2, 3, 4];

function open(world: PbftMemberWorld, id: number, beginning: Beginning, options = {}) {
  return openPbftOrdering(
    {
      group: GROUP,
      beginning,
      machine: new Journal(),
      channel: {
        listen: () => undefined,
        send: () => Promise.resolve(),
        offence: () => undefined,
        close: () => undefined,
      },
      signer: world.keys.signer(`device-${id}`),
      store: new MemoryKeyValueStore(),
      clock: new VirtualClock(),
      random: new SeededRandom(id),
      hasher: nodeHasher,
      logger: silentLogger,
      onChange: () => undefined,
      onLost: () => undefined,
    },
    options,
  );
}

t.test(
  "a group that can not bear a liar is not founded, and what to do instead is said",
  async (t) => {
    const world = new PbftMemberWorld("few");
    const peers = (...ids: readonly number[]): string[] => ids.map((id) => world.peer(id));
    await t.rejects(open(world, 1, { kind: "found", members: peers(1, 2, 3) }), {
      code: "consensus.refused",
      message: /needs 4 members .* protocol raft/,
    });
    await t.rejects(open(world, 1, { kind: "found", members: peers(1, 2, 3, 3) }), {
      code: "consensus.refused",
    });
    await t.rejects(open(world, 1, { kind: "found", members: peers(2, 3, 4, 5) }), RangeError);
    const many = Array.from({ length: 65 }, (_, at) => at);
    await t.rejects(open(world, 1, { kind: "found", members: peers(...many) }), {
      code: "consensus.refused",
    });
    await t.rejects(
      open(world, 1, { kind: "found", members: peers(...FOUR) }, { valueBytesMax: 1_048_576 }),
      RangeError,
    );
    await t.rejects(
      open(world, 1, { kind: "found", members: peers(...FOUR) }, { tickMs: 0 }),
      RangeError,
    );
  },
);

t.test("a ticket is for one peer and one group", async (t) => {
  const world = new PbftMemberWorld("ticket");
  await world.found(FOUR);
  const ticket = world.member(1).ticket(world.peer(5));
  await t.rejects(open(world, 6, { kind: "join", ticket }), { code: "consensus.refused" });
  await t.rejects(open(world, 5, { kind: "join", ticket: ticket.subarray(1) }), {
    code: "consensus.refused",
  });
  const member = await open(world, 5, { kind: "join", ticket });
  t.equal(member.status().standing, "learning");
  t.same(member.status().members, FOUR.map((id) => world.peer(id)).sort());
  t.throws(() => member.ticket(world.peer(6)), { code: "consensus.unready" });
});

t.test("who was in the group before does not begin anew", async (t) => {
  const world = new PbftMemberWorld("anew");
  await world.found(FOUR);
  world.crash(1, false);
  world.device(1).isOpened = false;
  await t.rejects(world.start(1), { message: /resumes/ });
});

t.test("a member whose records are gone is lost, and says nothing", async (t) => {
  const world = new PbftMemberWorld("gone");
  await world.found(FOUR);
  await world.submit(1, "kept");
  world.crash(2, true);
  world.device(2).disk.damage(0, 1);
  await world.start(2);
  const member = world.member(2);
  t.equal(member.status().standing, "lost");
  t.same(world.lost, [2]);
  await t.rejects(member.submit(new Uint8Array(1), { timeoutMs: 1_000 }), {
    code: "consensus.stopped",
  });
  await t.rejects(member.read({ timeoutMs: 1_000 }), { code: "consensus.stopped" });
  await t.rejects(member.change({ kind: "remove", peer: "somebody" }, { timeoutMs: 1_000 }), {
    code: "consensus.stopped",
  });
  t.throws(() => member.ticket(world.peer(5)), { code: "consensus.unready" });
  t.equal(member.counters().batches, 0);
  await world.submit(3, "without it");
  await member.stop();
});

t.test("part of the records is gone, or the store was repaired: lost as well", async (t) => {
  for (const share of [0.1, 0.3, 0.6]) {
    const world = new PbftMemberWorld(`part ${share}`);
    await world.found(FOUR);
    for (let at = 0; at < 5; at++) await world.submit(1, `value ${at}`);
    world.crash(2, true);
    // Batches come first of all keys.
    world.device(2).disk.damage(0.2, share);
    await world.start(2);
    t.equal(world.member(2).status().standing, "lost");
  }
  const world = new PbftMemberWorld("repaired");
  await world.found(FOUR);
  world.crash(2, false);
  world.device(2).generation++;
  await world.start(2);
  t.equal(world.member(2).status().standing, "lost");
});

t.test("a store that is repaired while a member runs ends it", async (t) => {
  const world = new PbftMemberWorld("meanwhile");
  await world.found(FOUR);
  const { process } = world.device(2);
  const { store } = process ?? {};
  Object.defineProperty(store, "generation", { value: 1 });
  const call = t.rejects(world.member(2).submit(Buffer.from("never"), { timeoutMs: 30_000 }), {
    code: "consensus.stopped",
  });
  await world.run(2_000);
  await call;
  t.same(world.lost, [2]);
  t.equal(world.member(2).status().standing, "lost");
  t.equal(process?.listener, undefined, "it hears nothing any more");
  await world.submit(1, "without it");
});

t.test("a machine that breaks its promise takes its own member out, and nobody else", async (t) => {
  const world = new PbftMemberWorld("broken");
  await world.found(FOUR);
  const journal = world.device(3).process?.journal;
  if (journal === undefined) throw new Error("3 does not run");
  journal.apply = () => {
    throw new Error("never");
  };
  await world.submit(1, "value");
  await world.until("3 is lost", () => world.lost.includes(3));
  await world.submit(2, "goes on");
  t.same(world.lost, [3]);
});
