import { join } from "node:path";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdTrainingBackend } from "../../src/platform/simd/training-backend.ts";
import type { ModelSpec } from "../../src/platform/training-backend.ts";
import { type Bar, type Figure, race } from "../figure.ts";
import { LinePeer } from "../support/line-peer.ts";
import { numpyPeer } from "../support/numpy.ts";
import { root } from "../support/processes.ts";
import { benchModels, samplesPerCpuSecond } from "../support/training-models.ts";

const ROUNDS = 7;
const NUMPY_BAR: Bar = { floor: 0.4, goal: 0.8, better: "higher" };
const STOCK_BAR: Bar = { floor: 3, goal: 8, better: "higher" };
const NATIVE_BAR: Bar = { floor: 0.5, goal: 1, better: "higher" };
/** Steps of ours and of the peer in one round; the peer's are few where one takes seconds. */
const STOCK = [
  { name: "mlp", title: "MLP 784-200-200-10", ours: 400, theirs: 40, plain: 8, native: 150 },
  { name: "cnn", title: "CNN of 57k", ours: 40, theirs: 4, plain: 1, native: 40 },
  { name: "conv1d", title: "conv1d on 128 × 6", ours: 100, theirs: 4, plain: 1, native: 50 },
  { name: "lstm", title: "LSTM-64 on 128 × 6", ours: 20, theirs: 3, plain: 1, native: 2 },
] as const;

/**
 * Samples per second of processor time in one thread, beside NumPy, beside TensorFlow.js as it comes, and beside
 * TensorFlow's own library where `TFJS_NODE` names a directory that has it.
 */
export async function* run(): AsyncGenerator<Figure> {
  const backend = new SimdTrainingBackend();
  yield await besideNumpy(backend);
  yield* besideStock(backend);
  if (process.env["TFJS_NODE"] !== undefined) yield* besideNative(backend);
  backend.dispose();
}

async function besideNumpy(backend: SimdTrainingBackend): Promise<Figure> {
  const numpy = numpyPeer("numpy_mlp.py");
  const model = backend.build(benchModels["mlp"] as ModelSpec, new SeededRandom("mlp"));
  try {
    // Both once for nothing: compilers and caches.
    samplesPerCpuSecond(model, 400);
    await numpy.ask("1");
    return await race({
      suite: "training",
      metric: "MLP 784-200-200-10, batches of 32, one thread",
      unit: "samples/CPU-s",
      peer: "NumPy with OpenBLAS",
      bar: NUMPY_BAR,
      rounds: 2 * ROUNDS,
      ours: async () => samplesPerCpuSecond(model, 400),
      theirs: async () => Number(await numpy.ask("4")),
    });
  } finally {
    model.dispose();
    await numpy.stop();
  }
}

async function* besideStock(backend: SimdTrainingBackend): AsyncGenerator<Figure> {
  const script = join(root, "bench/peers/stock-training.ts");
  const start = (ground: string) =>
    new LinePeer("TensorFlow.js", process.execPath, [script, ground], process.env);
  const wasm = start("wasm");
  const plain = start("cpu");
  try {
    for (const { name, title, ours, theirs, plain: plainSteps } of STOCK) {
      const isTrained = Number.isFinite(Number(await wasm.ask(`${name} 1`)));
      const [peer, steps] = isTrained ? [wasm, theirs] : [plain, plainSteps];
      const model = backend.build(benchModels[name] as ModelSpec, new SeededRandom(name));
      samplesPerCpuSecond(model, ours);
      yield await race({
        suite: "training",
        metric: `${title}, batches of 32, one thread`,
        unit: "samples/CPU-s",
        peer: isTrained
          ? "TensorFlow.js on WebAssembly"
          : "TensorFlow.js in JavaScript (its WebAssembly backend can not train this)",
        bar: STOCK_BAR,
        rounds: isTrained ? ROUNDS : 3,
        ours: async () => samplesPerCpuSecond(model, ours),
        theirs: async () => Number(await peer.ask(`${name} ${steps}`)),
      });
      model.dispose();
    }
  } finally {
    await Promise.all([wasm.stop(), plain.stop()]);
  }
}

async function* besideNative(backend: SimdTrainingBackend): AsyncGenerator<Figure> {
  const script = join(root, "bench/peers/native-training.ts");
  const native = new LinePeer("tfjs-node", process.execPath, [script], {
    ...process.env,
    TF_NUM_INTRAOP_THREADS: "1",
    TF_NUM_INTEROP_THREADS: "1",
    TF_CPP_MIN_LOG_LEVEL: "1",
  });
  try {
    for (const { name, title, ours, native: theirs } of STOCK) {
      const model = backend.build(benchModels[name] as ModelSpec, new SeededRandom(name));
      samplesPerCpuSecond(model, ours);
      await native.ask(`${name} ${theirs}`);
      yield await race({
        suite: "training",
        metric: `${title}, batches of 32, one thread`,
        unit: "samples/CPU-s",
        peer: "TensorFlow's library by tfjs-node",
        bar: NATIVE_BAR,
        rounds: ROUNDS,
        ours: async () => samplesPerCpuSecond(model, ours),
        theirs: async () => Number(await native.ask(`${name} ${theirs}`)),
      });
      model.dispose();
    }
  } finally {
    await native.stop();
  }
}
