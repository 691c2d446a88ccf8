import type { ConsensusStatus, ConsensusView } from "../consensus/view.ts";
import type { Add } from "./add-metric.ts";

const STANDINGS = ["leading", "following", "electing", "learning", "left", "lost"] as const;

/** Registers `agent_mesh_consensus_*`. An agent that takes no part has no samples. */
export function addConsensus(gauge: Add, counter: Add, consensus: ConsensusView): void {
  const read =
    <T>(from: (status: ConsensusStatus) => T) =>
    (): T | undefined => {
      const status = consensus.status();
      return status.enabled ? from(status) : undefined;
    };
  gauge(
    "consensus_standing",
    "1 for what this agent is in the committee of the fleet, 0 for the others; absent without a seat.",
    read(
      ({ seat }) =>
        seat &&
        STANDINGS.map((standing) => ({
          labels: { standing },
          value: Number(seat.standing === standing),
        })),
    ),
  );
  gauge(
    "consensus_members",
    "Members of the committee that is known.",
    read(({ committee }) => committee?.members.length),
  );
  gauge(
    "consensus_term",
    "Grows with every leader of the committee; absent without a seat.",
    read(({ seat }) => seat?.term),
  );
  gauge(
    "consensus_position",
    "Last place in the committee's order that was applied here; absent without a seat.",
    read(({ seat }) => seat?.position),
  );
  gauge(
    "consensus_latency_seconds",
    "From a proposal's place in the order to its decision, as this member saw the last one.",
    read(({ latencyMs }) => latencyMs && latencyMs / 1_000),
  );
  counter(
    "consensus_proposals_total",
    "Values that this agent put before the committee.",
    read(({ counters }) => counters.proposals),
  );
  counter(
    "consensus_decisions_total",
    "Decisions that were taken while this agent had its seat.",
    read(({ counters }) => counters.decisions),
  );
  counter(
    "consensus_leader_changes_total",
    "Changes of the committee's leader.",
    read(({ counters }) => counters.leaders),
  );
}
