import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Figure, figure, median, rounded } from "../figure.ts";
import {
  type AgentFigures,
  LearningFleet,
  type ToldRound,
  type ToldTask,
} from "../support/learning-fleet.ts";
import { runLabs } from "../support/learning-lab.ts";
import { mnistParts } from "../support/learning-parts.ts";
import { temporaryDirectory, until } from "../support/processes.ts";
import { busiestThread, restsAfterMs } from "../support/thread-time.ts";

const SUITE = "learning";
const AGENTS = 8;
/** Two of them wait for the run in which two agents are killed. */
const PARTS = AGENTS + 2;
const LIAR = 7;
const ROUNDS = 20;
/** All agents together judge a model on as many as the lab does. */
const TEST_SAMPLES = 10_000 / AGENTS;
const CHURN_AT_ROUND = 6;
const PAUSES = 5;
/** The lab goes before the first and behind each of them. */
const TURNS = 3;
/** MNIST 2NN (McMahan et al. 2017). */
const LAYERS = [
  { kind: "flatten" },
  { kind: "dense", units: 200, activation: "relu" },
  { kind: "dense", units: 200, activation: "relu" },
  { kind: "dense", units: 10 },
];
const MODEL_BYTES = 4 * (784 * 200 + 200 + 200 * 200 + 200 + 200 * 10 + 10);
const CLIENT = { kind: "local", epochs: 1, batchSize: 10, learningRate: 0.05 };
const STRATEGY = { rule: { kind: "trimmed-mean", trim: 1 } };
const DEADLINE_MS = 20_000;
const TASK = {
  name: "digits",
  model: { inputShape: [28, 28, 1], layers: LAYERS, loss: "softmax-cross-entropy" },
  data: { kind: "dataset", name: "digits" },
  client: CLIENT,
  strategy: STRATEGY,
  rounds: ROUNDS,
  pace: { agentsMin: 4, deadlineMs: DEADLINE_MS, takeoverMs: 5_000 },
};
const COMPRESSION = { topShare: 0.1, quantize: "int8", zstd: 3, errorFeedback: true };

/** What a fleet came to. */
interface Run {
  readonly accuracy: number;
  readonly rounds: readonly ToldRound[];
  /** Since the task was begun. */
  readonly cpuMs: number;
  /** Of an agent, before that. */
  readonly startCpuMs: number;
  /** Sent by an agent in a round, beside the length of the model. */
  readonly sentModels: number;
  readonly peakBytes: number;
  readonly realMs: number;
}

/**
 * Eight agents, each a process, learn MNIST 2NN over libp2p on the loopback: how good the model is, undisturbed and with two killed, two
 * added and one that lies; and what it costs in processor time, bytes and memory.
 */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  const size = { parts: PARTS, test: TEST_SAMPLES };
  const honest = await mnistParts(join(directory.path, "honest"), size);
  const lying = await mnistParts(join(directory.path, "lying"), { ...size, liar: LIAR });

  const { calm, figures } = await turns("nothing lost", directory.path, honest, {});
  yield figure({
    suite: SUITE,
    metric: `accuracy of ${AGENTS} agents after ${ROUNDS} rounds, undisturbed`,
    unit: "share",
    value: calm.accuracy,
    bar: { floor: 0.95, goal: 0.97, better: "higher" },
  });
  yield* costs(calm);
  yield* figures;
  yield* disturbed(calm, join(directory.path, "churn"), lying);

  const short = "int8 and the largest tenth";
  const compressed = await turns(short, directory.path, honest, { compression: COMPRESSION });
  yield bytesFigure(short, compressed.calm, { floor: 1.2, goal: 0.8 });
  yield* compressed.figures;
  yield ratio("accuracy with compressed updates", compressed.calm.accuracy, calm, {
    floor: 0.97,
    goal: 0.99,
  });
  yield await pauses(join(directory.path, "pause"), honest);
}

function* costs(calm: Run): Generator<Figure> {
  yield bytesFigure("nothing lost", calm, { floor: 3, goal: 1.2 });
  yield figure({
    suite: SUITE,
    metric: "peak memory of an agent that trains 2NN",
    unit: "MB",
    value: calm.peakBytes / 1e6,
    bar: { floor: 300, goal: 250, better: "lower" },
  });
  yield figure({
    suite: SUITE,
    metric: "processor time of an agent before the task",
    unit: "CPU-s",
    value: calm.startCpuMs / 1_000,
    bar: { floor: 15, goal: 8, better: "lower" },
  });
}

