import * as fc from "fast-check";
import t from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { bindTrainingKernels } from "../../src/platform/simd/training-kernels.ts";
import { type WasmMemory, webAssembly } from "../../src/platform/simd/webassembly.ts";
import { mix } from "../../src/platform/training-dropout.ts";
import { type Window, windowFields } from "../../src/platform/training-kernels.ts";

const memory: WasmMemory = new webAssembly.Memory({ initial: 64, maximum: 64 });
const kernels = bindTrainingKernels(memory);
const floats = new Float32Array(memory.buffer);
const integers = new Int32Array(memory.buffer);
/** What lies around a tensor: no kernel may write there. */
const GUARD = 12345.5;
const RELATIVE = 1e-5;

let end = 0;
let draws = new SeededRandom(0);

/** All room is free again. */
function begin(seed: number): void {
  draws = new SeededRandom(seed);
  end = 256;
}

/** Room for so many values with guards around; not at the beginning of a vector. @returns its address */
function room(length: number): number {
  const at = end + 5;
  floats.fill(GUARD, end, at + length + 5);
  end = at + length + 5;
  return 4 * at;
}

/** A room with values within `size` of zero. */
function put(length: number, size = 1): { at: number; values: Float32Array } {
  const at = room(length);
  const values = Float32Array.from({ length }, () => size * (2 * draws.next() - 1));
  floats.set(values, at / 4);
  return { at, values };
}

const scratch = (): number => room(kernels.matmulScratchBytes() / 4);

/** The place of what is compared, its values, and guards left and right of it. */
function check(name: string, at: number, wanted: ArrayLike<number>, terms = 1): void {
  const first = at / 4;
  // Sums of terms of about one: their rounding grows with the largest partial sum.
  for (let each = 0; each < wanted.length; each++) {
    const [found, right] = [floats[first + each] ?? Number.NaN, wanted[each] ?? Number.NaN];
    const allowed = RELATIVE * Math.max(Math.abs(right), Math.sqrt(terms) / 4);
    if (!(Math.abs(found - right) <= allowed))
      throw new Error(`${name}: value ${each} is ${found}, not ${right}`);
  }
  for (const guard of [first - 1, first + wanted.length])
    if (floats[guard] !== GUARD) throw new Error(`${name}: wrote beside its result`);
}

const size = fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17, 23, 31, 37);
const seed = fc.nat();
const holds = (property: fc.IRawProperty<unknown>, numRuns = 60): void => {
  // A failure names its seed and path.
  void fc.assert(property, { numRuns });
};

t.test("matmul, transposed or not, with wide rows, added or not", async () => {
  const depth = fc.constantFrom(0, 1, 3, 7, 17, 61, 255, 256, 257, 300);
  holds(
    fc.property(
      seed,
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      fc.tuple(fc.oneof(size, fc.constantFrom(97, 131, 193)), size, depth),
      fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)),
      fc.constantFrom(1, -0.5),
      (seed, [ta, tb, adds], [m, n, k], [moreA, moreB, moreC], alpha) => {
        begin(seed);
        const [aw, bw, cw] = [(ta ? m : k) + moreA, (tb ? k : n) + moreB, n + moreC];
        const a = put((ta ? k : m) * aw);
        const b = put((tb ? n : k) * bw);
        const c = put(m * cw);
        kernels.matmul(ta, tb, m, n, k, alpha, a.at, aw, b.at, bw, c.at, cw, adds, scratch());
        const wanted = [...c.values];
        for (let row = 0; row < m; row++)
          for (let column = 0; column < n; column++) {
            let sum = 0;
            for (let step = 0; step < k; step++) {
              const left = a.values[ta ? step * aw + row : row * aw + step] ?? 0;
              sum += left * (b.values[tb ? column * bw + step : step * bw + column] ?? 0);
            }
            const at = row * cw + column;
            wanted[at] = alpha * sum + (adds ? (wanted[at] ?? 0) : 0);
          }
        check("matmul", c.at, wanted, k);
      },
    ),
  );
});

