import { join } from "node:path";
import t from "tap";
import { openLearningThread } from "../../src/agent/production-learning.ts";
import { type CombineJob, combine } from "../../src/federated/combining/combine.ts";
import { packExactly } from "../../src/federated/combining/exact-packing.ts";
import { bytesOfWeights } from "../../src/federated/combining/weights-codec.ts";
import { packUpdate } from "../../src/federated/compression/pack-update.ts";
import { PlainVectorMath } from "../../src/federated/strategies/plain-vector-math.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { ModelSpec } from "../../src/platform/training-backend.ts";
import { samplesFor } from "../support/training/models.ts";

const COUNT = 1_000;
const random = new SeededRandom("learning-thread");
const drawn = (): Float32Array => Float32Array.from({ length: COUNT }, () => random.next() - 0.5);
const drawnBy = (name: string, count: number): Float32Array => {
  const own = new SeededRandom(name);
  return Float32Array.from({ length: count }, () => own.next() - 0.5);
};
const base = drawn();
const updates = ["a", "b", "c", "d", "e"].map((sender) => ({
  sender,
  bytes: packExactly(drawn()),
  weight: 1,
  loss: 1,
}));
/** As main has them: the thread gets copies, and lets go of those only. */
const job = (): CombineJob => ({
  strategy: { rule: { kind: "trimmed-mean", trim: 1 }, server: { kind: "fedavgm", momentum: 0.5 } },
  parameterCount: COUNT,
  compressed: false,
  base: bytesOfWeights(base),
  updates,
});
const form = { parameterCount: COUNT, compressed: false };
const spec: ModelSpec = {
  inputShape: [20],
  layers: [{ kind: "dense", units: 5 }],
  loss: "softmax-cross-entropy",
};
const open = () => openLearningThread({ datasets: [] } as never);

t.test("updates come to the same bits in the thread as without one", async (t) => {
  const thread = open();
  t.teardown(() => thread.close());
  const alone = combine(job(), { math: new PlainVectorMath(), random: new SeededRandom("seed") });
  t.equal(alone.kind, "combined");
  t.same(await thread.combine(job(), "seed"), alone);
  t.same(await thread.combine(job(), "seed"), alone, "and again: nothing of it was used up here");
  const liar = { sender: "liar", bytes: Uint8Array.of(1, 2), weight: 1, loss: 1 };
  t.match(await thread.combine({ ...job(), updates: [...updates, liar] }, "seed"), {
    kind: "blamed",
    sender: "liar",
  });
});

t.test("updates that carry variates, of a length that no machine word is a part of", async (t) => {
  const thread = open();
  t.teardown(() => thread.close());
  const parameterCount = 333;
  const corrected = (): CombineJob => ({
    ...job(),
    parameterCount,
    variates: true,
    base: bytesOfWeights(base.subarray(0, parameterCount)),
    updates: updates.map(({ sender }) => ({
      sender,
      bytes: packExactly(drawnBy(sender, 2 * parameterCount)),
      weight: 1,
      loss: 1,
    })),
  });
  const alone = combine(corrected(), {
    math: new PlainVectorMath(),
    random: new SeededRandom("seed"),
  });
  t.equal(alone.kind, "combined");
  t.same(await thread.combine(corrected(), "seed"), alone);
  const [first] = corrected().updates;
  const bytes = first?.bytes ?? new Uint8Array(0);
  t.equal(await thread.inspect(bytes, { ...form, parameterCount, variates: true }), "good");
  t.equal(await thread.inspect(bytes, { ...form, parameterCount }), "malformed");
});

t.test("an update is looked at, and is still there", async (t) => {
  const thread = open();
  t.teardown(() => thread.close());
  const [first] = updates;
  const bytes = first?.bytes ?? new Uint8Array(0);
  const before = bytes.slice();
  t.equal(await thread.inspect(bytes, form), "good");
  t.same(bytes, before);
  t.equal(await thread.inspect(bytesOfWeights(new Float32Array(COUNT)), form), "empty");
  t.equal(await thread.inspect(Uint8Array.of(1, 2), form), "malformed");
});

t.test("a model that is being trained does not keep a round from being put together", async (t) => {
  const thread = open();
  const samples = samplesFor(spec, 64, random);
  const model = await thread.training.build(spec, random);
  const order = Int32Array.from({ length: 8_000_000 }, (_, at) => at % 64);
  let ended = false;
  const run = model.train(samples, { order, batchSize: 8, learningRate: 0.01 }).finally(() => {
    ended = true;
  });
  run.catch(() => undefined);
  t.match(await thread.combine(job(), "seed"), { kind: "combined" });
  await model.pause();
  t.match(await thread.combine(job(), "seed"), { kind: "combined" }, "nor one that rests");
  t.notOk(ended, "the training goes on");
  await thread.close();
  await t.rejects(run, { code: "training.disposed" });
});

