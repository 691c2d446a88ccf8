// Whose updates leave next, where several wait.
import * as fc from "fast-check";
import t from "tap";
import type { Outbox } from "../../../src/outbox/outbox.ts";
import type { OutboundUpdate } from "../../../src/platform/uplink-connection.ts";
import { Departures, type GuestUpdates } from "../../../src/uplink/departures.ts";
import { FairShare } from "../../../src/uplink/fair-share.ts";
import { outbound } from "../../conformance/uplink-connection.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed });

t.test("while all wait, everybody gets bytes by weight, whatever the sizes", async (t) => {
  const contender = fc.record({
    weight: fc.integer({ min: 1, max: 10 }),
    sizes: fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 5 }),
  });
  fc.assert(
    fc.property(fc.array(contender, { minLength: 1, maxLength: 6 }), (drawn) => {
      const all = drawn.map(({ weight, sizes }, at) => ({ id: `${at}`, weight, sizes, bytes: 0 }));
      const shares = new FairShare();
      for (let turn = 0; turn < 2_000; turn++) {
        const next = shares.next(all);
        if (next === undefined) throw new Error("somebody waits");
        const bytes = next.sizes[turn % next.sizes.length] ?? 0;
        next.bytes += bytes;
        shares.spent(next, bytes);
      }
      // Nobody is ahead of anybody by more than what was sent in one turn.
      const times = all.map(({ bytes, weight }) => bytes / weight);
      const apart = Math.max(...times) - Math.min(...times);
      if (apart > 10_000) throw new Error(`${apart} bytes apart: ${times.join()}`);
    }),
  );
  t.equal(new FairShare().next([]), undefined);
});

t.test("who was away has saved nothing up, and who was greedy pays nothing later", async (t) => {
  const shares = new FairShare();
  const [busy, idle] = [
    { id: "busy", weight: 1 },
    { id: "idle", weight: 1 },
  ];
  for (let turn = 0; turn < 100; turn++) shares.spent(shares.next([busy]) ?? busy, 1_000);
  const turns: string[] = [];
  for (let turn = 0; turn < 20; turn++) {
    const next = shares.next([busy, idle]) ?? busy;
    turns.push(next.id);
    shares.spent(next, 1_000);
  }
  const count = turns.filter((id) => id === "idle").length;
  t.ok(count >= 9 && count <= 11, turns.join());
  shares.keep(new Set(["idle"]));
  t.equal(shares.next([busy, idle])?.id, "busy", "one that has gone begins anew");
});

/** Queues of numbered updates; `own` is the outbox. */
function departuresOf(queues: Readonly<Record<string, number>>, ownWeight = 4) {
  const left = new Map(Object.entries(queues));
  const settled: string[] = [];
  const take = (name: string, limit: number): OutboundUpdate[] => {
    const waiting = left.get(name) ?? 0;
    const count = Math.min(limit, waiting);
    left.set(name, waiting - count);
    return Array.from({ length: count }, (_, at) => outbound(at + 1, { agentId: name }));
  };
  const outbox = {
    available: () => left.get("own") ?? 0,
    lease: (limit: number) => Promise.resolve(take("own", limit)),
    acknowledge: ({ agentId }: OutboundUpdate) => settled.push(`outbox has ${agentId}`),
    refuse: ({ agentId }: OutboundUpdate) => settled.push(`outbox buries ${agentId}`),
    rewind: () => settled.push("outbox rewinds"),
    onAppended: () => undefined,
  } as unknown as Outbox;
  const updates: GuestUpdates = {
    waiting: () => new Map([...left].filter(([name]) => name !== "own")),
    lease: (guest, limit) => Promise.resolve(take(guest, limit)),
    acknowledge: ({ agentId }) => settled.push(`guests have ${agentId}`),
    refuse: ({ agentId }) => settled.push(`guests bury ${agentId}`),
    rewind: () => settled.push("guests rewind"),
    onWaiting: () => undefined,
  };
  return { departures: new Departures(outbox, { updates, ownWeight }), settled, left };
}

const ALL = { priorityMin: 0, guests: true };

t.test("a lease holds everybody's in turn, and each goes back where it came from", async (t) => {
  const { departures, settled } = departuresOf({ own: 1_000, a: 1_000, b: 1_000 });
  t.equal(departures.available(ALL), 3_000);
  t.equal(departures.pressing(ALL), 1_001);
  const leased = await departures.lease(512, ALL);
  t.equal(leased.length, 512);
  const count = (name: string) => leased.filter(({ agentId }) => agentId === name).length;
  t.ok(count("own") >= 256, `own: ${count("own")}`);
  t.ok(count("a") >= 64 && count("b") >= 64, `a: ${count("a")}, b: ${count("b")}`);
  const [own] = leased.filter(({ agentId }) => agentId === "own");
  const [first, second] = leased.filter(({ agentId }) => agentId === "a");
  if (own === undefined || first === undefined || second === undefined) throw new Error("leased");
  t.same([departures.isOwn(own), departures.isOwn(first)], [true, false]);
  departures.acknowledge(own);
  departures.refuse(own, "no");
  departures.acknowledge(first);
  departures.refuse(second, "no");
  departures.rewind();
  t.same(settled, [
    "outbox has own",
    "outbox buries own",
    "guests have a",
    "guests bury a",
    "outbox rewinds",
    "guests rewind",
  ]);
});

t.test("guests wait where only some may leave, or the way is not for them", async (t) => {
  const { departures } = departuresOf({ own: 3, a: 5 });
  for (const passage of [
    { priorityMin: 7, guests: true },
    { priorityMin: 0, guests: false },
  ]) {
    t.equal(departures.available(passage), 3);
    t.equal(departures.pressing(passage), 3);
  }
  const leased = await departures.lease(10, { priorityMin: 0, guests: false });
  t.same(
    leased.map(({ agentId }) => agentId),
    ["own", "own", "own"],
  );
  t.equal(departures.available(ALL), 5);
});

t.test("one whose updates turn out to be gone holds up nobody", async (t) => {
  const { departures, left } = departuresOf({ own: 0, gone: 5, a: 5 });
  const waiting = new Map([
    ["gone", 5],
    ["a", 5],
  ]);
  left.set("gone", 0);
  const honest = departures.lease.bind(departures);
  const lying = new Departures(departures.outbox, {
    ownWeight: 1,
    updates: {
      waiting: () => waiting,
      lease: async (guest, limit) => {
        if (guest === "gone") return [];
        waiting.delete("a");
        return honest(limit, ALL);
      },
      acknowledge: () => undefined,
      refuse: () => undefined,
      rewind: () => undefined,
      onWaiting: () => undefined,
    },
  });
  t.equal((await lying.lease(10, ALL)).length, 5);
});