t.test("vectors: axpy, scale, dot, column sums, finite or not", async (t) => {
  holds(
    fc.property(seed, size, size, fc.boolean(), (seed, rows, columns, adds) => {
      begin(seed);
      const length = rows * columns;
      const [x, y, sums] = [put(length), put(length), put(columns)];
      const dot = kernels.dot(x.at, y.at, length);
      const wantedDot = x.values.reduce((sum, each, at) => sum + each * (y.values[at] ?? 0), 0);
      if (Math.abs(dot - wantedDot) > 1e-9) throw new Error(`dot: ${dot}, not ${wantedDot}`);
      kernels.axpy(0.3, x.at, y.at, length);
      check(
        "axpy",
        y.at,
        [...y.values].map((each, at) => each + 0.3 * (x.values[at] ?? 0)),
      );
      kernels.columnSums(x.at, rows, columns, -2, sums.at, adds);
      const wanted = [...sums.values].map((before, column) => {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += x.values[row * columns + column] ?? 0;
        return -2 * sum + (adds ? before : 0);
      });
      check("columnSums", sums.at, wanted, rows);
      kernels.scale(-1.5, x.at, length);
      check(
        "scale",
        x.at,
        [...x.values].map((each) => -1.5 * each),
      );
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        if (kernels.allFinite(x.at, length) !== 1) throw new Error("allFinite: all are");
        const at = x.at / 4 + Math.floor(draws.next() * length);
        const before = floats[at] ?? 0;
        floats[at] = bad;
        if (kernels.allFinite(x.at, length) !== 0) throw new Error(`allFinite: one is ${bad}`);
        floats[at] = before;
      }
    }),
  );
  t.pass();
});

const activations = [
  (x: number) => x,
  (x: number) => Math.max(x, 0),
  (x: number) => 1 / (1 + Math.exp(-x)),
  (x: number) => Math.tanh(x),
];
const slopes = [
  () => 1,
  (y: number) => (y > 0 ? 1 : 0),
  (y: number) => y * (1 - y),
  (y: number) => 1 - y * y,
];

t.test("activations and their gradients, near zero and far from it", async (t) => {
  holds(
    fc.property(
      seed,
      fc.nat(3),
      size,
      size,
      fc.constantFrom(1e-6, 0.1, 1, 8, 100),
      (seed, kind, rows, columns, range) => {
        begin(seed);
        const [x, bias, dy] = [
          put(rows * columns, range),
          put(columns, range),
          put(rows * columns),
        ];
        kernels.biasActivation(kind, x.at, bias.at, rows, columns);
        const y = [...x.values].map((each, at) =>
          activations[kind]?.(Math.fround(each + (bias.values[at % columns] ?? 0))),
        ) as number[];
        for (const [at, wanted] of y.entries()) {
          const found = floats[x.at / 4 + at] ?? Number.NaN;
          if (!(Math.abs(found - wanted) <= RELATIVE * Math.abs(wanted) + 1e-35))
            throw new Error(`activation ${kind}: ${found}, not ${wanted}`);
        }
        const exact = floats.slice(x.at / 4, x.at / 4 + y.length);
        kernels.activationGradient(kind, x.at, dy.at, rows * columns);
        const wanted = [...dy.values].map(
          (each, at) => each * (slopes[kind]?.(exact[at] ?? 0) ?? 0),
        );
        check("activationGradient", dy.at, wanted);
      },
    ),
    120,
  );
  begin(1);
  const odd = put(3);
  floats.set([Number.NaN, 1e30, -1e30], odd.at / 4);
  const zeros = put(3, 0);
  for (const kind of [0, 1, 2, 3]) {
    floats.set([Number.NaN, 1e30, -1e30], odd.at / 4);
    kernels.biasActivation(kind, odd.at, zeros.at, 1, 3);
    t.ok(Number.isNaN(floats[odd.at / 4]), "NaN stays NaN");
    t.ok(Number.isFinite(floats[odd.at / 4 + 1]) && Number.isFinite(floats[odd.at / 4 + 2]));
  }
});

