/**
 * What the decisions of a group are applied to, at every member in the same order. What it does follows from the values
 * alone: no time, no chance, nothing of the device that it runs on.
 */
export interface StateMachine {
  /** Never throws: what can not be done is an answer too. @returns what whoever proposed the value is told */
  apply(value: Uint8Array): Uint8Array;
  /** @returns all that it knows */
  snapshot(): Uint8Array;
  /** Begins anew with what {@link snapshot} gave elsewhere; with nothing, as at first. */
  restore(state: Uint8Array): void;
}
