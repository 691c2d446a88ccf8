// Both sides of a partition go on: those without a committee learn alone, and the first round after it is the better for it.
import t from "tap";
import { unpackExactly } from "../../src/federated/combining/exact-packing.ts";
import { weightsOfBytes } from "../../src/federated/combining/weights-codec.ts";
import { type PackJob, packUpdate } from "../../src/federated/compression/pack-update.ts";
import { blobs } from "../../src/federated/data/blobs.ts";
import { type LabelledSamples, pick } from "../../src/federated/data/dataset.ts";
import { ALONE_MAX } from "../../src/federated/rounds/alone.ts";
import { LocalTrainer } from "../../src/federated/running/local-trainer.ts";
import type { OwnSamples } from "../../src/federated/running/task-trainer.ts";
import { completeSpec } from "../../src/federated/tasks/task-spec.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { initialWeights } from "../../src/platform/training-initial-weights.ts";
import { layOut } from "../../src/platform/training-layout.ts";
import { PlainTrainingBackend } from "../../src/simulator/plain-training-backend.ts";
import { promptRunner } from "../support/learning/prompt-runner.ts";

const AGENTS = 9;
/** The last three are cut off, and they alone have samples of the last class. */
const CUT_OFF_FROM = 6;
const SEEDS = 5;
const FIRST_SEED = Number(process.env["MERGE_FIRST_SEED"] ?? 1);
const spec = completeSpec({
  name: "merge",
  model: {
    inputShape: [8],
    layers: [
      { kind: "dense", units: 8, activation: "relu" },
      { kind: "dense", units: 4 },
    ],
    loss: "softmax-cross-entropy",
  },
  data: { kind: "dataset", name: "blobs" },
  client: { kind: "local", learningRate: 0.1 },
  rounds: 100,
});
const layout = layOut(spec.model);
const none: LabelledSamples = {
  count: 0,
  features: new Float32Array(0),
  targets: new Int32Array(0),
};

/** @returns accuracy after each of four rounds behind the partition */
async function afterMerge(seed: number, goOn: boolean): Promise<number[]> {
  const options = { features: 8, classes: 4, train: 4_000, test: 600, spread: 1 };
  const data = blobs(options, new SeededRandom(`merge/${seed}`));
  const random = new SeededRandom(`merge/${seed}/samples`);
  const runner = promptRunner();
  const agents: { readonly trainer: LocalTrainer; readonly samples: OwnSamples }[] = [];
  for (let agent = 0; agent < AGENTS; agent++) {
    const places: number[] = [];
    while (places.length < 40) {
      const at = Math.floor(random.next() * 4_000);
      const isLast = data.train.targets[at] === 3;
      if (agent >= CUT_OFF_FROM ? isLast || random.next() < 0.3 : !isLast) places.push(at);
    }
    const parts = {
      spec,
      random: random.fork(`agent/${agent}`),
      pack: (job: PackJob) => Promise.resolve(packUpdate(job)),
      onProgress: () => undefined,
    };
    const trainer = await LocalTrainer.open(runner, parts);
    agents.push({ trainer, samples: { train: pick(data.train, places), test: none } });
  }
  const round = async (head: Float32Array, among: typeof agents): Promise<Float32Array> => {
    const next = head.slice();
    for (const { trainer, samples } of among) {
      const { bytes } = (await trainer.train(head, samples))!;
      const delta = unpackExactly(bytes, head.length) ?? weightsOfBytes(bytes, head.length) ?? head;
      for (const [at, value] of delta.entries()) next[at]! += value / among.length;
    }
    return next;
  };
  let head: Float32Array = initialWeights(layout, new SeededRandom(`merge/${seed}/first`));
  for (let each = 0; each < 3; each++) head = await round(head, agents);
  if (goOn)
    for (const { trainer, samples } of agents.slice(CUT_OFF_FROM))
      for (let time = 0; time < ALONE_MAX; time++) await trainer.trainAlone(head, samples);
  for (let each = 0; each < 10; each++) head = await round(head, agents.slice(0, CUT_OFF_FROM));
  const judge = new PlainTrainingBackend().build(spec.model, random);
  const curve: number[] = [];
  for (let each = 0; each < 4; each++) {
    head = await round(head, agents);
    judge.write(head);
    curve.push(judge.evaluate(data.test).accuracy ?? 0);
  }
  return curve;
}

t.test("what the cut-off side learned is in the first round that it takes part in", async (t) => {
  const sums = { idle: [0, 0, 0, 0], alone: [0, 0, 0, 0] };
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
    for (const [name, goOn] of [
      ["idle", false],
      ["alone", true],
    ] as const)
      for (const [at, accuracy] of (await afterMerge(seed, goOn)).entries())
        sums[name][at]! += accuracy / SEEDS;
  const words = (values: number[]): string => values.map((value) => value.toFixed(3)).join(" ");
  t.comment(`MERGE_FIRST_SEED=${FIRST_SEED}: idle ${words(sums.idle)}, alone ${words(sums.alone)}`);
  t.ok(sums.alone[0]! > sums.idle[0]! + 0.02, "better at once");
  t.ok(sums.alone[3]! > sums.idle[3]! - 0.01, "and not worse later");
});

t.test(
  "an update is how far it has come alone, measured from the head, and then it is over",
  async (t) => {
    const parts = {
      spec,
      random: new SeededRandom("one"),
      pack: (job: PackJob) => Promise.resolve(packUpdate(job)),
      onProgress: () => undefined,
    };
    const trainer = await LocalTrainer.open(promptRunner(), parts);
    const { train } = blobs(
      { features: 8, classes: 4, train: 40, test: 1, spread: 1 },
      new SeededRandom("one"),
    );
    const samples = { train, test: none };
    const head = initialWeights(layout, new SeededRandom("first"));
    const lengthOf = async (): Promise<number> => {
      const { bytes, samples: count } = (await trainer.train(head, samples))!;
      t.equal(count, 40, "its samples count once, however often it trained on them");
      const delta = unpackExactly(bytes, head.length) ?? weightsOfBytes(bytes, head.length)!;
      return Math.hypot(...delta);
    };
    const usual = await lengthOf();
    for (let time = 0; time < 4; time++) t.ok(await trainer.trainAlone(head, samples));
    t.ok((await lengthOf()) > 1.5 * usual, "four trainings more are in it");
    t.ok((await lengthOf()) < 1.2 * usual, "and in none that follows");
    await trainer.dispose();
  },
);