function bytesFigure(
  what: string,
  { sentModels }: Run,
  { floor, goal }: { readonly floor: number; readonly goal: number },
): Figure {
  return figure({
    suite: SUITE,
    metric: `sent by an agent in a round, ${what}`,
    unit: "models of 797 kB",
    value: sentModels,
    bar: { floor, goal, better: "lower" },
  });
}

/**
 * The fleet and the lab take turns, and each run of the fleet is held against the two of the lab around it: what else the machine
 * has to do changes within minutes.
 * @param more of the task and of the experiment
 */
async function turns(
  what: string,
  directory: string,
  files: readonly string[],
  more: { readonly compression?: typeof COMPRESSION },
): Promise<{ readonly calm: Run; readonly figures: readonly Figure[] }> {
  const experiment = {
    ...more,
    name: "the same work",
    dataset: { kind: "known", name: "mnist" },
    partition: { kind: "iid" },
    clients: PARTS,
    fraction: AGENTS / PARTS,
    model: { layers: LAYERS },
    client: CLIENT,
    strategy: STRATEGY,
    rounds: ROUNDS,
    seeds: [1],
  };
  // A core whose neighbours are busy does less in a second of its time: eight agents keep all of them busy, one lab does not.
  const lab = () => runLabs(directory, experiment, availableParallelism());
  const labs = [await lab()];
  const runs: Run[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const own = join(directory, what.replaceAll(" ", "-"), `${turn}`);
    runs.push(await learn(own, files, { ...TASK, ...more }));
    labs.push(await lab());
  }
  const [calm, first] = [runs.at(-1), labs[0]];
  if (calm === undefined || first === undefined) throw new Error("nothing was measured");
  const around = runs.map((_, turn) => {
    const [before, after] = labs.slice(turn, turn + 2).map(({ cpuMs }) => cpuMs);
    return ((before ?? Number.NaN) + (after ?? Number.NaN)) / 2;
  });
  const fleetMs = runs.map(({ cpuMs }) => cpuMs);
  const alone = await runLabs(directory, experiment, 1);
  return {
    calm,
    figures: [
      cpuFigure(`${what}, beside the lab with as many cores busy`, fleetMs, around),
      cpuFigure(`${what}, beside the lab with the machine for itself`, fleetMs.slice(-1), [
        alone.cpuMs,
      ]),
      ratio(
        `accuracy beside the lab's, ${what}`,
        calm.accuracy,
        first,
        { floor: 0.97, goal: 0.99 },
        "the lab",
      ),
    ],
  };
}

/** @param labMs beside each run of the fleet */
function cpuFigure(what: string, fleetMs: readonly number[], labMs: readonly number[]): Figure {
  const beside = median(fleetMs.map((ms, turn) => ms / (labMs[turn] ?? Number.NaN)));
  return {
    ...figure({
      suite: SUITE,
      metric: `processor time of ${ROUNDS} rounds, all agents, ${what}`,
      unit: "CPU-s",
      value: beside,
      bar: { floor: 2, goal: 1.3, better: "lower" },
    }),
    value: rounded(median(fleetMs) / 1_000),
    peer: "the lab in one process, as many samples",
    peerValue: rounded(median(labMs) / 1_000),
    ratio: rounded(beside),
  };
}

async function* disturbed(
  calm: Run,
  directory: string,
  files: readonly string[],
): AsyncGenerator<Figure> {
  const churned = await learn(directory, files, TASK, async (fleet, task) => {
    await fleet.reached(task, CHURN_AT_ROUND);
    await Promise.all([fleet.kill("a2"), fleet.kill("a5")]);
    await fleet.start(namedFiles(files, AGENTS, PARTS));
  });
  yield ratio("accuracy with one that lies, two killed and two added", churned.accuracy, calm, {
    floor: 0.97,
    goal: 0.99,
  });
  const tooks = (run: Run): number[] => run.rounds.flatMap(({ tookMs }) => tookMs ?? []);
  const longest = Math.max(...tooks(churned)) - median(tooks(calm));
  yield figure({
    suite: SUITE,
    metric: "the longest round then, beyond an undisturbed one",
    unit: "deadlines",
    value: longest / DEADLINE_MS,
    bar: { floor: 1, goal: 0.5, better: "lower" },
  });
}

