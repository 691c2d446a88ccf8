// A group of three members in virtual time: what is decided is decided everywhere, whatever happens to one of them.
import t from "tap";
import { RaftMemberWorld } from "../../../support/raft-member-world.ts";

t.setTimeout(60_000);

async function founded(seed: string, options = {}): Promise<RaftMemberWorld> {
  const world = new RaftMemberWorld(seed, [1, 2, 3], options);
  for (const id of [1, 2, 3]) await world.add(id);
  await world.until("somebody leads", () => world.leader() !== 0);
  return world;
}

t.test("what any member proposes is decided once, in one order, at all", async (t) => {
  const world = await founded("propose");
  const decided = await Promise.all([1, 2, 3].map((id) => world.propose(id, `value ${id}`)));
  t.equal(new Set(decided.map(({ index }) => index)).size, 3);
  t.same(decided.map(({ result }) => Buffer.from(result ?? []).toString()).sort(), ["1", "2", "3"]);
  await world.until("all have it", () => [1, 2, 3].every((id) => world.journal(id).length === 3));
  t.same(world.journal(2), world.journal(1));
  t.same(world.journal(3), world.journal(1));
});

t.test(
  "the leader is killed: another leads within two seconds, and nothing decided is lost",
  async (t) => {
    const world = await founded("kill");
    await world.propose(1, "before");
    const leader = world.leader();
    const other = leader === 1 ? 2 : 1;
    world.crash(leader, true);
    const fromMs = world.clock.monotonicMs();
    const proposal = world.propose(other, "after");
    await proposal;
    t.ok(
      world.clock.monotonicMs() - fromMs < 4_000,
      "a proposal that found no leader is decided by the next",
    );
    await world.start(leader);
    await world.until("it has caught up", () => world.journal(leader).length === 2);
    t.same(world.journal(leader), ["before", "after"]);
  },
);

t.test("where nothing is to be decided members sleep between heartbeats", async (t) => {
  const world = new RaftMemberWorld("sleep", [1, 2, 3]);
  const wakes = new Map<number, number>();
  world.clockFor = (id, clock) => ({
    bootId: clock.bootId,
    wallMs: () => clock.wallMs(),
    wallTrusted: () => clock.wallTrusted(),
    monotonicMs: () => clock.monotonicMs(),
    setTimer: (name, delayMs, callback) =>
      clock.setTimer(name, delayMs, () => {
        if (name === "raft.tick") wakes.set(id, (wakes.get(id) ?? 0) + 1);
        callback();
      }),
  });
  for (const id of [1, 2, 3]) await world.add(id);
  await world.until("somebody leads", () => world.leader() !== 0);
  await world.run(5_000);
  const leader = world.leader();
  const { term } = world.member(leader).status();
  wakes.clear();
  await world.run(60_000);
  for (const id of [1, 2, 3]) {
    const perS = (wakes.get(id) ?? 0) / 60;
    t.ok(id === leader ? perS < 11 : perS < 3, `member ${id} wakes ${perS} times a second`);
    t.equal(world.member(id).status().term, term, "nobody campaigned");
  }
});

t.test("a read sees what was decided before it, at any member", async (t) => {
  const world = await founded("read");
  for (let round = 0; round < 5; round++) {
    await world.propose((round % 3) + 1, `round ${round}`);
    const reader = ((round + 1) % 3) + 1;
    await world.read(reader);
    t.equal(world.journal(reader).length, round + 1);
  }
  const leader = world.leader();
  world.severed = (from, to) => from === leader || to === leader;
  await t.rejects(
    world.read(leader, 3_000),
    { code: "consensus.timeout" },
    "cut off it knows nothing",
  );
});

t.test("members come and go, one step at a time", async (t) => {
  const world = await founded("change", { snapshotEveryBytes: 200, keptEntries: 2 });
  for (let at = 0; at < 10; at++) await world.propose(1, `value ${at}`);
  await world.add(4);
  await world.change(2, [{ kind: "add-voter", id: 4 }], [4]);
  await world.until("the new one has all", () => world.journal(4).length === 10);
  const leader = world.leader();
  const other = [1, 2, 3, 4].find((id) => id !== leader) ?? 0;
  await world.change(other, [{ kind: "remove", id: leader }]);
  await world.until(
    "another leads",
    () => ![0, leader].includes(world.member(other).status().leader),
  );
  await world.propose(other, "without it");
  t.equal(world.member(other).roster.has(leader), false);
  t.same(world.member(other).status().configuration.voters.includes(4), true);
});

t.test(
  "a member that lost its disk does not take part; one that lost what was not synced does",
  async (t) => {
    const world = await founded("disk");
    await world.propose(1, "kept");
    const device = world.device(2);
    world.crash(2, true);
    device.disk.damage(0, 1);
    await t.rejects(world.start(2), { name: "LostLogError" });
  },
);

t.test(
  "more than there is room for is refused, and what is cancelled is not waited for",
  async (t) => {
    const world = await founded("bounds", { waitingMax: 2, valueBytesMax: 100 });
    world.severed = () => true;
    const member = world.member(1);
    const patience = { timeoutMs: 1_000 };
    await t.rejects(member.propose(new Uint8Array(101), patience), {
      code: "consensus.refused",
    });
    const abort = new AbortController();
    const first = member.propose(new Uint8Array(3), { ...patience, signal: abort.signal });
    const second = member.propose(new Uint8Array(4), patience);
    await t.rejects(member.propose(new Uint8Array(5), patience), { code: "consensus.busy" });
    abort.abort();
    await t.rejects(first, { code: "consensus.cancelled" });
    const ended = t.rejects(second, { code: "consensus.timeout" });
    await world.run(2_000);
    await ended;
    const third = t.rejects(member.propose(new Uint8Array(6), patience), {
      code: "consensus.stopped",
    });
    await member.stop();
    await third;
  },
);
