import type { TrailsSummary, TrailsView } from "../coordination/swarm/view.ts";
import type { Add } from "./add-metric.ts";

/** Registers `agent_mesh_trail*`. An agent that keeps no trails has no samples. */
export function addTrails(gauge: Add, counter: Add, trails: TrailsView): void {
  const read =
    <T>(from: (summary: TrailsSummary) => T) =>
    (): T | undefined => {
      const summary = trails.summary();
      return summary.enabled ? from(summary) : undefined;
    };
  gauge(
    "trails",
    "Trails that have not evaporated.",
    read((summary) => summary.trails),
  );
  gauge(
    "trail_deposits",
    "Deposits on them, at most one of each agent on each trail.",
    read((summary) => summary.deposits),
  );
  counter(
    "trail_deposits_told_total",
    "Deposits that neighbours told of, by what became of them.",
    read(({ counters }) =>
      Object.entries(counters ?? {}).map(([outcome, value]) => ({ labels: { outcome }, value })),
    ),
  );
}