function ratio(
  metric: string,
  value: number,
  beside: { readonly accuracy: number },
  { floor, goal }: { readonly floor: number; readonly goal: number },
  peer = "undisturbed",
): Figure {
  const share = value / beside.accuracy;
  return {
    ...figure({
      suite: SUITE,
      metric,
      unit: "share",
      value: share,
      bar: { floor, goal, better: "higher" },
    }),
    value: rounded(value),
    peer,
    peerValue: rounded(beside.accuracy),
    ratio: rounded(share),
  };
}

/** @param meanwhile what happens to the fleet while it learns */
async function learn(
  directory: string,
  files: readonly string[],
  spec: typeof TASK & { readonly compression?: typeof COMPRESSION },
  meanwhile?: (fleet: LearningFleet, task: string) => Promise<void>,
): Promise<Run> {
  const fleet = new LearningFleet(directory);
  try {
    await fleet.start(namedFiles(files, 0, 1));
    await fleet.start(namedFiles(files, 1, AGENTS));
    await fleet.settled();
    const before = await figuresOf(fleet);
    const fromMs = performance.now();
    const task = await fleet.learn(spec);
    await meanwhile?.(fleet, task);
    await fleet.reached(task, ROUNDS);
    const realMs = performance.now() - fromMs;
    const [first] = fleet.agents;
    if (first === undefined) throw new Error("no agent is left");
    const accuracy = await until("the last model to be judged", async () => {
      const rounds = await first.rounds(task);
      return rounds.at(-1)?.evaluation?.accuracy;
    });
    const after = await figuresOf(fleet);
    const run: Run = {
      accuracy,
      rounds: await first.rounds(task),
      cpuMs: sum(after, "cpuMs") - sum(before, "cpuMs"),
      startCpuMs: sum(before, "cpuMs") / before.length,
      sentModels: sum(after, "sentBytes") / AGENTS / ROUNDS / MODEL_BYTES,
      peakBytes: Math.max(...after.map(({ peakBytes }) => peakBytes)),
      realMs,
    };
    const { rounds: _, ...told } = run;
    process.stderr.write(`${JSON.stringify({ ...told, agents: after })}\n`);
    return run;
  } finally {
    await fleet.stop();
  }
}

const sum = (all: readonly AgentFigures[], of: "cpuMs" | "sentBytes"): number =>
  all.reduce((total, each) => total + each[of], 0);

const figuresOf = ({ agents }: LearningFleet) =>
  Promise.all(agents.map((agent) => agent.figures()));

function namedFiles(files: readonly string[], from: number, to: number): Map<string, string> {
  return new Map(files.slice(from, to).map((file, at) => [`a${from + at}`, file]));
}

/** An agent trains alone; whoever began the task lets it rest, which goes the way of the power policy's word. */
async function pauses(directory: string, files: readonly string[]): Promise<Figure> {
  const fleet = new LearningFleet(directory, ["consensus.foundersMin=1"]);
  try {
    const [agent] = await fleet.start(namedFiles(files, 0, 1));
    if (agent === undefined) throw new Error("there is no agent");
    await fleet.settled();
    const task = await fleet.learn({
      ...TASK,
      strategy: {},
      client: { ...CLIENT, epochs: 500 },
      pace: { ...TASK.pace, agentsMin: 1 },
    });
    const isTraining = (): Promise<true | undefined> =>
      until("training", async () => {
        const told = await agent.get<ToldTask>(`/v1/learning/tasks/${task}`);
        return told.activity === "training" && (told.progress?.step ?? 0) > 0 ? true : undefined;
      });
    const took: number[] = [];
    for (let pause = 0; pause < PAUSES; pause++) {
      await isTraining();
      const thread = await busiestThread(agent.program.pid);
      const rests = restsAfterMs(agent.program.pid, thread, 2_000);
      await agent.post(`/v1/learning/tasks/${task}/pause`);
      took.push(await rests);
      await agent.post(`/v1/learning/tasks/${task}/resume`);
      await sleep(500);
    }
    return figure({
      suite: SUITE,
      metric: `from the word to the pause of training, the longest of ${PAUSES}`,
      unit: "ms",
      value: Math.max(...took),
      bar: { floor: 2_000, goal: 250, better: "lower" },
    });
  } finally {
    await fleet.stop();
  }
}
