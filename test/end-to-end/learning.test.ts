// Built agents learn over libp2p, each on a file of its own; one is killed on the way, and comes back; two have networks of their own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { blobs } from "../../src/federated/data/blobs.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";

t.setTimeout(600_000);

const ROUNDS = 12;
const FEATURES = 6;
const CLASSES = ["class0", "class1", "class2"];
const TASK = `
name: clouds
model:
  inputShape: [${FEATURES}]
  layers:
    - { kind: dense, units: 16, activation: relu }
    - { kind: dense, units: 3 }
  loss: softmax-cross-entropy
data: { kind: dataset, name: clouds }
client: { kind: local, epochs: 2, batchSize: 10, learningRate: 0.1 }
rounds: ${ROUNDS}
pace: { agentsMin: 2, deadlineMs: 20000, takeoverMs: 3000 }
`;

interface Shown {
  readonly task: string;
  readonly state: string;
  readonly round: number;
  readonly activity: string;
  readonly samples: number;
  readonly latest?: {
    readonly updates: number;
    readonly modelHash: string;
    readonly evaluation?: { readonly accuracy: number };
  };
}

/** The same, where small networks and large ones answer on samples that all have. */
const TWO_SIZES = `${TASK}
teaching:
  architectures:
    small:
      layers:
        - { kind: dense, units: 5, activation: tanh }
        - { kind: dense, units: 3 }
  transfer: { kind: dataset, name: public, count: 100 }
  epochs: 4
  learningRate: 0.05
`;

const clouds = () =>
  blobs(
    { features: FEATURES, classes: 3, train: 200, test: 150, spread: 0.7 },
    new SeededRandom("clouds"),
  );

const rowsOf = (features: Float32Array): number[][] =>
  Array.from({ length: features.length / FEATURES }, (_, row) =>
    Array.from(features.subarray(row * FEATURES, (row + 1) * FEATURES)),
  );

/** Samples of the same clouds, others for each agent. @param without a class that it has none of */
function csvFor(name: string, without?: number): string {
  const { train } = clouds();
  const own = new SeededRandom(name);
  const header = [...Array.from({ length: FEATURES }, (_, at) => `f${at}`), "label"].join(",");
  const places = Array.from({ length: train.count }, (_, row) => row).filter(
    (row) => train.targets[row] !== without,
  );
  const rows = places.map((row) => {
    const features = train.features.subarray(row * FEATURES, (row + 1) * FEATURES);
    const noisy = Array.from(features, (value) => (value + 0.3 * (own.next() - 0.5)).toFixed(4));
    return [...noisy, `class${train.targets[row]}`].join(",");
  });
  return [header, ...rows].join("\n");
}

const settings = (name: string, file: string, sets: readonly string[]): readonly string[] => [
  `agent.id=${name}`,
  "mesh.port=0",
  'mesh.transports=["tcp"]',
  "power.mode=normal",
  "consensus.enabled=true",
  "consensus.foundAfterMs=1000",
  "learning.enabled=true",
  "learning.gatherMs=200",
  `learning.datasets=${JSON.stringify([{ name: "clouds", file, classes: CLASSES }])}`,
  ...sets,
];

