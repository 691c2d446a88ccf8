import { bytes } from "./math";
import { Window } from "./window";

/** The largest value under each window, first among equals, NaN where one is; windows lie inside the image. @param places int32: where in `x` each came from */
export function maxPool(window: Window, samples: i32, x: usize, y: usize, places: usize): void {
  const channels = window.channels;
  for (let line: i32 = 0; line < samples * window.outHeight; line++) {
    const image = (line / window.outHeight) * window.height;
    const row = image + (line % window.outHeight) * window.strideHeight;
    for (let place: i32 = 0; place < window.outWidth; place++) {
      const corner = (row * window.width + place * window.strideWidth) * channels;
      for (let channel: i32 = 0; channel < channels; channel++) {
        let best = corner + channel;
        let most = load<f32>(x + bytes(best));
        for (let ky: i32 = 0; ky < window.kernelHeight; ky++)
          for (let kx: i32 = 0; kx < window.kernelWidth; kx++) {
            const at = corner + (ky * window.width + kx) * channels + channel;
            const value = load<f32>(x + bytes(at));
            if (value > most || value != value) {
              most = value;
              best = at;
            }
          }
        store<f32>(y, most);
        store<i32>(places, best);
        y += 4;
        places += 4;
      }
    }
  }
}

/** @param length of `x`; @param count of windows times channels */
export function maxPoolGradient(dy: usize, places: usize, count: i32, dx: usize, length: i32): void {
  memory.fill(dx, 0, bytes(length));
  for (let at: i32 = 0; at < count; at++) {
    const to = dx + bytes(load<i32>(places + bytes(at)));
    store<f32>(to, load<f32>(to) + load<f32>(dy + bytes(at)));
  }
}

/** The mean under each window. */
export function averagePool(window: Window, samples: i32, x: usize, y: usize): void {
  const channels = window.channels;
  const share = <f32>1 / <f32>(window.kernelHeight * window.kernelWidth);
  for (let line: i32 = 0; line < samples * window.outHeight; line++) {
    const image = (line / window.outHeight) * window.height;
    const row = image + (line % window.outHeight) * window.strideHeight;
    for (let place: i32 = 0; place < window.outWidth; place++) {
      const corner = x + bytes((row * window.width + place * window.strideWidth) * channels);
      for (let channel: i32 = 0; channel < channels; channel++) {
        let sum: f32 = 0;
        for (let ky: i32 = 0; ky < window.kernelHeight; ky++)
          for (let kx: i32 = 0; kx < window.kernelWidth; kx++)
            sum += load<f32>(corner + bytes((ky * window.width + kx) * channels + channel));
        store<f32>(y, share * sum);
        y += 4;
      }
    }
  }
}

export function averagePoolGradient(window: Window, samples: i32, dy: usize, dx: usize): void {
  const channels = window.channels;
  const share = <f32>1 / <f32>(window.kernelHeight * window.kernelWidth);
  memory.fill(dx, 0, bytes(samples * window.height * window.width * channels));
  for (let line: i32 = 0; line < samples * window.outHeight; line++) {
    const image = (line / window.outHeight) * window.height;
    const row = image + (line % window.outHeight) * window.strideHeight;
    for (let place: i32 = 0; place < window.outWidth; place++) {
      const corner = dx + bytes((row * window.width + place * window.strideWidth) * channels);
      for (let channel: i32 = 0; channel < channels; channel++) {
        const slope = share * load<f32>(dy);
        for (let ky: i32 = 0; ky < window.kernelHeight; ky++)
          for (let kx: i32 = 0; kx < window.kernelWidth; kx++) {
            const to = corner + bytes((ky * window.width + kx) * channels + channel);
            store<f32>(to, load<f32>(to) + slope);
          }
        dy += 4;
      }
    }
  }
}
