import type { PeerId } from "../../platform/signer.ts";
import type { DepositProof } from "./deposit.ts";
import type { Evaporation } from "./evaporation.ts";

/** The newest deposit of one agent on one trail. */
export interface Scent {
  readonly trail: Trail;
  readonly origin: PeerId;
  tick: number;
  amount: number;
  proof: DepositProof | undefined;
  version: number;
}

/** One trail: what each agent has deposited on it, and the sum of that, worked out when somebody asks. */
export class Trail {
  readonly name: string;
  readonly scents = new Map<PeerId, Scent>();
  rank = Number.NEGATIVE_INFINITY;
  slot = 0;
  readonly #evaporation: Evaporation;
  #sum = 0;
  #sumTick = 0;

  constructor(name: string, evaporation: Evaporation) {
    this.name = name;
    this.#evaporation = evaporation;
  }

  /** What is left at a tick. Before the newest deposit: as of that one. */
  level(tick: number): number {
    return this.#sum * this.#evaporation.keptAfter(tick - this.#sumTick);
  }

  /** A scent came, went or changed. */
  sum(): void {
    let tick = 0;
    for (const scent of this.scents.values()) tick = Math.max(tick, scent.tick);
    let sum = 0;
    for (const { amount, tick: depositedAt } of this.scents.values())
      sum += amount * this.#evaporation.keptAfter(tick - depositedAt);
    this.#sum = sum;
    this.#sumTick = tick;
    this.rank = this.#evaporation.rankOf(sum, tick);
  }

  /** The scent of which least will be left. */
  faintest(): Scent | undefined {
    let faintest: Scent | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const scent of this.scents.values()) {
      const rank = this.#evaporation.rankOf(scent.amount, scent.tick);
      if (rank >= least) continue;
      least = rank;
      faintest = scent;
    }
    return faintest;
  }
}
