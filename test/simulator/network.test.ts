import * as fc from "fast-check";
import t from "tap";
import type { NetworkEvent, Protocol } from "../../src/platform/network.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { EventHeap } from "../../src/simulator/event-heap.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { type EtherSettings, VirtualEther } from "../../src/simulator/virtual-ether.ts";
import { VirtualNetwork } from "../../src/simulator/virtual-network.ts";
import type { VirtualNodeSettings } from "../../src/simulator/virtual-node.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed });

const LOG: Protocol = {
  id: "/agent-mesh-test/log/1.0.0",
  messageBytesMax: 65_536,
  queueBytesMax: 262_144,
  requestsInFlightMax: 64,
};
const SOON = { timeoutMs: 5_000 };

/** A world in the hand of the test, and what its nodes heard, in order. */
class World {
  readonly clock = new VirtualClock();
  readonly ether: VirtualEther;
  readonly told: string[] = [];

  constructor(over: Partial<EtherSettings> = {}, worldSeed: string | number = "world") {
    const random = new SeededRandom(worldSeed);
    this.ether = new VirtualEther({ clock: this.clock, random, hasher: nodeHasher, ...over });
  }

  note(who: string, what: string): void {
    this.told.push(`${this.clock.monotonicMs()} ${who} ${what}`);
  }

  async node(self: string, over: Partial<VirtualNodeSettings> = {}): Promise<VirtualNetwork> {
    const network = new VirtualNetwork(this.ether, {
      self,
      gate: { admits: () => true, allows: () => undefined, offence: () => undefined },
      messageBytesMax: 1_000,
      queueBytesMax: 100_000,
      bulkIdleTimeoutMs: 10_000,
      ...over,
    });
    network.serve(LOG, {
      message: (from, payload) => this.note(self, `${text(payload)} of ${from}`),
      request: (_, payload) => payload,
    });
    network.subscribe("news", ({ payload }) => {
      this.note(self, `news ${text(payload)}`);
      return "accept";
    });
    await network.start((event) => {
      if (event.kind !== "addresses") this.note(self, describe(event));
    });
    return network;
  }

  /** @returns how the operation ends, after so much time at most */
  async after<T>(ms: number, operation: Promise<T>): Promise<T | string> {
    let outcome: T | string = "pending";
    operation.then(
      (value) => (outcome = value),
      (error: { code: string }) => (outcome = error.code),
    );
    await this.clock.advance(ms);
    return outcome;
  }

  heard(who: string, what: string): string[] {
    return this.told.filter((line) => line.includes(` ${who} `) && line.includes(what));
  }
}

function describe(event: NetworkEvent): string {
  if (event.kind === "link-up") return `up ${event.link.peer}`;
  if (event.kind === "link-down") return `down ${event.peer}`;
  return event.kind === "discovered" ? `discovered ${event.peer}` : event.kind;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");
const text = (payload: Uint8Array): string => Buffer.from(payload).toString("utf8");

t.test(
  "what is said last arrives before the end of the link, however often it has to be sent again",
  async (t) => {
    const none = { lossRate: 0, duplicateRate: 0, reorderRate: 0, reorderMs: 0 };
    const datagrams = { protocols: new Set([LOG.id]), ...none };
    const world = new World({ lossRate: 0.5, datagrams });
    const [a] = [await world.node("a"), await world.node("b")];
    for (let round = 0; round < 50; round++) {
      await world.after(5_000, a.connect({ addresses: ["/memory/b"] }, SOON));
      await world.after(100, a.send("b", LOG, bytes(`bye ${round}`)));
      await world.after(5_000, a.disconnect("b"));
    }
    const heard = world.heard("b", "").map((line) => line.split(" ").slice(2).join(" "));
    t.same(
      heard,
      Array.from({ length: 50 }, (_, at) => ["up a", `bye ${at} of a`, "down a"]).flat(),
    );
  },
);

t.test("the heap gives back what is due first, of one time what came first", async () => {
  const step = fc.oneof(fc.nat(20), fc.constantFrom("pop", "drop odd"));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const heap = new EventHeap<[ms: number, order: number]>();
      let model: [ms: number, order: number][] = [];
      const sort = (): unknown => model.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      for (const [order, step] of steps.entries()) {
        if (typeof step === "number") {
          heap.push(step, [step, order]);
          model.push([step, order]);
          sort();
        } else if (step === "pop") {
          if (heap.pop()?.[1] !== model.shift()?.[1]) return false;
        } else {
          heap.filter(([, order]) => order % 2 === 0);
          model = model.filter(([, order]) => order % 2 === 0);
        }
        if (heap.size !== model.length || heap.next?.[1] !== model[0]?.[1]) return false;
        if (heap.nextMs !== (model[0]?.[0] ?? Number.POSITIVE_INFINITY)) return false;
      }
      const rest = heap.sorted().map(([, order]) => order);
      return rest.join() === model.map(([, order]) => order).join();
    }),
  );
});

