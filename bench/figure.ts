/** One measured figure, as `npm run bench` prints it. */
export interface Figure {
  readonly suite: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** What was measured beside it in the same run, and what that gave; absent for plain limits. */
  readonly peer?: string;
  readonly peerValue?: number;
  /** Ours over the peer's. */
  readonly ratio?: number;
  readonly floor: number;
  readonly goal: number;
  /** Whether the floor, and whether the goal was reached. */
  readonly floorOk: boolean;
  readonly ok: boolean;
}

/** What a figure is held to: a ratio to the peer, or the value itself where there is no peer. */
export interface Bar {
  readonly floor: number;
  readonly goal: number;
  readonly better: "higher" | "lower";
}

/** Both sides of one measurement, called in turn so that a busy moment of the machine hits both. */
export interface Race {
  readonly suite: string;
  readonly metric: string;
  readonly unit: string;
  readonly peer: string;
  readonly bar: Bar;
  readonly rounds: number;
  readonly ours: () => Promise<number>;
  readonly theirs: () => Promise<number>;
}

/** Runs a race. @returns medians of both sides and the median of the rounds' ratios. */
export async function race(options: Race): Promise<Figure> {
  const values: number[] = [];
  const peerValues: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    // Who goes first changes, so that neither always gets the warmer machine.
    const order = round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const);
    for (const side of order) (side === "ours" ? values : peerValues).push(await options[side]());
  }
  const ratios = values.map((value, round) => value / (peerValues[round] ?? Number.NaN));
  const { suite, metric, unit, peer, bar } = options;
  return {
    suite,
    metric,
    value: rounded(median(values)),
    unit,
    peer,
    peerValue: rounded(median(peerValues)),
    ratio: rounded(median(ratios)),
    ...judged(median(ratios), bar),
  };
}

/** A figure that stands for itself. */
export function figure(what: {
  suite: string;
  metric: string;
  unit: string;
  value: number;
  bar: Bar;
}): Figure {
  const { suite, metric, unit, value, bar } = what;
  return { suite, metric, value: rounded(value), unit, ...judged(value, bar) };
}

/** @returns the middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? high)) / 2;
}

function judged(value: number, { floor, goal, better }: Bar) {
  const reaches = (limit: number) => (better === "higher" ? value >= limit : value <= limit);
  return { floor, goal, floorOk: reaches(floor), ok: reaches(goal) };
}

export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
