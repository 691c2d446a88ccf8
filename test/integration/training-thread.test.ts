import t from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdTrainingBackend } from "../../src/platform/simd/training-backend.ts";
import { TrainingThread } from "../../src/platform/simd/training-thread.ts";
import type { ModelSpec, TrainPlan } from "../../src/platform/training-backend.ts";
import { samplesFor } from "../support/training/models.ts";

const spec: ModelSpec = {
  inputShape: [20],
  layers: [
    { kind: "dense", units: 32, activation: "relu" },
    { kind: "dropout", rate: 0.2 },
    { kind: "batch-norm" },
    { kind: "dense", units: 5 },
  ],
  loss: "softmax-cross-entropy",
};
const file = new URL("../../src/agent/production-learning-worker.ts", import.meta.url);
const random = () => new SeededRandom("thread");
const samples = samplesFor(spec, 64, random());
const planOf = (steps: number): TrainPlan => ({
  order: Int32Array.from({ length: 8 * steps }, (_, at) => (at * 11) % 64),
  batchSize: 8,
  learningRate: 0.01,
  momentum: 0.9,
  weightDecay: 1e-4,
  dropout: { seed: 3 },
});

/** What the backend comes to without any thread. */
function alone(plan: TrainPlan): Float32Array {
  const backend = new SimdTrainingBackend();
  const model = backend.build(spec, random());
  model.train(samples, plan);
  const weights = new Float32Array(model.parameterCount);
  model.read(weights);
  backend.dispose();
  return weights;
}

t.test("a run in the thread comes to the same bits as without one", async (t) => {
  const thread = new TrainingThread(file);
  t.teardown(() => thread.close());
  const model = await thread.build(spec, random());
  const told: number[] = [];
  const plan = planOf(3_000);
  const outcome = await model.train(samples, plan, {
    onProgress: ({ step, steps }) => {
      t.equal(steps, 3_000);
      told.push(step);
    },
  });
  t.match(outcome, { finished: true, steps: 3_000 });
  t.same(await model.read(), alone(plan));
  t.same(outcome.checkpoint.weights, alone(plan));
  t.ok(told.length > 1, `in ${told.length} slices`);
  t.same(told.at(-1), 3_000);
  const { accuracy } = await model.evaluate(samples);
  t.ok((accuracy ?? 0) > 0.5, `${accuracy}`);
  t.equal((await model.predict(samples.features, 64)).length, 320);
});

t.test("paused, stopped, and gone on with in another thread: the same bits", async (t) => {
  const [first, second] = [new TrainingThread(file), new TrainingThread(file)];
  t.teardown(() => Promise.all([first.close(), second.close()]));
  const model = await first.build(spec, random());
  const plan = planOf(20_000);
  const controller = new AbortController();
  const { promise: begun, resolve: onBegun } = Promise.withResolvers<void>();
  const run = model.train(samples, plan, {
    signal: controller.signal,
    onProgress: () => {
      onBegun();
    },
  });
  await begun;
  await model.pause();
  const paused = await model.checkpoint();
  t.ok(paused.step > 0 && paused.step < 20_000, `paused after ${paused.step} steps`);
  await t.rejects(model.read(), { code: "training.model", message: /being trained/ });
  await t.rejects(model.dispose(), { code: "training.model" });
  t.same(await model.checkpoint(), paused, "nothing moves during a pause");
  await model.resume();
  while ((await model.checkpoint()).step === paused.step);
  await model.pause();
  controller.abort();
  const stopped = await run;
  t.equal(stopped.finished, false);
  t.ok(stopped.checkpoint.step > paused.step, `stopped after ${stopped.checkpoint.step} steps`);

  const other = await second.build(spec, new SeededRandom("other"));
  const ended = await other.train(samples, plan, { from: stopped.checkpoint });
  t.match(ended, { finished: true, steps: 20_000 });
  t.same(await other.read(), alone(plan));
  const again = await other.train(samples, plan, { from: paused });
  t.same(again.checkpoint.weights, ended.checkpoint.weights, "from an earlier place too");
  t.same(again.checkpoint.velocity, ended.checkpoint.velocity);
});

t.test("errors cross over with their codes, and the weights are as they came", async (t) => {
  const thread = new TrainingThread(file, { memoryBytesMax: 4 * 2 ** 20 });
  t.teardown(() => thread.close());
  await t.rejects(thread.build({ ...spec, layers: [] }, random()), { code: "training.model" });
  const wide: ModelSpec = { ...spec, layers: [{ kind: "dense", units: 100_000 }] };
  await t.rejects(thread.build(wide, random()), {
    code: "training.memory",
    message: /memoryBytesMax/,
  });
  const model = await thread.build(spec, random());
  const before = await model.read();
  await t.rejects(model.train(samples, { ...planOf(50), learningRate: 1e30 }), {
    code: "training.not-finite",
  });
  t.same(await model.read(), before);
  await t.rejects(model.train(samples, { ...planOf(1), batchSize: 0 }), {
    code: "training.samples",
  });
  await t.rejects(model.checkpoint(), { code: "training.model" });
  const from = { step: 9, weights: before, velocity: before, lossSum: 0 };
  await t.rejects(model.train(samples, planOf(8), { from }), {
    code: "training.samples",
    message: /step 9/,
  });
  await t.rejects(model.train(samples, planOf(8), { signal: AbortSignal.abort() }));
  await model.dispose();
  await t.rejects(model.read(), { code: "training.disposed" });
});

t.test("memory does not grow over 10,000 steps", async (t) => {
  const thread = new TrainingThread(file);
  t.teardown(() => thread.close());
  const model = await thread.build(spec, random());
  await model.train(samples, planOf(1_000));
  const [bytes, resident] = [await thread.bytes(), process.memoryUsage.rss()];
  await model.train(samples, planOf(10_000));
  t.equal(await thread.bytes(), bytes);
  const grown = process.memoryUsage.rss() - resident;
  t.ok(grown < 48 * 2 ** 20, `grown by ${grown} bytes`);
});

t.test("closing ends what is under way", async (t) => {
  const thread = new TrainingThread(file);
  const model = await thread.build(spec, random());
  const run = model.train(samples, planOf(1_000_000));
  const refused = t.rejects(run, { code: "training.disposed" });
  await thread.close();
  await refused;
  await t.rejects(model.read(), { code: "training.disposed" });
});
