import { UPDATE_LENGTH_MAX } from "./aggregate.ts";
import { AggregationError } from "./aggregation.ts";
import type { StrategyState } from "./strategy.ts";

/** The first four bytes: "AMS" and the version. */
const MAGIC = 0x414d5301;
const PREVIOUS = "previous";
/** The most vectors of one state, and letters of a name. */
const VECTORS_MAX = 8;
const NAME_MAX = 32;

/**
 * Little endian: magic (big endian), round (uint32), number of vectors (uint32), length of each (uint32); then for each, in
 * order of names, the name in 32 bytes of ASCII filled up with zeros, and its float32 values. The same state gives the same bytes, so that
 * its hash can be signed.
 * @throws AggregationError `aggregation.state` for what does not fit that form
 */
export function encodeState({ round, previous, moments }: StrategyState): Uint8Array {
  if (Object.hasOwn(moments, PREVIOUS)) throw broken(`a moment must not be named ${PREVIOUS}`);
  const vectors = Object.entries({ ...moments, ...(previous && { previous }) });
  vectors.sort(([a], [b]) => (a < b ? -1 : 1));
  const length = vectors[0]?.[1].length ?? 0;
  if (vectors.length > VECTORS_MAX)
    throw broken(`it has ${vectors.length} vectors, more than ${VECTORS_MAX}`);
  const bytes = new Uint8Array(16 + vectors.length * (NAME_MAX + 4 * length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  for (const [index, value] of [round, vectors.length, length].entries())
    view.setUint32(4 + 4 * index, value, true);
  let at = 16;
  for (const [name, vector] of vectors) {
    if (!/^[a-z][a-z0-9-]{0,31}$/i.test(name)) throw broken(`${name} is no name for a vector`);
    if (vector.length !== length)
      throw broken(`${name} has ${vector.length} values, not ${length}`);
    for (let letter = 0; letter < name.length; letter++)
      bytes[at + letter] = name.charCodeAt(letter);
    at += NAME_MAX;
    for (const value of vector) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  }
  return bytes;
}

/**
 * The reverse of {@link encodeState}; the bytes may come from anywhere.
 * @param length parameters of the model that the state belongs to
 * @throws AggregationError `aggregation.state`
 */
export function decodeState(bytes: Uint8Array, length: number): StrategyState {
  if (length > UPDATE_LENGTH_MAX) throw broken(`models have at most ${UPDATE_LENGTH_MAX} values`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 16 || view.getUint32(0) !== MAGIC) throw broken("it does not begin like one");
  const [round, count, long] = [4, 8, 12].map((at) => view.getUint32(at, true));
  if (round === undefined || count === undefined || count > VECTORS_MAX)
    throw broken(`it says that it has ${count} vectors; ${VECTORS_MAX} are the most`);
  if (count > 0 && long !== length)
    throw broken(`its vectors have ${long} values where the model has ${length}`);
  if (bytes.length !== 16 + count * (NAME_MAX + 4 * length))
    throw broken(`it has ${bytes.length} bytes, not as many as it says`);
  const vectors = new Map<string, Float32Array>();
  for (let index = 0, at = 16; index < count; index++) {
    const letters = bytes.subarray(at, at + NAME_MAX);
    const name = String.fromCharCode(...letters).replace(/\0+$/, "");
    if (!/^[a-z][a-z0-9-]{0,31}$/i.test(name) || vectors.has(name))
      throw broken("a name in it is no name, or comes twice");
    at += NAME_MAX;
    const vector = new Float32Array(length);
    for (let value = 0; value < length; value++, at += 4) vector[value] = view.getFloat32(at, true);
    if (!vector.every(Number.isFinite)) throw broken(`${name} holds what is not finite`);
    vectors.set(name, vector);
  }
  const previous = vectors.get(PREVIOUS);
  vectors.delete(PREVIOUS);
  return { round, ...(previous && { previous }), moments: Object.fromEntries(vectors) };
}

function broken(why: string): AggregationError {
  return new AggregationError("aggregation.state", `this is no state of a strategy: ${why}`);
}
