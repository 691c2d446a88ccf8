import type { PeerId } from "../../platform/signer.ts";

/** A change by one member. */
export interface MemberStep {
  readonly kind: "add" | "remove";
  readonly peer: PeerId;
}

/**
 * What the values of a group are applied to, at every member in the same order. What it does follows from the values and
 * the members alone: no time, no chance, nothing of the device that it runs on.
 */
export interface StateMachine {
  /**
   * Who votes in the group from this place in the order on; first of all, before any value, when the group is founded.
   * Sorted.
   */
  members(voters: readonly PeerId[]): void;
  /**
   * Whether the members may change so at this place in the order; anything goes where it does not say. Protocols that bear
   * members that lie ask it, since any one of these could take out the others. With Raft members are trusted.
   */
  permits?(step: MemberStep): boolean;
  /** Never throws: what can not be done is an answer too. @returns what whoever put the value in is told */
  apply(value: Uint8Array): Uint8Array;
  /** @returns all that it knows, the members too: the same bytes at every member */
  snapshot(): Uint8Array;
  /** Begins anew with what {@link snapshot} gave elsewhere; with nothing, as at first. */
  restore(state: Uint8Array): void;
}