t.test("timers that are cancelled by the thousand leave nothing behind", async (t) => {
  const clock = new VirtualClock();
  let fired = 0;
  for (let n = 0; n < 10_000; n++) clock.setTimer("gone", 1_000, () => fired++).cancel();
  clock.setTimer("kept", 500, () => fired++);
  t.same(clock.waiting, ["kept"]);
  const late = clock.setTimer("of the last boot", 500, () => fired++);
  clock.reboot();
  clock.setTimer("new", 10, () => fired++);
  late.cancel();
  await clock.advance(2_000);
  t.equal(fired, 1);
  t.same(clock.waiting, []);
});

t.test("a partition stalls links, heals in order, and breaks them when it lasts", async (t) => {
  const world = new World({ detectMs: 10_000 });
  const [a, b, c] = [await world.node("a"), await world.node("b"), await world.node("c")];
  for (const [near, far] of [
    [a, b],
    [b, c],
  ] as const)
    t.equal(await world.after(100, near.connect({ addresses: far.addresses() }, SOON)), far.self);
  world.ether.partition([["a"], ["b", "c"]]);
  for (let n = 0; n < 5; n++) void a.send("b", LOG, bytes(`message ${n}`));
  const asked = b.request("a", LOG, bytes("?"), { timeoutMs: 60_000 });
  t.equal(await world.after(1_000, a.connect({ addresses: c.addresses() }, SOON)), "pending");
  t.same(world.heard("b", "message"), [], "nothing comes through");
  t.equal(await world.after(1_000, b.request("c", LOG, bytes("x"), SOON)).then(String), "x");
  await world.clock.advance(4_000);
  const more = Array.from({ length: 2_000 }, () => a.send("b", LOG, bytes("flood")));
  const codes = await Promise.allSettled(more);
  t.ok(
    codes.some(({ status }) => status === "rejected"),
    "what waits is bounded",
  );
  world.ether.heal();
  await world.clock.advance(100);
  void a.send("b", LOG, bytes("message 5"));
  await world.clock.advance(100);
  t.match(world.told.at(-1), /b message 5 of a/);
  const texts = world.heard("b", "message").map((line) => line.split(" ").slice(2, 4).join(" "));
  t.same(
    texts.slice(0, 5),
    Array.from({ length: 5 }, (_, n) => `message ${n}`),
  );
  t.same(await world.after(100, asked), bytes("?"));
  t.equal(world.heard("a", "down").length, 0, "it was short enough");
  world.ether.partition([["a"]]);
  const lost = a.request("b", LOG, bytes("?"), { timeoutMs: 60_000 });
  t.equal(await world.after(9_000, lost), "pending");
  t.equal(await world.after(2_000, lost), "network.closed");
  t.equal(world.heard("a", "down b").length, 1);
  t.equal(world.heard("b", "down a").length, 1);
  t.equal(b.links().length, 1, "those within a group stay");
  t.equal(
    await world.after(6_000, a.connect({ addresses: b.addresses() }, SOON)),
    "network.timeout",
  );
  world.ether.heal();
  t.equal(await world.after(100, a.connect({ addresses: b.addresses() }, SOON)), "b");
});

t.test("a node that crashes is missed after a while, and its own story ends", async (t) => {
  const world = new World();
  const [a, b] = [await world.node("a"), await world.node("b")];
  await world.after(100, a.connect({ addresses: b.addresses() }, SOON));
  const ofTheDead = b.request("a", LOG, bytes("?"), { timeoutMs: 1_000 });
  world.ether.crash("b", 3_000);
  const asked = a.request("b", LOG, bytes("?"), { timeoutMs: 60_000 });
  t.equal(await world.after(2_900, asked), "pending");
  t.equal(await world.after(200, asked), "network.closed");
  t.equal(world.heard("a", "down b").length, 1);
  t.equal(await world.after(20_000, ofTheDead), "pending", "not even a timeout");
  t.equal(
    await world.after(5_000, a.connect({ addresses: b.addresses() }, SOON)),
    "network.unreachable",
  );
  const again = await world.node("b");
  t.equal(await world.after(100, a.connect({ addresses: again.addresses() }, SOON)), "b");
  t.same(await world.after(100, a.request("b", LOG, bytes("back"), SOON)), bytes("back"));
  world.ether.crash("b", 0);
  await world.clock.advance(10);
  t.equal(world.heard("a", "down b").length, 2, "a process that is killed is missed at once");
});

