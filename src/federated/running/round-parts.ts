import type { Clock } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { Combined, CombineJob, Inspected, UpdateForm } from "../combining/combine.ts";
import type { AggregatorEvent, ProposalOutcome } from "../rounds/aggregator-effects.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { JudgeEvent, RoundVerdict } from "../rounds/judge-effects.ts";
import type { RoundTimes } from "../rounds/options.ts";
import type { ReputationScore } from "../rounds/reputation.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import type { TrainerEvent } from "../rounds/trainer-effects.ts";
import type { TrainerWord } from "../rounds/trainer-word.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import type { TensorExchange } from "../tensors/tensor-exchange.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";
import type { OwnSamples, TaskTrainer, TrainedUpdate } from "./task-trainer.ts";

/** How a proposal ended, and why. */
export interface ProposalEnd {
  readonly outcome: ProposalOutcome;
  readonly reasons: readonly string[];
}

/** The committee, as rounds see it. */
export interface RoundsCommittee {
  /** Who decides; empty while there is none. */
  members(): readonly PeerId[];
  /** How many of them have to accept. */
  quorum(): number;
  /** Puts a record before it, here or at a member. Resolves when it has ended, as far as that can be seen here. Never rejects. */
  propose(value: Uint8Array): Promise<ProposalEnd>;
  /** Values that it accepted, as far as its order is known here; none without a seat. */
  accepted(): readonly Uint8Array[];
  /** What is before it, in its order; nothing without a seat. */
  open(): readonly { readonly id: string; readonly value: Uint8Array; readonly proposer: PeerId }[];
  /** This member's vote. */
  vote(proposalId: string, verdict: RoundVerdict): void;
}

/** Who has which part in rounds. */
export interface LearningRoles {
  /** Everybody who may put a round together. */
  readonly aggregators: readonly PeerId[];
  /** Everybody who could train, as far as is known. */
  readonly trainers: readonly PeerId[];
  /** How many those are in the whole fleet, known or not; an estimate. */
  readonly trainersInFleet: number;
}

/** For people and metrics. */
export type RoundEvent =
  | { readonly by: "trainer"; readonly event: TrainerEvent }
  | { readonly by: "aggregator"; readonly event: AggregatorEvent }
  | { readonly by: "judge"; readonly event: JudgeEvent };

/** Round 1 of a task whose agents agree on something before they train: its updates are no weights. */
export interface OpeningRound {
  /** What this agent has to say. */
  readonly update: () => TrainedUpdate;
  /** What an update is, before it is put together with others. Never throws. */
  readonly inspect: (bytes: Uint8Array) => Inspected;
}

/** What a task's rounds work with. */
export interface RoundParts {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly spec: TaskSpec;
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly times: RoundTimes;
  readonly shelf: TensorShelf;
  readonly exchange: TensorExchange;
  readonly committee: RoundsCommittee;
  /** Puts updates together, without holding up the caller. */
  readonly combine: (job: CombineJob, seed: string) => Promise<Combined>;
  /** Looks at an update, without holding up the caller. @throws TrainingError where that can not be done any more */
  readonly inspect: (bytes: Uint8Array, form: UpdateForm) => Promise<Inspected>;
  /** Absent where this agent has no samples for the task. */
  readonly trainer?: TaskTrainer;
  readonly samples?: OwnSamples;
  /** Absent where round 1 trains as all others. */
  readonly opening?: OpeningRound;
  /**
   * Reads what gradients are corrected by out of what the strategy remembers; absent where they are not.
   * @returns undefined where there is nothing yet @throws AggregationError for what is none
   */
  readonly variateIn?: (state: Uint8Array) => Float32Array | undefined;
  /** Says something to an agent; resolves when it has heard it. @throws NetworkError */
  readonly tell: (to: PeerId, talk: RoundsTalk) => Promise<void>;
  /** To whom there is a link, and that learn too. */
  readonly neighbours: () => readonly PeerId[];
  readonly random: Random;
  /** Makes a word durable, in the place of the one before. @throws StoreError */
  readonly keepWord: (word: TrainerWord) => Promise<void>;
  /** What the last run kept. */
  readonly keptWord?: TrainerWord;
  /** How often the disk was damaged, where later words than that may have been said; 0 where that can not be. */
  readonly damages: number;
  /** Remembers which sheets are kept on the shelf. @throws StoreError */
  readonly keepSheets: (hashes: readonly string[]) => Promise<void>;
  /**
   * Makes durable what this agent is about to vote for: what comes of a round, until that round is over.
   * @returns whether it is; never rejects
   */
  readonly keepVoted: (round: number, hashes: readonly string[]) => Promise<boolean>;
  /** What the last run kept, by hash. */
  readonly keptSheets: ReadonlyMap<string, Uint8Array>;
  /** What the last run kept of the reputation of others. */
  readonly keptReputation: readonly ReputationScore[];
  /** Makes it durable. @throws StoreError */
  readonly keepReputation: (scores: readonly ReputationScore[]) => Promise<void>;
  /** The certified decision on the head, where there is one. */
  readonly decision: () => Uint8Array | undefined;
  readonly onEvent: (event: RoundEvent) => void;
  /** Where the task stands. */
  readonly head: RoundHead;
  readonly parameterCount: number;
  /** In words, why this agent can not put updates together: it neither aggregates nor judges then. */
  readonly unable?: string;
}
