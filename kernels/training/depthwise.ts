import { bytes } from "./math";
import { Window } from "./window";

/** Each channel with a kernel of its own: `y = x * kernel` without bias. */
export function depthwise(window: Window, samples: i32, x: usize, kernel: usize, y: usize): void {
  const channels = window.channels;
  let to = y;
  for (let line: i32 = 0; line < samples * window.outHeight; line++) {
    const image = x + bytes((line / window.outHeight) * window.height * window.width * channels);
    const row = (line % window.outHeight) * window.strideHeight - window.top;
    const first = max(0, -row);
    const last = min(window.kernelHeight, window.height - row);
    for (let place: i32 = 0; place < window.outWidth; place++) {
      const column = place * window.strideWidth - window.left;
      const begin = max(0, -column);
      const end = min(window.kernelWidth, window.width - column);
      for (let channel: i32 = 0; channel < channels; channel += 4) {
        const whole = channel + 4 <= channels;
        let sum = f32x4.splat(0);
        for (let ky = first; ky < last; ky++)
          for (let kx = begin; kx < end; kx++) {
            const from = image + bytes(((row + ky) * window.width + column + kx) * channels + channel);
            const factor = kernel + bytes((ky * window.kernelWidth + kx) * channels + channel);
            if (whole) sum = f32x4.relaxed_madd(v128.load(from), v128.load(factor), sum);
            else sum = f32x4.relaxed_madd(some(from, channels - channel), some(factor, channels - channel), sum);
          }
        if (whole) v128.store(to + bytes(channel), sum);
        else putSome(to + bytes(channel), sum, channels - channel);
      }
      to += bytes(channels);
    }
  }
}

/** `to = factor * (gradient by the kernel)`, or `to += …`. One image is summed in float32. */
export function depthwiseKernelGradient(
  window: Window,
  samples: i32,
  x: usize,
  dy: usize,
  factor: f32,
  to: usize,
  accumulate: bool,
): void {
  const channels = window.channels;
  if (!accumulate) memory.fill(to, 0, bytes(window.kernelHeight * window.kernelWidth * channels));
  for (let sample: i32 = 0; sample < samples; sample++) {
    const image = x + bytes(sample * window.height * window.width * channels);
    const slopes = dy + bytes(sample * window.outHeight * window.outWidth * channels);
    for (let ky: i32 = 0; ky < window.kernelHeight; ky++)
      for (let kx: i32 = 0; kx < window.kernelWidth; kx++)
        for (let channel: i32 = 0; channel < channels; channel += 4) {
          const whole = channel + 4 <= channels;
          let sum = f32x4.splat(0);
          for (let line: i32 = 0; line < window.outHeight; line++) {
            const row = line * window.strideHeight - window.top + ky;
            if (row < 0 || row >= window.height) continue;
            for (let place: i32 = 0; place < window.outWidth; place++) {
              const column = place * window.strideWidth - window.left + kx;
              if (column < 0 || column >= window.width) continue;
              const from = image + bytes((row * window.width + column) * channels + channel);
              const slope = slopes + bytes((line * window.outWidth + place) * channels + channel);
              if (whole) sum = f32x4.relaxed_madd(v128.load(from), v128.load(slope), sum);
              else sum = f32x4.relaxed_madd(some(from, channels - channel), some(slope, channels - channel), sum);
            }
          }
          const target = to + bytes((ky * window.kernelWidth + kx) * channels + channel);
          const scaled = f32x4.mul(f32x4.splat(factor), sum);
          if (whole) v128.store(target, f32x4.add(v128.load(target), scaled));
          else putSome(target, f32x4.add(some(target, channels - channel), scaled), channels - channel);
        }
  }
}

/** `dx`, the gradient by what came in. */
export function depthwiseInputGradient(
  window: Window,
  samples: i32,
  dy: usize,
  kernel: usize,
  dx: usize,
): void {
  const channels = window.channels;
  memory.fill(dx, 0, bytes(samples * window.height * window.width * channels));
  let slope = dy;
  for (let line: i32 = 0; line < samples * window.outHeight; line++) {
    const image = dx + bytes((line / window.outHeight) * window.height * window.width * channels);
    const row = (line % window.outHeight) * window.strideHeight - window.top;
    const first = max(0, -row);
    const last = min(window.kernelHeight, window.height - row);
    for (let place: i32 = 0; place < window.outWidth; place++) {
      const column = place * window.strideWidth - window.left;
      const begin = max(0, -column);
      const end = min(window.kernelWidth, window.width - column);
      for (let ky = first; ky < last; ky++)
        for (let kx = begin; kx < end; kx++) {
          const to = image + bytes(((row + ky) * window.width + column + kx) * channels);
          const factor = kernel + bytes((ky * window.kernelWidth + kx) * channels);
          let channel: i32 = 0;
          for (; channel + 4 <= channels; channel += 4) {
            const at = bytes(channel);
            v128.store(to + at, f32x4.relaxed_madd(v128.load(slope + at), v128.load(factor + at), v128.load(to + at)));
          }
          for (; channel < channels; channel++) {
            const at = bytes(channel);
            store<f32>(to + at, load<f32>(to + at) + load<f32>(slope + at) * load<f32>(factor + at));
          }
        }
      slope += bytes(channels);
    }
  }
}

/** One to three values, zeros behind them: a vector would reach beyond the last. */
@inline
function some(from: usize, count: i32): v128 {
  const one = v128.load32_zero(from);
  if (count == 1) return one;
  const two = v128.load64_zero(from);
  if (count == 2) return two;
  return f32x4.replace_lane(two, 2, load<f32>(from, 8));
}

@inline
function putSome(to: usize, values: v128, count: i32): void {
  store<f32>(to, f32x4.extract_lane(values, 0));
  if (count > 1) store<f32>(to, f32x4.extract_lane(values, 1), 4);
  if (count > 2) store<f32>(to, f32x4.extract_lane(values, 2), 8);
}
