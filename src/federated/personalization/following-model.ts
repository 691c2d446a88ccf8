import type { Samples } from "../../platform/training-backend.ts";

/** What of an own model outlasts a restart. */
export interface OwnState {
  /** Of what the agents agreed on that it was made of last; 0 with `fed-bn`, which goes with any. */
  readonly round: number;
  /** All weights; with `fed-bn` those of the normalisation alone. */
  readonly values: Float32Array;
}

/** A model that an agent keeps for itself, and makes anew of what the agents agree on. It is never sent. */
export interface FollowingModel {
  /** Which model answers where nobody asks for one of them. */
  readonly answersBy: "own" | "global";
  /** What to keep; undefined before there is anything. */
  readonly state: OwnState | undefined;
  /** Goes on with what the last run kept. @returns false for what does not fit the model; nothing is changed then */
  restore(state: OwnState): boolean;
  /** @returns the own model, given what the agents agreed on last; undefined before there is any */
  weights(agreed: Float32Array): Float32Array | undefined;
  /**
   * Goes on after a round. One call at a time.
   * @returns false where it was stopped meanwhile
   * @throws TrainingError `training.not-finite` when training diverges; the own model is then as it was
   */
  follow(round: number, agreed: Float32Array, train: Samples): Promise<boolean>;
  /** No step is taken from then on, until {@link resume}. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends what is being trained. */
  abandon(): void;
}
