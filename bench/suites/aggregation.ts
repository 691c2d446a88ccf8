import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { aggregate } from "../../src/federated/strategies/aggregate.ts";
import type { Aggregation, Contribution } from "../../src/federated/strategies/aggregation.ts";
import { Bulyan } from "../../src/federated/strategies/rules/bulyan.ts";
import {
  CoordinateMedian,
  TrimmedMean,
} from "../../src/federated/strategies/rules/coordinatewise.ts";
import { Krum } from "../../src/federated/strategies/rules/krum.ts";
import { Mean } from "../../src/federated/strategies/rules/mean.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdVectorMath } from "../../src/platform/simd/vector-math-simd.ts";
import { type Figure, race } from "../figure.ts";
import { FLOWER, FlowerPeer } from "../support/flower.ts";
import { temporaryDirectory } from "../support/processes.ts";

const CLIENTS = 50;
/** 784-200-200-10. */
const PARAMETERS = 199_210;
const MALICIOUS = 11;
const TRIM = 10;
const ROUNDS = 11;

interface Contest {
  readonly rule: Aggregation;
  /** What is asked of `flower_aggregation.py`. */
  readonly peer: string;
  readonly what: string;
  /** Times as fast with both cores; one thread is held to half of it. */
  readonly floor: number;
  readonly goal: number;
}

/** How many times as fast as Flower on NumPy rounds are combined, updates being in memory on both sides. */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const file = join(directory.path, "updates.f32");
  const updates = makeUpdates();
  writeFileSync(file, Buffer.concat(updates.map((update) => new Uint8Array(update.buffer))));
  const flower = new FlowerPeer(file, CLIENTS, MALICIOUS, TRIM);
  const sides = [2, 1].map((threads) => {
    const math = new SimdVectorMath({ threads });
    const { vectors } = math.allocate(CLIENTS, PARAMETERS);
    return { threads, math, given: contributions(updates, vectors) };
  });
  try {
    for (const contest of contests())
      for (const { threads, math, given } of sides) {
        const ours = () => aggregate(contest.rule, given, { math });
        const share = threads === 1 ? 0.5 : 1;
        for (let warm = 0; warm < 3; warm++) ours();
        await compare(contest, ours(), flower);
        yield await race({
          suite: "aggregation",
          metric: `${contest.rule.name} of ${CLIENTS} × ${PARAMETERS}, ${threads === 1 ? "one thread" : "both cores"}`,
          unit: "rounds/s",
          peer: `${FLOWER} ${contest.what}`,
          bar: { floor: share * contest.floor, goal: share * contest.goal, better: "higher" },
          rounds: ROUNDS,
          ours: async () => {
            const fromMs = performance.now();
            ours();
            return 1_000 / (performance.now() - fromMs);
          },
          theirs: async () => 1_000 / (await flower.run(contest.peer)).ms,
        });
      }
  } finally {
    await flower.stop();
    await Promise.all(sides.map(({ math }) => math.dispose()));
  }
}

function contests(): Contest[] {
  const krum = new Krum({ byzantine: MALICIOUS });
  return [
    { rule: new Mean(), peer: "mean", what: "aggregate", floor: 2, goal: 4 },
    { rule: krum, peer: "krum", what: "aggregate_krum", floor: 8, goal: 20 },
    // The newer one multiplies matrices in float32 and by BLAS, and loses near-equal models' distances.
    { rule: krum, peer: "new krum", what: "select_multikrum", floor: 4, goal: 8 },
    { rule: new CoordinateMedian(), peer: "median", what: "aggregate_median", floor: 3, goal: 8 },
    {
      rule: new TrimmedMean({ trim: TRIM }),
      peer: "trimmed-mean",
      what: "aggregate_trimmed_avg",
      floor: 2,
      goal: 5,
    },
    // Theirs selects in one go, ours one after the other as in the paper; their older one that does too takes half a minute.
    {
      rule: new Bulyan({ byzantine: MALICIOUS }),
      peer: "new bulyan",
      what: "select_multikrum, median, aggregate_n_closest_weights",
      floor: 4,
      goal: 15,
    },
  ];
}

/** Both combined the same updates by the same rule. @throws Error when the results differ by more than rounding */
async function compare(contest: Contest, ours: Float32Array, flower: FlowerPeer): Promise<void> {
  if (contest.peer === "new bulyan") return;
  const { result } = await flower.run(contest.peer);
  const worst = ours.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (result[at] ?? Number.NaN))),
    0,
  );
  if (!(worst < 1e-5) || result.length !== ours.length)
    throw new Error(`${contest.peer}: ours and Flower's differ by ${worst}`);
}

/** Around a common direction, as updates of one round are. */
function makeUpdates(): Float32Array[] {
  const random = new SeededRandom("bench/aggregation");
  const direction = Float32Array.from({ length: PARAMETERS }, () => 0.01 * (random.next() - 0.5));
  return Array.from({ length: CLIENTS }, () =>
    direction.map((value) => value + 0.02 * (random.next() - 0.5)),
  );
}

/** As they lie after they have been received: in the memory of the kernels. Weights are those that Flower is told. */
function contributions(
  updates: readonly Float32Array[],
  vectors: readonly Float32Array[],
): Contribution[] {
  return updates.map((update, index) => {
    const values = vectors[index] ?? update;
    values.set(update);
    return { sender: `client-${String(index).padStart(2, "0")}`, values, weight: 600 + index };
  });
}
