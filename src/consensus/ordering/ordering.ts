import type { Clock } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { StateMachine } from "./state-machine.ts";
import type { Patience } from "./waiting.ts";

/** How a group agrees on an order: `raft` bears members that crash, the others also members that lie. */
export type OrderingProtocol = "raft" | "pbft" | "tendermint";

/**
 * What a member is: `leading` proposes at the moment; `electing` knows nobody who does; `learning` gets everything and has
 * no vote yet; `left` was taken out of the group; `lost` lost part of what it had promised and takes part no more.
 */
export type Standing = "leading" | "following" | "electing" | "learning" | "left" | "lost";

/** How a group stands, as one of its members knows it. */
export interface OrderingStatus {
  readonly protocol: OrderingProtocol;
  readonly standing: Standing;
  /** Raft's leader, PBFT's primary, Tendermint's proposer of this round. */
  readonly leader: PeerId | undefined;
  /** Grows with every leader: Raft's term; epoch · 65,536 + view + 1 of PBFT; height · 65,536 + round of Tendermint. */
  readonly term: number;
  /** Last place in the order whose values are applied here. */
  readonly position: number;
  /** Who votes, sorted. */
  readonly members: readonly PeerId[];
  /** Who gets everything and has no vote yet, sorted. */
  readonly learners: readonly PeerId[];
}

/** A value that has its place in the order for ever, and was applied. */
export interface Ordered {
  /** Of the log entry, the batch or the height; grows, and may be shared by several values. */
  readonly position: number;
  /** What the state machine answered; undefined where that is not known any more, since the value came in twice. */
  readonly result: Uint8Array | undefined;
}

/** One step: groups change by one member at a time. */
export type MembersStep =
  | {
      readonly kind: "add";
      readonly peer: PeerId;
      /** From {@link Ordering.ticket}; the peer has begun with it. */
      readonly ticket: Uint8Array;
    }
  | { readonly kind: "remove"; readonly peer: PeerId };

/** How a member begins. */
export type Beginning =
  /** All founders begin with the same list, and none has been in the group before. */
  | { readonly kind: "found"; readonly members: readonly PeerId[] }
  /** To be added: a member gave this ticket. */
  | { readonly kind: "join"; readonly ticket: Uint8Array }
  /** It was a member when its process ended. */
  | { readonly kind: "resume" };

/** Carries what the members of one group say. */
export interface GroupChannel {
  /** Hears what members of the group send; the network vouches for `from`. Called once. */
  listen(take: (from: PeerId, bytes: Uint8Array) => void): void;
  /** Sends to another member, in order. No receipt. @throws Error, by rejecting, when it can not be sent */
  send(to: PeerId, bytes: Uint8Array): Promise<void>;
  /** A peer said what nobody says who is well: counted against it. */
  offence(from: PeerId, kind: string): void;
  /** Nothing is heard any more. */
  close(): void;
}

/** What a member of a group is made of. */
export interface OrderingParts {
  /** Names the group: 32 hexadecimal digits, drawn for it alone. */
  readonly group: string;
  readonly beginning: Beginning;
  readonly machine: StateMachine;
  readonly channel: GroupChannel;
  /** Also tells who this member is. */
  readonly signer: Signer;
  /** Everything of the group is under keys that begin with `c/<group>/`. */
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly logger: Logger;
  /** Hears that the status changed otherwise than by its position. */
  readonly onChange: () => void;
  /** The disk lost what this member has promised: it takes part no more. */
  readonly onLost: (error: Error) => void;
}

/**
 * One member of a group that puts values into one order, the same at every member, and applies them: the seam over Raft,
 * PBFT and Tendermint. `test/conformance/ordering.ts` holds each of them to it.
 */
export interface Ordering {
  /** Takes part from now on. */
  start(): void;
  /** Takes part no more; what is under way on disk is waited for. Idempotent. */
  stop(): Promise<void>;
  /**
   * Puts a value into the order, once, whoever leads, as often as it takes until the deadline.
   * @param id 16 bytes that name the value for ever: given again, it is still applied once; drawn unless given
   * @throws AgreementError; a value of which that is said may still be applied
   */
  submit(value: Uint8Array, patience: Patience, id?: Uint8Array): Promise<Ordered>;
  /** Waits until everything that was applied anywhere before now is applied here. @throws AgreementError */
  read(patience: Patience): Promise<void>;
  /** What a peer that is to be added has to begin with. @throws AgreementError `consensus.unready` */
  ticket(peer: PeerId): Uint8Array;
  /**
   * Adds or removes a member. Idempotent: resolves as well where it has come about already.
   * @throws AgreementError `consensus.refused` with the reason where it can not be done
   */
  change(step: MembersStep, patience: Patience): Promise<void>;
  status(): OrderingStatus;
}
