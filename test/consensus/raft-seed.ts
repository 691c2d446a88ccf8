import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { RaftWorld } from "../support/raft/world.ts";
import type { Running } from "./seed.ts";

/** With pre-vote off, who was removed and does not know it disturbs for a while. */
const HEALING_TICKS_MAX = 1_000;

/** A group of cores, one to seven, with everything that the protocol has. @throws Error for what is broken */
export function raftSeed(running: Running): void {
  const { seed, faults, limits } = running;
  const random = new SeededRandom(`raft/${seed}`);
  const below = (count: number): number => Math.floor(random.next() * count);
  const checkQuorum = random.next() < 0.7;
  const world = new RaftWorld({
    seed,
    faults,
    voters: [3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 1, 2, 7][below(13)] ?? 3,
    preVote: random.next() < 0.7,
    checkQuorum,
    asyncStorage: random.next() < 0.5,
    leases: checkQuorum && random.next() < 0.4,
    // Drawn aside, so that seeds of before go as they went otherwise.
    fewerMessages: random.fork("fewer messages").next() < 0.5,
    writeFailures: random.next() < 0.3 ? 0.05 : 0,
  });
  try {
    const events = Math.ceil(limits.length * (2_000 + below(10_000)));
    for (let count = 0; count < events; count++, running.events++) world.event();
    running.events += world.heal(HEALING_TICKS_MAX);
    running.check(world.clients.history);
  } finally {
    running.decided += world.invariants.commitMax;
  }
}
