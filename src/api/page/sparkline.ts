/**
 * SVG path of a polyline through the values, oldest left, scaled to fill the box; a flat line for equal
 * values, an empty string for fewer than two.
 */
export function sparklinePath(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return "";
  const low = Math.min(...values);
  const high = Math.max(...values);
  const span = high - low;
  const inset = 1.5;
  return values
    .map((value, index) => {
      const x = (index / (values.length - 1)) * (width - 2 * inset) + inset;
      const share = span === 0 ? 0.5 : (value - low) / span;
      const y = height - inset - share * (height - 2 * inset);
      return `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
