/** What somebody saw of a line. */
export interface Points {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** @returns the line that fits all of them best */
export function leastSquares(seen: readonly Points[]): {
  readonly slope: number;
  readonly intercept: number;
} {
  const [x, y] = [seen.flatMap((one) => one.x), seen.flatMap((one) => one.y)];
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  const slope =
    mean(x.map((value, at) => (value - mx) * ((y[at] ?? 0) - my))) /
    mean(x.map((value) => (value - mx) ** 2));
  return { slope, intercept: my - slope * mx };
}
