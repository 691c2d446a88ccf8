import type { PeerId } from "../../platform/signer.ts";
import type { RoundHead } from "./chain.ts";
import type { HoldEffect } from "./step.ts";
import type { Base, RoundsTalk } from "./talk.ts";
import type { TrainerWord } from "./trainer-word.ts";

/** What happens to a trainer. `nowMs` is monotonic and never goes back. */
export type TrainerInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  /** Where the task stands. An older one than is known changes nothing. */
  | { readonly kind: "head"; readonly head: RoundHead }
  /** Everybody with the role of an aggregator, in any order. */
  | { readonly kind: "aggregators"; readonly peers: readonly PeerId[] }
  /** Everybody who could train at this task, as far as is known; without it all are asked. */
  | {
      readonly kind: "trainers";
      readonly peers: readonly PeerId[];
      /** How many there are in the fleet, where more than are known. */
      readonly inFleet?: number;
    }
  /** Whether power and budget allow to train. */
  | { readonly kind: "may-train"; readonly allowed: boolean }
  /** What came of `fetch-base`. */
  | { readonly kind: "base"; readonly base: Base; readonly had: boolean }
  /** What came of `train`: the update is held under its hash. */
  | {
      readonly kind: "trained";
      readonly base: Base;
      readonly updateHash: string;
      readonly updateBytes: number;
      readonly samples: number;
      readonly loss: number;
    }
  /** `train-alone` is done. */
  | { readonly kind: "trained-alone"; readonly base: Base }
  /** `train`, or `train-alone`, came to nothing. */
  | { readonly kind: "failed"; readonly base: Base; readonly reason: string }
  /** What came of `keep`: `durable` is false where the disk did not take it. */
  | { readonly kind: "kept"; readonly updateHash: string; readonly durable: boolean }
  /** A candidate has answered to what it was told: it need not be told again. */
  | {
      readonly kind: "told";
      readonly to: PeerId;
      readonly what: "begun" | "word";
      readonly baseRound: number;
    }
  /** An agent has begun anew, and has forgotten what it was told. */
  | { readonly kind: "returned"; readonly peer: PeerId }
);

/** What a trainer wants done. */
export type TrainerEffect =
  /** The model is to be had by its hash, from its aggregator or whoever has it. Answer: `base`. */
  | { readonly kind: "fetch-base"; readonly base: Base; readonly aggregator: PeerId | undefined }
  /** To train on that model. Answer: `trained` or `failed`. */
  | { readonly kind: "train"; readonly base: Base }
  /**
   * No round comes of what was said on that base: to train on from where the last training alone, or else that model, has come to. The next
   * `train` begins there, and its update is how far that is from its own base. Answer: `trained-alone` or `failed`.
   */
  | { readonly kind: "train-alone"; readonly base: Base }
  /** The training on that base: to stand still at once, to go on, or to be thrown away. */
  | { readonly kind: "pause" | "resume" | "abandon"; readonly base: Base }
  /** To be made durable, in the place of the one before. Answer: `kept`. Until then nobody hears of it. */
  | { readonly kind: "keep"; readonly word: TrainerWord }
  /** To be sent. When it was answered: `told`; what is lost is told again by itself. */
  | {
      readonly kind: "tell";
      readonly to: PeerId;
      readonly talk: Extract<RoundsTalk, { kind: "begun" | "word" }>;
    }
  | HoldEffect
  | { readonly kind: "event"; readonly event: TrainerEvent };

/** For people and metrics. */
export type TrainerEvent =
  | { readonly kind: "began"; readonly base: Base }
  /** The word is durable and on its way. */
  | { readonly kind: "delivered"; readonly word: TrainerWord }
  /** The round has gone on without it. */
  | { readonly kind: "abandoned"; readonly base: Base }
  /** Another try follows, unless `givenUp`. */
  | {
      readonly kind: "failed";
      readonly base: Base;
      readonly reason: string;
      readonly givenUp: boolean;
    }
  /** It lost its update in a restart too often, and says nothing more on this base. */
  | { readonly kind: "silent"; readonly base: Base };
