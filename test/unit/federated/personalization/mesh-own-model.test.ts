// What own models of agents stand on: what is kept of them, what stays out of updates, and the steps of Per-FedAvg.
import t from "tap";
import { type CombineJob, combine } from "../../../../src/federated/combining/combine.ts";
import {
  bytesOfWeights,
  weightsOfBytes,
} from "../../../../src/federated/combining/weights-codec.ts";
import { blobs } from "../../../../src/federated/data/blobs.ts";
import {
  packNormalization,
  unpackNormalization,
} from "../../../../src/federated/personalization/fed-bn.ts";
import { metaSteps } from "../../../../src/federated/personalization/meta-steps.ts";
import { OwnModel } from "../../../../src/federated/personalization/own-model.ts";
import { OwnModelMemory } from "../../../../src/federated/personalization/own-model-memory.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import type { ModelSpec } from "../../../../src/platform/training-backend.ts";
import { initialWeights } from "../../../../src/platform/training-initial-weights.ts";
import { layOut } from "../../../../src/platform/training-layout.ts";
import {
  MemoryKeyValueStore,
  VirtualDisk,
} from "../../../../src/simulator/memory-key-value-store.ts";
import { PlainTrainingBackend } from "../../../../src/simulator/plain-training-backend.ts";
import { PlainTrainingRunner } from "../../../../src/simulator/plain-training-runner.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";

const spec: ModelSpec = {
  inputShape: [4],
  layers: [
    { kind: "batch-norm" },
    { kind: "dense", units: 5, activation: "tanh" },
    { kind: "dense", units: 3 },
  ],
  loss: "softmax-cross-entropy",
};
const { parameters, parameterCount } = layOut(spec);
const random = new SeededRandom("own");
const drawn = () => Float32Array.from({ length: parameterCount }, () => random.next() - 0.5);
const A = "a".repeat(32);
const B = "b".repeat(32);

t.test("an own model is kept whole or not at all", async (t) => {
  const store = new MemoryKeyValueStore(new VirtualDisk());
  const memory = new OwnModelMemory(store);
  t.equal(await memory.read(A), undefined);
  // Two pieces and a bit, then less than one.
  const large = Float32Array.from({ length: 140_000 }, (_, at) => at / 7);
  await memory.keep(A, { round: 3, values: large });
  t.same(await memory.read(A), { round: 3, values: large });
  const small = Float32Array.of(1, -0, 3.5);
  await memory.keep(B, { round: 1, values: small });
  await memory.keep(A, { round: 4, values: small });
  t.same(await memory.read(A), { round: 4, values: small });
  const left = await store.range({ gte: "l/ownp/", lt: "l/ownp/~", limit: 100 });
  t.equal(left.length, 2, "pieces of the larger one are gone");
  await memory.sweep((task) => task === A);
  t.equal(await memory.read(B), undefined);
  t.ok(await memory.read(A));
  await store.write([{ type: "del", key: left[0]![0] }], { durable: true });
  t.equal(await memory.read(A), undefined, "a piece is missing");
  await store.write([{ type: "put", key: `l/own/${A}`, value: Buffer.from("{") }], {
    durable: true,
  });
  t.equal(await memory.read(A), undefined);
  await memory.forget(A);
});

t.test("what was kept of another model is not taken", (t) => {
  const parts = {
    spec,
    layout: parameters,
    runner: new PlainTrainingRunner(new VirtualClock(), 1),
    random,
  };
  const ditto = new OwnModel({
    ...parts,
    options: {
      kind: "ditto",
      lambda: 1,
      epochs: 1,
      batchSize: 10,
      learningRate: 0.1,
      predict: "own",
    },
  });
  t.notOk(ditto.restore({ round: 1, values: new Float32Array(3) }));
  t.notOk(ditto.restore({ round: 1, values: drawn().fill(Number.NaN, 0, 1) }));
  t.equal(ditto.weights(drawn()), undefined);
  t.ok(ditto.restore({ round: 1, values: drawn() }));
  const fedBn = new OwnModel({ ...parts, options: { kind: "fed-bn", predict: "own" } });
  t.notOk(fedBn.restore({ round: 0, values: drawn() }));
  t.ok(fedBn.restore({ round: 0, values: packNormalization(parameters, drawn()) }));
  t.end();
});

