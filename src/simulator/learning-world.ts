import { combine } from "../federated/combining/combine.ts";
import { bytesOfWeights } from "../federated/combining/weights-codec.ts";
import { blobs } from "../federated/data/blobs.ts";
import { type Dataset, type LabelledSamples, pick } from "../federated/data/dataset.ts";
import type { LearningGround } from "../federated/running/learning-ground.ts";
import { PlainVectorMath } from "../federated/strategies/plain-vector-math.ts";
import { completeSpec, type TaskSpec } from "../federated/tasks/task-spec.ts";
import type { Clock } from "../platform/clock.ts";
import type { Hasher } from "../platform/hasher.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import { initialWeights } from "../platform/training-initial-weights.ts";
import { layOut } from "../platform/training-layout.ts";
import { plainLearningGround } from "./plain-learning-ground.ts";
import type { LearningScenario } from "./run/learning-scenario.ts";
import { StandInTraining } from "./stand-in-training.ts";
import { TensorWitness } from "./tensor-witness.ts";

const FEATURES = 8;
const CLASSES = 4;
/** Samples of all agents together are drawn from so many. */
const POOL = 4_096;
const SAMPLES_LEAST = 16;
const SAMPLES_MOST = 48;
/** Of an agent's samples so many are of the two classes that it sees most of. */
const SKEW = 0.7;
/** That agents judge a model by. */
const TEST = 16;
/** That the checker judges a model by. */
const JUDGED_BY = 512;
const STAND_IN_MS = 400;
const DATASET = "blobs";
const STALENESS_MAX = 3;

/** What the agents of a world learn, and from what; the same for a seed. */
export class LearningWorld {
  readonly spec: TaskSpec;
  readonly parameterCount: number;
  /** That round 1 begins with. */
  readonly firstWeights: Float32Array;
  readonly firstModelHash: string;
  /** That no agent has. */
  readonly test: LabelledSamples;
  readonly witness: TensorWitness;
  readonly #scenario: LearningScenario;
  readonly #agents: number;
  readonly #seed: string;
  readonly #pool: Dataset;
  /** Of a stand-in, which looks at none. */
  readonly #any: Dataset;

  /** @param agents how many there are at once */
  constructor(scenario: LearningScenario, agents: number, seed: string, hasher: Hasher) {
    this.#scenario = scenario;
    this.#agents = agents;
    this.#seed = seed;
    this.spec = specOf(scenario);
    const layout = layOut(this.spec.model);
    this.parameterCount = layout.parameterCount;
    this.firstWeights = initialWeights(layout, new SeededRandom(`learning/${this.spec.seed}`));
    this.firstModelHash = hasher.sha256Hex(bytesOfWeights(this.firstWeights));
    const options = {
      features: FEATURES,
      classes: CLASSES,
      train: POOL,
      test: JUDGED_BY,
      spread: 1,
    };
    this.#pool = blobs(options, new SeededRandom(`${seed}/blobs`));
    this.test = this.#pool.test;
    this.#any = {
      ...this.#pool,
      train: pick(this.#pool.train, [0]),
      test: pick(this.#pool.test, []),
    };
    this.witness = new TensorWitness(hasher, 4 * this.parameterCount);
  }

  /** @param index of the agent @param name a device that comes in the place of another has another name, and other samples */
  ground(index: number, name: string, clock: Pick<Clock, "setTimer">): LearningGround {
    const isStandIn = this.#scenario.trains === "stand-in";
    const dataset = isStandIn ? this.#any : this.dataset(name);
    const ground = plainLearningGround(clock, (asked) => (asked === DATASET ? dataset : undefined));
    return {
      ...ground,
      ...(isStandIn && { training: new StandInTraining(clock, STAND_IN_MS) }),
      ...(this.isFaulty(index) && { combine: wrongly }),
    };
  }

  /** Whether that agent puts updates together wrongly. */
  isFaulty(index: number): boolean {
    return index >= this.#agents - this.#scenario.faultyAgents;
  }

  /** What that agent alone has: of two classes more than of the others. */
  dataset(name: string): Dataset {
    const random = new SeededRandom(`${this.#seed}/samples/${name}`);
    const { train, test } = this.#pool;
    const usual = Math.floor(random.next() * CLASSES);
    const count = SAMPLES_LEAST + Math.floor(random.next() * (SAMPLES_MOST - SAMPLES_LEAST));
    const places: number[] = [];
    while (places.length < count) {
      const at = Math.floor(random.next() * POOL);
      const isUsual = ((train.targets[at] ?? 0) + CLASSES - usual) % CLASSES < 2;
      if (isUsual || random.next() > SKEW) places.push(at);
    }
    const kept = Array.from({ length: TEST }, () => Math.floor(random.next() * JUDGED_BY));
    return { ...this.#pool, train: pick(train, places), test: pick(test, kept) };
  }
}

function specOf(scenario: LearningScenario): TaskSpec {
  const { agentsMax, buffered, deadlineSeconds } = scenario;
  const deadlineMs = Math.round(1_000 * deadlineSeconds);
  return completeSpec({
    name: "simulated",
    model: {
      inputShape: [FEATURES],
      layers: [
        { kind: "dense", units: 8, activation: "relu" },
        { kind: "dense", units: CLASSES },
      ],
      loss: "softmax-cross-entropy",
    },
    data: { kind: "dataset", name: DATASET },
    client: { kind: "local", learningRate: 0.1 },
    rounds: 1_000_000,
    pace: {
      agentsMin: 2,
      agentsMax,
      deadlineMs,
      takeoverMs: Math.max(100, Math.round(deadlineMs / 4)),
      ...(buffered > 0 && { buffered: { updates: buffered, stalenessMax: STALENESS_MAX } }),
    },
  });
}

/** What a device with broken memory makes of it: something near, and never the same as others. */
const wrongly: LearningGround["combine"] = (job, seed) => {
  const right = combine(job, { math: new PlainVectorMath(), random: new SeededRandom(seed) });
  if (right.kind !== "combined") return Promise.resolve(right);
  const model = right.model.slice();
  model[0] = (model[0] ?? 0) ^ 1;
  return Promise.resolve({ ...right, model });
};
