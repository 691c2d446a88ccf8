import { bytes } from "./math";
import { matmul } from "./matmul";
import { Window } from "./window";

/** `y = x * kernel` without bias. @param patches room for `chunk` patches @param scratch of `matmul` */
export function convolution(
  window: Window,
  samples: i32,
  x: usize,
  kernel: usize,
  y: usize,
  patches: usize,
  scratch: usize,
): void {
  const places = samples * window.outHeight * window.outWidth;
  const size = window.kernelHeight * window.kernelWidth * window.channels;
  const filters = window.filters;
  for (let from: i32 = 0; from < places; from += window.chunk) {
    const count = min(window.chunk, places - from);
    const rows = patchRows(window, x, from, count, patches);
    matmul(false, false, count, filters, size, 1, rows, size, kernel, filters, y + bytes(from * filters), filters, false, scratch);
  }
}

/** `to = factor * (gradient by the kernel)`, or `to += …`. */
export function convolutionKernelGradient(
  window: Window,
  samples: i32,
  x: usize,
  dy: usize,
  factor: f32,
  to: usize,
  accumulate: bool,
  patches: usize,
  scratch: usize,
): void {
  const places = samples * window.outHeight * window.outWidth;
  const size = window.kernelHeight * window.kernelWidth * window.channels;
  const filters = window.filters;
  for (let from: i32 = 0; from < places; from += window.chunk) {
    const count = min(window.chunk, places - from);
    const rows = patchRows(window, x, from, count, patches);
    matmul(true, false, size, filters, count, factor, rows, size, dy + bytes(from * filters), filters, to, filters, accumulate || from > 0, scratch);
  }
}

/** `dx`, the gradient by what came in. */
export function convolutionInputGradient(
  window: Window,
  samples: i32,
  dy: usize,
  kernel: usize,
  dx: usize,
  patches: usize,
  scratch: usize,
): void {
  const places = samples * window.outHeight * window.outWidth;
  const size = window.kernelHeight * window.kernelWidth * window.channels;
  const filters = window.filters;
  const direct = isPointwise(window);
  if (!direct) memory.fill(dx, 0, bytes(samples * window.height * window.width * window.channels));
  for (let from: i32 = 0; from < places; from += window.chunk) {
    const count = min(window.chunk, places - from);
    const rows = direct ? dx + bytes(from * size) : patches;
    matmul(false, true, count, size, filters, 1, dy + bytes(from * filters), filters, kernel, filters, rows, size, false, scratch);
    if (!direct) addPatches(window, dx, from, count, patches);
  }
}

/** A window of one that leaves nothing out: patches are the image itself. */
function isPointwise(window: Window): bool {
  return (
    window.kernelHeight == 1 &&
    window.kernelWidth == 1 &&
    window.strideHeight == 1 &&
    window.strideWidth == 1
  );
}

/** @returns where the patches of `count` places after `from` are: copied, unless the image has them that way already. */
function patchRows(window: Window, x: usize, from: i32, count: i32, patches: usize): usize {
  if (isPointwise(window)) return x + bytes(from * window.channels);
  const channels = window.channels;
  const run = window.kernelWidth * channels;
  let to = patches;
  for (let place = from; place < from + count; place++) {
    const column = (place % window.outWidth) * window.strideWidth - window.left;
    const line = place / window.outWidth;
    const row = (line % window.outHeight) * window.strideHeight - window.top;
    const image = x + bytes((line / window.outHeight) * window.height * window.width * channels);
    const skipped = max(0, -column) * channels;
    const end = min(window.kernelWidth, window.width - column) * channels;
    for (let y = row; y < row + window.kernelHeight; y++) {
      if (y < 0 || y >= window.height || end <= skipped) fillZero(to, run);
      else {
        if (skipped > 0) fillZero(to, skipped);
        copy(image + bytes((y * window.width + column) * channels + skipped), to + bytes(skipped), end - skipped);
        if (end < run) fillZero(to + bytes(end), run - end);
      }
      to += bytes(run);
    }
  }
  return patches;
}

/** The other way: what patches hold is added to where it came from. */
function addPatches(window: Window, dx: usize, from: i32, count: i32, patches: usize): void {
  const channels = window.channels;
  const run = window.kernelWidth * channels;
  let source = patches;
  for (let place = from; place < from + count; place++) {
    const column = (place % window.outWidth) * window.strideWidth - window.left;
    const line = place / window.outWidth;
    const row = (line % window.outHeight) * window.strideHeight - window.top;
    const image = dx + bytes((line / window.outHeight) * window.height * window.width * channels);
    const skipped = max(0, -column) * channels;
    const end = min(window.kernelWidth, window.width - column) * channels;
    for (let y = row; y < row + window.kernelHeight; y++) {
      if (y >= 0 && y < window.height && end > skipped)
        add(source + bytes(skipped), image + bytes((y * window.width + column) * channels + skipped), end - skipped);
      source += bytes(run);
    }
  }
}

@inline
function copy(from: usize, to: usize, length: i32): void {
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) v128.store(to + bytes(at), v128.load(from + bytes(at)));
  for (; at < length; at++) store<f32>(to + bytes(at), load<f32>(from + bytes(at)));
}

@inline
function add(from: usize, to: usize, length: i32): void {
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4)
    v128.store(to + bytes(at), f32x4.add(v128.load(to + bytes(at)), v128.load(from + bytes(at))));
  for (; at < length; at++)
    store<f32>(to + bytes(at), load<f32>(to + bytes(at)) + load<f32>(from + bytes(at)));
}

@inline
function fillZero(to: usize, length: i32): void {
  for (let at: i32 = 0; at < length; at++) store<f32>(to + bytes(at), 0);
}