t.test("fed-bn: nothing that anybody says of normalisation reaches the global model", (t) => {
  const base = drawn();
  const [own, other, liar] = [drawn(), drawn(), drawn()];
  const packed = packNormalization(parameters, own);
  t.equal(packed.length, 16, "scale, shift, mean and variance of four features");
  const begun = unpackNormalization(parameters, base, packed)!;
  t.same(packNormalization(parameters, begun), packed);
  t.equal(unpackNormalization(parameters, base, packed.subarray(1)), undefined);
  const updates = [own, other, liar.map((value) => value * 1e6)].map((values, at) => ({
    sender: `agent-${at}`,
    bytes: bytesOfWeights(values),
    weight: 1 + at,
    loss: 1,
  }));
  const job: CombineJob = {
    strategy: { server: { kind: "fedadam", learningRate: 0.1 } },
    parameterCount,
    compressed: false,
    kept: parameters,
    base: bytesOfWeights(base),
    updates,
  };
  const tools = { math: new PlainVectorMath(), random: new SeededRandom("round") };
  const combined = combine(job, tools);
  if (combined.kind !== "combined") throw new Error(combined.kind);
  const model = weightsOfBytes(combined.model, parameterCount)!;
  t.same(packNormalization(parameters, model), packNormalization(parameters, base));
  t.notSame(model, base);
  t.same(combine(job, { ...tools, random: new SeededRandom("round") }), combined, "at judges too");
  const { kept: _, ...without } = job;
  const moved = combine(without, tools);
  if (moved.kind !== "combined") throw new Error(moved.kind);
  t.notSame(
    packNormalization(parameters, weightsOfBytes(moved.model, parameterCount)!),
    packNormalization(parameters, base),
  );
  t.end();
});

t.test("a step of Per-FedAvg is the gradient after an inner step", async (t) => {
  const dense: ModelSpec = { ...spec, layers: spec.layers.slice(1) };
  const { train } = blobs(
    { features: 4, classes: 3, train: 30, test: 1, spread: 0.5 },
    new SeededRandom("meta"),
  );
  const clock = new VirtualClock();
  const runner = new PlainTrainingRunner(clock, 1);
  const model = await runner.build(dense, new SeededRandom("model"));
  const start = initialWeights(layOut(dense), new SeededRandom("start"));
  const [alpha, beta] = [0.1, 0.05];
  const plan = { steps: 1, batchSize: 30, innerLearningRate: alpha, learningRate: beta };
  const trained = metaSteps(model, train, plan, start, new SeededRandom("draws"), {});
  const ended = new AbortController();
  void trained.finally(() => ended.abort());
  while (!ended.signal.aborted) await clock.advance(1);
  const { weights } = (await trained)!;
  // The same draws, by hand.
  const draws = new SeededRandom("draws");
  const batch = () => {
    const rows = Array.from({ length: 30 }, () => Math.floor(draws.next() * 30));
    return {
      count: 30,
      features: Float32Array.from(
        rows.flatMap((at) => [...train.features.subarray(4 * at, 4 * at + 4)]),
      ),
      targets: Int32Array.from(rows, (at) => train.targets[at] ?? 0),
    };
  };
  const plain = new PlainTrainingBackend().build(dense, new SeededRandom("model"));
  const gradient = new Float32Array(start.length);
  plain.write(start);
  plain.gradient(batch(), gradient);
  plain.write(start.map((value, at) => value - alpha * gradient[at]!));
  plain.gradient(batch(), gradient);
  for (const [at, weight] of weights.entries())
    t.ok(Math.abs(weight - (start[at]! - beta * gradient[at]!)) < 1e-6);
  const stopped = new AbortController();
  stopped.abort();
  t.equal(await metaSteps(model, train, plan, start, draws, { signal: stopped.signal }), undefined);
});
