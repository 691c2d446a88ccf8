import type { Random } from "./random.ts";

/**
 * What a kernel, or biases, are drawn from first, by its name in Keras: within a limit or around zero, scaled by the square root of what goes
 * into a unit (`he`: 2, He et al. 2015; `lecun`: 1, LeCun et al. 1998) or of the mean of what goes in and out (`glorot`: 1, Glorot &
 * Bengio 2010). In numbers, `uniform` lies within `limit` and `normal` has the standard deviation `deviation`, neither is cut off.
 */
export type Initializer =
  | "glorot-uniform"
  | "glorot-normal"
  | "he-uniform"
  | "he-normal"
  | "lecun-uniform"
  | "lecun-normal"
  | { readonly kind: "uniform"; readonly limit: number }
  | { readonly kind: "normal"; readonly deviation: number };

/** What comes out of a layer's sum. */
export type Activation = "linear" | "relu" | "sigmoid" | "tanh" | "softmax";

/**
 * A layer, by its name in Keras; `units`, `filters` and sizes are whole numbers above zero. `dense` takes a vector or
 * works on the last axis; pools step by their size and leave out what does not fill one; `embedding` comes first, its
 * inputs are whole numbers below `vocabulary`.
 *
 * `lstm` (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000): gates i, f, c, o in this order, sigmoid gates.
 * `gru` (Cho et al. 2014, the form before cuDNN's): gates z, r, h; `h = z * h' + (1 - z) * tanh(x W + (r * h') U + b)`.
 * `batch-norm` (Ioffe & Szegedy 2015) is over the last axis with momentum 0.99 and epsilon 0.001 unless given.
 * `dropout` (Srivastava et al. 2014) happens in `train` alone.
 *
 * `initializer` is that of the kernel, of a recurrent layer the one for what comes in; `glorot-uniform` unless given. `biasInitializer` is
 * that of the biases, which are zero unless given; what goes into a unit is counted as for the kernel.
 */
export type LayerSpec =
  | {
      readonly kind: "dense";
      readonly units: number;
      readonly activation?: Activation;
      readonly initializer?: Initializer;
      readonly biasInitializer?: Initializer;
    }
  | {
      readonly kind: "conv1d";
      readonly filters: number;
      readonly kernelSize: number;
      readonly strides?: number;
      readonly padding?: "valid" | "same";
      readonly activation?: Activation;
      readonly initializer?: Initializer;
      readonly biasInitializer?: Initializer;
    }
  | {
      readonly kind: "conv2d";
      readonly filters: number;
      readonly kernelSize: number;
      readonly strides?: number;
      readonly padding?: "valid" | "same";
      readonly activation?: Activation;
      readonly initializer?: Initializer;
      readonly biasInitializer?: Initializer;
    }
  | {
      readonly kind: "depthwise-conv2d";
      readonly kernelSize: number;
      readonly strides?: number;
      readonly padding?: "valid" | "same";
      readonly activation?: Activation;
      readonly initializer?: Initializer;
      readonly biasInitializer?: Initializer;
    }
  | { readonly kind: "max-pool" | "average-pool"; readonly size: number }
  | { readonly kind: "global-average-pool" }
  | { readonly kind: "flatten" }
  | { readonly kind: "reshape"; readonly shape: readonly number[] }
  | { readonly kind: "embedding"; readonly vocabulary: number; readonly units: number }
  | {
      readonly kind: "lstm" | "gru";
      readonly units: number;
      readonly sequences?: boolean;
      readonly initializer?: Initializer;
    }
  | { readonly kind: "batch-norm"; readonly momentum?: number; readonly epsilon?: number }
  | { readonly kind: "dropout"; readonly rate: number };

/**
 * What a model is trained for; the mean over the outputs of a sample, then over samples. With `softmax-cross-entropy` and
 * `sigmoid-cross-entropy` the last layer gives logits: it is `linear`.
 */
export type Loss = "softmax-cross-entropy" | "sigmoid-cross-entropy" | "mean-squared-error";

/** A network of layers one after the other, as it travels between agents: JSON, without any weights. */
export interface ModelSpec {
  /** Of one sample: `[784]`, `[28, 28, 1]` (channels last), `[128, 6]` (steps, channels). */
  readonly inputShape: readonly number[];
  readonly layers: readonly LayerSpec[];
  readonly loss: Loss;
}

