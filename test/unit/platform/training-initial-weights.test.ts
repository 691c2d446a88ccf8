import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import t, { type Test } from "tap";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import type { Initializer, LayerSpec, ModelSpec } from "../../../src/platform/training-backend.ts";
import { initialWeights } from "../../../src/platform/training-initial-weights.ts";
import { layOut } from "../../../src/platform/training-layout.ts";

const IN = 300;
const OUT = 100;

const of = (layer: LayerSpec, inputShape: readonly number[] = [IN]): Float32Array => {
  const spec: ModelSpec = { inputShape, layers: [layer], loss: "mean-squared-error" };
  return initialWeights(layOut(spec), new SeededRandom("first weights"));
};
const kernel = (initializer?: Initializer): Float32Array =>
  of({ kind: "dense", units: OUT, ...(initializer && { initializer }) }).subarray(0, IN * OUT);

const uniform: readonly (readonly [Initializer, number])[] = [
  ["glorot-uniform", Math.sqrt(6 / (IN + OUT))],
  ["he-uniform", Math.sqrt(6 / IN)],
  ["lecun-uniform", Math.sqrt(3 / IN)],
  [{ kind: "uniform", limit: 0.25 }, 0.25],
];
for (const [initializer, limit] of uniform)
  t.test(`${JSON.stringify(initializer)} fills what lies within ${limit.toFixed(4)}`, async (t) => {
    const values = kernel(initializer);
    const greatest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    t.ok(greatest <= Math.fround(limit) && greatest > 0.999 * limit, `${greatest}`);
    isNear(t, deviation(values), limit / Math.sqrt(3));
  });

const normal: readonly (readonly [Initializer, number])[] = [
  ["glorot-normal", Math.sqrt(2 / (IN + OUT))],
  ["he-normal", Math.sqrt(2 / IN)],
  ["lecun-normal", Math.sqrt(1 / IN)],
  [{ kind: "normal", deviation: 0.05 }, 0.05],
];
for (const [initializer, wanted] of normal)
  t.test(`${JSON.stringify(initializer)} is a bell as wide as ${wanted.toFixed(4)}`, async (t) => {
    const values = kernel(initializer);
    isNear(t, deviation(values), wanted);
    const beyond = values.filter((value) => Math.abs(value) > 2 * wanted).length / values.length;
    t.ok(Math.abs(beyond - 0.0455) < 0.006, `${beyond} beyond two deviations`);
  });

t.test("are Glorot's unless something else is asked for, and biases are zero", async (t) => {
  t.ok(isDeepStrictEqual(kernel(), kernel("glorot-uniform")));
  t.notOk(isDeepStrictEqual(kernel(), kernel("he-uniform")));
  const whole = of({ kind: "dense", units: OUT, initializer: "he-normal" });
  t.ok(isDeepStrictEqual(whole.subarray(IN * OUT), new Float32Array(OUT)));
});

t.test("biases are drawn where that is asked for, and leave the kernel alone", async (t) => {
  const layer = { kind: "dense", units: OUT } as const;
  const drawn = of({ ...layer, biasInitializer: { kind: "uniform", limit: 0.1 } });
  t.ok(isDeepStrictEqual(drawn.subarray(0, IN * OUT), kernel()));
  isNear(t, deviation(drawn.subarray(IN * OUT)) / (0.1 / Math.sqrt(3)), 1, 0.2);
  // What goes into a unit is counted as for the kernel.
  const convolved = { kind: "conv2d", filters: 4_000, kernelSize: 5 } as const;
  const biases = of({ ...convolved, biasInitializer: "he-normal" }, [5, 5, 16]).subarray(-4_000);
  isNear(t, deviation(biases), Math.sqrt(2 / (25 * 16)), 0.06);
  const bad = { ...layer, biasInitializer: "zeros" as Initializer };
  t.throws(() => of(bad), {
    message: /layer 0 \(dense\): biasInitializer: one of .*, not "zeros"/,
  });
});

t.test(
  "of a convolution count its window, those of a recurrent layer leave its own kernel alone",
  async (t) => {
    const layer = { kind: "conv2d", filters: 64, kernelSize: 5, initializer: "he-normal" } as const;
    const convolved = of(layer, [8, 8, 16]).subarray(0, 25 * 16 * 64);
    isNear(t, deviation(convolved), Math.sqrt(2 / (25 * 16)));
    const recurrent = { kind: "lstm", units: 16 } as const;
    const plain = of(recurrent, [4, 32]);
    const given = of({ ...recurrent, initializer: { kind: "normal", deviation: 1 } }, [4, 32]);
    const kernelSize = 32 * 64;
    isNear(t, deviation(given.subarray(0, kernelSize)), 1);
    t.ok(isDeepStrictEqual(given.subarray(kernelSize), plain.subarray(kernelSize)));
  },
);

// Agents draw the first weights of a task from its seed, each on its own, whatever version they are of.
t.test("stay what they were, bit for bit", async (t) => {
  const hash = (layers: readonly LayerSpec[], inputShape: readonly number[]): string => {
    const layout = layOut({ inputShape, layers, loss: "softmax-cross-entropy" });
    const { buffer } = initialWeights(layout, new SeededRandom("first weights"));
    return createHash("sha256").update(new Uint8Array(buffer)).digest("hex");
  };
  const pictures: LayerSpec[] = [
    { kind: "conv2d", filters: 8, kernelSize: 3 },
    { kind: "flatten" },
    { kind: "dense", units: 37, activation: "relu" },
    { kind: "dense", units: 10 },
  ];
  t.equal(
    hash(pictures, [28, 28, 1]),
    "f4c0ab991d998f15b9049a758b49b6db2489a61de89d11a2d47f38576fb68c1f",
  );
  const series: LayerSpec[] = [
    { kind: "lstm", units: 7 },
    { kind: "dense", units: 5 },
  ];
  t.equal(hash(series, [6, 3]), "3f7fdb97062f663e3c5e3a4b568cfdf09f1ee1c03261e77fe80c47f0ad672941");
});

for (const [initializer, told] of [
  ["he", /layer 0 \(dense\): initializer: one of glorot-uniform, .*, not "he"/],
  [{ kind: "normal", deviation: 0 }, /initializer: deviation: a number above zero, not \{/],
  [{ kind: "uniform", limit: Number.NaN }, /initializer: limit: a number above zero/],
  [{ kind: "zeros" }, /initializer: kind: uniform or normal/],
] as const)
  t.test(`${JSON.stringify(initializer)} is refused by name`, async (t) => {
    t.throws(() => kernel(initializer as Initializer), { code: "training.model", message: told });
  });

/** @param within many standard errors of as many values */
function isNear(t: Test, value: number, wanted: number, within = 0.03): void {
  t.ok(Math.abs(value / wanted - 1) < within, `${value}, not ${wanted}`);
}

function deviation(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}