t.test("softmax and losses with their gradients", async () => {
  holds(
    fc.property(seed, size, size, fc.constantFrom(0.1, 3, 60), (seed, rows, columns, range) => {
      begin(seed);
      const length = rows * columns;
      const [x, dy, to, targets] = [put(length, range), put(length), put(length), put(length)];
      const labels = room(rows);
      const classes = Array.from({ length: rows }, () => Math.floor(draws.next() * columns));
      integers.set(classes, labels / 4);
      const row = (values: ArrayLike<number>, at: number) =>
        Array.from({ length: columns }, (_, column) => values[at * columns + column] ?? 0);
      const shares = Array.from({ length: rows }, (_, at) => {
        const own = row(x.values, at);
        const powers = own.map((each) => Math.exp(each - Math.max(...own)));
        const sum = powers.reduce((sum, each) => sum + each, 0);
        return powers.map((each) => each / sum);
      });
      const near = (name: string, found: number, wanted: number): void => {
        if (!(Math.abs(found - wanted) <= RELATIVE * (1 + Math.abs(wanted))))
          throw new Error(`${name}: ${found}, not ${wanted}`);
      };
      const entropy = classes.reduce((sum, label, at) => {
        const own = row(x.values, at);
        const most = Math.max(...own);
        const total = own.reduce((total, each) => total + Math.exp(each - most), 0);
        return sum + Math.log(total) + most - (own[label] ?? 0);
      }, 0);
      near(
        "entropy",
        kernels.softmaxCrossEntropy(x.at, labels, rows, columns, 0.5, to.at),
        entropy,
      );
      const wanted = shares.flatMap((own, at) =>
        own.map((share, column) => 0.5 * (share - (column === classes[at] ? 1 : 0))),
      );
      check("entropy's gradient", to.at, wanted);
      const hits = classes.filter((label, at) => {
        const own = row(x.values, at);
        return own.indexOf(Math.max(...own)) === label;
      }).length;
      near("hits", kernels.hits(x.at, labels, rows, columns), hits);

      const sigmoid = [...x.values].reduce(
        (sum, each, at) =>
          sum +
          Math.max(each, 0) -
          each * (targets.values[at] ?? 0) +
          Math.log1p(Math.exp(-Math.abs(each))),
        0,
      );
      near("sigmoid", kernels.sigmoidCrossEntropy(x.at, targets.at, length, 0.5, to.at), sigmoid);
      const pull = [...x.values].map(
        (each, at) => 0.5 * (1 / (1 + Math.exp(-each)) - (targets.values[at] ?? 0)),
      );
      check("sigmoid's gradient", to.at, pull);
      const squares = [...x.values].reduce(
        (sum, each, at) => sum + (each - (targets.values[at] ?? 0)) ** 2,
        0,
      );
      near("squares", kernels.squaredError(x.at, targets.at, length, 0.5, to.at), squares);
      check(
        "squares' gradient",
        to.at,
        [...x.values].map((each, at) => each - (targets.values[at] ?? 0)),
      );

      kernels.softmax(x.at, rows, columns);
      check("softmax", x.at, shares.flat());
      kernels.softmaxGradient(x.at, dy.at, rows, columns);
      const back = shares.flatMap((own, at) => {
        const slopes = row(dy.values, at);
        const sum = own.reduce((sum, share, column) => sum + share * (slopes[column] ?? 0), 0);
        return own.map((share, column) => share * ((slopes[column] ?? 0) - sum));
      });
      check("softmax' gradient", dy.at, back);
    }),
  );
});

/** Calls back for each value that a window looks at: where in the image, which place, where in the kernel. */
function walk(
  window: Window,
  samples: number,
  visit: (pixel: number, place: number, tap: number) => void,
): void {
  const { height, width, outHeight, outWidth } = window;
  for (let sample = 0; sample < samples; sample++)
    for (let line = 0; line < outHeight; line++)
      for (let column = 0; column < outWidth; column++)
        for (let ky = 0; ky < window.kernelHeight; ky++)
          for (let kx = 0; kx < window.kernelWidth; kx++) {
            const y = line * window.strideHeight - window.top + ky;
            const x = column * window.strideWidth - window.left + kx;
            if (y < 0 || y >= height || x < 0 || x >= width) continue;
            const place = (sample * outHeight + line) * outWidth + column;
            visit((sample * height + y) * width + x, place, ky * window.kernelWidth + kx);
          }
}

