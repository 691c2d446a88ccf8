import type { RoundPace } from "../../../src/federated/rounds/options.ts";
import { RoundsWorld, type WorldOptions } from "../rounds-world.ts";
import { Ether } from "./ether.ts";
import { Violation } from "./ledger.ts";
import type { AgentPlan, AggregatorLie, MemberLie, PlantedBug, TrainerLie } from "./plan.ts";

const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
const TRAINER_LIES: readonly TrainerLie[] = ["two-words", "silent", "copy", "nothing", "malformed"];
const AGGREGATOR_LIES: readonly AggregatorLie[] = [
  "false-model",
  "replay",
  "old-base",
  "too-few",
  "withhold",
];
const MEMBER_LIES: readonly MemberLie[] = ["any-vote", "flood"];
/** Which member lies, if one does. */
const LIAR = 3;
const DEADLINE_MS = 600;
/** How long things go wrong. */
const TROUBLE_MS = 4_000;
/** Rounds that have to come about when all is well again, and in how many deadlines. */
export const HEALED_ROUNDS = 3;
export const HEALED_DEADLINES = 60;

/** What came of a seed. */
export interface ChaosRun {
  readonly violation: string | undefined;
  readonly rounds: number;
  /** How often an update was counted. */
  readonly counted: number;
  readonly events: number;
  readonly faults: number;
  /** Deadlines until so many rounds had come about when all was well again. */
  readonly healedIn: number;
}

/** A world of its own for each seed: agents, liars, and all that goes wrong. */
export function runChaos(seed: number, bugs: ReadonlySet<PlantedBug> = new Set()): ChaosRun {
  const ether = new Ether(seed);
  const options = optionsOf(ether, seed, bugs);
  const world = new RoundsWorld(options);
  let faults = 0;
  let healedAtMs = 0;
  let violation: string | undefined;
  try {
    world.ether.loss = ether.pick([0, 0.05, 0.15]);
    for (let atMs = 0; atMs < TROUBLE_MS; atMs = world.ether.nowMs) {
      world.ether.run(Math.min(TROUBLE_MS, atMs + ether.between(50, 500)));
      if (world.ether.nowMs >= TROUBLE_MS) break;
      trouble(world, ether, options);
      faults++;
    }
    heal(world);
    healedAtMs = world.ether.nowMs;
    world.runTo(world.round + HEALED_ROUNDS, HEALED_DEADLINES * DEADLINE_MS);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
  }
  return {
    violation,
    rounds: world.round,
    counted: world.ledger.counted,
    events: world.ether.events,
    faults,
    healedIn: (world.ether.nowMs - healedAtMs) / DEADLINE_MS,
  };
}

/** @returns what a world of that seed is made of */
export function optionsOf(
  ether: Ether,
  seed: number,
  bugs: ReadonlySet<PlantedBug>,
): Omit<WorldOptions, "trace"> {
  const names = NAMES.slice(0, ether.between(5, NAMES.length));
  const mayLie = ether.chance(0.5);
  const members = names.slice(0, mayLie ? 4 : 3);
  const aggregators = ether.between(2, 4);
  // At the other end: some aggregators have a seat, some have none.
  const firstAggregator = ether.chance(0.5) ? 0 : names.length - aggregators;
  const honestAggregator = firstAggregator === LIAR ? firstAggregator + 1 : firstAggregator;
  const honest = 3;
  const mayLieAt = (at: number): boolean => at >= honest && at !== honestAggregator;
  const agents = names.map((name, at): AgentPlan => {
    const aggregates = at >= firstAggregator && at < firstAggregator + aggregators;
    // One of the aggregators is honest.
    const liesAsAggregator = aggregates && at !== honestAggregator && ether.chance(0.4);
    return {
      name,
      trains: at < honest || ether.chance(0.8),
      aggregates,
      trainMs: ether.between(20, 300),
      forgetful: ether.chance(0.5),
      trainerLie: mayLieAt(at) && ether.chance(0.3) ? ether.pick(TRAINER_LIES) : undefined,
      aggregatorLie: liesAsAggregator ? ether.pick(AGGREGATOR_LIES) : undefined,
      memberLie: mayLie && at === LIAR ? ether.pick(MEMBER_LIES) : undefined,
    };
  });
  const quorum = mayLie ? 3 : 2;
  return { seed, agents, members, quorum, pace: paceOf(ether), bugs };
}

function paceOf(ether: Ether): RoundPace {
  const pace = {
    agentsMin: 2,
    agentsMax: ether.pick([3, 4, 1_024]),
    deadlineMs: DEADLINE_MS,
    takeoverMs: 150,
  };
  if (ether.chance(0.6)) return pace;
  const buffered = { updates: ether.between(2, 3), stalenessMax: ether.between(1, 3) };
  return { ...pace, buffered };
}

function trouble(world: RoundsWorld, ether: Ether, { agents }: Pick<WorldOptions, "agents">): void {
  const agent = ether.pick(world.agents);
  const lastsMs = ether.between(50, 900);
  const kind = ether.pick(["crash", "crash", "crash", "cut", "power"] as const);
  if (kind === "crash") {
    world.kill(agent);
    world.ether.after(lastsMs, () => world.restart(agent));
  } else if (kind === "cut") {
    world.ether.split(agents.map(({ name }) => world.agent(name).peer));
    world.ether.after(lastsMs, () => world.ether.heal());
  } else {
    agent.setMayTrain(false);
    world.ether.after(lastsMs, () => agent.setMayTrain(true));
  }
}

function heal(world: RoundsWorld): void {
  world.ether.heal();
  world.ether.loss = 0.02;
  for (const agent of world.agents) {
    world.restart(agent);
    agent.setMayTrain(true);
  }
}
