// What agents whose data differ come to, each with the trainer that it has on the mesh, put together as aggregators do.
import t from "tap";
import { combine } from "../../../../src/federated/combining/combine.ts";
import { variateIn } from "../../../../src/federated/combining/variates.ts";
import { weightsOfBytes } from "../../../../src/federated/combining/weights-codec.ts";
import { packUpdate } from "../../../../src/federated/compression/pack-update.ts";
import { LocalTrainer } from "../../../../src/federated/running/local-trainer.ts";
import type { OwnSamples } from "../../../../src/federated/running/task-trainer.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { completeSpec } from "../../../../src/federated/tasks/task-spec.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { leastSquares } from "../../../support/learning/least-squares.ts";
import { promptRunner } from "../../../support/learning/prompt-runner.ts";

const EPOCHS = 10;
const LEARNING_RATE = 0.05;
const ROUNDS = 300;

/** Straight lines: what the agents see of them differs in where they look, and in what they see there. */
const SEEN = [
  { x: [-1, 0, 1], y: [0, 0, 0] },
  { x: [1, 2, 3], y: [1, 4, 4] },
];
const GUEST = { x: [-3, -2, 2], y: [5, 3, 9] };

const samplesOf = ({ x, y }: (typeof SEEN)[number]): OwnSamples => ({
  train: { count: x.length, features: Float32Array.from(x), targets: Float32Array.from(y) },
  test: { count: 0, features: new Float32Array(0), targets: new Float32Array(0) },
});

interface Course {
  readonly scaffold: boolean;
  /** The round before which an agent is started anew. */
  readonly forgets?: number;
  /** Rounds that another agent takes part in, which sees something else. */
  readonly visits?: number;
}

/** How far the agents' model ends from that. */
async function distance({ scaffold, forgets, visits = 0 }: Course): Promise<number> {
  const spec = completeSpec({
    name: "line",
    model: { inputShape: [1], layers: [{ kind: "dense", units: 1 }], loss: "mean-squared-error" },
    data: { kind: "dataset", name: "line" },
    client: { kind: "local", epochs: EPOCHS, batchSize: 3, learningRate: LEARNING_RATE, scaffold },
    rounds: ROUNDS,
  });
  const runner = promptRunner();
  const open = (at: number) =>
    LocalTrainer.open(runner, {
      spec,
      random: new SeededRandom(`agent/${at}`),
      pack: (job) => Promise.resolve(packUpdate(job)),
      onProgress: () => undefined,
    });
  const seen = [...SEEN, GUEST];
  const trainers = await Promise.all(seen.map((_, at) => open(at)));
  let base = new Uint8Array(8);
  let state: Uint8Array | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    if (round === forgets) trainers[1] = await open(1);
    const agreed = state && variateIn(state, 2);
    const weights = weightsOfBytes(base, 2)!;
    const updates = [];
    const present = trainers.slice(0, SEEN.length + (round < visits ? 1 : 0));
    for (const [at, trainer] of present.entries()) {
      const trained = await trainer.train(weights, samplesOf(seen[at]!), agreed);
      const { bytes, samples: weight, loss } = trained!;
      updates.push({ sender: `agent-${at}`, bytes, weight, loss });
    }
    const combined = combine(
      {
        strategy: {},
        parameterCount: 2,
        compressed: false,
        ...(scaffold && { variates: true }),
        base,
        ...(state && { state }),
        updates,
      },
      { math: new PlainVectorMath(), random: new SeededRandom("all") },
    );
    if (combined.kind !== "combined") throw new Error(combined.reason);
    base = Uint8Array.from(combined.model);
    state = combined.state;
  }
  const [slope, intercept] = weightsOfBytes(base, 2)!;
  const best = leastSquares(SEEN);
  return Math.hypot(slope! - best.slope, intercept! - best.intercept);
}

t.test("agents that correct each other's drift find the optimum of all their data", async (t) => {
  const averaged = await distance({ scaffold: false });
  t.ok(averaged > 0.02, `FedAvg ends ${averaged} beside it`);
  const corrected = await distance({ scaffold: true });
  t.ok(corrected < 1e-5, `SCAFFOLD ${corrected}`);
});

t.test("neither who was started anew nor who is gone leaves anything behind", async (t) => {
  for (const course of [{ forgets: 100 }, { visits: 100 }]) {
    const left = await distance({ scaffold: true, ...course });
    t.ok(left < 1e-5, `${JSON.stringify(course)}: ${left} beside it`);
  }
});