const windowOf = fc
  .record({
    height: fc.constantFrom(1, 3, 5, 7, 11),
    width: fc.constantFrom(1, 3, 5, 7, 11, 17),
    channels: fc.constantFrom(1, 2, 3, 4, 5, 7, 8),
    kernelHeight: fc.constantFrom(1, 2, 3, 5),
    kernelWidth: fc.constantFrom(1, 2, 3, 5),
    strideHeight: fc.constantFrom(1, 2, 3),
    strideWidth: fc.constantFrom(1, 2, 3),
    top: fc.nat(2),
    left: fc.nat(2),
    filters: fc.constantFrom(1, 3, 5, 8, 13),
    chunk: fc.constantFrom(1, 2, 7, 1_000),
  })
  .map((window) => ({
    ...window,
    top: Math.min(window.top, window.kernelHeight - 1),
    left: Math.min(window.left, window.kernelWidth - 1),
    outHeight: Math.ceil(window.height / window.strideHeight),
    outWidth: Math.ceil(window.width / window.strideWidth),
  }));

function putWindow(window: Window): number {
  const at = room(windowFields.length);
  integers.set(
    windowFields.map((field) => window[field]),
    at / 4,
  );
  return at;
}

t.test("convolution and both gradients", async () => {
  holds(
    fc.property(
      seed,
      fc.constantFrom(1, 2, 3),
      windowOf,
      fc.boolean(),
      (seed, samples, window, adds) => {
        begin(seed);
        const { channels, filters, height, width } = window;
        const taps = window.kernelHeight * window.kernelWidth;
        const places = samples * window.outHeight * window.outWidth;
        const [x, kernel, dy] = [
          put(samples * height * width * channels),
          put(taps * channels * filters),
          put(places * filters),
        ];
        const [y, dx, dKernel] = [
          room(places * filters),
          room(x.values.length),
          put(kernel.values.length),
        ];
        const [where, spare] = [putWindow(window), scratch()];
        const patches = room(Math.min(window.chunk, places) * taps * channels);
        kernels.convolution(where, samples, x.at, kernel.at, y, patches, spare);
        kernels.convolutionInputGradient(where, samples, dy.at, kernel.at, dx, patches, spare);
        kernels.convolutionKernelGradient(
          where,
          samples,
          x.at,
          dy.at,
          0.5,
          dKernel.at,
          adds,
          patches,
          spare,
        );
        const wantedY = new Float64Array(places * filters);
        const wantedDx = new Float64Array(x.values.length);
        const wantedKernel = Float64Array.from(dKernel.values, (each) => (adds ? each : 0));
        walk(window, samples, (pixel, place, tap) => {
          for (let channel = 0; channel < channels; channel++)
            for (let filter = 0; filter < filters; filter++) {
              const [from, to] = [pixel * channels + channel, place * filters + filter];
              const weight = (tap * channels + channel) * filters + filter;
              wantedY[to] =
                (wantedY[to] ?? 0) + (x.values[from] ?? 0) * (kernel.values[weight] ?? 0);
              wantedDx[from] =
                (wantedDx[from] ?? 0) + (dy.values[to] ?? 0) * (kernel.values[weight] ?? 0);
              wantedKernel[weight] =
                (wantedKernel[weight] ?? 0) + 0.5 * (x.values[from] ?? 0) * (dy.values[to] ?? 0);
            }
        });
        check("convolution", y, wantedY, taps * channels);
        check("by the input", dx, wantedDx, taps * filters);
        check("by the kernel", dKernel.at, wantedKernel, places);
      },
    ),
    100,
  );
});

