// Groups of three and five under kills, power cuts, slow disks, partitions and a network that loses, doubles and reorders:
// what a caller was told is decided is decided once at all members, in one order, and what it reads is never old.
import t from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { RaftMemberWorld } from "../support/raft-member-world.ts";

const FIRST_SEED = Number(process.env["SIM_FIRST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 20);
const CALM_MS = 20_000;
t.setTimeout(400_000);
t.comment(`SIM_FIRST_SEED=${FIRST_SEED} SIM_SEEDS=${SEEDS} repeats these`);

/** What callers were told. */
interface Told {
  readonly decided: Set<string>;
  stale: number;
  failed: number;
}

async function run(seed: string): Promise<{ world: RaftMemberWorld; told: Told }> {
  const random = new SeededRandom(`raft-member/${seed}`);
  const founders = random.next() < 0.5 ? [1, 2, 3] : [1, 2, 3, 4, 5];
  const world = new RaftMemberWorld(seed, founders, {
    snapshotEveryBytes: 300 + random.next() * 2_000,
    keptEntries: Math.floor(random.next() * 10),
  });
  world.lossRate = 0.1 * random.next();
  world.duplicateRate = 0.05;
  world.latencyMsMax = 5 + 40 * random.next();
  for (const id of founders) await world.add(id);
  const told: Told = { decided: new Set(), stale: 0, failed: 0 };
  const any = (): number => founders[Math.floor(random.next() * founders.length)] ?? 1;
  const calls: Promise<void>[] = [];
  let count = 0;
  for (let step = 0; step < 60; step++) {
    const draw = random.next();
    const id = any();
    const running = world.device(id).process?.member;
    if (draw < 0.55) {
      const value = `value ${count++}`;
      const call = running?.propose(Buffer.from(value), { timeoutMs: 5_000 });
      if (call !== undefined)
        calls.push(
          call.then(
            () => void told.decided.add(value),
            () => void told.failed++,
          ),
        );
    } else if (draw < 0.65 && running !== undefined) {
      const before = [...told.decided];
      const { journal } = world.device(id).process ?? {};
      calls.push(
        running.read({ timeoutMs: 5_000 }).then(
          () => {
            const seen = new Set(journal?.values);
            if (before.some((value) => !seen.has(value))) told.stale++;
          },
          () => void told.failed++,
        ),
      );
    } else if (draw < 0.78) world.crash(id, random.next() < 0.5);
    else if (draw < 0.9) await world.start(id);
    else if (draw < 0.95) {
      const alone = new Set([id, any()]);
      const oneWay = random.next() < 0.3;
      world.severed = (from, to) =>
        oneWay ? alone.has(from) && !alone.has(to) : alone.has(from) !== alone.has(to);
    } else world.severed = () => false;
    await world.run(20 + random.next() * 800);
  }
  world.severed = () => false;
  world.lossRate = 0;
  for (const id of founders) await world.start(id);
  await world.run(CALM_MS);
  await Promise.all(calls);
  await world.propose(any(), "the last one", CALM_MS);
  await world.run(1_000);
  return { world, told };
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
  t.test(`seed ${seed}`, async (t) => {
    const { world, told } = await run(String(seed));
    const [first = [], ...others] = [...world.devices.keys()].map((id) => world.journal(id));
    t.equal(first.at(-1), "the last one", "after the last fault the group decides again");
    for (const other of others) t.same(other, first, "one order at all");
    t.equal(new Set(first).size, first.length, "once");
    const lost = [...told.decided].filter((value) => !first.includes(value));
    t.same(lost, [], "what a caller was told is decided");
    t.equal(told.stale, 0, "no read is old");
    t.same(world.lost, []);
  });
