import type { CustomAggregation } from "../strategies/custom-rules.ts";
import type { DataOffer } from "./program-data.ts";

/** What a program brings to the agent that it runs. Tasks that are joined already are joined anew with it. */
export interface LearningPrograms {
  /**
   * Samples, for tasks that name them.
   * @returns takes them back
   * @throws DataError where the name is taken, or too many are
   */
  offer(offer: DataOffer): () => void;
  /**
   * A rule, for tasks that name it; it takes the place of one of the same name.
   * @returns takes it back
   * @throws RangeError where there are too many
   */
  bring(rule: CustomAggregation): () => void;
}
