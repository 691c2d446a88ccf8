// Groups of four to eight under kills, power cuts, slow and failing disks, partitions, a network that loses, doubles and
// reorders, one member that lies, and changes of members: what a caller was told is decided is decided once at all members,
// in one order, and what it reads is never old.
import t from "tap";
import { faultyOf } from "../../src/consensus/pbft/group.ts";
import { defaultPbftMemberOptions } from "../../src/consensus/pbft-member/options.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { PbftMemberWorld } from "../support/pbft-member-world.ts";

const FIRST_SEED = Number(process.env["SIM_FIRST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 12);
const CALM_MS = 60_000;
const STEPS = 60;
t.setTimeout(120_000 + 2_000 * SEEDS);
t.comment(`SIM_FIRST_SEED=${FIRST_SEED} SIM_SEEDS=${SEEDS} repeats these`);

/** What callers were told. */
interface Told {
  readonly decided: Set<string>;
  readonly wrong: string[];
  changed: number;
  failed: number;
}

interface Outcome {
  readonly world: PbftMemberWorld;
  readonly told: Told;
  readonly liar: number | undefined;
  readonly members: readonly number[];
}

async function run(seed: string): Promise<Outcome> {
  const random = new SeededRandom(`pbft-member/${seed}`);
  const founders = Array.from({ length: 4 + Math.floor(random.next() * 4) }, (_, at) => at + 1);
  const { pbft } = defaultPbftMemberOptions;
  const world = new PbftMemberWorld(seed, {
    pbft: {
      ...pbft,
      checkpointInterval: 4,
      windowSize: 8,
      chunkBytes: 512,
      progressTimeoutMs: 1_000,
      progressTimeoutMaxMs: 8_000,
    },
    operationValuesMax: 1 + Math.floor(random.next() * 4),
    keysMax: 512,
  });
  world.lossRate = 0.1 * random.next();
  world.duplicateRate = 0.05;
  world.latencyMs = [1, 5 + 40 * random.next()];
  await world.found(founders);
  world.writeFailureRate = random.next() < 0.3 ? 0.02 : 0;
  const liar = random.next() < 0.4 ? 1 + Math.floor(random.next() * founders.length) : undefined;
  const manner = random.next();
  if (liar !== undefined)
    world.lies = (from, _to, bytes) => {
      if (from !== liar) return [bytes];
      if (manner < 0.3) return [];
      const draw = random.next();
      if (draw < 0.3) return [];
      if (draw < 0.6) return [bytes];
      const changed = bytes.slice(0, draw < 0.65 ? bytes.length >> 1 : bytes.length);
      const at = Math.floor(random.next() * changed.length);
      changed[at] = Math.floor(random.next() * 256);
      return draw < 0.8 ? [changed] : [changed, bytes, bytes];
    };
  const told: Told = { decided: new Set(), wrong: [], changed: 0, failed: 0 };
  const present = new Set(founders);
  const any = (): number =>
    [...world.devices.keys()][Math.floor(random.next() * world.devices.size)] ?? 1;
  const calls: Promise<void>[] = [];
  let count = 0;
  const failed = (): void => void told.failed++;
  /** Several members at once, several values each. */
  const burst = (): void => {
    for (const [id, { process }] of world.devices) {
      if (id === liar || random.next() < 0.4) continue;
      for (let more = 1 + Math.floor(random.next() * 3); more > 0; more--) {
        const value = `value ${count++}`;
        const decided = process?.member?.submit(Buffer.from(value), { timeoutMs: 10_000 });
        if (decided !== undefined)
          calls.push(decided.then(() => void told.decided.add(value), failed));
      }
    }
  };
  for (let step = 0; step < STEPS; step++) {
    const draw = random.next();
    const id = any();
    const member = world.device(id).process?.member;
    const isHonest = id !== liar;
    if (draw < 0.55) burst();
    else if (draw < 0.65 && member !== undefined && isHonest) {
      const before = [...told.decided];
      const { journal } = world.device(id).process ?? {};
      const read = member.read({ timeoutMs: 10_000 }).then(() => {
        const seen = new Set(journal?.values);
        for (const value of before)
          if (!seen.has(value)) told.wrong.push(`${id} read ${value} not`);
      }, failed);
      calls.push(read);
    } else if (draw < 0.76) world.crash(id, random.next() < 0.5);
    else if (draw < 0.86) await world.start(id);
    else if (draw < 0.9) {
      const alone = new Set([id, any()]);
      const isOneWay = random.next() < 0.3;
      world.severed = (from, to) =>
        isOneWay ? alone.has(from) && !alone.has(to) : alone.has(from) !== alone.has(to);
    } else if (draw < 0.95) world.severed = () => false;
    else if (member?.status().standing === "following" && isHonest) {
      const isAdding = present.size < 5 || (present.size < 8 && random.next() < 0.6);
      const peer = isAdding ? world.devices.size + 1 : id;
      let ticket = new Uint8Array(0);
      if (isAdding) {
        ticket = Uint8Array.from(await world.join(peer, id));
        present.add(peer);
      } else present.delete(peer);
      const named = { peer: world.peer(peer), ticket };
      const kind = isAdding ? ("add" as const) : ("remove" as const);
      burst();
      const change = member.change({ kind, ...named }, { timeoutMs: 20_000 });
      calls.push(change.then(() => void told.changed++, failed));
      if (random.next() < 0.5) await world.run(random.next() * 40);
      burst();
    }
    await world.run(20 + random.next() * 800);
  }
  world.severed = () => false;
  world.lossRate = 0;
  for (const id of world.devices.keys()) await world.start(id);
  await world.run(CALM_MS);
  await world.wait(Promise.all(calls));
  // The longest way was gone by those who still are members; who was taken out has stopped before.
  const honest = [...world.devices.keys()].filter((id) => id !== liar);
  const furthest = honest.reduce((best, id) =>
    world.member(id).status().term >= world.member(best).status().term &&
    world.member(id).status().standing !== "left"
      ? id
      : best,
  );
  const members = world.voters(furthest).filter((id) => id !== liar);
  const last = members[0] ?? 0;
  await world.submit(last, "the last one", CALM_MS);
  await world.run(5_000);
  return { world, told, liar, members };
}

let values = 0;
let changes = 0;
for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
  t.test(`seed ${seed}`, async (t) => {
    const { world, told, liar, members } = await run(String(seed));
    const [one = 0] = members;
    const order = world.journal(one);
    // Not as the last of all: what a caller gave up may come in still, as a request that somebody says again.
    t.ok(order.includes("the last one"), "after the last fault the group decides again");
    for (const id of members) t.same(world.journal(id), order, "one order at all");
    t.equal(new Set(order).size, order.length, "once");
    const lost = [...told.decided].filter((value) => !order.includes(value));
    t.same(lost, [], "what a caller was told is decided");
    t.same(told.wrong, [], "no read is old");
    t.same(world.lost, []);
    for (const id of world.devices.keys()) {
      if (members.includes(id) || id === liar) continue;
      t.same(order.slice(0, world.journal(id).length), world.journal(id), "who left knew no other");
    }
    const accused = members.flatMap((id) => world.member(id).counters().evidence);
    for (const { accused: peer } of accused)
      t.equal(world.idOf(peer ?? ""), liar, "nobody is accused who is honest");
    t.ok(
      members.length + (liar === undefined ? 0 : 1) - faultyOf(members.length) >= 3,
      "a group never gets too small",
    );
    values += told.decided.size;
    changes += told.changed;
  });

t.test("there was something to decide", (t) => {
  t.comment(`${values} values and ${changes} changes decided`);
  t.ok(values > 5 * SEEDS);
  t.end();
});
