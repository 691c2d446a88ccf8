// One assignment of roles for each partition, whatever happens to the fleet.
import t, { type Test } from "tap";
import { aggregatorsWanted } from "../../src/coordination/roles/choice.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { Device } from "../support/role-records.ts";
import { RolesWorld, type RolesWorldOptions } from "./roles-world.ts";

const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it)`);
// Virtual hours on a machine that may be busy.
t.setTimeout(400_000);

const pi: Device = { supply: "mains", cores: 4, memoryGiB: 4 };
const jetson: Device = { supply: "mains", cores: 6, memoryGiB: 8 };
const sensor: Device = { supply: "battery", cores: 1, memoryGiB: 0.5, batteryPercent: 80 };
const minutes = (count: number): number => count * 60_000;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** A third on battery, the rest of all kinds. */
function mixed(count: number, label: string): Device[] {
  const random = new SeededRandom(`${seed}/${label}`);
  return Array.from({ length: count }, (_, at) => {
    if (at % 3 === 2) return { ...sensor, batteryPercent: 20 + Math.floor(80 * random.next()) };
    return {
      supply: "mains",
      cores: 1 + Math.floor(8 * random.next()),
      memoryGiB: 1 + Math.floor(8 * random.next()),
      cpuPercent: Math.floor(100 * random.next()),
    };
  });
}

function fleet(devices: readonly Device[], options: Partial<RolesWorldOptions> = {}): RolesWorld {
  const world = new RolesWorld({ seed: `${seed}/${devices.length}`, ...options });
  world.populate(devices);
  return world;
}

/** Whatever happened: nobody on battery was in the committee for a moment, and nobody was complained of. */
function checkAlways(t: Test, world: RolesWorld): void {
  t.same(world.onBattery, [], "battery is never in the committee");
  t.same(world.offences, [], "honest agents do not offend");
}

for (const size of [2, 3, 5, 50])
  t.test(`${size} agents agree`, async (t) => {
    const world = fleet([jetson, ...mixed(size - 1, `agree-${size}`)]);
    const tookMs = world.runUntil("all agree", () => world.isAgreed(), 60_000);
    t.comment(`after ${seconds(tookMs)}`);
    t.equal(world.coordinators().length, 1);
    const held = world.held(0);
    const onMains = world.nodes.filter(({ device }) => device.supply === "mains").length;
    const wanted = [10, 7, 4, 3, 1].find((one) => one <= onMains) ?? 0;
    t.equal((held?.validators.length ?? -1) + 1, wanted, "the largest committee that can be");
    t.ok(held?.quorum);
    t.ok((held?.aggregators.length ?? 0) <= aggregatorsWanted(size));
    t.ok((held?.aggregators.length ?? 0) >= 1);
    for (const peer of [...(held?.validators ?? []), ...(held?.aggregators ?? [])])
      t.equal(world.nodes[world.indexOf(peer)]?.device.supply, "mains");
    checkAlways(t, world);
  });

t.test("one agent alone leads itself", async (t) => {
  const world = fleet([pi]);
  world.run(20_000);
  t.strictSame(world.negotiation(0).roles, {
    coordination: "coordinator",
    learning: ["aggregator", "validator", "trainer"],
  });
});

t.test("a coordinator that dies is replaced, and comes back as somebody else", async (t) => {
  const world = fleet(mixed(50, "death"), { loss: 0.02 });
  world.runUntil("all agree", () => world.isAgreed(), 60_000);
  const [first = -1] = world.coordinators();
  const before = world.held(0)?.term ?? 0;
  world.kill(first);
  const tookMs = world.runUntil("another leads", () => world.isAgreed(), 60_000);
  t.comment(`after ${seconds(tookMs)}, up to 20 s of which is to notice the death`);
  const [second = -1] = world.coordinators();
  t.not(second, first);
  t.ok((world.held(second)?.term ?? 0) > before);
  world.revive(first);
  world.run(minutes(2));
  t.ok(world.isAgreed());
  t.equal(world.coordinators()[0], second, "the lead does not go back and forth");
  checkAlways(t, world);
});

t.test("a coordinator that says good-bye is replaced within seconds", async (t) => {
  const world = fleet(mixed(20, "leave"));
  world.runUntil("all agree", () => world.isAgreed(), 60_000);
  const [first = -1] = world.coordinators();
  world.leave(first);
  world.run(500);
  const tookMs = world.runUntil("another leads", () => world.isAgreed(), 20_000);
  t.comment(`after ${seconds(tookMs)}`);
});

t.test("all on mains are restarted before anybody on battery stands in for them", async (t) => {
  for (let one = 0; one < 6; one++) {
    const devices = [jetson, pi, sensor, sensor, sensor, sensor];
    const world = fleet(devices, { seed: `${seed}/restarted-${one}` });
    world.runUntil("all agree", () => world.isAgreed(), 60_000);
    const [first = -1] = world.coordinators();
    const term = world.held(2)?.term ?? 0;
    const other = 1 - first;
    world.leave(other);
    world.runUntil("it is missed", () => (world.held(2)?.term ?? 0) > term, 60_000);
    world.run(1_000);
    world.leave(first);
    world.run(5_000);
    t.equal(world.held(2), undefined, "nobody leads");
    world.revive(first);
    world.revive(other);
    const tookMs = world.runUntil("all agree again", () => world.isAgreed(), 60_000);
    t.comment(`after ${seconds(tookMs)}`);
    t.equal(world.held(2)?.quorum, true);
    checkAlways(t, world);
  }
});

t.test(
  "an agent that goes on battery loses its place, and does not get it back by itself",
  async (t) => {
    const world = fleet([jetson, ...Array.from({ length: 6 }, () => pi), sensor]);
    world.runUntil("all agree", () => world.isAgreed(), 60_000);
    const validator = world.indexOf(world.held(0)?.validators[0] ?? "");
    world.change(validator, { supply: "battery", batteryPercent: 90 });
    t.equal(world.negotiation(validator).roles.coordination, "worker", "at once, by its own word");
    world.runUntil(
      "the others know",
      () =>
        world.isAgreed() &&
        world.held(0)?.validators.includes(world.nodes[validator]?.signer.peerId ?? "") === false,
      30_000,
    );
    const [leader = -1] = world.coordinators();
    world.change(leader, { supply: "battery", batteryPercent: 90 });
    t.same(world.coordinators(), [], "at once");
    world.runUntil(
      "another leads",
      () => world.isAgreed() && world.coordinators().length === 1,
      30_000,
    );
    t.not(world.coordinators()[0], leader);
    checkAlways(t, world);
  },
);

t.test("without anybody on mains there is a caretaker, and no quorum", async (t) => {
  const devices = Array.from({ length: 6 }, (_, at) => ({
    ...sensor,
    batteryPercent: 55 + 5 * at,
  }));
  const world = fleet([pi, ...devices]);
  world.runUntil("all agree", () => world.isAgreed(), 60_000);
  t.equal(world.held(1)?.quorum, true);
  world.kill(0);
  world.runUntil("somebody takes care", () => world.isAgreed(), 120_000);
  const held = world.held(1);
  t.equal(held?.quorum, false);
  t.same(held?.validators, []);
  t.ok((held?.aggregators.length ?? 0) > 0, "aggregators are chosen from what there is");
  t.same(world.coordinators(), []);
  for (const { negotiation } of world.running()) t.equal(negotiation?.roles.coordination, "worker");

  const newcomer = world.join(pi);
  world.runUntil("mains is back", () => world.isAgreed() && world.held(1)?.quorum === true, 60_000);
  t.same(world.coordinators(), [newcomer]);
  world.kill(newcomer);
  for (const { index } of world.running()) world.change(index, { batteryPercent: 10 });
  world.run(minutes(10));
  for (const { index } of world.running()) t.equal(world.held(index), undefined, "nobody at all");
});

t.test("each side of a partition has one assignment, and both together again", async (t) => {
  for (const [name, side] of [
    ["halves", (index: number) => index % 2],
    ["one tenth", (index: number) => Number(index < 5)],
    ["three parts", (index: number) => (index % 3 === 2 ? 0 : Math.floor(index / 17))],
  ] as const) {
    const world = fleet(mixed(50, name), { seed: `${seed}/${name}`, loss: 0.05 });
    world.runUntil("all agree", () => world.isAgreed(), 60_000);
    world.partition(side);
    const sides = new Set(world.nodes.map(({ index }) => side(index)));
    const apartMs = world.runUntil(
      `${name}: each side agrees`,
      () => [...sides].every((one) => world.isAgreed((index) => side(index) === one)),
      120_000,
    );
    t.equal(world.coordinators().length, sides.size, "one coordinator each");
    world.run(minutes(12));
    world.heal();
    const togetherMs = world.runUntil(`${name}: one for all`, () => world.isAgreed(), 90_000);
    t.comment(`${name}: apart after ${seconds(apartMs)}, together after ${seconds(togetherMs)}`);
    t.equal(world.coordinators().length, 1);
    world.run(minutes(11));
    t.ok(world.isAgreed(), "and stays so");
    checkAlways(t, world);
  }
});

t.test("what wobbles moves no roles; what is much better does, at the next look", async (t) => {
  const world = fleet(Array.from({ length: 20 }, (_, at) => ({ ...pi, cores: 3 + (at % 2) })));
  world.runUntil("all agree", () => world.isAgreed(), 60_000);
  world.run(minutes(6));
  const before = world.held(0);
  const random = new SeededRandom(`${seed}/wobble`);
  for (let minute = 0; minute < 60; minute++) {
    for (const { index } of world.nodes)
      world.change(index, {
        cpuPercent: Math.floor(100 * random.next()),
        memoryPercent: Math.floor(100 * random.next()),
        celsius: 40 + Math.floor(50 * random.next()),
        uplinkUp: random.next() < 0.5,
        status: random.next() < 0.2 ? "degraded" : "ok",
      });
    world.run(minutes(1));
  }
  t.equal(world.held(0)?.term, before?.term, "an hour of wobbling");

  const newcomer = world.join({ supply: "mains", cores: 8, memoryGiB: 32 });
  const tookMs = world.runUntil(
    "the newcomer leads",
    () => world.isAgreed() && world.coordinators()[0] === newcomer,
    minutes(6),
  );
  t.comment(`after ${seconds(tookMs)}`);
  t.equal(world.held(0)?.reason, "better");
  checkAlways(t, world);
});

t.test("a place that is free is given to whoever comes", async (t) => {
  const world = fleet([jetson, pi, pi]);
  world.runUntil("all agree", () => world.isAgreed(), 60_000);
  t.equal(world.held(0)?.validators.length, 2);
  world.join(pi);
  world.runUntil(
    "a committee of four",
    () => world.isAgreed() && world.held(0)?.validators.length === 3,
    60_000,
  );
  t.equal(world.held(0)?.reason, "members");
});

t.test("an agent comes and goes every few seconds: the assignment follows slowly", async (t) => {
  const world = fleet([jetson, ...Array.from({ length: 5 }, () => pi), pi]);
  world.runUntil("all agree", () => world.isAgreed(), 60_000);
  world.run(minutes(2));
  const before = world.held(0)?.term ?? 0;
  for (let at = 0; at < 30; at++) {
    world.kill(6);
    world.run(25_000);
    world.revive(6);
    world.run(5_000);
  }
  const changes = (world.held(0)?.term ?? 0) - before;
  t.ok(changes <= 60, `${changes} changes in 15 minutes`);
  world.run(minutes(1));
  t.ok(world.isAgreed());
});

t.test("churn: a fleet that is never quiet agrees again and again", async (t) => {
  const world = fleet(mixed(50, "churn"), { loss: 0.1 });
  world.runUntil("all agree", () => world.isAgreed(), 60_000);
  const random = new SeededRandom(`${seed}/churn`);
  const down: number[] = [];
  for (let round = 0; round < 60; round++) {
    const up = world.running().map(({ index }) => index);
    const victim = up[Math.floor(random.next() * up.length)];
    if (victim !== undefined && down.length < 20) {
      world.kill(victim);
      down.push(victim);
    }
    if (random.next() < 0.6) {
      const back = down.shift();
      if (back !== undefined) world.revive(back);
    }
    world.run(15_000);
  }
  const tookMs = world.runUntil("all agree", () => world.isAgreed(), 90_000);
  t.comment(
    `${seconds(tookMs)} after the last change, ${world.held(world.running()[0]?.index ?? 0)?.term} terms`,
  );
  checkAlways(t, world);
});

t.test("a thousand agents of which each knows 128", async (t) => {
  const size = 1_000;
  const world = fleet(mixed(size, "thousand"), { viewMax: 128, linksWanted: 4 });
  const tookMs = world.runUntil("all agree", () => world.isAgreed(), minutes(3));
  const startBytes = world.bytes / size;
  t.comment(`after ${seconds(tookMs)}, ${Math.round(startBytes)} bytes sent by each`);
  t.equal(world.coordinators().length, 1);
  world.run(minutes(6));
  const { bytes, messages } = world;
  world.run(minutes(10));
  const bytesPerSecond = (world.bytes - bytes) / size / 600;
  t.comment(
    `quiet: ${bytesPerSecond.toFixed(1)} B/s and ${((world.messages - messages) / size / 10).toFixed(1)} messages/min each`,
  );
  t.ok(bytesPerSecond < 100, "little to say");
  const [first = -1] = world.coordinators();
  world.kill(first);
  const againMs = world.runUntil("another leads", () => world.isAgreed(), minutes(5));
  t.comment(`coordinator killed: another after ${seconds(againMs)}`);

  world.partition((index) => index % 2);
  const halves = () => [0, 1].every((half) => world.isAgreed((index) => index % 2 === half));
  const apartMs = world.runUntil("each half agrees", halves, minutes(6));
  world.heal();
  const togetherMs = world.runUntil("one for all", () => world.isAgreed(), minutes(5));
  t.comment(`halves after ${seconds(apartMs)}, together after ${seconds(togetherMs)}`);
  t.equal(world.coordinators().length, 1);
  checkAlways(t, world);
});

t.test("traffic of a quiet agent does not grow with the fleet", async (t) => {
  const perSecond = [5, 50, 500].map((size) => {
    const world = fleet(mixed(size, "quiet"), { viewMax: 64 });
    world.runUntil("all agree", () => world.isAgreed(), minutes(3));
    world.run(minutes(12));
    const { bytes } = world;
    world.run(minutes(10));
    return (world.bytes - bytes) / size / 600;
  });
  t.comment(perSecond.map((rate) => `${rate.toFixed(1)} B/s`).join(", "));
  for (const rate of perSecond) t.ok(rate < 100);
  t.ok((perSecond[2] ?? 0) < 2 * (perSecond[1] ?? 0));
});
