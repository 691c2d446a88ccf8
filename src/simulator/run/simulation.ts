import { SeededRandom } from "../../platform/seeded-random.ts";
import { undecided } from "../checkers/agreement.ts";
import { unconverged } from "../checkers/convergence.ts";
import { Deliberation } from "../checkers/deliberation.ts";
import { Invariants } from "../checkers/invariants.ts";
import { type Learned, LearningWatch } from "../checkers/learning.ts";
import { untrueTable } from "../checkers/table.ts";
import type { Violation } from "../checkers/violation.ts";
import { FaultInjector } from "../faults/injector.ts";
import { type Fault, planFaults } from "../faults/plan.ts";
import { SimulatedFleet } from "../simulated-fleet.ts";
import type { Trace } from "../trace.ts";
import { fleetConfigs } from "./fleet-configs.ts";
import { withoutRealWorld } from "./forbidden-calls.ts";
import { Passage } from "./passage.ts";
import type { Scenario } from "./scenario.ts";

const HOUR_MS = 3_600_000;
const CHECK_INTERVAL_MS = 60_000;
/** Between two looks whether all is well again. */
const HEALING_STEP_MS = 5_000;
/** A fleet comes up within about a minute, or in steps of this many agents a second where it is large. */
const JOIN_STEP_MS = 100;
const JOINS_PER_STEP_MIN = 1;
const JOIN_MS = 60_000;

/** What a simulation is made of. */
export interface SimulationParts {
  readonly scenario: Scenario;
  readonly seed: string;
  /** Of the plan of the seed only these faults happen, by index; all unless given. */
  readonly onlyFaults?: ReadonlySet<number>;
  /** Ends soon after the first promise that is broken, with nothing healed; no unless given. */
  readonly failFast?: boolean;
  readonly trace?: Trace;
  /** Hears how far it is, now and then. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called once everything is up, before the faults begin. */
  readonly onJoined?: (fleet: SimulatedFleet) => void;
}

/** How far a simulation is. */
export interface Progress {
  readonly phase: "joining" | "faults" | "healing";
  readonly virtualMs: number;
  readonly untilMs: number;
  readonly sample: Sample;
}

/** The fleet at one moment, for plots. */
export interface Sample {
  readonly atMs: number;
  readonly running: number;
  /** Links of all agents together, each counted at both ends. */
  readonly linkEnds: number;
  readonly queued: number;
  readonly owed: number;
  readonly frames: number;
  readonly frameBytes: number;
  readonly violations: number;
}

/** What came of it. */
export interface SimulationResult {
  readonly seed: string;
  readonly agents: number;
  readonly virtualMs: number;
  readonly traceHash: string;
  readonly events: number;
  readonly violations: readonly Violation[];
  readonly violationCount: number;
  /** How long it took after the last fault until all was as it should be; absent when it never was. */
  readonly healedInMs?: number;
  /** It ended at the first promise that was broken: nothing was healed, and what heals was not judged. */
  readonly failedFast: boolean;
  readonly readings: {
    readonly acknowledged: number;
    readonly refused: number;
    readonly arrived: number;
    readonly repeats: number;
  };
  /** Of the committee; absent where there is none. */
  readonly decisions?: number;
  /** What came of learning; absent where nothing is learned. */
  readonly learned?: Learned;
  readonly faults: Readonly<Record<string, number>>;
  readonly faultIndexes: readonly number[];
  readonly frames: number;
  readonly frameBytes: number;
  /** After everything was up and before the faults ended: per agent and minute; 0 when it ended before. */
  readonly framesPerAgentMinute: number;
  readonly bytesPerAgentMinute: number;
  readonly starts: number;
  readonly failedStarts: number;
  readonly logs: Readonly<Record<string, number>>;
  readonly samples: readonly Sample[];
}

/**
 * Runs a fleet through the faults of a seed, with everything checked that has to hold meanwhile, then heals the world
 * and checks that all comes to be as it should.
 * @throws ForbiddenCallError when anything in it asks for real time or chance
 */
export function simulate(parts: SimulationParts): Promise<SimulationResult> {
  return withoutRealWorld(() => run(parts));
}

