import type { Configuration } from "./configuration.ts";
import { memberIds, NO_MEMBERS } from "./configuration.ts";
import type { InflightLimits } from "./progress.ts";
import { Progress } from "./progress.ts";
import type { VoteOutcome } from "./quorum.ts";
import { jointIndex, jointVote } from "./quorum.ts";

/** How an election stands. */
export interface Tally {
  readonly granted: number;
  readonly refused: number;
  readonly outcome: VoteOutcome;
}

/** The members, and what is known of each. */
export class Tracker {
  readonly #limits: InflightLimits;
  #configuration: Configuration = NO_MEMBERS;
  #members: ReadonlyMap<number, Progress> = new Map();
  #votes = new Map<number, boolean>();

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Everybody, by ascending id. */
  get members(): ReadonlyMap<number, Progress> {
    return this.#members;
  }

  get(id: number): Progress | undefined {
    return this.#members.get(id);
  }

  /**
   * Takes another configuration. Who stays keeps its progress; who is new counts as active, so that a look at the quorum
   * does not find it missing before it could say anything.
   * @param lastIndex of the own log: where probing somebody new begins
   */
  become(configuration: Configuration, lastIndex: number): void {
    const members = new Map<number, Progress>();
    for (const id of memberIds(configuration)) {
      const progress =
        this.#members.get(id) ?? new Progress(this.#limits, Math.max(lastIndex, 1), true);
      progress.isLearner = configuration.learners.includes(id);
      members.set(id, progress);
    }
    this.#configuration = configuration;
    this.#members = members;
  }

  /** The last entry that a quorum has on disk. */
  committedIndex(): number {
    return jointIndex(this.#configuration, (id) => this.#members.get(id)?.match);
  }

  /** The newest tick of which a quorum answered heartbeats. */
  answeredTick(): number {
    return jointIndex(this.#configuration, (id) => this.#members.get(id)?.answeredTick);
  }

  /** Whether a quorum was heard of since everybody was taken for silent. */
  isQuorumActive(): boolean {
    const outcome = jointVote(this.#configuration, (id) => this.#members.get(id)?.isActive);
    return outcome === "won";
  }

  /** Only the first word of everybody counts. */
  recordVote(id: number, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  forgetVotes(): void {
    this.#votes = new Map();
  }

  tally(): Tally {
    let granted = 0;
    let refused = 0;
    for (const [id, vote] of this.#votes) {
      if (this.#members.get(id)?.isLearner ?? true) continue;
      if (vote) granted++;
      else refused++;
    }
    const outcome = jointVote(this.#configuration, (id) => this.#votes.get(id));
    return { granted, refused, outcome };
  }
}
