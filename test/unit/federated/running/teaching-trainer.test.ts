import t from "tap";
import { packUpdate } from "../../../../src/federated/compression/pack-update.ts";
import { blobs } from "../../../../src/federated/data/blobs.ts";
import { TeachingTrainer } from "../../../../src/federated/running/teaching-trainer.ts";
import { completeSpec } from "../../../../src/federated/tasks/task-spec.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { promptRunner } from "../../../support/learning/prompt-runner.ts";

const layers = [{ kind: "dense", units: 3 }];
const spec = completeSpec({
  name: "taught",
  model: { inputShape: [4], layers, loss: "softmax-cross-entropy" },
  data: { kind: "dataset", name: "own" },
  client: { kind: "local", learningRate: 0.1 },
  teaching: {
    architectures: { small: { layers } },
    transfer: { kind: "generated", count: 5 },
    learningRate: 0.1,
  },
  rounds: 3,
});

async function opened() {
  const { train, test } = blobs(
    { features: 4, classes: 3, train: 30, test: 3, spread: 1 },
    new SeededRandom("own"),
  );
  const random = new SeededRandom("transfer");
  const features = Float32Array.from({ length: 20 }, () => random.next());
  const trainer = await TeachingTrainer.open(promptRunner(), {
    spec,
    teaching: spec.teaching!,
    network: "small",
    transfer: { features, count: 5 },
    random: new SeededRandom("agent"),
    pack: (job) => Promise.resolve(packUpdate(job)),
    onProgress: () => undefined,
  });
  return { trainer, samples: { train, test }, base: new Float32Array(15) };
}

t.test("what is abandoned while it waits for its turn is not trained", async (t) => {
  for (const how of ["train", "trainAlone"] as const) {
    const { trainer, samples, base } = await opened();
    const before = trainer.own.weights().slice();
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = trainer.own.inTurn(() => promise);
    const waiting = trainer[how](base, samples);
    trainer.abandon();
    resolve();
    await first;
    t.notOk(await waiting, how);
    t.same(trainer.own.weights(), before, "its model is as it was");
    t.ok(await trainer[how](base, samples), "the next one is");
    t.notSame(trainer.own.weights(), before);
    await trainer.dispose();
  }
});
