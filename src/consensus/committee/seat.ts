import type { PeerId } from "../../platform/signer.ts";
import type { OrderingStatus } from "../ordering/ordering.ts";
import type { MemberStep } from "../ordering/state-machine.ts";
import type { Founding } from "./founding.ts";

/** A member of a committee that runs on this node. */
export interface Seat {
  status(): OrderingStatus;
  /** Changes of members that were carried out and are certified, encoded, in their order, behind that many from the founding. */
  changes(after: number): readonly Uint8Array[];
  /** A decision on members that was taken and not carried out yet. */
  pending(): MemberStep | undefined;
  /** Has the committee decide on a change. Rejects where it does not want it, or could not be asked. */
  decide(step: MemberStep): Promise<void>;
  /** What a peer that is to be added begins with. @throws Error where that is not known yet */
  ticket(peer: PeerId): Uint8Array;
  /** Carries out what was decided; whoever is added has begun by then. Rejects where that failed; it may be tried again. */
  carryOut(step: MemberStep, ticket: Uint8Array | undefined): Promise<void>;
  /**
   * Puts a value before the committee for somebody who has no seat in it. Resolves when it has its place.
   * @returns the proposal's id @throws AgreementError, RangeError
   */
  propose(topic: string, value: Uint8Array, expiresAfterMs: number): Promise<string>;
  /** @returns an accepted value with its certificate, encoded; undefined while there is none */
  decision(proposalId: string): Uint8Array | undefined;
  /** Takes part no more; what was promised stays on disk. Idempotent. */
  stop(): Promise<void>;
}

/** A seat can not be taken again: this node's disk lost what it had promised. */
export class LostSeatError extends Error {
  override readonly name = "LostSeatError";
}

/** Hears of a seat, while it is taken. */
export interface SeatListener {
  /** Who leads, who belongs to it, or what was decided has changed. */
  changed(): void;
  /** @returns why this member does not want a change of members; undefined where it does */
  faultOf(step: MemberStep, status: OrderingStatus): string | undefined;
  lost(error: Error): void;
}

/** Takes seats in groups. */
export interface SeatMaker {
  /** Begins as a founder. Resolves when it is on disk and runs. @throws LostSeatError where it has been in the group before */
  found(founding: Founding, listener: SeatListener): Promise<Seat>;
  /** Begins as one that is about to be added. What was there of an earlier membership is gone. */
  join(founding: Founding, ticket: Uint8Array, listener: SeatListener): Promise<Seat>;
  /** Goes on after a restart. @throws LostSeatError */
  resume(founding: Founding, listener: SeatListener): Promise<Seat>;
  /** @returns whether there is anything on disk of the group */
  isBegun(group: string): Promise<boolean>;
  /** Forgets what is on disk of a group that this node is in no more. */
  forget(group: string): Promise<void>;
}
