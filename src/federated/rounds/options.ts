/** How long the rounds of a task take, and who is in them; the author of the task says. */
export interface RoundPace {
  /** A round waits for updates of so many. */
  readonly agentsMin: number;
  /** A round takes no more. */
  readonly agentsMax: number;
  /** Whoever has not delivered by then is not waited for. */
  readonly deadlineMs: number;
  /** After the deadline, until the next candidate takes a round over. */
  readonly takeoverMs: number;
  /** Rounds do not wait for all: FedBuff (Nguyen et al. 2022). Without it rounds are synchronous. */
  readonly buffered?: {
    /** A round is closed with so many. */
    readonly updates: number;
    /** Rounds that a model may have been behind when its training began. */
    readonly stalenessMax: number;
  };
}

/** How an agent goes about its part in rounds. */
export interface RoundTimes {
  /** No round is closed sooner after its head is known here: what others begin has to get about. */
  readonly gatherMs: number;
  /** What was not heard is told again. */
  readonly retellMs: number;
  /** What failed is tried again, after twice that the second time, and so on until the deadline. */
  readonly retryMs: number;
  /** Members beyond the first quorum judge a record so much later, if it is still undecided. */
  readonly staggerMs: number;
}

/** For rounds of a minute or so. */
export const defaultRoundTimes: RoundTimes = {
  gatherMs: 1_000,
  retellMs: 5_000,
  retryMs: 2_000,
  staggerMs: 3_000,
};

/** @returns how many rounds behind a base may be */
export function stalenessOf({ buffered }: RoundPace): number {
  return buffered?.stalenessMax ?? 0;
}

/** @returns how many updates close a round at once */
export function targetOf({ buffered, agentsMax }: RoundPace): number {
  return Math.min(buffered?.updates ?? agentsMax, agentsMax);
}
