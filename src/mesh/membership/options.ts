/** How often, and with how many, the membership talks; the power policy may change it at run time. */
export interface MembershipPace {
  /** Between two probes, of one neighbour after the other: of each one in as many intervals as there are neighbours. */
  readonly probeIntervalMs: number;
  /** Until a probe is tried once more and by way of others; after as long again it has failed. At most half an interval. */
  readonly probeTimeoutMs: number;
  /** Between two rounds of gossip while there is news; without news there are none. */
  readonly gossipIntervalMs: number;
  /** Between two comparisons of the table with that of a neighbour. */
  readonly syncIntervalMs: number;
  /** Links that the agent itself sees to at most, where `neighboursWanted` is more: each costs words to be kept. */
  readonly neighboursMax: number;
}

/** Bounds and proportions. Times in milliseconds. */
export interface MembershipOptions {
  readonly pace: MembershipPace;
  /** Members known at once, this agent, dead ones and those that left included. */
  readonly membersMax: number;
  /** Links that the agent itself sees to. */
  readonly neighboursWanted: number;
  /** Neighbours asked to probe one that did not answer. */
  readonly indirectProbes: number;
  /** Shortest suspicion, in probe intervals; times log10 of the fleet's size from ten members on. */
  readonly suspicionMultiplier: number;
  /** Suspicion without any confirmation lasts this many times the shortest. */
  readonly suspicionFactorMax: number;
  /** Independent confirmations that make suspicion shortest. */
  readonly confirmationsWanted: number;
  /** News goes to this many neighbours, times log10 of the fleet's size rounded up. */
  readonly retransmitMultiplier: number;
  /** Dead members and those that left are remembered for this long. */
  readonly tombstoneMs: number;
  /** The agent signs its record anew after this time at the latest; large fleets take longer. */
  readonly refreshIntervalMs: number;
  /** How far back the partition score looks. */
  readonly partitionWindowMs: number;
}

/**
 * Half of Serf's LAN rhythm (a probe every two seconds, the same half a second of patience), and half its shortest
 * suspicion: here every neighbour of a suspect looks for itself at once, so confirmations come sooner than by chance,
 * and a link that breaks is noticed without a probe. What probes cost is most of what an idle agent sends.
 */
export const defaultMembershipOptions: MembershipOptions = {
  pace: {
    probeIntervalMs: 2_000,
    probeTimeoutMs: 500,
    gossipIntervalMs: 200,
    syncIntervalMs: 10_000,
    neighboursMax: 64,
  },
  membersMax: 2_048,
  neighboursWanted: 6,
  indirectProbes: 3,
  suspicionMultiplier: 1,
  suspicionFactorMax: 6,
  confirmationsWanted: 3,
  retransmitMultiplier: 4,
  tombstoneMs: 3_600_000,
  refreshIntervalMs: 60_000,
  partitionWindowMs: 600_000,
};
