import { formatPercent, formatScore } from "./format.ts";
import type { LearningRound } from "./model.ts";

/** Losses above so many times the middle one are drawn at the upper edge. */
const OUTSTANDING = 8;

/** A measure of the rounds of a task, ready to be drawn. */
export interface RoundCurve {
  readonly measure: "Accuracy" | "Loss";
  readonly points: readonly { readonly round: number; readonly value: number }[];
  /** Lower and upper end of the axis. */
  readonly scale: readonly [number, number];
  /** A value of it, as text. */
  readonly say: (value: number) => string;
}

/** @returns accuracy where models are judged by it, else the loss; undefined before two rounds are judged */
export function roundCurve(rounds: readonly LearningRound[]): RoundCurve | undefined {
  const accuracy = pointsOf(rounds, (round) => round.evaluation?.accuracy);
  if (accuracy.length > 1)
    return {
      measure: "Accuracy",
      points: accuracy,
      scale: [0, 1],
      say: (value) => formatPercent(value * 100),
    };
  const loss = pointsOf(rounds, (round) => round.evaluation?.loss);
  if (loss.length < 2) return undefined;
  return { measure: "Loss", points: loss, scale: [0, upperEnd(loss)], say: formatScore };
}

/** The loss before anything is learned may be a thousand times what follows, and would make a flat line of it. */
function upperEnd(points: RoundCurve["points"]): number {
  const values = points.map(({ value }) => value).toSorted((one, other) => one - other);
  const middle = values[Math.floor(values.length / 2)] ?? 0;
  const most = Math.min(values.at(-1) ?? 0, OUTSTANDING * middle);
  return most > 0 ? most : 1;
}

function pointsOf(
  rounds: readonly LearningRound[],
  read: (round: LearningRound) => number | undefined,
): RoundCurve["points"] {
  return rounds.flatMap((round) => {
    const value = read(round);
    return value === undefined || !Number.isFinite(value) ? [] : [{ round: round.round, value }];
  });
}

/** @returns the curve for those who can not see it: where it began, where it is, and its best */
export function curveWords({ measure, points, say }: RoundCurve): string {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return measure;
  const sign = measure === "Loss" ? 1 : -1;
  const best = points.reduce((one, other) => (sign * other.value < sign * one.value ? other : one));
  const words = `${measure} by round: ${say(first.value)} in round ${first.round}, ${say(last.value)} in round ${last.round}`;
  return best === last
    ? `${words}, the best`
    : `${words}, best ${say(best.value)} in round ${best.round}`;
}

/** @returns SVG path of the curve in a box of this size, to scale in both directions */
export function curvePath({ points, scale }: RoundCurve, width: number, height: number): string {
  const from = points[0]?.round ?? 0;
  const span = Math.max(1, (points.at(-1)?.round ?? from) - from);
  const [low, high] = scale;
  return points
    .map(({ round, value }, at) => {
      const x = ((round - from) / span) * width;
      const share = Math.max(0, Math.min(1, (value - low) / (high - low)));
      return `${at === 0 ? "M" : "L"}${x.toFixed(1)} ${((1 - share) * height).toFixed(1)}`;
    })
    .join("");
}
