import type { PeerId } from "../../platform/signer.ts";
import type { RoundHead } from "./chain.ts";
import type { Evidence } from "./evidence.ts";
import type { Misdeed } from "./reputation.ts";
import type { Counted, FetchEffect, HoldEffect } from "./step.ts";
import type { Base } from "./talk.ts";
import type { TrainerWord } from "./trainer-word.ts";

/** How a proposal ended: as the committee decided, or `failed` where it could not be put before it. */
export type ProposalOutcome = "accepted" | "rejected" | "expired" | "cancelled" | "failed";

/** What happens to an aggregator. `nowMs` is monotonic and never goes back. */
export type AggregatorInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  /** Where the task stands. An older one than is known changes nothing. */
  | { readonly kind: "head"; readonly head: RoundHead }
  /** Everybody with the role of an aggregator, in any order. */
  | { readonly kind: "aggregators"; readonly peers: readonly PeerId[] }
  /** Everybody who could train at this task, as far as is known. */
  | {
      readonly kind: "trainers";
      readonly peers: readonly PeerId[];
      /** How many there are in the fleet, where more than are known. */
      readonly inFleet?: number;
    }
  /** Who decides; this agent proposes by itself where it is one of them. */
  | { readonly kind: "committee"; readonly members: readonly PeerId[] }
  /** A trainer trains on that base, says the trainer itself. */
  | { readonly kind: "begun"; readonly from: PeerId; readonly base: Base }
  /** A trainer's word, from anybody. `isHere`: its update came along and is being looked at; `had` or `unfetchable` follows. */
  | { readonly kind: "word"; readonly word: TrainerWord; readonly isHere?: boolean }
  | { readonly kind: "evidence"; readonly evidence: Evidence }
  /** Whether an agent is there; who was never spoken of is. */
  | { readonly kind: "living"; readonly peer: PeerId; readonly alive: boolean }
  /** An update was fetched, or came along with its word, and was looked at. `empty`: it changes nothing; `malformed`: it is none of this model. */
  | {
      readonly kind: "had";
      readonly hash: string;
      readonly is: "good" | "empty" | "malformed";
    }
  /** A sheet was fetched. */
  | { readonly kind: "sheet"; readonly hash: string; readonly bytes: Uint8Array }
  /** What was to be fetched could not be had from anybody. */
  | { readonly kind: "unfetchable"; readonly hash: string; readonly wrongBytes: boolean }
  /** An update that was held is gone from here: it is fetched anew. To be said before `not-aggregated` where that is why. */
  | { readonly kind: "lost"; readonly hash: string }
  /** The new model is held under its hash, as is what the strategy remembers. */
  | {
      readonly kind: "aggregated";
      readonly attempt: number;
      readonly modelHash: string;
      readonly stateHash: string | undefined;
    }
  /** Nothing came of it; `blamed` where it was somebody's update. */
  | {
      readonly kind: "not-aggregated";
      readonly attempt: number;
      readonly blamed: PeerId | undefined;
      readonly reason: string;
    }
  | {
      readonly kind: "proposal-ended";
      readonly attempt: number;
      readonly outcome: ProposalOutcome;
      readonly reasons: readonly string[];
    }
);

/** What an aggregator wants done. */
export type AggregatorEffect =
  /** Answer: `had` or `sheet`, or `unfetchable`. */
  | FetchEffect
  | HoldEffect
  /** To put the updates together on the model and the strategy's state of that head. Answer: `aggregated` or `not-aggregated`. */
  | {
      readonly kind: "aggregate";
      readonly attempt: number;
      /** The round that comes of it. */
      readonly round: number;
      readonly head: RoundHead;
      /** In the order of the sheet. */
      readonly counted: readonly Counted[];
    }
  /** The sheet, to be had here under its hash. */
  | { readonly kind: "store"; readonly hash: string; readonly bytes: Uint8Array }
  /** To be put before the committee on the topic `learning/round`. Answer: `proposal-ended`. */
  | { readonly kind: "propose"; readonly attempt: number; readonly value: Uint8Array }
  /** To be handed to a member, since this agent has no seat. No answer but the next head. */
  | {
      readonly kind: "submit";
      readonly attempt: number;
      readonly to: PeerId;
      readonly value: Uint8Array;
    }
  /** Somebody does not know the head. */
  | { readonly kind: "send-head"; readonly to: PeerId }
  /** A proof that is new here, for others. */
  | { readonly kind: "gossip"; readonly evidence: Evidence }
  | { readonly kind: "event"; readonly event: AggregatorEvent };

/** For people and metrics. */
export type AggregatorEvent =
  /** An update is here. */
  | { readonly kind: "delivered"; readonly round: number; readonly peer: PeerId }
  /** The deadline is over, and too few have delivered: the round goes on until enough have. */
  | {
      readonly kind: "short-of-agents";
      readonly round: number;
      readonly have: number;
      readonly agentsMin: number;
    }
  /** The candidates before this one are gone, or did not bring the round to its end, so this one does. `rank`: among those that are there. */
  | { readonly kind: "taken-over"; readonly round: number; readonly rank: number }
  | {
      readonly kind: "closed";
      readonly round: number;
      readonly attempt: number;
      readonly updates: number;
    }
  | {
      readonly kind: "proposed";
      readonly round: number;
      readonly attempt: number;
      readonly modelHash: string;
    }
  /** It is tried again. */
  | {
      readonly kind: "setback";
      readonly round: number;
      readonly attempt: number;
      readonly reason: string;
    }
  | {
      readonly kind: "blamed";
      readonly round: number;
      readonly peer: PeerId;
      readonly misdeed: Misdeed;
    }
  /** A word that was not taken. */
  | {
      readonly kind: "refused";
      readonly peer: PeerId;
      readonly reason:
        | "not trusted"
        | "too old"
        | "too far ahead"
        | "another base"
        | "counted already"
        | "full";
    };
