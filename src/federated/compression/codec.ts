import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Random } from "../../platform/random.ts";
import { CompressionError } from "./compression-error.ts";
import { decodeGaps, encodeGaps } from "./gaps.ts";
import { dequantize, quantize, quantizedBytes } from "./int8.ts";
import { topK } from "./top-k.ts";

/** How an update is made smaller; what is left out is not done. The parts are done in this order. */
export interface CompressionOptions {
  /** Share of the values that is sent, those of largest magnitude; above 0 up to 1. */
  readonly topShare?: number;
  /** `int8`: a byte for each value and a scale for each 1,024. */
  readonly quantize?: "int8";
  /** How int8 rounds: to the nearest, or by chance so that the mean stays. */
  readonly rounding?: "nearest" | "stochastic";
  /** Level of zstd, 1 to 19. */
  readonly zstd?: number;
}

/**
 * The wire form, all numbers little-endian:
 *
 *     byte 0      version: 1
 *     byte 1      1: only some places are there, 2: values are int8, 4: what follows the header is a zstd frame
 *     bytes 2–5   how many values the update has
 *     bytes 6–9   how many are there
 *     bytes 10–13 how many bytes follow the header, before zstd
 *     then        places as gaps, if some are left out; then the values
 */
const VERSION = 1;
const HEADER_BYTES = 14;
const SPARSE = 1;
const INT8 = 2;
const ZSTD = 4;

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Parameters of the largest model, as in the training backend. */
const VALUES_MAX = 50_000_000;

/**
 * @param random needed for stochastic rounding
 * @throws CompressionError `compression.input` for what is not finite, too long, or an option that can not be
 */
export function compress(
  update: Float32Array,
  options: CompressionOptions,
  random?: Random,
): Uint8Array {
  const { topShare = 1, rounding = "nearest", zstd } = options;
  if (!(topShare > 0 && topShare <= 1))
    throw new CompressionError("compression.input", `topShare: above 0 up to 1, not ${topShare}`);
  if (zstd !== undefined && !(Number.isInteger(zstd) && zstd >= 1 && zstd <= 19))
    throw new CompressionError("compression.input", `zstd: a level from 1 to 19, not ${zstd}`);
  if (rounding === "stochastic" && random === undefined)
    throw new CompressionError("compression.input", "rounding: stochastic needs chance");
  if (update.length > VALUES_MAX)
    throw new CompressionError(
      "compression.input",
      `${update.length} values, ${VALUES_MAX} at most`,
    );
  const wrong = firstNotFinite(update);
  if (wrong !== -1)
    throw new CompressionError("compression.input", `value ${wrong} is ${update[wrong]}`);
  const isSparse = topShare < 1;
  const places = isSparse ? topK(update, Math.ceil(topShare * update.length)) : undefined;
  const values = places === undefined ? update : gather(update, places);
  const gaps = places === undefined ? new Uint8Array(0) : encodeGaps(places);
  const numbers =
    options.quantize === "int8"
      ? quantize(values, rounding === "stochastic" ? random : undefined)
      : floatBytes(values);
  const bodyBytes = gaps.length + numbers.length;
  let bytes = new Uint8Array(HEADER_BYTES + bodyBytes);
  const body = bytes.subarray(HEADER_BYTES);
  body.set(gaps);
  body.set(numbers, gaps.length);
  if (zstd !== undefined) {
    const packed = zstdCompressSync(body, {
      params: { [constants.ZSTD_c_compressionLevel]: zstd },
    });
    bytes = new Uint8Array(HEADER_BYTES + packed.length);
    bytes.set(packed, HEADER_BYTES);
  }
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(
    1,
    (isSparse ? SPARSE : 0) |
      (options.quantize === "int8" ? INT8 : 0) |
      (zstd === undefined ? 0 : ZSTD),
  );
  view.setUint32(2, update.length, true);
  view.setUint32(6, values.length, true);
  view.setUint32(10, bodyBytes, true);
  return bytes;
}

