// The training thread out of a bundle: a program that `scripts/build.ts` made finds its worker beside itself, wherever both are.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdTrainingBackend } from "../../src/platform/simd/training-backend.ts";
import type { ModelSpec, TrainPlan } from "../../src/platform/training-backend.ts";
import { samplesFor } from "../support/training/models.ts";

t.setTimeout(600_000);

const repository = resolve(import.meta.dirname, "../..");
const spec: ModelSpec = {
  inputShape: [20],
  layers: [
    { kind: "dense", units: 32, activation: "relu" },
    { kind: "dense", units: 5 },
  ],
  loss: "softmax-cross-entropy",
};
const plan: TrainPlan = {
  order: Int32Array.from({ length: 1_600 }, (_, at) => (at * 11) % 64),
  batchSize: 8,
  learningRate: 0.05,
};

/** Trains the model above in the thread, and says what came of it. */
const PROGRAM = `
import { createHash } from "node:crypto";
import { TrainingThread } from ${JSON.stringify(join(repository, "src/platform/simd/training-thread.ts"))};
import { SeededRandom } from ${JSON.stringify(join(repository, "src/platform/seeded-random.ts"))};
import { samplesFor } from ${JSON.stringify(join(repository, "test/support/training/models.ts"))};
const spec = ${JSON.stringify(spec)};
const plan = { ...${JSON.stringify({ ...plan, order: undefined })}, order: Int32Array.from(${JSON.stringify([...plan.order])}) };
const thread = new TrainingThread(new URL("./learning-worker.js", import.meta.url));
const model = await thread.build(spec, new SeededRandom("bundle"));
const { steps } = await model.train(samplesFor(spec, 64, new SeededRandom("bundle")), plan);
console.log(steps, createHash("sha256").update(await model.read()).digest("hex"));
await thread.close();
`;

t.test("a bundled program trains in its thread, to the same bits as the sources", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "agent-mesh-training-"));
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const [main, dist] = [join(directory, "program.ts"), join(directory, "dist")];
  writeFileSync(main, PROGRAM);
  const build = join(repository, "scripts/build.ts");
  execFileSync(process.execPath, [build, "--main", main, "--out", dist], { cwd: repository });
  const env = { ...process.env, CACHE_DIRECTORY: join(directory, "cache") };
  const said = execFileSync(process.execPath, [join(dist, "main.js")], {
    cwd: directory,
    env,
    encoding: "utf8",
  });

  const backend = new SimdTrainingBackend();
  t.teardown(() => {
    backend.dispose();
  });
  const model = backend.build(spec, new SeededRandom("bundle"));
  model.train(samplesFor(spec, 64, new SeededRandom("bundle")), plan);
  const weights = new Float32Array(model.parameterCount);
  model.read(weights);
  t.equal(said.trim(), `200 ${createHash("sha256").update(weights).digest("hex")}`);
});
