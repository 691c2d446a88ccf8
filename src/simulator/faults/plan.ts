import type { Random } from "../../platform/random.ts";
import type { FaultRates, Scenario } from "../run/scenario.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** What can go wrong. `replaced`: the agent goes for good, and a new one comes. */
export type FaultKind = keyof FaultRates | "replaced";

/** Something that goes wrong at a moment, and for a while. */
export interface Fault {
  /** Its place in the whole plan of the seed: what is left out keeps the numbers of the rest. */
  readonly index: number;
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Whom it befalls: an index, or groups of them where it befalls the world. */
  readonly agents: readonly number[];
  readonly durationMs: number;
  /** How far a clock jumps, ms. */
  readonly byMs: number;
}

/** Whom a kind befalls, and for how long at most. */
const kinds: Readonly<
  Record<FaultKind, { readonly of: "agent" | "world" | "group"; readonly durationMsMax: number }>
> = {
  killed: { of: "agent", durationMsMax: 2_000 },
  powerLost: { of: "agent", durationMsMax: 2 * MINUTE_MS },
  stopped: { of: "agent", durationMsMax: 2 * MINUTE_MS },
  stalled: { of: "agent", durationMsMax: MINUTE_MS },
  clockJumped: { of: "agent", durationMsMax: 0 },
  clogged: { of: "agent", durationMsMax: 20_000 },
  diskFull: { of: "agent", durationMsMax: 5 * MINUTE_MS },
  diskFailing: { of: "agent", durationMsMax: MINUTE_MS },
  diskDamaged: { of: "agent", durationMsMax: MINUTE_MS },
  uplinkLost: { of: "agent", durationMsMax: 10 * MINUTE_MS },
  discharged: { of: "agent", durationMsMax: 10 * MINUTE_MS },
  receiverLost: { of: "world", durationMsMax: 10 * MINUTE_MS },
  partitioned: { of: "group", durationMsMax: 5 * MINUTE_MS },
  partitionedOneWay: { of: "group", durationMsMax: 3 * MINUTE_MS },
  stormy: { of: "world", durationMsMax: 2 * MINUTE_MS },
  replaced: { of: "agent", durationMsMax: 0 },
};

/** @returns what goes wrong in a world of that scenario, in order of time; the same for the same random stream */
export function planFaults(scenario: Scenario, random: Random): readonly Fault[] {
  const faults: Omit<Fault, "index">[] = [];
  const untilMs = scenario.hours * HOUR_MS;
  const rates: Readonly<Record<FaultKind, number>> = {
    ...scenario.faults,
    replaced: scenario.churnPercentPerHour / 100,
  };
  for (const kind of Object.keys(kinds) as FaultKind[]) {
    const { of, durationMsMax } = kinds[kind];
    const perHour = rates[kind] * scenario.intensity * (of === "agent" ? scenario.agents : 1);
    if (perHour <= 0) continue;
    const stream = random.fork(kind);
    for (let atMs = gapMs(perHour, stream); atMs < untilMs; atMs += gapMs(perHour, stream))
      faults.push({
        atMs: Math.round(atMs),
        kind,
        agents: draw(of, scenario.agents, stream),
        durationMs: Math.round(durationMsMax * stream.next()),
        byMs: Math.round(YEAR_MS * (2 * stream.next() - 1)),
      });
  }
  return faults
    .sort((a, b) => a.atMs - b.atMs || a.kind.localeCompare(b.kind))
    .map((fault, index) => ({ ...fault, index }));
}

/** Until the next arrival of a Poisson process. */
function gapMs(perHour: number, random: Random): number {
  return (-Math.log(1 - random.next()) / perHour) * HOUR_MS;
}

function draw(of: "agent" | "world" | "group", agents: number, random: Random): readonly number[] {
  if (of === "world") return [];
  if (of === "agent") return [Math.floor(random.next() * agents)];
  // A group of any size, from one agent to half of all.
  const size = Math.max(1, Math.ceil((agents / 2) * random.next() ** 2));
  const members = new Set<number>();
  while (members.size < Math.min(size, agents)) members.add(Math.floor(random.next() * agents));
  return [...members].sort((a, b) => a - b);
}