t.test("depthwise convolution and both gradients", async () => {
  holds(
    fc.property(
      seed,
      fc.constantFrom(1, 2, 3),
      windowOf,
      fc.boolean(),
      (seed, samples, window, adds) => {
        begin(seed);
        const { channels, height, width } = window;
        const taps = window.kernelHeight * window.kernelWidth;
        const places = samples * window.outHeight * window.outWidth;
        const [x, kernel, dy] = [
          put(samples * height * width * channels),
          put(taps * channels),
          put(places * channels),
        ];
        const [y, dx, dKernel] = [
          room(places * channels),
          room(x.values.length),
          put(taps * channels),
        ];
        const where = putWindow(window);
        kernels.depthwise(where, samples, x.at, kernel.at, y);
        kernels.depthwiseInputGradient(where, samples, dy.at, kernel.at, dx);
        kernels.depthwiseKernelGradient(where, samples, x.at, dy.at, 0.5, dKernel.at, adds);
        const wantedY = new Float64Array(places * channels);
        const wantedDx = new Float64Array(x.values.length);
        const wantedKernel = Float64Array.from(dKernel.values, (each) => (adds ? each : 0));
        walk(window, samples, (pixel, place, tap) => {
          for (let channel = 0; channel < channels; channel++) {
            const [from, to, weight] = [pixel, place, tap].map(
              (each) => each * channels + channel,
            ) as [number, number, number];
            wantedY[to] = (wantedY[to] ?? 0) + (x.values[from] ?? 0) * (kernel.values[weight] ?? 0);
            wantedDx[from] =
              (wantedDx[from] ?? 0) + (dy.values[to] ?? 0) * (kernel.values[weight] ?? 0);
            wantedKernel[weight] =
              (wantedKernel[weight] ?? 0) + 0.5 * (x.values[from] ?? 0) * (dy.values[to] ?? 0);
          }
        });
        check("depthwise", y, wantedY, taps);
        check("by the input", dx, wantedDx, taps);
        check("by the kernel", dKernel.at, wantedKernel, places);
      },
    ),
    100,
  );
});

t.test("pools and their gradients", async () => {
  holds(
    fc.property(seed, fc.constantFrom(1, 3), windowOf, (seed, samples, drawn) => {
      begin(seed);
      const kernelHeight = Math.min(drawn.kernelHeight, drawn.height);
      const kernelWidth = Math.min(drawn.kernelWidth, drawn.width);
      const window: Window = {
        ...drawn,
        kernelHeight,
        kernelWidth,
        strideHeight: kernelHeight,
        strideWidth: kernelWidth,
        top: 0,
        left: 0,
        outHeight: Math.floor(drawn.height / kernelHeight),
        outWidth: Math.floor(drawn.width / kernelWidth),
      };
      const { channels } = window;
      const count = samples * window.outHeight * window.outWidth * channels;
      const [x, dy] = [put(samples * window.height * window.width * channels), put(count)];
      const length = x.values.length;
      const [y, places, dx] = [room(count), room(count), room(length)];
      const where = putWindow(window);
      const best = new Int32Array(count).fill(-1);
      const mean = new Float64Array(count);
      const meanDx = new Float64Array(length);
      const share = 1 / (kernelHeight * kernelWidth);
      walk(window, samples, (pixel, place) => {
        for (let channel = 0; channel < channels; channel++) {
          const [from, to] = [pixel * channels + channel, place * channels + channel];
          const value = x.values[from] ?? 0;
          const before = best[to] ?? -1;
          if (before < 0 || value > (x.values[before] ?? 0)) best[to] = from;
          mean[to] = (mean[to] ?? 0) + share * value;
          meanDx[from] = share * (dy.values[to] ?? 0);
        }
      });
      kernels.maxPool(where, samples, x.at, y, places);
      check(
        "maxPool",
        y,
        Array.from(best, (from) => x.values[from] ?? 0),
      );
      kernels.maxPoolGradient(dy.at, places, count, dx, length);
      const maxDx = new Float64Array(length);
      for (const [at, from] of best.entries()) maxDx[from] = dy.values[at] ?? 0;
      check("maxPool's gradient", dx, maxDx);
      kernels.averagePool(where, samples, x.at, y);
      check("averagePool", y, mean, 1 / share);
      kernels.averagePoolGradient(where, samples, dy.at, dx);
      check("averagePool's gradient", dx, meanDx);
    }),
  );
});

