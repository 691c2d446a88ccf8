import type { ChangeStepKind } from "../../src/consensus/raft/change.ts";
import { defaultRaftOptions } from "../../src/consensus/raft/options.ts";
import type { Random } from "../../src/platform/random.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SkewedClock } from "../support/consensus/skewed-clock.ts";
import { RaftMemberWorld } from "../support/raft-member-world.ts";
import { Applied, MemberClients, RegisterJournal } from "./member-clients.ts";
import type { Running } from "./seed.ts";

const CLIENTS = 4;
const STEPS_MAX = 16;
const CALM_MS = 20_000;
const CHANGE_TIMEOUT_MS = 3_000;
const DISK_FULL_MS = 400;

/** What members as they run on devices do, with disks that fail and fill up, and clients of some registers. */
export async function raftMemberSeed(running: Running): Promise<void> {
  const { seed, faults } = running;
  const random = new SeededRandom(`raft-members/${seed}`);
  const below = (count: number): number => Math.floor(random.next() * count);
  const founders = Array.from({ length: [1, 3, 3, 3, 3, 5][below(6)] ?? 3 }, (_, at) => at + 1);
  const options = {
    tickMs: 50,
    retryAfterMs: 500,
    snapshotEveryBytes: 200 + below(2_000),
    keptEntries: below(10),
    raft: { ...defaultRaftOptions, asyncStorage: true, electionTicks: 5 },
  };
  const world = new RaftMemberWorld(`raft-members/${seed}/world`, founders, options, faults);
  const applied = new Applied();
  world.newJournal = () => new RegisterJournal(applied);
  world.clockFor = (id, clock) => {
    const factor = new SeededRandom(`raft-members/${seed}/clock/${id}`).next();
    return faults.happens("clock-skew", factor < 0.3)
      ? new SkewedClock(clock, 0.7 + 2 * factor)
      : clock;
  };
  world.lossRate = random.next() < 0.5 ? 0.1 * random.next() : 0;
  world.duplicateRate = 0.05;
  world.latencyMsMax = 5 + below(40);
  const leaders = new Map<number, number>();
  const commits = new Map<number, { readonly starts: number; readonly commit: number }>();
  world.onArrival = (id) => {
    running.events++;
    const { starts, process } = world.device(id);
    const status = process?.member?.status();
    if (status === undefined) return;
    const { role, term, commit } = status;
    const leader = role === "leader" ? (leaders.get(term) ?? id) : id;
    if (leader !== id) throw new Error(`election safety: ${leader} and ${id} lead term ${term}`);
    if (role === "leader") leaders.set(term, id);
    const before = commits.get(id);
    if (before?.starts === starts && commit < before.commit)
      throw new Error(`monotonic: ${id} went back from ${before.commit} to ${commit}`);
    commits.set(id, { starts, commit });
  };
  const thrown: unknown[] = [];
  const onThrow = (error: unknown): void => {
    thrown.push(error);
  };
  process.on("uncaughtException", onThrow);
  try {
    await act(world, running, random, founders, () => {
      if (thrown.length > 0) throw thrown[0];
    });
  } finally {
    process.off("uncaughtException", onThrow);
    running.decided += applied.count;
  }
}

/** @param look throws what members have thrown in turns of their own */
async function act(
  world: RaftMemberWorld,
  running: Running,
  random: Random,
  founders: readonly number[],
  look: () => void,
): Promise<void> {
  const { faults, limits } = running;
  const below = (count: number): number => Math.floor(random.next() * count);
  for (const id of founders) await world.add(id);
  const clients = new MemberClients(world, random.fork("clients"), CLIENTS);
  world.writeFailureRate = faults.happens("failed-write", random.next() < 0.3) ? 0.05 : 0;
  const steps = Math.ceil(limits.length * (4 + below(STEPS_MAX - 4)));
  for (let step = 0; step < steps; step++) {
    await trouble(world, running, below);
    await world.run(50 + below(500));
    look();
  }
  await heal(world);
  clients.stop();
  await agree(world);
  look();
  running.check(clients.history);
}

