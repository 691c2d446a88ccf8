// Groups whose members come, go, lose power, lose messages and lose their disks: one order, each value once, nothing that
// a caller was told is lost, and never two leaders in one term.
import t from "tap";
import { openRaftOrdering } from "../../src/consensus/raft-member/raft-ordering.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { OrderingWorld } from "../support/ordering-world.ts";

const FIRST_SEED = Number(process.env["SIM_FIRST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 15);
const STEPS = 50;
t.setTimeout(400_000);
t.comment(`SIM_FIRST_SEED=${FIRST_SEED} SIM_SEEDS=${SEEDS} repeats these`);

interface Told {
  readonly decided: Set<string>;
  readonly leaders: Map<number, Set<number>>;
  changes: number;
}

/** Begun, and neither taken out nor of another log than the group knows. */
function isWell(world: OrderingWorld, id: number): boolean {
  const { process } = world.device(id);
  if (process?.ordering === undefined) return false;
  return !["left", "lost"].includes(process.ordering.status().standing);
}

/** @returns how few have a vote, as far as any of them knows */
function smallest(world: OrderingWorld, ids: readonly number[]): number {
  return Math.min(...ids.map((id) => world.ordering(id).status().members.length));
}

async function run(seed: string): Promise<{ world: OrderingWorld; told: Told }> {
  const random = new SeededRandom(`raft-ordering-members/${seed}`);
  const world = await OrderingWorld.founded({
    seed,
    founders: 3,
    open: (parts) =>
      openRaftOrdering(parts, {
        snapshotEveryBytes: 300 + random.next() * 2_000,
        keptEntries: Math.floor(random.next() * 10),
        learnerPatienceMs: 8_000,
      }),
  });
  world.lossRate = 0.05 * random.next();
  world.duplicateRate = 0.05;
  const told: Told = { decided: new Set(["first"]), leaders: new Map(), changes: 0 };
  const look = (): void => {
    for (const id of world.running) {
      const { standing, term } = world.ordering(id).status();
      if (standing === "leading")
        told.leaders.set(term, (told.leaders.get(term) ?? new Set()).add(id));
    }
    world.clock.setTimer("look", 10, look);
  };
  look();
  const calls: Promise<void>[] = [];
  const patience = { timeoutMs: 15_000 };
  let next = 4;
  let count = 0;
  let isRemoving = false;
  const pick = (ids: readonly number[]): number => ids[Math.floor(random.next() * ids.length)] ?? 0;
  const wiped = new Set<number>();
  for (let step = 0; step < STEPS; step++) {
    const well = world.running.filter(
      (id) => isWell(world, id) && !wiped.has(id) && world.ordering(id).status().members.length > 0,
    );
    const by = pick(well);
    const draw = random.next();
    if (by === 0 || draw >= 0.92) {
      for (const id of world.devices.keys()) if (!wiped.has(id)) await world.start(id);
      world.severed = () => false;
    } else if (draw < 0.5) {
      const value = `value ${count++}`;
      const call = world.ordering(by).submit(Buffer.from(value), patience);
      calls.push(
        call.then(
          () => void told.decided.add(value),
          () => undefined,
        ),
      );
    } else if (draw < 0.62 && world.devices.size < 9) {
      const id = next++;
      const peer = world.peer(id);
      const ticket = world.ordering(by).ticket(peer);
      world.place(id, { kind: "join", ticket });
      await world.start(id);
      const call = world.ordering(by).change({ kind: "add", peer, ticket }, patience);
      calls.push(
        call.then(
          () => void told.changes++,
          () => undefined,
        ),
      );
    } else if (draw < 0.7 && !isRemoving && smallest(world, well) > 3) {
      const { members } = world.ordering(by).status();
      const peer = members[Math.floor(random.next() * members.length)] ?? "";
      const step = { kind: "remove" as const, peer };
      // One after the other, and never so many that the loss of a disk is more than the group bears.
      isRemoving = true;
      const call = world
        .ordering(by)
        .change(step, patience)
        .finally(() => {
          isRemoving = false;
        });
      calls.push(
        call.then(
          () => void told.changes++,
          () => undefined,
        ),
      );
    } else if (draw < 0.82) world.crash(by, random.next() < 0.5);
    else if (draw < 0.85 && wiped.size === 0) {
      // One lost disk is what a group of three bears.
      wiped.add(by);
      world.wipe(by);
      await world.start(by);
    } else world.isolate(by);
    await world.run(20 + random.next() * 1_500);
  }
  world.heal();
  for (const id of world.devices.keys()) if (!wiped.has(id)) await world.start(id);
  await world.run(60_000);
  await Promise.all(calls);
  return { world, told };
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
  t.test(`seed ${seed}`, async (t) => {
    const { world, told } = await run(String(seed));
    const members = new Set(
      world.running
        .filter((id) => world.ordering(id).status().standing === "leading")
        .flatMap((id) => world.ordering(id).status().members),
    );
    const well = world.running.filter((id) => isWell(world, id) && members.has(world.peer(id)));
    const [by = 0] = well;
    await world.submit(by, "the last one");
    await world.run(5_000);
    const { values } = world.journal(by);
    t.equal(values.at(-1), "the last one", "after the last fault the group decides again");
    for (const id of well) {
      t.same(world.journal(id).values, values, `one order at member ${id}`);
      t.same(world.journal(id).voters, [...members].toSorted(), `who votes at member ${id}`);
    }
    t.equal(new Set(values).size, values.length, "once");
    t.same(
      [...told.decided].filter((value) => !values.includes(value)),
      [],
      "nothing is lost",
    );
    for (const [term, { size }] of told.leaders)
      if (size > 1) t.fail(`two leaders in term ${term}`);
  });
