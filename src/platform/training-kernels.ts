/** Where something is in the kernels' memory, in bytes; 0 is nowhere. */
export type Address = number;

/**
 * How a window walks over images (samples, height, width, channels), as kernels take it: int32 values in this order, one
 * after the other in memory. A sequence is an image of height 1.
 */
export const windowFields = [
  "height",
  "width",
  "channels",
  "kernelHeight",
  "kernelWidth",
  "strideHeight",
  "strideWidth",
  /** Rows and columns of zeros before the first. */
  "top",
  "left",
  "outHeight",
  "outWidth",
  "filters",
  /** How many places' patches fit into the scratch for them. */
  "chunk",
] as const;

/** See {@link windowFields}. */
export type Window = Readonly<Record<(typeof windowFields)[number], number>>;

/** What comes out of a sum, as kernels take it. */
export const activationCodes = { linear: 0, relu: 1, sigmoid: 2, tanh: 3 } as const;

/**
 * Arithmetic over float32 values in a memory that somebody else owns, from `kernels/training/`, where each function says what
 * it does. Nothing is checked in there: sizes and places are the caller's business.
 */
export interface TrainingKernels {
  /** Bytes of the scratch that `matmul` and what is made of it take. */
  matmulScratchBytes(): number;
  matmul(
    aTransposed: boolean,
    bTransposed: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    a: Address,
    aWidth: number,
    b: Address,
    bWidth: number,
    c: Address,
    cWidth: number,
    accumulate: boolean,
    scratch: Address,
  ): void;
  biasActivation(kind: number, x: Address, bias: Address, rows: number, columns: number): void;
  activationGradient(kind: number, y: Address, dy: Address, length: number): void;
  softmax(x: Address, rows: number, columns: number): void;
  softmaxGradient(y: Address, dy: Address, rows: number, columns: number): void;
  convolution(
    window: Address,
    samples: number,
    x: Address,
    kernel: Address,
    y: Address,
    patches: Address,
    scratch: Address,
  ): void;
  convolutionKernelGradient(
    window: Address,
    samples: number,
    x: Address,
    dy: Address,
    factor: number,
    to: Address,
    accumulate: boolean,
    patches: Address,
    scratch: Address,
  ): void;
  convolutionInputGradient(
    window: Address,
    samples: number,
    dy: Address,
    kernel: Address,
    dx: Address,
    patches: Address,
    scratch: Address,
  ): void;
  depthwise(window: Address, samples: number, x: Address, kernel: Address, y: Address): void;
  depthwiseKernelGradient(
    window: Address,
    samples: number,
    x: Address,
    dy: Address,
    factor: number,
    to: Address,
    accumulate: boolean,
  ): void;
  depthwiseInputGradient(
    window: Address,
    samples: number,
    dy: Address,
    kernel: Address,
    dx: Address,
  ): void;
  maxPool(window: Address, samples: number, x: Address, y: Address, places: Address): void;
  maxPoolGradient(dy: Address, places: Address, count: number, dx: Address, length: number): void;
  averagePool(window: Address, samples: number, x: Address, y: Address): void;
  averagePoolGradient(window: Address, samples: number, dy: Address, dx: Address): void;
  lstmStep(
    samples: number,
    units: number,
    gates: Address,
    gatesStride: number,
    before: Address,
    cells: Address,
    outputs: Address,
    stride: number,
  ): void;
  lstmStepGradient(
    samples: number,
    units: number,
    gates: Address,
    gatesStride: number,
    before: Address,
    cells: Address,
    stride: number,
    dOutputs: Address,
    dCells: Address,
  ): void;
  gruGates(
    samples: number,
    units: number,
    gates: Address,
    gatesStride: number,
    before: Address,
    reset: Address,
    stride: number,
  ): void;
  gruStep(
    samples: number,
    units: number,
    gates: Address,
    gatesStride: number,
    before: Address,
    outputs: Address,
    stride: number,
  ): void;
  gruStepGradient(
    samples: number,
    units: number,
    gates: Address,
    gatesStride: number,
    before: Address,
    stride: number,
    dOutputs: Address,
  ): void;
  gruGatesGradient(
    samples: number,
    units: number,
    gates: Address,
    gatesStride: number,
    before: Address,
    stride: number,
    dReset: Address,
    dOutputs: Address,
  ): void;
  addRows(rows: number, columns: number, from: Address, stride: number, to: Address): void;
  moments(x: Address, rows: number, columns: number, mean: Address, variance: Address): void;
  normalize(
    x: Address,
    rows: number,
    columns: number,
    mean: Address,
    variance: Address,
    epsilon: number,
    gamma: Address,
    beta: Address,
    y: Address,
  ): void;
  normalizeGradient(
    x: Address,
    rows: number,
    columns: number,
    mean: Address,
    variance: Address,
    epsilon: number,
    gamma: Address,
    dy: Address,
    dGamma: Address,
    dBeta: Address,
    dx: Address,
  ): void;
  /** @returns the sum over the rows */
  softmaxCrossEntropy(
    logits: Address,
    labels: Address,
    rows: number,
    columns: number,
    factor: number,
    gradient: Address,
  ): number;
  hits(outputs: Address, labels: Address, rows: number, columns: number): number;
  /** @returns the sum over the values */
  sigmoidCrossEntropy(
    logits: Address,
    targets: Address,
    length: number,
    factor: number,
    gradient: Address,
  ): number;
  /** @returns the sum over the values */
  squaredError(
    outputs: Address,
    targets: Address,
    length: number,
    factor: number,
    gradient: Address,
  ): number;
  sgd(
    weights: Address,
    gradient: Address,
    length: number,
    rate: number,
    factor: number,
    decay: number,
    mu: number,
    anchor: Address,
    correction: Address,
    momentum: number,
    velocity: Address,
  ): void;
  dropout(
    x: Address,
    y: Address,
    length: number,
    key: number,
    threshold: number,
    factor: number,
  ): void;
  gather(ids: Address, table: Address, count: number, units: number, to: Address): void;
  scatterAdd(
    ids: Address,
    rows: Address,
    count: number,
    units: number,
    factor: number,
    table: Address,
  ): void;
  axpy(a: number, x: Address, y: Address, length: number): void;
  scale(a: number, x: Address, length: number): void;
  dot(x: Address, y: Address, length: number): number;
  /** @returns other than zero when none is NaN or infinite */
  allFinite(x: Address, length: number): number;
  columnSums(
    x: Address,
    rows: number,
    columns: number,
    a: number,
    to: Address,
    accumulate: boolean,
  ): void;
}

/** Makes kernels that work in `memory`, a WebAssembly memory. */
export type BindTrainingKernels = (memory: object) => TrainingKernels;
