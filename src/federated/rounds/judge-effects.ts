import type { PeerId } from "../../platform/signer.ts";
import type { RoundHead } from "./chain.ts";
import type { Misdeed } from "./reputation.ts";
import type { Counted, FetchEffect, HoldEffect } from "./step.ts";

/** What happens to a judge. `nowMs` is monotonic and never goes back. */
export type JudgeInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  /** Where the task stands, from anywhere. An older one than is known changes nothing. */
  | { readonly kind: "head"; readonly head: RoundHead }
  /** Who decides, and how many of them have to accept. */
  | { readonly kind: "committee"; readonly members: readonly PeerId[]; readonly quorum: number }
  /** Whether an agent is known to be there; all are until this says otherwise. */
  | { readonly kind: "living"; readonly peer: PeerId; readonly alive: boolean }
  /**
   * A record of this task is before the committee. In the committee's order, together with `ended`; after a restart, all that are open,
   * in that order.
   */
  | {
      readonly kind: "proposal";
      readonly id: string;
      readonly value: Uint8Array;
      readonly proposer: PeerId;
    }
  /** It is not before the committee any more. In the committee's order. */
  | { readonly kind: "ended"; readonly id: string; readonly accepted: boolean }
  /** A sheet was fetched. */
  | { readonly kind: "sheet"; readonly hash: string; readonly bytes: Uint8Array }
  /** An update was fetched. */
  | { readonly kind: "had"; readonly hash: string }
  /** What was to be fetched could not be had from anybody. */
  | { readonly kind: "unfetchable"; readonly hash: string }
  | {
      readonly kind: "recomputed";
      readonly id: string;
      readonly modelHash: string;
      readonly stateHash: string | undefined;
    }
  /** Whether what this member recomputed is durable here, or could not be made so. */
  | { readonly kind: "kept"; readonly id: string; readonly durable: boolean }
  /**
   * The updates can not be put together. Unless this member was lacking something, as the model that the round begins with, that
   * convicts the aggregator; `lacking`: it is tried again.
   */
  | {
      readonly kind: "not-recomputed";
      readonly id: string;
      readonly reason: string;
      readonly lacking?: boolean;
    }
);

/** A member's vote. `reject` says why. */
export type RoundVerdict = "accept" | { readonly reject: string };

/** What a judge wants done. */
export type JudgeEffect =
  /** Answer: `had` or `sheet`, or `unfetchable`. */
  | FetchEffect
  | HoldEffect
  /** As in an aggregator's `aggregate`. Answer: `recomputed` or `not-recomputed`. */
  | {
      readonly kind: "recompute";
      readonly id: string;
      readonly round: number;
      readonly head: RoundHead;
      readonly counted: readonly Counted[];
    }
  /** What came of it is to outlast a restart. Answer: `kept`. */
  | {
      readonly kind: "keep";
      readonly id: string;
      readonly round: number;
      readonly hashes: readonly string[];
    }
  /** This member's vote, once for each proposal. */
  | { readonly kind: "verdict"; readonly id: string; readonly verdict: RoundVerdict }
  | { readonly kind: "event"; readonly event: JudgeEvent };

/** For people and metrics. */
export type JudgeEvent =
  | { readonly kind: "judging"; readonly round: number; readonly id: string }
  | {
      readonly kind: "blamed";
      readonly round: number;
      readonly peer: PeerId;
      readonly misdeed: Misdeed;
    };