t.test("one step of descent, dropout, rows of a table", async () => {
  holds(
    fc.property(
      seed,
      size,
      size,
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      (seed, rows, columns, has) => {
        begin(seed);
        const length = rows * columns;
        const [w, g, anchor, correction, velocity] = [
          put(length),
          put(length),
          put(length),
          put(length),
          put(length),
        ];
        const [hasAnchor, hasCorrection, hasVelocity] = has;
        kernels.sgd(
          w.at,
          g.at,
          length,
          0.1,
          0.5,
          0.01,
          0.3,
          hasAnchor ? anchor.at : 0,
          hasCorrection ? correction.at : 0,
          0.9,
          hasVelocity ? velocity.at : 0,
        );
        const moved = [...w.values].map((weight, at) => {
          let slope = 0.5 * (g.values[at] ?? 0) + 0.01 * weight;
          if (hasAnchor) slope += 0.3 * (weight - (anchor.values[at] ?? 0));
          if (hasCorrection) slope += correction.values[at] ?? 0;
          if (hasVelocity) slope += 0.9 * (velocity.values[at] ?? 0);
          return slope;
        });
        check(
          "sgd",
          w.at,
          moved.map((slope, at) => (w.values[at] ?? 0) - 0.1 * slope),
        );
        check("velocity", velocity.at, hasVelocity ? moved : velocity.values);

        const out = room(length);
        kernels.dropout(g.at, out, length, seed | 0, 2 ** 23, 2);
        const kept = [...g.values].map((each, at) =>
          mix((seed + Math.imul(at, 0x9e3779b1)) | 0) >>> 8 < 2 ** 23 ? 0 : 2 * each,
        );
        check("dropout", out, kept);

        const ids = room(rows);
        const drawn = Array.from({ length: rows }, () => Math.floor(draws.next() * 3));
        floats.set(drawn, ids / 4);
        const table = put(3 * columns);
        const picked = room(length);
        kernels.gather(ids, table.at, rows, columns, picked);
        check(
          "gather",
          picked,
          drawn.flatMap((id) => [...table.values.subarray(id * columns, (id + 1) * columns)]),
        );
        kernels.scatterAdd(ids, anchor.at, rows, columns, -0.5, table.at);
        const added = [...table.values];
        for (const [row, id] of drawn.entries())
          for (let column = 0; column < columns; column++)
            added[id * columns + column] =
              (added[id * columns + column] ?? 0) -
              0.5 * (anchor.values[row * columns + column] ?? 0);
        check("scatterAdd", table.at, added, rows);
      },
    ),
  );
});