/**
 * Undoes {@link compress}, whatever its options were. Nothing is reserved for what the bytes can not hold.
 *
 * @param length how many values the update has to have
 * @throws CompressionError `compression.damaged` naming what does not fit, `compression.too-large`
 */
export function decompress(bytes: Uint8Array, length: number): Float32Array {
  if (bytes.length < HEADER_BYTES) throw damaged("it is cut off in its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint8(0);
  if (version !== VERSION) throw damaged(`version ${version}, only ${VERSION} is known`);
  const flags = view.getUint8(1);
  if (flags > (SPARSE | INT8 | ZSTD)) throw damaged(`unknown flags ${flags}`);
  const told = view.getUint32(2, true);
  if (told !== length)
    throw new CompressionError(
      told > VALUES_MAX ? "compression.too-large" : "compression.damaged",
      `an update of ${told} values, ${length} are asked for`,
    );
  const count = view.getUint32(6, true);
  const isSparse = (flags & SPARSE) !== 0;
  if (count > length || (!isSparse && count !== length))
    throw damaged(`${count} values of ${length} are there`);
  const numberBytes = (flags & INT8) === 0 ? 4 * count : quantizedBytes(count);
  const bodyBytes = view.getUint32(10, true);
  // A gap takes five bytes at most.
  if (bodyBytes < numberBytes || bodyBytes > numberBytes + (isSparse ? 5 * count : 0))
    throw damaged(`${bodyBytes} bytes for ${count} values`);
  const body = unpacked(bytes.subarray(HEADER_BYTES), bodyBytes, (flags & ZSTD) !== 0);
  const { places, length: gapBytes } = isSparse
    ? decodeGaps(body, count, length)
    : { places: undefined, length: 0 };
  if (gapBytes + numberBytes !== bodyBytes) throw damaged("its parts and its length do not agree");
  const numbers = body.subarray(gapBytes);
  const values = (flags & INT8) === 0 ? floats(numbers, count) : dequantize(numbers, count);
  if (places === undefined) return values;
  const update = new Float32Array(length);
  for (let at = 0; at < count; at++) update[places[at] as number] = values[at] as number;
  return update;
}

/** @returns -1 when all are finite; a loop, since `findIndex` takes several times as long */
function firstNotFinite(values: Float32Array): number {
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    if (value - value !== 0) return at;
  }
  return -1;
}

function unpacked(bytes: Uint8Array, length: number, isZstd: boolean): Uint8Array {
  let body = bytes;
  if (isZstd) {
    try {
      body = zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, length) });
    } catch (error) {
      throw new CompressionError(
        "compression.damaged",
        "what follows its header is no zstd frame",
        {
          cause: error,
        },
      );
    }
  }
  if (body.length !== length)
    throw damaged(`${length} bytes are told of, ${body.length} are there`);
  return body;
}

function gather(update: Float32Array, places: Int32Array): Float32Array {
  const values = new Float32Array(places.length);
  for (let at = 0; at < places.length; at++) values[at] = update[places[at] as number] as number;
  return values;
}

/** The values' own bytes where they are in the order of the wire, which is that of every processor we know of. */
function floatBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return IS_LITTLE_ENDIAN ? bytes : swapped(bytes);
}

function floats(bytes: Uint8Array, count: number): Float32Array {
  const values = new Float32Array(count);
  const from = bytes.subarray(0, 4 * count);
  new Uint8Array(values.buffer).set(IS_LITTLE_ENDIAN ? from : swapped(from));
  const wrong = firstNotFinite(values);
  if (wrong !== -1) throw damaged(`value ${wrong} is ${values[wrong]}`);
  return values;
}

/** @returns a copy, each four bytes backwards */
function swapped(bytes: Uint8Array): Uint8Array {
  return bytes.map((_, at) => bytes[at ^ 3] as number);
}

function damaged(what: string): CompressionError {
  return new CompressionError("compression.damaged", `this update can not be unpacked: ${what}`);
}
