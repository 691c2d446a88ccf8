import type { SeedRun } from "./seed.ts";

/** A seed that broke something. */
export interface Failure {
  readonly seed: number;
  readonly invariant: string;
  readonly what: string;
  /** Runs it again, with no more than it takes. */
  readonly command: string;
}

/** Failures that are told; the others are counted. */
const FAILURES_MAX = 20;

/** What many seeds came to. */
export interface Totals {
  seeds: number;
  events: number;
  operations: number;
  answered: number;
  decided: number;
  violations: number;
  readonly faults: Record<string, number>;
  readonly failures: Failure[];
}

export function noTotals(): Totals {
  return {
    seeds: 0,
    events: 0,
    operations: 0,
    answered: 0,
    decided: 0,
    violations: 0,
    faults: {},
    failures: [],
  };
}

/** Adds a seed. */
export function addRun(totals: Totals, run: SeedRun): void {
  const { events, operations, answered, decided, faults, violation } = run;
  const violations = violation === undefined ? 0 : 1;
  const counts = { seeds: 1, events, operations, answered, decided, violations };
  add(totals, { ...counts, faults: Object.fromEntries(faults), failures: [] });
}

/** Adds what others have run. */
export function add(totals: Totals, more: Totals): void {
  totals.seeds += more.seeds;
  totals.events += more.events;
  totals.operations += more.operations;
  totals.answered += more.answered;
  totals.decided += more.decided;
  totals.violations += more.violations;
  for (const [fault, count] of Object.entries(more.faults))
    totals.faults[fault] = (totals.faults[fault] ?? 0) + count;
  totals.failures.push(...more.failures);
  if (totals.failures.length > FAILURES_MAX) totals.failures.length = FAILURES_MAX;
}