async function run(parts: SimulationParts): Promise<SimulationResult> {
  const { scenario, seed, onlyFaults, onProgress } = parts;
  const fleet = new SimulatedFleet(scenario, seed, fleetConfigs(scenario), parts.trace);
  const faults = planFaults(scenario, new SeededRandom(`${seed}/faults`)).filter(
    ({ index }) => onlyFaults?.has(index) ?? true,
  );
  fleet.undisturbed = faults.length === 0 && onlyFaults === undefined;
  const injector = new FaultInjector(fleet, faults, seed);
  const invariants = new Invariants(fleet);
  const deliberation =
    scenario.consensus === "off"
      ? undefined
      : new Deliberation(fleet, new SeededRandom(`${seed}/deliberation`));
  const learning = fleet.learning && new LearningWatch(fleet, fleet.learning);
  const samples: Sample[] = [];
  const untilMs = JOIN_MS + scenario.hours * HOUR_MS;
  const tell = (phase: Progress["phase"]): void => {
    const sample = sampleOf(fleet);
    samples.push(sample);
    onProgress?.({ phase, virtualMs: sample.atMs, untilMs, sample });
  };
  const passage = new Passage(fleet, parts.failFast ?? false);
  await join(fleet, passage, () => tell("joining"));
  if (!passage.over) parts.onJoined?.(fleet);
  const before = { frames: fleet.frames, frameBytes: fleet.frameBytes };
  const fromMs = fleet.clock.monotonicMs();
  deliberation?.start();
  learning?.start();
  injector.start();
  while (fleet.clock.monotonicMs() < untilMs && !passage.over) {
    const leftMs = untilMs - fleet.clock.monotonicMs();
    await passage.advance(Math.min(CHECK_INTERVAL_MS, leftMs));
    invariants.check();
    tell("faults");
  }
  const minutes = (fleet.clock.monotonicMs() - fromMs) / 60_000;
  const perAgentMinute = (count: number): number =>
    minutes === 0 ? 0 : Math.round((10 * count) / minutes / scenario.agents) / 10;
  const framesPerAgentMinute = perAgentMinute(fleet.frames - before.frames);
  const bytesPerAgentMinute = perAgentMinute(fleet.frameBytes - before.frameBytes);
  let healedInMs: number | undefined;
  if (!passage.over) {
    fleet.silence();
    injector.heal();
    healedInMs = await heal(fleet, passage, { deliberation, learning }, () => tell("healing"));
  }
  const failedFast = passage.over;
  const learned = failedFast ? undefined : learning?.close();
  if (!failedFast) fleet.ledger.close(fleet.clock.monotonicMs());
  const { violations, ledger, trace } = fleet;
  return {
    seed,
    agents: scenario.agents,
    virtualMs: fleet.clock.monotonicMs(),
    traceHash: trace.hash,
    events: trace.events,
    violations: violations.kept,
    violationCount: violations.count,
    ...(healedInMs !== undefined && { healedInMs }),
    failedFast,
    readings: {
      acknowledged: ledger.acknowledged,
      refused: ledger.refused,
      arrived: ledger.arrivedOnce,
      repeats: ledger.repeats,
    },
    ...(deliberation !== undefined && { decisions: deliberation.decisions }),
    ...(learned !== undefined && { learned }),
    faults: Object.fromEntries(injector.counts),
    faultIndexes: faults.map(({ index }: Fault) => index),
    frames: fleet.frames,
    frameBytes: fleet.frameBytes,
    framesPerAgentMinute,
    bytesPerAgentMinute,
    starts: fleet.starts,
    failedStarts: fleet.failedStarts,
    logs: Object.fromEntries(fleet.logs),
    samples,
  };
}

async function join(fleet: SimulatedFleet, passage: Passage, tell: () => void): Promise<void> {
  const { agents } = fleet.scenario;
  const steps = JOIN_MS / JOIN_STEP_MS / 2;
  const perStep = Math.max(JOINS_PER_STEP_MIN, Math.ceil(agents / steps));
  let told = 0;
  while (fleet.agents.length < agents && !passage.over) {
    for (let n = 0; n < perStep && fleet.agents.length < agents; n++) fleet.add();
    await passage.advance(JOIN_STEP_MS);
    if (fleet.agents.length - told >= agents / 20) {
      told = fleet.agents.length;
      tell();
    }
  }
  const { joinWithinSeconds, membersMax } = fleet.scenario;
  if (fleet.undisturbed && agents <= membersMax)
    fleet.clock.setTimer("joined", 1_000 * joinWithinSeconds, () => checkJoined(fleet));
  await passage.advance(Math.max(0, JOIN_MS - fleet.clock.monotonicMs()));
}

/** Newcomers know all others by now, and are known to them. */
function checkJoined(fleet: SimulatedFleet): void {
  for (const agent of fleet.agents) {
    const why = untrueTable(agent, fleet);
    if (why !== undefined)
      fleet.violations.add(
        fleet.clock.monotonicMs(),
        "not-joined",
        `${agent.agentId}, ${fleet.scenario.joinWithinSeconds} s after the last one came: ${why}`,
      );
  }
}

/** @returns how long it took; undefined when it did not become whole in time, which is a violation, or broke a promise that ends the run */
async function heal(
  fleet: SimulatedFleet,
  passage: Passage,
  {
    deliberation,
    learning,
  }: { deliberation: Deliberation | undefined; learning: LearningWatch | undefined },
  tell: () => void,
): Promise<number | undefined> {
  const withinMs = fleet.scenario.healWithinMinutes * 60_000;
  const fromMs = fleet.clock.monotonicMs();
  for (;;) {
    if (passage.over) return undefined;
    const why =
      unconverged(fleet) ?? undecided(fleet, deliberation, fromMs) ?? learning?.lacking(fromMs);
    const tookMs = fleet.clock.monotonicMs() - fromMs;
    if (why === undefined) return tookMs;
    if (tookMs >= withinMs) {
      fleet.violations.add(
        fleet.clock.monotonicMs(),
        "not-converged",
        `${Math.round(tookMs / 1_000)} s after the last fault: ${why}`,
      );
      return undefined;
    }
    await passage.advance(HEALING_STEP_MS);
    for (const agent of fleet.agents) agent.start();
    deliberation?.operate();
    if (Math.round(tookMs / HEALING_STEP_MS) % 12 === 0) tell();
  }
}

function sampleOf(fleet: SimulatedFleet): Sample {
  let running = 0;
  let linkEnds = 0;
  let queued = 0;
  for (const { agent } of fleet.agents) {
    if (agent === undefined) continue;
    running++;
    linkEnds += agent.context.mesh.peers().length;
    queued += agent.context.queue.status().updates;
  }
  return {
    atMs: fleet.clock.monotonicMs(),
    running,
    linkEnds,
    queued,
    owed: fleet.ledger.owed,
    frames: fleet.frames,
    frameBytes: fleet.frameBytes,
    violations: fleet.violations.count,
  };
}
