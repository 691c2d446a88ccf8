import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { DataError } from "./data-error.ts";
import type { Dataset, LabelledSamples } from "./dataset.ts";

/**
 * How a dataset lies on disk: one zstd frame of a magic line, the length of a header (32 bits, little-endian), the header
 * in JSON, and for training and test samples each the features, then a byte for each class and 16 bits for each group.
 */
const MAGIC = new TextEncoder().encode("agent-mesh-dataset-1\n");
const HEADER_BYTES_MAX = 64 * 1024;
const BODY_BYTES_MAX = 1024 * 1024 * 1024;
const CLASSES_MAX = 256;
const LEVEL = { [constants.ZSTD_c_compressionLevel]: 6 };

/** `byte` stands for a brightness: the feature is a 255th of it. */
export type FeatureForm = "byte" | "float32";

interface Header {
  readonly name: string;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly form: FeatureForm;
  readonly train: number;
  readonly test: number;
  readonly hasGroups: boolean;
}

/** @returns the dataset as it lies on disk, before compression: what a checksum is taken of */
export function encodeDataset(dataset: Dataset, form: FeatureForm): Uint8Array {
  const { name, shape, classes, train, test } = dataset;
  const hasGroups = train.groups !== undefined && test.groups !== undefined;
  const header: Header = {
    name,
    shape,
    classes,
    form,
    train: train.count,
    test: test.count,
    hasGroups,
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, text.length, true);
  const parts = [train, test].flatMap(({ features, targets, groups }) => [
    form === "byte" ? toBytes(features) : littleEndian(features),
    Uint8Array.from(targets),
    ...(hasGroups && groups !== undefined ? [littleEndian(Uint16Array.from(groups))] : []),
  ]);
  return concatenated([MAGIC, length, text, ...parts]);
}

/** @returns a zstd frame of what {@link encodeDataset} gave */
export function compressDataset(encoded: Uint8Array): Uint8Array {
  return zstdCompressSync(encoded, { params: LEVEL });
}

/** @throws DataError `data.format` when it is no zstd frame or too large */
export function decompressDataset(bytes: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: BODY_BYTES_MAX });
  } catch (error) {
    throw new DataError("data.format", `the file of a dataset is damaged: ${String(error)}`, {
      cause: error,
    });
  }
}

/**
 * Reads what {@link encodeDataset} wrote.
 * @param floats where features are to lie, such as memory that threads share
 * @throws DataError `data.format` naming what does not fit
 */
export function decodeDataset(
  bytes: Uint8Array,
  floats: (length: number) => Float32Array = (length) => new Float32Array(length),
): Dataset {
  let at = MAGIC.length;
  if (bytes.length < at + 4 || MAGIC.some((byte, place) => bytes[place] !== byte))
    throw fault("it does not begin as one");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint32(at, true);
  at += 4;
  if (length > HEADER_BYTES_MAX || at + length > bytes.length) throw fault("its header is cut off");
  const header = headerOf(new TextDecoder().decode(bytes.subarray(at, at + length)));
  at += length;
  const size = header.shape.reduce((product, axis) => product * axis, 1);
  const sampleBytes = size * (header.form === "byte" ? 1 : 4) + 1 + (header.hasGroups ? 2 : 0);
  if ((header.train + header.test) * sampleBytes !== bytes.length - at)
    throw fault("its header and its length do not agree");
  const take = (bytesTaken: number): Uint8Array => {
    at += bytesTaken;
    // A copy of its own memory, also of what is a Buffer, whose slice() is none.
    return new Uint8Array(bytes.subarray(at - bytesTaken, at));
  };
  const samples = (count: number): LabelledSamples => {
    const values = count * size;
    const features = floats(values);
    if (header.form === "byte") brighten(features, bytes.subarray(at, (at += values)));
    else features.set(new Float32Array(nativeEndian(take(4 * values), 4).buffer));
    const targets = Int32Array.from(take(count));
    const wrong = targets.find((target) => target >= header.classes);
    if (wrong !== undefined) throw fault(`a sample is of class ${wrong} of ${header.classes}`);
    if (!header.hasGroups) return { count, features, targets };
    const groups = Int32Array.from(new Uint16Array(nativeEndian(take(2 * count), 2).buffer));
    return { count, features, targets, groups };
  };
  const train = samples(header.train);
  const test = samples(header.test);
  return { name: header.name, shape: header.shape, classes: header.classes, train, test };
}

/** @returns bytes as numbers from 0 to 1; a loop, since `from()` takes ten times as long */
export function brightness(bytes: Uint8Array): Float32Array {
  const features = new Float32Array(bytes.length);
  brighten(features, bytes);
  return features;
}

function brighten(features: Float32Array, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at++) features[at] = (bytes[at] as number) / 255;
}

function toBytes(features: Float32Array): Uint8Array {
  const bytes = new Uint8Array(features.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Math.round((features[at] as number) * 255);
  return bytes;
}

function headerOf(text: string): Header {
  let header: Partial<Header>;
  try {
    header = JSON.parse(text) as Partial<Header>;
  } catch {
    throw fault("its header is no JSON");
  }
  const { name, shape, classes = 0, form, train = 0, test = 0, hasGroups } = header;
  const sizes = [train, test, classes, ...(Array.isArray(shape) ? shape : [0])];
  if (
    typeof name !== "string" ||
    !Array.isArray(shape) ||
    shape.length > 4 ||
    !sizes.every((value) => Number.isSafeInteger(value) && value > 0) ||
    classes > CLASSES_MAX ||
    (form !== "byte" && form !== "float32") ||
    typeof hasGroups !== "boolean"
  )
    throw fault("its header says what can not be");
  return { name, shape, classes, form, train, test, hasGroups };
}

function littleEndian(values: Float32Array | Uint16Array): Uint8Array {
  return nativeEndian(
    new Uint8Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength)),
    values.BYTES_PER_ELEMENT,
  );
}

/** Turns the bytes of each value round where this machine writes the large end first; it is its own inverse. */
function nativeEndian(bytes: Uint8Array, valueBytes: number): Uint8Array {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return bytes;
  for (let at = 0; at < bytes.length; at += valueBytes)
    bytes.subarray(at, at + valueBytes).reverse();
  return bytes;
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function fault(what: string): DataError {
  return new DataError("data.format", `the file of a dataset is damaged: ${what}`);
}
