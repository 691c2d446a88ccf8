import type { Test } from "tap";
import type { Ordering, OrderingParts } from "../../src/consensus/ordering/ordering.ts";
import { OrderingWorld } from "../support/ordering-world.ts";

/** Bounds that a suite wants to reach. */
export interface OrderingBounds {
  readonly waitingMax: number;
}

/** One implementation of the seam. */
export interface OrderingUnderTest {
  readonly name: string;
  /** A group that bears one crash: three for those that bear crashes, four for those that bear lies. */
  readonly founders: number;
  open(parts: OrderingParts, bounds?: OrderingBounds): Promise<Ordering>;
}

const WAITING_MAX = 4;

/** What every {@link Ordering} keeps to. */
export function orderingConformance(t: Test, under: OrderingUnderTest): void {
  const { name, founders } = under;
  const ids = Array.from({ length: founders }, (_, at) => at + 1);
  const founded = (seed: string, bounds?: OrderingBounds): Promise<OrderingWorld> =>
    OrderingWorld.founded({
      seed: `${name} ${seed}`,
      founders,
      open: (parts) => under.open(parts, bounds),
    });
  const sameEverywhere = async (t: Test, world: OrderingWorld, count: number): Promise<void> => {
    const values = await world.agreed(count);
    for (const id of world.running)
      if (world.ordering(id).status().standing !== "left")
        t.same(world.journal(id).values, values, `the order at member ${id}`);
    t.equal(new Set(values).size, values.length, "each once");
  };

  t.test(`${name}: what members submit has one order, once, at all`, async (t) => {
    const world = await founded("order");
    const calls = ids.flatMap((id) =>
      [1, 2, 3].map((at) => world.submit(id, `value ${at} of ${id}`)),
    );
    const ordered = await Promise.all(calls);
    for (const { position } of ordered) t.ok(position > 0);
    await sameEverywhere(t, world, 1 + 3 * founders);
    const { values } = world.journal(1);
    for (const [at, { result }] of ordered.entries()) {
      const value = `value ${(at % 3) + 1} of ${Math.floor(at / 3) + 1}`;
      const answer = String(values.indexOf(value) + 1);
      t.equal(Buffer.from(result ?? []).toString(), answer, "each is told the answer to its own");
    }
  });

  t.test(`${name}: machines know who votes before any value, and status says so`, async (t) => {
    const world = await founded("members");
    const peers = ids.map((id) => world.peer(id)).toSorted();
    await sameEverywhere(t, world, 1);
    for (const id of ids) {
      t.same(world.journal(id).voters, peers);
      t.equal(world.journal(id).changes, 1);
      const { members, learners, position, term } = world.ordering(id).status();
      t.same(members, peers);
      t.same(learners, []);
      t.ok(position > 0 && term > 0);
    }
    await world.until("somebody leads", () => world.leader() !== 0);
    t.equal(world.ordering(world.leader()).status().standing, "leading");
  });

  t.test(`${name}: a value that is given again by its id is applied once`, async (t) => {
    const world = await founded("ids");
    const id = Buffer.from("an id of 16 byte");
    const [first, again] = await Promise.all([
      world.submit(1, "named", 60_000, id),
      world.submit(1, "named", 60_000, id),
    ]);
    t.equal(again.position, first.position);
    const elsewhere = await world.submit(2, "named", 60_000, id);
    t.ok(elsewhere.position >= first.position);
    await world.submit(1, "another");
    await sameEverywhere(t, world, 3);
    t.same(world.journal(1).values, ["first", "named", "another"]);
  });

  t.test(`${name}: a read sees what was applied anywhere before it`, async (t) => {
    const world = await founded("read");
    for (let round = 1; round <= 6; round++) {
      await world.submit((round % founders) + 1, `round ${round}`);
      const reader = ((round + 1) % founders) + 1;
      await world.read(reader);
      t.equal(world.journal(reader).values.length, round + 1);
    }
  });

  t.test(`${name}: who is cut off decides nothing and reads nothing, and catches up`, async (t) => {
    const world = await founded("cut off");
    const [alone = 0, other = 0] = ids;
    world.isolate(alone);
    const call = t.rejects(world.submit(alone, "in vain", 3_000), { code: "consensus.timeout" });
    await t.rejects(world.read(alone, 3_000), { code: "consensus.timeout" });
    await call;
    await world.submit(other, "without it");
    t.same(world.journal(alone).values, ["first"]);
    world.heal();
    await world.submit(alone, "with it");
    await world.until("it has caught up", () => world.journal(alone).values.includes("with it"));
    await sameEverywhere(t, world, 3);
  });

  t.test(`${name}: without a quorum nothing is decided`, async (t) => {
    const world = await founded("no quorum");
    await sameEverywhere(t, world, 1);
    for (const id of ids.slice(1)) world.crash(id, false);
    await t.rejects(world.submit(1, "alone", 10_000), { code: "consensus.timeout" });
    t.same(world.journal(1).values, ["first"]);
    for (const id of ids.slice(1)) await world.start(id);
    await world.submit(1, "together");
    t.equal(world.journal(1).values.at(-1), "together");
  });

  t.test(`${name}: whoever leads may die`, async (t) => {
    const world = await founded("leader");
    for (let round = 1; round <= 3; round++) {
      await world.until("somebody leads", () => world.leader() !== 0);
      const leader = world.leader();
      const other = (leader % founders) + 1;
      world.crash(leader, round % 2 === 0);
      await world.submit(other, `round ${round}`);
      await world.start(leader);
    }
    await sameEverywhere(t, world, 4);
  });

  t.test(`${name}: after a power cut at all of them everything decided is there`, async (t) => {
    const world = await founded("power");
    for (let count = 1; count <= 5; count++) await world.submit(1, `value ${count}`);
    for (const id of ids) world.crash(id, true);
    for (const id of ids) await world.start(id);
    await world.submit(2, "afterwards");
    await sameEverywhere(t, world, 7);
    t.equal(world.journal(1).values.length, 7);
    const peers = ids.map((id) => world.peer(id)).toSorted();
    for (const id of ids) t.same(world.journal(id).voters, peers);
  });

  t.test(`${name}: waits end with their time, by the caller, and with the member`, async (t) => {
    const world = await founded("waits", { waitingMax: WAITING_MAX });
    world.isolate(1);
    const ordering = world.ordering(1);
    const abort = new AbortController();
    const patience = { timeoutMs: 30_000, signal: abort.signal };
    const submit = (value: string): Promise<unknown> =>
      ordering.submit(Buffer.from(value), patience).then(
        () => "decided",
        (error: { code?: string }) => error.code,
      );
    const calls = Array.from({ length: WAITING_MAX }, (_, at) => submit(`value ${at}`));
    await world.run(100);
    t.equal(await submit("one too many"), "consensus.busy");
    abort.abort();
    for (const call of calls) t.equal(await call, "consensus.cancelled");
    t.equal(await submit("already cancelled"), "consensus.cancelled");
    const last = t.rejects(ordering.submit(Buffer.from("last"), { timeoutMs: 30_000 }), {
      code: "consensus.stopped",
    });
    const read = t.rejects(ordering.read({ timeoutMs: 30_000 }), { code: "consensus.stopped" });
    await world.run(10);
    await world.wait(ordering.stop());
    await world.wait(ordering.stop());
    await last;
    await read;
    await t.rejects(ordering.submit(Buffer.from("late"), { timeoutMs: 1_000 }), {
      code: "consensus.stopped",
    });
  });

  t.test(`${name}: a network that loses and doubles delays, and changes nothing`, async (t) => {
    const world = await founded("lossy");
    world.lossRate = 0.1;
    world.duplicateRate = 0.1;
    world.latencyMsMax = 60;
    const calls = ids.flatMap((id) =>
      [1, 2, 3].map((at) => world.submit(id, `value ${at} of ${id}`, 240_000)),
    );
    await Promise.all(calls);
    world.heal();
    await sameEverywhere(t, world, 1 + 3 * founders);
  });

  t.test(`${name}: who comes gets everything and a vote; machines are told`, async (t) => {
    const world = await founded("add");
    const newcomer = founders + 1;
    for (let count = 1; count <= 10; count++) await world.submit(1, `value ${count}`);
    await world.add(2, newcomer);
    await world.submit(newcomer, "of the new one");
    await sameEverywhere(t, world, 12);
    const peers = [...ids, newcomer].map((id) => world.peer(id)).toSorted();
    for (const id of [...ids, newcomer]) {
      t.same(world.journal(id).voters, peers);
      t.same(world.ordering(id).status().members, peers);
    }
    const { beginning } = world.device(newcomer);
    if (beginning.kind !== "join") throw new Error("it came by a ticket");
    const step = { kind: "add" as const, peer: world.peer(newcomer), ticket: beginning.ticket };
    await world.wait(world.ordering(1).change(step, { timeoutMs: 60_000 }));
    t.equal(world.journal(1).voters.length, founders + 1, "again is no change");
    world.crash(newcomer, true);
    await world.start(newcomer);
    await world.submit(newcomer, "after a power cut");
    await sameEverywhere(t, world, 13);
  });

  t.test(`${name}: what is no ticket of that peer is refused`, async (t) => {
    const world = await founded("tickets");
    const patience = { timeoutMs: 10_000 };
    const peer = world.peer(9);
    const garbage = { kind: "add" as const, peer, ticket: Buffer.from("garbage") };
    await t.rejects(world.wait(world.ordering(1).change(garbage, patience)), {
      code: "consensus.refused",
    });
    const ticket = world.ordering(1).ticket(world.peer(8));
    const foreign = { kind: "add" as const, peer, ticket };
    await t.rejects(world.wait(world.ordering(1).change(foreign, patience)), {
      code: "consensus.refused",
    });
  });

  t.test(`${name}: who is taken out learns it, and the others go on`, async (t) => {
    const world = await founded("remove");
    await world.add(1, founders + 1);
    await world.until("somebody leads", () => world.leader() !== 0);
    const gone = world.leader();
    const [by = 0, other = 0] = world.running.filter((id) => id !== gone);
    await world.remove(by, gone);
    await world.remove(other, gone);
    await world.submit(by, "without it");
    await world.until("it knows", () => world.ordering(gone).status().standing === "left", 240_000);
    await t.rejects(world.submit(gone, "from outside", 5_000), { name: "AgreementError" });
    const peers = world.running.filter((id) => id !== gone).map((id) => world.peer(id));
    await sameEverywhere(t, world, 2);
    for (const id of world.running)
      if (id !== gone) t.same(world.journal(id).voters, peers.toSorted());
    t.equal(world.journal(gone).values.includes("without it"), false);
  });

  t.test(`${name}: a member may take itself out`, async (t) => {
    const world = await founded("leave");
    await world.add(1, founders + 1);
    await world.remove(founders + 1, founders + 1);
    await world.submit(1, "without it");
    await world.until(
      "it knows",
      () => world.ordering(founders + 1).status().standing === "left",
      240_000,
    );
    t.same(world.lost, new Set());
  });

  t.test(`${name}: a disk that is full, or fails, costs its member alone`, async (t) => {
    const world = await founded("disk");
    await world.until("somebody leads", () => world.leader() !== 0);
    const [poor = 0, other = 0] = ids.filter((id) => id !== world.leader());
    const { disk, manners } = world.device(poor);
    disk.bytesMax = disk.bytes;
    await world.submit(other, "a full disk");
    disk.bytesMax = Number.POSITIVE_INFINITY;
    manners.writeFailureRate = 0.3;
    for (let count = 1; count <= 5; count++) await world.submit(other, `failing ${count}`);
    manners.writeFailureRate = 0;
    await world.until("it has caught up", () => world.journal(poor).values.length === 7);
    await sameEverywhere(t, world, 7);
    t.same(world.lost, new Set());
  });
}