t.test("normalization: moments, outputs, gradients", async () => {
  holds(
    fc.property(seed, size, size, (seed, rows, columns) => {
      begin(seed);
      const length = rows * columns;
      const [x, dy, gamma, beta] = [put(length), put(length), put(columns), put(columns)];
      const [mean, variance, y, dGamma, dBeta, dx] = [
        room(columns),
        room(columns),
        room(length),
        room(columns),
        room(columns),
        room(length),
      ];
      const epsilon = 0.01;
      kernels.moments(x.at, rows, columns, mean, variance);
      kernels.normalize(x.at, rows, columns, mean, variance, epsilon, gamma.at, beta.at, y);
      kernels.normalizeGradient(
        x.at,
        rows,
        columns,
        mean,
        variance,
        epsilon,
        gamma.at,
        dy.at,
        dGamma,
        dBeta,
        dx,
      );
      const wanted = { mean: [], variance: [], dGamma: [], dBeta: [] } as Record<string, number[]>;
      const [wantedY, wantedDx] = [new Float64Array(length), new Float64Array(length)];
      for (let column = 0; column < columns; column++) {
        const at = (row: number) => row * columns + column;
        const own = Array.from({ length: rows }, (_, row) => x.values[at(row)] ?? 0);
        const slopes = Array.from({ length: rows }, (_, row) => dy.values[at(row)] ?? 0);
        const middle = own.reduce((sum, each) => sum + each, 0) / rows;
        const spread = own.reduce((sum, each) => sum + (each - middle) ** 2, 0) / rows;
        const normal = own.map((each) => (each - middle) / Math.sqrt(spread + epsilon));
        const shift = slopes.reduce((sum, each) => sum + each, 0);
        const stretch = slopes.reduce((sum, each, row) => sum + each * (normal[row] ?? 0), 0);
        wanted["mean"]?.push(middle);
        wanted["variance"]?.push(spread);
        wanted["dBeta"]?.push(shift);
        wanted["dGamma"]?.push(stretch);
        const factor = (gamma.values[column] ?? 0) / Math.sqrt(spread + epsilon);
        for (let row = 0; row < rows; row++) {
          wantedY[at(row)] =
            (normal[row] ?? 0) * (gamma.values[column] ?? 0) + (beta.values[column] ?? 0);
          wantedDx[at(row)] =
            factor * ((slopes[row] ?? 0) - (shift + (normal[row] ?? 0) * stretch) / rows);
        }
      }
      check("mean", mean, wanted["mean"] ?? []);
      check("variance", variance, wanted["variance"] ?? []);
      check("normalize", y, wantedY);
      check("by gamma", dGamma, wanted["dGamma"] ?? [], rows);
      check("by beta", dBeta, wanted["dBeta"] ?? [], rows);
      check("by the input", dx, wantedDx, 10);
    }),
  );
});

const gate = (x: number): number => 1 / (1 + Math.exp(-x));

t.test("one step of LSTM and GRU, forward", async () => {
  holds(
    fc.property(
      seed,
      size,
      size,
      fc.boolean(),
      fc.constantFrom(1, 3),
      (seed, samples, units, isFirst, steps) => {
        begin(seed);
        const stride = steps * units;
        const [lstm, gru] = [put(samples * steps * 4 * units), put(samples * steps * 3 * units)];
        const before = put(samples * stride);
        const [cells, outputs, reset] = [
          put(samples * stride),
          put(samples * stride),
          put(samples * stride),
        ];
        const last = isFirst ? 0 : before.at;
        kernels.lstmStep(samples, units, lstm.at, 4 * stride, last, cells.at, outputs.at, stride);
        const [wantedCells, wantedOutputs] = [[...cells.values], [...outputs.values]];
        const state = (at: number): number => (isFirst ? 0 : (before.values[at] ?? 0));
        for (let sample = 0; sample < samples; sample++)
          for (let unit = 0; unit < units; unit++) {
            const [i, f, c, o] = [0, 1, 2, 3].map(
              (part) => lstm.values[sample * 4 * stride + part * units + unit] ?? 0,
            ) as [number, number, number, number];
            const at = sample * stride + unit;
            const cell = gate(f) * state(at) + gate(i) * Math.tanh(c);
            wantedCells[at] = cell;
            wantedOutputs[at] = gate(o) * Math.tanh(cell);
          }
        check("cells", cells.at, wantedCells);
        check("outputs", outputs.at, wantedOutputs);

        kernels.gruGates(samples, units, gru.at, 3 * stride, last, reset.at, stride);
        kernels.gruStep(samples, units, gru.at, 3 * stride, last, outputs.at, stride);
        const wantedReset = [...reset.values];
        for (let sample = 0; sample < samples; sample++)
          for (let unit = 0; unit < units; unit++) {
            const [z, r, h] = [0, 1, 2].map(
              (part) => gru.values[sample * 3 * stride + part * units + unit] ?? 0,
            ) as [number, number, number];
            const at = sample * stride + unit;
            wantedReset[at] = gate(r) * state(at);
            wantedOutputs[at] = gate(z) * state(at) + (1 - gate(z)) * Math.tanh(h);
          }
        check("reset", reset.at, wantedReset);
        check("GRU's outputs", outputs.at, wantedOutputs);
      },
    ),
  );
});
