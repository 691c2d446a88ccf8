// Round 1 of a task whose agents agree on a scale.
import t from "tap";
import {
  type Combined,
  type CombineJob,
  combine,
} from "../../../../src/federated/combining/combine.ts";
import { bytesOfWeights } from "../../../../src/federated/combining/weights-codec.ts";
import {
  combineScaled,
  encodeScaleUpdate,
  inspectScaleUpdate,
  scaleIn,
} from "../../../../src/federated/running/scale-round.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import type { ChannelMoments } from "../../../../src/federated/streams/normalization.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const base = bytesOfWeights(Float32Array.of(1, 2, 3));
const later = (job: CombineJob): Promise<Combined> =>
  Promise.resolve(combine(job, { math: new PlainVectorMath(), random: new SeededRandom("round") }));
const moments = (mean: number, deviation = 1): ChannelMoments => ({
  count: 100,
  mean,
  m2: 100 * deviation * deviation,
});

/** A round of these updates. */
function job(updates: Record<string, Uint8Array>, said: Partial<CombineJob> = {}): CombineJob {
  return {
    strategy: {},
    parameterCount: 3,
    compressed: false,
    base,
    updates: Object.entries(updates).map(([sender, bytes]) => ({
      sender,
      bytes,
      weight: 10,
      loss: 0,
    })),
    ...said,
  };
}
/** What has to have come of a round. */
function made(combined: Combined): { readonly model: Uint8Array; readonly state: Uint8Array } {
  if (combined.kind !== "combined") throw new Error(combined.reason);
  return { model: combined.model, state: combined.state ?? new Uint8Array(0) };
}
const told = (agent: string, mean: number) => encodeScaleUpdate(agent, [moments(mean)]);

t.test("agents agree on a scale, and the model stays as it is", async (t) => {
  const updates = { a: told("a", 19), b: told("b", 20), c: told("c", 21) };
  const combined = made(await combineScaled(job(updates), 1, later));
  t.same(combined.model, base);
  t.match(scaleIn(combined.state, 1), { mean: [20] });
  const { c, b, a } = updates;
  const again = made(await combineScaled(job({ c, b, a }), 1, later));
  t.same(again, combined, "the same bits in whatever order they came");
});

t.test("a liar that is outnumbered moves it no further than the honest told", async (t) => {
  const updates = { a: told("a", 19), b: told("b", 21), liar: told("liar", 1e12) };
  const { state } = made(await combineScaled(job(updates), 1, later));
  t.match(scaleIn(state, 1), { mean: [21] });
});

t.test("what is no agent's own moments is blamed on whoever sent it", async (t) => {
  const a = told("a", 19);
  const wrong: Record<string, Uint8Array> = {
    "another's": a,
    weights: bytesOfWeights(new Float32Array(12)),
    "of other channels": encodeScaleUpdate("b", [moments(1), moments(2)]),
    "an m2 below zero": encodeScaleUpdate("b", [{ count: 3, mean: 1, m2: -1 }]),
    "a mean that is none": encodeScaleUpdate("b", [{ count: 3, mean: Number.NaN, m2: 1 }]),
    "no name": a.subarray(0, a.length - 1),
  };
  for (const [what, bytes] of Object.entries(wrong)) {
    t.match(
      await combineScaled(job({ a, b: bytes }), 1, later),
      { kind: "blamed", sender: "b" },
      what,
    );
    if (what !== "another's") t.equal(inspectScaleUpdate(bytes, 1), "malformed", what);
  }
  t.equal(inspectScaleUpdate(a, 1), "good");
  const silent = encodeScaleUpdate("a", [{ count: 0, mean: 0, m2: 0 }]);
  t.equal(inspectScaleUpdate(silent, 1), "empty", "who has no values has nothing to say");
});

t.test("later rounds carry it on, beside what the strategy remembers", async (t) => {
  const first = made(await combineScaled(job({ a: told("a", 19), b: told("b", 21) }), 1, later));
  const scale = scaleIn(first.state, 1);
  const update = bytesOfWeights(Float32Array.of(0.5, 0.5, 0.5));
  const strategy = { server: { kind: "fedadam", learningRate: 0.1 } };
  let { state } = first;
  let model = base;
  let plainState: Uint8Array | undefined;
  for (let round = 0; round < 3; round++) {
    const updates = { a: update, b: update };
    const plain = await later(
      job(updates, { strategy, base: model, ...(plainState && { state: plainState }) }),
    );
    const scaled = made(
      await combineScaled(job(updates, { strategy, base: model, state }), 1, later),
    );
    ({ model, state: plainState } = made(plain));
    t.same(scaled.model, model, "the model of a task without a scale");
    t.same(scaleIn(scaled.state, 1), scale);
    ({ state } = scaled);
  }
});

t.test("a state without a scale is none", async (t) => {
  for (const state of [new Uint8Array(0), new Uint8Array(20), Uint8Array.of(0x41, 0x4d, 0x4e, 1)]) {
    t.equal(scaleIn(state, 1), undefined);
    t.match(await combineScaled(job({}, { state }), 1, later), { kind: "failed" });
  }
});
