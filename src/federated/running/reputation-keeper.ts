import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import type { Reputation, ReputationScore } from "../rounds/reputation.ts";

/** What happens within this time is written at once: a bad network blames many, and flash wears. */
const WRITE_AFTER_MS = 10_000;

/** What a keeper works with. */
export interface ReputationKeeperParts {
  readonly reputation: Reputation;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Makes it durable, in the place of what was before. @throws StoreError */
  readonly keep: (scores: readonly ReputationScore[]) => Promise<void>;
}

/** Sees to it that whoever lied is not trusted again because this agent began anew. A power cut takes the last ten seconds. */
export class ReputationKeeper {
  readonly #parts: ReputationKeeperParts;
  readonly #wakeUp: WakeUp;
  #isDue = false;

  constructor(parts: ReputationKeeperParts) {
    this.#parts = parts;
    this.#wakeUp = new WakeUp(parts.clock, "rounds.reputation", () => void this.#write());
  }

  /** Somebody was blamed. */
  changed(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#wakeUp.at(this.#parts.clock.monotonicMs() + WRITE_AFTER_MS);
  }

  /** Writes what is not written yet. */
  async stop(): Promise<void> {
    this.#wakeUp.cancel();
    if (this.#isDue) await this.#write();
  }

  async #write(): Promise<void> {
    const { reputation, keep, logger } = this.#parts;
    this.#isDue = false;
    try {
      await keep(reputation.all());
    } catch (error) {
      logger.warn("reputations were not kept", { error });
    }
  }
}
