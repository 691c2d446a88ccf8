/** @returns x - y, of the length of x, in a plain loop: `map` calls its function for each of what may be millions */
export function minus(x: Float32Array, y: Float32Array): Float32Array {
  const result = new Float32Array(x.length);
  for (let at = 0; at < x.length; at++) result[at] = (x[at] ?? 0) - (y[at] ?? 0);
  return result;
}
