// Groups of four and seven, one of them lying or silent, under kills, power cuts, failing disks, partitions, changes of
// members and a network that loses, doubles and reorders: what a caller was told is decided is decided once at all honest
// members, in one order, what it reads is never old, and after the last fault the group goes on.
import t from "tap";
import { offenderOf } from "../../src/consensus/tendermint/evidence.ts";
import { defaultTendermintMemberOptions } from "../../src/consensus/tendermint-member/options.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type Manner, TendermintMemberWorld } from "../support/tendermint-member-world.ts";

const FIRST_SEED = Number(process.env["SIM_FIRST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 12);
const STEPS = 120;
const CALM_MS = 60_000;
t.setTimeout(400_000);
t.comment(`SIM_FIRST_SEED=${FIRST_SEED} SIM_SEEDS=${SEEDS} repeats these`);

/** What callers were told. */
interface Told {
  readonly decided: Set<string>;
  stale: number;
  failed: number;
  changed: number;
}

async function run(seed: string): Promise<{ world: TendermintMemberWorld; told: Told }> {
  const random = new SeededRandom(`tendermint-member/${seed}`);
  const count = random.next() < 0.6 ? 4 : 7;
  const { tendermint } = defaultTendermintMemberOptions;
  const snapshotEveryHeights = 3 + Math.floor(random.next() * 20);
  const world = new TendermintMemberWorld(seed, {
    snapshotEveryHeights,
    snapshotEveryBytes: 500 + Math.floor(random.next() * 5_000),
    logEntriesMax: 8 + Math.floor(random.next() * 40),
    tendermint: { ...tendermint, decisionsKeptMax: snapshotEveryHeights + 2 },
  });
  world.lossRate = 0.1 * random.next();
  world.duplicateRate = 0.05;
  world.latencyMs = [1, 5 + 60 * random.next()];
  if (random.next() < 0.5) world.syncMs = [1, 300 * random.next()];
  await world.found(count);
  world.writeFailureRate = random.next() < 0.3 ? 0.1 : 0;
  const manner: Manner =
    (["honest", "equivocating", "silent", "lying"] as const)[Math.floor(random.next() * 4)] ??
    "honest";
  world.device(count).manner = manner;
  const told: Told = { decided: new Set(), stale: 0, failed: 0, changed: 0 };
  const any = (): number => 1 + Math.floor(random.next() * world.devices.size);
  const calls: Promise<void>[] = [];
  let values = 0;
  for (let step = 0; step < STEPS; step++) {
    const draw = random.next();
    const number = any();
    const running = world.running(number);
    if (draw < 0.55) {
      const value = `value ${values++}`;
      const call = running?.submit(Buffer.from(value), { timeoutMs: 8_000 });
      if (call !== undefined)
        calls.push(
          call.then(
            () => void told.decided.add(value),
            () => void told.failed++,
          ),
        );
    } else if (draw < 0.63 && running !== undefined) {
      const before = [...told.decided];
      const { journal } = world.device(number).process ?? {};
      calls.push(
        running.read({ timeoutMs: 8_000 }).then(
          () => {
            const seen = new Set(journal?.values);
            if (before.some((value) => !seen.has(value))) told.stale++;
          },
          () => void told.failed++,
        ),
      );
    } else if (draw < 0.72) world.crash(number, random.next() < 0.5);
    else if (draw < 0.88) await world.start(number);
    else if (draw < 0.91) {
      const alone = new Set([number, any()]);
      const oneWay = random.next() < 0.3;
      world.severed = (from, to) =>
        oneWay ? alone.has(from) && !alone.has(to) : alone.has(from) !== alone.has(to);
    } else if (draw < 0.94) world.severed = () => false;
    else if (
      running?.status().standing === "following" ||
      running?.status().standing === "leading"
    ) {
      const members = running.status().members.length;
      const changing =
        random.next() < 0.5 && members > 4
          ? running.change({ kind: "remove", peer: world.peer(any()) }, { timeoutMs: 20_000 })
          : world
              .begin(world.devices.size + 1, number)
              .then(({ ticket }) =>
                running.change(
                  { kind: "add", peer: world.peer(world.devices.size), ticket },
                  { timeoutMs: 20_000 },
                ),
              );
      calls.push(
        changing.then(
          () => void told.changed++,
          () => void told.failed++,
        ),
      );
    }
    await world.run(20 + random.next() * 800);
  }
  world.severed = () => false;
  world.lossRate = 0;
  world.writeFailureRate = 0;
  for (const number of world.devices.keys()) await world.start(number);
  await world.run(20_000);
  await Promise.all(calls);
  const waiting = (): number =>
    membersOf(world).reduce((sum, number) => sum + world.member(number).counters().waiting, 0);
  await world.until("nothing waits any more", () => waiting() === 0, CALM_MS);
  const speaker = membersOf(world)[0] ?? 1;
  await world.submit(speaker, "the last one", CALM_MS);
  await world.run(15_000);
  return { world, told };
}

/** Honest members that are in the group, as one of them knows it. */
function membersOf(world: TendermintMemberWorld): number[] {
  const inside = [...world.devices.keys()].filter((number) => {
    const standing = world.running(number)?.status().standing;
    return standing === "leading" || standing === "following";
  });
  return inside.filter((number) => world.device(number).manner === "honest");
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
  t.test(`seed ${seed}`, async (t) => {
    const { world, told } = await run(String(seed));
    const members = membersOf(world);
    const [first = [], ...others] = members.map((number) => world.journal(number));
    const counters = members.map((number) => world.member(number).counters());
    t.comment(
      `${members.length} honest members, ${told.decided.size} told, ${told.changed} changes, ` +
        `height ${counters[0]?.height}, ${counters.reduce((sum, one) => sum + one.statesFetched, 0)} states fetched, ` +
        `${Math.max(...counters.map((one) => one.evidence))} proofs`,
    );
    t.ok(members.length >= 3, "the group is there");
    t.equal(first.at(-1), "the last one", "after the last fault the group decides again");
    for (const other of others) t.same(other, first, "one order at all");
    t.equal(new Set(first).size, first.length, "once");
    const lost = [...told.decided].filter((value) => !first.includes(value));
    t.same(lost, [], "what a caller was told is decided");
    const accused = members.flatMap((number) => world.member(number).evidence().map(offenderOf));
    const honest = accused.filter((peer) => world.mannerOf(peer) !== "equivocating");
    t.same(honest, [], "nobody honest contradicts itself, whatever it goes through");
    t.equal(told.stale, 0, "no read is old");
    t.same(world.lost, []);
  });