async function json<T>(agent: AgentProcess, ...words: readonly string[]): Promise<T> {
  const { stdout, stderr } = await agentMesh([...words, "--json", "--data", agent.data]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

t.test("three agents learn; one is killed, and comes back to the same model", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "learning-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const start = (t: Test, name: string, sets: readonly string[] = []): Promise<AgentProcess> => {
    const file = join(directory, `${name}.csv`);
    writeFileSync(file, csvFor(name));
    return AgentProcess.start(t, join(directory, name), settings(name, file, sets));
  };
  const first = await start(t, "first");
  const { addresses } = await first.get<{ addresses: string[] }>("/v1/mesh");
  const bootstrap = `mesh.bootstrap=["${addresses[0]}"]`;
  const second = await start(t, "second", [bootstrap]);
  let third = await start(t, "third", [bootstrap]);
  const task = join(directory, "task.yaml");
  writeFileSync(task, TASK);
  const begun = await json<Shown>(first, "learn", "start", task);
  t.match(begun, { state: "running", task: /^[0-9a-f]{32}$/ });
  const shown = (agent: AgentProcess): Promise<Shown | undefined> =>
    agent.get<Shown>(`/v1/learning/tasks/${begun.task}`).catch(() => undefined);
  await until("some rounds", async () => ((await shown(third))?.round ?? 0) >= 3);
  await third.kill();
  const at = (await shown(second))?.round ?? 0;
  await until("the others to go on", async () => ((await shown(second))?.round ?? 0) >= at + 2);
  third = await start(t, "third", [bootstrap]);
  const all = [first, second, third];
  const done = await until("all rounds", async () => {
    const each = await Promise.all(all.map(shown));
    return each.every((one) => one?.state === "finished" && one.latest !== undefined) && each;
  });
  const hashes = new Set(done.map((one) => one?.latest?.modelHash));
  t.equal(hashes.size, 1, "one model");
  const { accuracy } = await until(
    "the model to be judged",
    async () => (await shown(first))?.latest?.evaluation,
  );
  t.comment(`accuracy ${accuracy}`);
  t.ok(accuracy > 0.8);
  t.equal(done[0]?.samples, 160);

  const rows = join(directory, "rows.json");
  writeFileSync(rows, JSON.stringify([[0, 0, 0, 0, 0, 0]]));
  const predicted = await json<{ round: number; outputs: number[][] }>(
    second,
    "learn",
    "predict",
    "clouds",
    "--input",
    rows,
  );
  t.equal(predicted.round, ROUNDS);
  t.equal(predicted.outputs[0]?.length, 3);
  const text = await agentMesh(["learn", "status", "clouds", "--data", third.data]);
  t.match(text, { code: 0, stdout: /finished/ });
});

t.test("a small network and a large one teach each other what they never saw", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "learning-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const shared = join(directory, "public.csv");
  writeFileSync(shared, csvFor("public"));
  const start = (name: string, without: number, sets: readonly string[]): Promise<AgentProcess> => {
    const file = join(directory, `${name}.csv`);
    writeFileSync(file, csvFor(name, without));
    const datasets = JSON.stringify([
      { name: "clouds", file, classes: CLASSES },
      { name: "public", file: shared, classes: CLASSES },
    ]);
    return AgentProcess.start(t, join(directory, name), [
      ...settings(name, file, []),
      `learning.datasets=${datasets}`,
      ...sets,
    ]);
  };
  const large = await start("large", 0, ["consensus.foundersMin=1"]);
  const { addresses } = await large.get<{ addresses: string[] }>("/v1/mesh");
  const small = await start("small", 1, [
    "consensus.foundersMin=1",
    "learning.architecture=small",
    `mesh.bootstrap=["${addresses[0]}"]`,
  ]);
  const file = join(directory, "task.yaml");
  writeFileSync(file, TWO_SIZES);
  const begun = await json<Shown>(small, "learn", "start", file);
  const shown = (agent: AgentProcess): Promise<Shown | undefined> =>
    agent.get<Shown>(`/v1/learning/tasks/${begun.task}`).catch(() => undefined);
  for (const agent of [large, small]) {
    const { latest } = await until("all rounds, and its model to be judged", async () => {
      const now = await shown(agent);
      return now?.state === "finished" && now.latest?.evaluation !== undefined && now;
    });
    t.equal(latest?.updates, 2);
  }
  const status = await agentMesh(["learn", "status", "clouds", "--data", small.data]);
  t.match(status, { code: 0, stdout: /network +small here/ });
  // Each is judged by what it has samples of; what it never saw, the other does.
  const rows = join(directory, "rows.json");
  const { test } = clouds();
  writeFileSync(rows, JSON.stringify(rowsOf(test.features)));
  for (const agent of [large, small]) {
    const words = ["learn", "predict", "clouds", "--input", rows];
    const { outputs } = await json<{ outputs: number[][] }>(agent, ...words);
    const right = outputs.filter(
      (logits, at) => logits.indexOf(Math.max(...logits)) === test.targets[at],
    );
    // Without one of three classes it can not be right more often than in two of three cases.
    t.ok(right.length > 0.8 * test.count, `${right.length} of ${test.count}`);
  }
});
