// A group of four members in virtual time: what is decided is decided everywhere, whatever happens to one of them.
import t from "tap";
import { PbftMemberWorld } from "../../../support/pbft-member-world.ts";

t.setTimeout(60_000);
const FOUR = [1, 2, 3, 4];

async function founded(seed: string, options = {}): Promise<PbftMemberWorld> {
  const world = new PbftMemberWorld(seed, options);
  await world.found(FOUR);
  return world;
}

t.test("what any member puts in is applied once, in one order, at all", async (t) => {
  const world = await founded("submit");
  const ordered = await Promise.all(FOUR.map((id) => world.submit(id, `value ${id}`)));
  t.same(ordered.map(({ result }) => Buffer.from(result ?? []).toString()).sort(), [
    "1",
    "2",
    "3",
    "4",
  ]);
  await world.until("all have it", () => FOUR.every((id) => world.journal(id).length === 4));
  for (const id of FOUR) t.same(world.journal(id), world.journal(1));
  t.same(world.voters(1), FOUR);
  t.equal(FOUR.filter((id) => world.member(id).status().standing === "leading").length, 1);
});

t.test("values that come together go together", async (t) => {
  const world = await founded("together");
  const values = Array.from({ length: 200 }, (_, at) => `value ${at}`);
  const member = world.member(2);
  const calls = values.map((value) => member.submit(Buffer.from(value), { timeoutMs: 20_000 }));
  const ordered = await world.wait(Promise.all(calls));
  t.same(world.journal(2), values, "in the order in which they came in");
  t.ok(new Set(ordered.map(({ position }) => position)).size <= 2);
});

t.test("a value that is put in again is applied once", async (t) => {
  const world = await founded("again");
  const id = Uint8Array.from({ length: 16 }, (_, at) => at);
  const first = await world.submit(1, "once", 10_000, id);
  const again = await world.submit(3, "once", 10_000, id);
  t.equal(again.result, undefined);
  t.ok(again.position > first.position);
  t.same(world.journal(3), ["once"]);
});

t.test("a read sees what was decided before it, at any member", async (t) => {
  const world = await founded("read");
  for (let round = 0; round < 5; round++) {
    await world.submit((round % 4) + 1, `round ${round}`);
    const reader = ((round + 1) % 4) + 1;
    await world.read(reader);
    t.equal(world.journal(reader).length, round + 1);
  }
  world.severed = (from, to) => from === 1 || to === 1;
  await t.rejects(world.read(1, 3_000), { code: "consensus.timeout" });
});

t.test("a silent primary is replaced, and nothing that waits is lost", async (t) => {
  const world = await founded("silent");
  await world.submit(1, "before");
  const primary = FOUR.find((id) => world.member(id).status().standing === "leading") ?? 0;
  world.severed = (from) => from === primary;
  const other = FOUR.find((id) => id !== primary) ?? 0;
  await world.submit(other, "after");
  t.not(world.member(other).status().leader, world.peer(primary));
  world.severed = () => false;
  await world.until("it follows again", () => world.journal(primary).length === 2);
});

t.test("all members stop at once, and go on", async (t) => {
  const world = await founded("restart");
  for (let at = 0; at < 10; at++) await world.submit((at % 4) + 1, `value ${at}`);
  for (const id of FOUR) world.crash(id, true);
  for (const id of FOUR) await world.start(id);
  await world.submit(3, "after");
  for (const id of FOUR) {
    await world.until("all have it", () => world.journal(id).length === 11);
    t.same(world.journal(id), world.journal(3));
  }
});

t.test("who was away for long gets the state", async (t) => {
  const { pbft } = new PbftMemberWorld("").options;
  const options = { pbft: { ...pbft, checkpointInterval: 4, windowSize: 8, chunkBytes: 512 } };
  const world = await founded("away", options);
  world.crash(4, false);
  for (let at = 0; at < 30; at++) await world.submit((at % 3) + 1, `value ${at}`);
  await world.start(4);
  await world.until("it has all", () => world.journal(4).length === 30);
  t.same(world.journal(4), world.journal(1));
  await world.submit(4, "its own");
});

t.test("members come and go, one step at a time", async (t) => {
  const world = await founded("change");
  for (let at = 0; at < 10; at++) await world.submit(1, `value ${at}`);
  await world.add(5, 2);
  t.same(world.voters(2), [1, 2, 3, 4, 5]);
  await world.until("the new one has all", () => world.journal(5).length === 10);
  await world.submit(5, "from the new one");
  t.same(world.device(5).process?.journal.voters.length, 5);
  await world.remove(1, 3);
  await world.until("it knows", () => world.member(1).status().standing === "left");
  t.same(world.voters(3), [2, 3, 4, 5]);
  const last = await world.submit(5, "without it");
  await world.until("all have it", () =>
    [2, 3, 4, 5].every((id) => world.journal(id).at(-1) === "without it"),
  );
  t.equal(world.journal(1).includes("without it"), false);
  t.equal(last.position, world.member(5).status().position);
  await t.rejects(world.submit(1, "not any more"), { code: "consensus.stopped" });
  await world.remove(1, 2);
  t.pass("removing who is no member has come about already");
  await t.rejects(world.remove(2, 3), {
    code: "consensus.refused",
    message: /fewer than 4 members/,
  });
  await world.submit(2, "the group goes on");
});
