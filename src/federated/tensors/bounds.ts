import { TensorError } from "./tensor-error.ts";

/** Longest tensor that anybody asks for, sends or keeps. */
export const TENSOR_BYTES_MAX = 268_435_456;
/** A rest of this length or less comes in the answer itself. */
export const INLINE_BYTES_MAX = 65_536;

const HASH = /^[0-9a-f]{64}$/;

/** @throws TensorError `tensor.invalid` unless the text is a SHA-256 in lower-case hexadecimal digits */
export function checkHash(hash: string): void {
  if (!HASH.test(hash))
    throw new TensorError(
      "tensor.invalid",
      `a tensor's hash has 64 hexadecimal digits in lower case, not "${hash.slice(0, 80)}"`,
    );
}

/** @throws TensorError `tensor.invalid` unless it can be the length of a tensor, in bytes */
export function checkSize(sizeBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1 || sizeBytes > TENSOR_BYTES_MAX)
    throw new TensorError(
      "tensor.invalid",
      `a tensor has 1 to ${TENSOR_BYTES_MAX} bytes, not ${sizeBytes}`,
    );
}

/** @throws TensorError `tensor.invalid` naming the first setting that is no whole number from 1 on */
export function checkSettings(settings: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(settings))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new TensorError("tensor.invalid", `${name}: a whole number from 1 on, not ${value}`);
}
