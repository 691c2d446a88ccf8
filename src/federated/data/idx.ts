import { DataError } from "./data-error.ts";

/** What an IDX file holds: bytes in the shape that its header tells. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly values: Uint8Array;
}

const HEADER_BYTES = 4;
const UNSIGNED_BYTE = 0x08;
const AXES_MAX = 4;
/** Eight times all of MNIST. */
const VALUES_MAX = 400_000_000;

/**
 * Reads the IDX format of the MNIST files (LeCun, "The MNIST database", file formats at the end): two zeros, the type,
 * the number of axes, their sizes in big-endian order, then the values. Only unsigned bytes are taken.
 *
 * @throws DataError `data.format` for another type, `data.too-large`, or when there are more or fewer values than told
 */
export function readIdx(bytes: Uint8Array): IdxArray {
  if (bytes.length < HEADER_BYTES || bytes[0] !== 0 || bytes[1] !== 0)
    throw new DataError("data.format", "this is no IDX file: it does not begin with two zeros");
  const [, , type = 0, axes = 0] = bytes;
  if (type !== UNSIGNED_BYTE)
    throw new DataError(
      "data.format",
      `IDX: type 0x${type.toString(16)}, only 0x8 (bytes) is read`,
    );
  if (axes < 1 || axes > AXES_MAX)
    throw new DataError("data.format", `IDX: ${axes} axes, 1 to ${AXES_MAX} are read`);
  const from = HEADER_BYTES + 4 * axes;
  if (bytes.length < from) throw new DataError("data.format", "IDX: the file ends in its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(HEADER_BYTES + 4 * axis));
  const size = shape.reduce((product, each) => product * each, 1);
  if (size > VALUES_MAX)
    throw new DataError("data.too-large", `IDX: ${size} values, ${VALUES_MAX} at most`);
  if (bytes.length !== from + size)
    throw new DataError(
      "data.format",
      `IDX: ${size} values are told of, ${bytes.length - from} are there`,
    );
  return { shape, values: new Uint8Array(bytes.subarray(from)) };
}