async function trouble(
  world: RaftMemberWorld,
  { faults }: Running,
  below: (count: number) => number,
): Promise<void> {
  const ids = [...world.devices.keys()];
  const id = ids[below(ids.length)] ?? 1;
  const other = ids[below(ids.length)] ?? 1;
  const device = world.device(id);
  const draw = below(20);
  const isUp = device.process !== undefined;
  if (draw < 3) {
    const isPowerLost = draw === 0;
    if (isUp && faults.happens(isPowerLost ? "power-loss" : "crash", true))
      world.crash(id, isPowerLost);
  } else if (draw < 8) await world.start(id);
  else if (draw < 10) {
    const alone = new Set([id, other]);
    const isOneWay = draw === 9;
    if (faults.happens(isOneWay ? "one-way-partition" : "partition", true))
      world.severed = (from, to) =>
        isOneWay ? alone.has(from) && !alone.has(to) : alone.has(from) !== alone.has(to);
  } else if (draw < 12) world.severed = () => false;
  else if (draw === 12) {
    if (isUp && faults.happens("stall", true)) device.process?.clock.stall(100 + below(1_000));
  } else if (draw === 13) {
    if (!faults.happens("failed-write", true)) return;
    device.disk.bytesMax = device.disk.bytes;
    world.clock.setTimer("disk", DISK_FULL_MS, () => {
      device.disk.bytesMax = Number.POSITIVE_INFINITY;
    });
  } else if (draw === 14) {
    if (faults.happens("slow-disk", true)) world.syncMs = below(2) === 0 ? [1, 8] : [20, 120];
  } else if (draw === 15) {
    if (faults.happens("transfer", isUp)) device.process?.member?.transferTo(other);
  } else if (draw < 18 && faults.happens("membership", isUp)) await change(world, id, below);
}

/** Takes somebody in, or out. What comes of it shows. */
async function change(
  world: RaftMemberWorld,
  by: number,
  below: (count: number) => number,
): Promise<void> {
  const member = world.device(by).process?.member;
  if (member === undefined) return;
  const { voters } = member.status().configuration;
  const isRemoval = voters.length > 3 && below(2) === 0;
  const target = isRemoval ? (voters[below(voters.length)] ?? by) : world.devices.size + 1;
  if (!isRemoval && world.devices.size >= 6) return;
  if (!isRemoval) await addDevice(world, target);
  const added: ChangeStepKind = below(3) === 0 ? "add-learner" : "add-voter";
  const participants = new Map([[target, { peer: `peer-${target}`, log: target }]]);
  const steps = [{ kind: isRemoval ? ("remove" as const) : added, id: target }];
  member
    .change(steps, isRemoval ? new Map() : participants, { timeoutMs: CHANGE_TIMEOUT_MS })
    .catch(() => undefined);
}

/** Whoever begins a log that can not be written begins it again; here it can. */
async function addDevice(world: RaftMemberWorld, id: number): Promise<void> {
  const { writeFailureRate } = world;
  world.writeFailureRate = 0;
  await world.add(id);
  world.writeFailureRate = writeFailureRate;
}

async function heal(world: RaftMemberWorld): Promise<void> {
  world.severed = () => false;
  world.lossRate = 0;
  world.writeFailureRate = 0;
  world.syncMs = [1, 8];
  for (const [id, { disk }] of world.devices) {
    disk.bytesMax = Number.POSITIVE_INFINITY;
    await world.start(id);
  }
  await world.run(CHANGE_TIMEOUT_MS);
}

/** @throws Error unless all who belong to the group come to the same */
async function agree(world: RaftMemberWorld): Promise<void> {
  const leading = (): number | undefined =>
    [...world.devices.keys()]
      .filter((id) => world.device(id).process?.member?.status().role === "leader")
      .toSorted(
        (one, other) => world.member(other).status().term - world.member(one).status().term,
      )[0];
  await world.until("liveness: somebody leads", () => leading() !== undefined, CALM_MS);
  const by = leading() ?? 1;
  const last = world.propose(by, "w,last,last", CALM_MS);
  await last.catch((error: Error) => {
    throw new Error(`liveness: ${error.message}`);
  });
  const { voters, learners } = world.member(by).status().configuration;
  const hasLast = (id: number): boolean => world.journal(id).includes("w,last,last");
  await world.until(
    "liveness: all have what was decided last",
    () => [...voters, ...learners].every(hasLast),
    CALM_MS,
  );
  if (world.lost.length > 0) throw new Error(`durability: ${world.lost.join()} lost their log`);
}