/** One tensor of a model, and where it lies among all parameters. */
export interface ParameterInfo {
  /**
   * `0/kernel`: the layer's place and what the tensor is to it, by its name in Keras: `kernel`, `bias`, `recurrent_kernel`,
   * `embeddings`, `gamma`, `beta`, `moving_mean`, `moving_variance`.
   */
  readonly name: string;
  readonly layer: number;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly size: number;
  /** `statistics` are moved by what passes through and not by a gradient; `normalization` are scale and shift. */
  readonly role: "weight" | "bias" | "normalization" | "statistics";
}

/** Samples, one after the other. */
export interface Samples {
  readonly count: number;
  /** `count` times the product of the input shape. */
  readonly features: Float32Array;
  /** The class of each with `softmax-cross-entropy`; otherwise `count` times the size of an output. */
  readonly targets: Int32Array | Float32Array;
}

/**
 * What one run of gradient steps does, without leaving the backend. With `g` the clipped gradient of the mean loss:
 * `g += weightDecay * w + mu * (w - anchor) + correction`, `v = momentum * v + g`, `w -= learningRate * v`, for all
 * parameters but statistics: those are moved by what passes through.
 */
export interface TrainPlan {
  /** Which samples make the batches: `batchSize` at a time, the last batch may be smaller. */
  readonly order: Int32Array;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Heavy-ball momentum; its velocity begins at zero with each plan unless `velocity` is given. */
  readonly momentum?: number;
  /** Velocity to go on with: read and written. */
  readonly velocity?: Float32Array;
  /** L2 penalty times the weights is added to each gradient. */
  readonly weightDecay?: number;
  /** `mu * (w - anchor)` is added to each gradient: FedProx (Li et al. 2020), Ditto (Li et al. 2021). */
  readonly proximal?: { readonly mu: number; readonly anchor: Float32Array };
  /** Added to each gradient: SCAFFOLD's `c - c_i` (Karimireddy et al. 2020). */
  readonly correction?: Float32Array;
  /** Gradients longer than this are shortened to it (L2), before all that is added to them. */
  readonly clippingNorm?: number;
  /**
   * Which dropout masks are drawn: by seed (0 unless given) and step, so that a run in slices, each with the steps taken
   * before it as `firstStep`, is the same as one run.
   */
  readonly dropout?: { readonly seed: number; readonly firstStep?: number };
}

/** What came of training. */
export interface TrainReport {
  readonly steps: number;
  /** Mean over the batches, each as it was before its step. */
  readonly loss: number;
}

/** How good a model is on samples. */
export interface Evaluation {
  readonly count: number;
  readonly loss: number;
  /** Share of samples whose largest output is their class; absent without classes. */
  readonly accuracy?: number;
}

/** The backend could not do what was asked; `code` is stable, `message` names what was wrong. */
export class TrainingError extends Error {
  override readonly name = "TrainingError";
  readonly code:
    | "training.model"
    | "training.samples"
    | "training.not-finite"
    | "training.memory"
    | "training.backend"
    | "training.disposed";
  constructor(code: TrainingError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * A model in a backend. Calls are synchronous and long; whoever must stay responsive runs them in a worker, a few steps
 * at a time. Parameters are one flat array in the order of {@link layout}.
 */
export interface TrainableModel {
  readonly spec: ModelSpec;
  readonly layout: readonly ParameterInfo[];
  readonly parameterCount: number;
  /** @param into as long as `parameterCount` */
  read(into: Float32Array): void;
  /** @throws TrainingError `training.not-finite` where a weight is NaN or infinite; nothing is changed */
  write(from: Float32Array): void;
  /**
   * Mean loss over all samples at the present weights, and its gradient. Statistics have a gradient of zero and stay;
   * normalization is by the statistics of these samples, nothing is dropped out.
   * @param into as long as `parameterCount`
   */
  gradient(samples: Samples, into: Float32Array): number;
  /** Steps along the plan. @throws TrainingError `training.not-finite` when the loss is; the weights are as they came */
  train(samples: Samples, plan: TrainPlan): TrainReport;
  evaluate(samples: Samples): Evaluation;
  /** @returns `count` outputs, one after the other; logits with `softmax-cross-entropy` */
  predict(features: Float32Array, count: number): Float32Array;
  dispose(): void;
}

/** Where models are trained: TensorFlow.js, or the plain one of the simulator. */
export interface TrainingBackend {
  readonly name: string;
  /**
   * @param random draws the first weights: Glorot uniform kernels, orthogonal recurrent ones, zero biases
   * @throws TrainingError `training.model` naming the layer that can not be built
   */
  build(spec: ModelSpec, random: Random): TrainableModel;
  /** Bytes that models and their work hold now. */
  bytes(): number;
  dispose(): void;
}