t.test(
  "behind a NAT one dials and is not dialled; on one segment all are discovered",
  async (t) => {
    const world = new World();
    const hidden = await world.node("hidden", { hidden: true });
    const open = await world.node("open");
    const dialled = open.connect({ addresses: hidden.addresses() }, SOON);
    t.equal(await world.after(6_000, dialled), "network.unreachable");
    t.equal(await world.after(100, hidden.connect({ addresses: open.addresses() }, SOON)), "open");
    t.same(await world.after(100, open.request("hidden", LOG, bytes("x"), SOON)), bytes("x"));
    await world.node("one", { segment: "lan" });
    await world.node("two", { segment: "lan" });
    await world.node("three", { segment: "other" });
    t.match(
      world.told
        .filter((line) => line.includes("discovered"))
        .map((line) => line.split(" ").slice(1).join(" ")),
      ["one discovered two", "two discovered one"],
    );
  },
);

t.test("lost frames come late and in order; links break now and then", async (t) => {
  const world = new World({ lossRate: 0.3, retransmitMs: 100 });
  const [a, b] = [await world.node("a"), await world.node("b")];
  await world.after(5_000, a.connect({ addresses: b.addresses() }, SOON));
  for (let n = 0; n < 200; n++) void a.send("b", LOG, bytes(String(n)));
  await world.clock.advance(5_000);
  const lines = world.heard("b", " of a").map((line) => line.split(" "));
  t.same(
    lines.map(([, , n]) => n),
    Array.from({ length: 200 }, (_, n) => String(n)),
  );
  const ms = lines.map(([at]) => Number(at));
  t.ok(Math.max(...ms) - Math.min(...ms) >= 100, "some of them late");
  const breaking = new World({ breakRate: 0.05 });
  const [c, d] = [await breaking.node("c"), await breaking.node("d")];
  let downs = 0;
  for (let n = 0; n < 400 && downs < 3; n++) {
    if (c.links().length === 0)
      await breaking.after(50, c.connect({ addresses: d.addresses() }, SOON));
    else void c.send("d", LOG, bytes("x"));
    await breaking.clock.advance(10);
    downs = breaking.heard("d", "down c").length;
  }
  t.equal(downs, 3);
});

/** A small life of twelve nodes. @returns everything that was told */
async function story(worldSeed: number): Promise<string[]> {
  const world = new World({ lossRate: 0.05, breakRate: 0.01, bytesPerMs: 100 }, worldSeed);
  const random = new SeededRandom(worldSeed);
  const nodes: VirtualNetwork[] = [];
  for (let n = 0; n < 12; n++) nodes.push(await world.node(`n${n}`));
  const any = (): VirtualNetwork =>
    nodes[Math.floor(random.next() * nodes.length)] ?? (nodes[0] as VirtualNetwork);
  for (let step = 0; step < 300; step++) {
    const [near, far] = [any(), any()];
    const what = random.next();
    const failed = (error: { code: string }): void => world.note(near.self, error.code);
    if (what < 0.4) near.connect({ addresses: far.addresses() }, SOON).catch(failed);
    else if (what < 0.6) near.send(far.self, LOG, bytes(`${step}`)).catch(failed);
    else if (what < 0.8) near.publish("news", bytes(`${step}`)).catch(failed);
    else if (what < 0.83) world.ether.partition([nodes.slice(0, 6).map(({ self }) => self)]);
    else if (what < 0.86) world.ether.heal();
    else if (what < 0.9) await near.disconnect(far.self);
    else
      near
        .request(far.self, LOG, bytes("?"), SOON)
        .then(() => world.note(near.self, "answered"), failed);
    await world.clock.advance(Math.floor(random.next() * 300));
  }
  await world.clock.advance(60_000);
  return world.told;
}

t.test("one seed is one story, byte for byte", async (t) => {
  const [one, two, other] = [await story(7), await story(7), await story(8)];
  t.ok(one.length > 200, `${one.length} lines`);
  t.same(one, two);
  t.notSame(one, other);
});

t.test("news reaches a thousand nodes once each", async (t) => {
  const world = new World();
  const random = new SeededRandom("ring");
  const nodes: VirtualNetwork[] = [];
  for (let n = 0; n < 1_000; n++) nodes.push(await world.node(`n${n}`));
  for (const [n, node] of nodes.entries())
    for (const far of [nodes[(n + 1) % 1_000], nodes[Math.floor(random.next() * 1_000)]])
      if (far !== undefined && far !== node)
        void node.connect({ addresses: far.addresses() }, SOON);
  await world.clock.advance(1_000);
  world.told.length = 0;
  await nodes[0]?.publish("news", bytes("x"));
  await world.clock.advance(1_000);
  t.equal(world.told.length, 999);
  t.equal(new Set(world.told.map((line) => line.split(" ")[1])).size, 999);
});
