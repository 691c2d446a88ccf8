import type { PeerId } from "../../platform/signer.ts";

/** How a contract ended: in time, late, by the contractor's failure, or in silence. */
export type ContractEnd = "success" | "late" | "failure" | "silence";

/** How reputations are kept. */
export interface ReputationOptions {
  /** Until an experience counts half. */
  readonly halfLifeMs: number;
  readonly agentsMax: number;
}

/** An experience counts half after six hours. */
export const defaultReputationOptions: ReputationOptions = {
  halfLifeMs: 6 * 3_600_000,
  agentsMax: 4_096,
};

/** Of somebody of whom nothing is known. */
export const NEUTRAL_REPUTATION = 0.5;

/** How much good and how much bad an end is. Silence costs the initiator a deadline, a failure is told at once. */
const WEIGHTS: Readonly<Record<ContractEnd, { readonly good: number; readonly bad: number }>> = {
  success: { good: 1, bad: 0 },
  late: { good: 0.5, bad: 0.5 },
  failure: { good: 0, bad: 1 },
  silence: { good: 0, bad: 2 },
};

interface Experience {
  good: number;
  bad: number;
  atMs: number;
}

/**
 * What this agent's own contracts told it of others: the beta reputation `(good + 1) / (good + bad + 2)` with forgetting
 * (Jøsang and Ismail, "The Beta Reputation System", 2002). Nothing is taken from hearsay. Everybody comes back to neutral
 * with time; when the table is full, whoever was dealt with least recently is forgotten.
 */
export class Reputation {
  readonly #options: ReputationOptions;
  readonly #agents = new Map<PeerId, Experience>();

  constructor(options: ReputationOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#agents.size;
  }

  /** Neither 0 nor 1 is reached; 0.5 is neutral. */
  of(peer: PeerId, nowMs: number): number {
    const known = this.#agents.get(peer);
    if (known === undefined) return NEUTRAL_REPUTATION;
    const kept = this.#keptSince(known.atMs, nowMs);
    return (known.good * kept + 1) / ((known.good + known.bad) * kept + 2);
  }

  record(peer: PeerId, end: ContractEnd, nowMs: number): void {
    const known = this.#agents.get(peer);
    const kept = known === undefined ? 0 : this.#keptSince(known.atMs, nowMs);
    const { good, bad } = WEIGHTS[end];
    this.#agents.delete(peer);
    this.#agents.set(peer, {
      good: (known?.good ?? 0) * kept + good,
      bad: (known?.bad ?? 0) * kept + bad,
      atMs: nowMs,
    });
    if (this.#agents.size <= this.#options.agentsMax) return;
    for (const longestAgo of this.#agents.keys()) {
      this.#agents.delete(longestAgo);
      return;
    }
  }

  #keptSince(atMs: number, nowMs: number): number {
    return 0.5 ** (Math.max(0, nowMs - atMs) / this.#options.halfLifeMs);
  }
}