t.test(
  "work that fails says so and ends nothing but itself; a thread that has ended says that",
  async (t) => {
    const thread = open();
    t.match(await thread.combine({ ...job(), base: "no bytes" as never }, "seed"), {
      kind: "failed",
    });
    t.match(await thread.combine(job(), "seed"), { kind: "combined" });
    await thread.close();
    t.match(await thread.combine(job(), "seed"), { kind: "failed", reason: /closed/ });
    await t.rejects(thread.inspect(Uint8Array.of(1), form), { code: "training.disposed" });
  },
);

t.test("samples are read in the thread, into memory that it trains on too", async (t) => {
  const directory = t.testdir({
    "press.csv": `a,b,label\n${Array.from({ length: 10 }, (_, at) => `${at},${-at},${at % 2}`).join("\n")}\n`,
    "broken.csv": "a,b\n1,2\n",
  });
  const datasets = ["press", "broken", "missing"].map((name) => ({
    name,
    file: join(directory, `${name}.csv`),
  }));
  const thread = openLearningThread({ datasets } as never);
  t.teardown(() => thread.close());
  const press = await thread.dataset("press");
  t.match(press, { shape: [2], classes: 2, train: { count: 8 }, test: { count: 2 } });
  t.ok(press?.train.features.buffer instanceof SharedArrayBuffer);
  t.equal(await thread.dataset("nobody's"), undefined);
  await t.rejects(thread.dataset("broken"), { name: "DataError", message: /label/ });
  await t.rejects(thread.dataset("missing"), {
    name: "DataError",
    code: "data.setting",
    message: /learning.datasets: missing can not be read/,
  });
});

t.test("a class has the same number at every agent, whichever a file lacks", async (t) => {
  const rows = (labels: readonly string[]): string =>
    `a,label\n${labels.map((label, at) => `${at},${label}`).join("\n")}\n`;
  const directory = t.testdir({
    "east.csv": rows(["broken", "ok", "broken", "worn"]),
    "west.csv": rows(["worn", "ok"]),
    "numbers.csv": rows(["0", "3"]),
  });
  const classes = ["ok", "worn", "broken"];
  const listed = (name: string, of: string, more: object) => ({
    name,
    file: join(directory, `${of}.csv`),
    ...more,
  });
  const datasets = [
    listed("east", "east", { classes }),
    listed("west", "west", { classes }),
    listed("bare", "west", {}),
    listed("short", "east", { classes: ["ok", "worn"] }),
    listed("numbers", "numbers", {}),
    listed("beyond", "numbers", { classes }),
  ];
  const thread = openLearningThread({ datasets } as never);
  t.teardown(() => thread.close());
  const east = await thread.dataset("east");
  t.same([...(east?.train.targets ?? [])], [2, 0, 2, 1]);
  const west = await thread.dataset("west");
  t.same([...(west?.train.targets ?? [])], [1, 0]);
  t.equal(west?.classes, 3);
  t.equal((await thread.dataset("numbers"))?.classes, 4);
  for (const [name, message] of [
    ["bare", /labels of bare are names \(worn, ok\).*list them all in its classes/],
    ["short", /short has the label broken, not in its classes, in row 1/],
    ["beyond", /beyond has class 3, beyond the 3 in its classes, in row 2/],
  ] as const)
    await t.rejects(thread.dataset(name), { code: "data.setting", message });
});

t.test(
  "updates are packed in the thread as without one, and what is left out comes back",
  async (t) => {
    const thread = open();
    t.teardown(() => thread.close());
    const update = drawnBy("packed", COUNT);
    const before = update.slice();
    t.same(await thread.pack({ update }), packUpdate({ update }));
    const compression = { topShare: 0.1, quantize: "int8", zstd: 3, errorFeedback: true } as const;
    const first = await thread.pack({ update, compression, seed: "1" });
    t.same(first, packUpdate({ update, compression, seed: "1" }));
    t.ok(
      first.residual?.some((value) => value !== 0),
      "something was left out",
    );
    const residual = first.residual ?? new Float32Array(0);
    const second = await thread.pack({ update, compression, residual, seed: "2" });
    t.same(second, packUpdate({ update, compression, residual, seed: "2" }));
    t.not(Buffer.from(second.bytes).toString("hex"), Buffer.from(first.bytes).toString("hex"));
    t.same(update, before, "the update is still there");
    const { errorFeedback: _, ...forgetful } = compression;
    t.equal((await thread.pack({ update, compression: forgetful, seed: "1" })).residual, undefined);
    await t.rejects(thread.pack({ update: Float32Array.of(Number.NaN), compression, seed: "1" }), {
      message: /value 0 is NaN/,
    });
  },
);
