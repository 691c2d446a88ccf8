import { checkLinearizability } from "../../src/simulator/checkers/linearizability.ts";
import { registerModel } from "../../src/simulator/checkers/models.ts";
import { Faults } from "../support/consensus/faults.ts";
import type { History } from "../support/consensus/registers.ts";

/** How much of a seed's world is run. */
export interface Limits {
  /** Faults that are kept from happening. */
  readonly without: ReadonlySet<string>;
  /** Share of the time in which things go wrong, up to 1. */
  readonly length: number;
}

/** Everything a seed has. */
export const WHOLE: Limits = { without: new Set(), length: 1 };

/** What was broken. */
export interface Violation {
  /** A name such as `election safety`; `error` where the code itself threw. */
  readonly invariant: string;
  readonly what: string;
}

/** What one seed came to. */
export interface SeedRun {
  readonly seed: number;
  readonly events: number;
  /** Of clients, and how many of them were answered. */
  readonly operations: number;
  readonly answered: number;
  /** Entries, batches or heights that were decided. */
  readonly decided: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly violation: Violation | undefined;
}

/** A seed while it runs. The worlds add to it. */
export class Running {
  readonly faults: Faults;
  readonly limits: Limits;
  readonly seed: number;
  events = 0;
  operations = 0;
  answered = 0;
  decided = 0;

  constructor(seed: number, limits: Limits) {
    this.seed = seed;
    this.limits = limits;
    this.faults = new Faults(limits.without);
  }

  /** @throws Error when there is no order that explains what clients saw */
  check(history: History): void {
    const { operations } = history;
    this.operations += operations.length;
    this.answered += history.answeredCount;
    const { verdict, key } = checkLinearizability(operations, registerModel);
    if (verdict !== "linearizable") throw new Error(`linearizability: ${key} is ${verdict}`);
  }

  done(violation: Violation | undefined): SeedRun {
    const { seed, events, operations, answered, decided, faults } = this;
    return { seed, events, operations, answered, decided, faults: faults.counts, violation };
  }
}

/** Names of what may be broken, as errors of the worlds begin with. */
const INVARIANT = /^([a-z][a-z -]{3,30}): /;

/** Runs one seed to its end, or to the first thing that is wrong. */
export async function runSeed(
  world: (running: Running) => void | Promise<void>,
  seed: number,
  limits: Limits = WHOLE,
): Promise<SeedRun> {
  const running = new Running(seed, limits);
  try {
    await world(running);
    return running.done(undefined);
  } catch (error) {
    const [what = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    const [, invariant = "error"] = INVARIANT.exec(what) ?? [];
    return running.done({ invariant, what });
  }
}
