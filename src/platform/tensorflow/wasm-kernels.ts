import type { backend_util, NamedAttrMap, TensorInfo } from "@tensorflow/tfjs-core";
import { TrainingError } from "../training-backend.ts";
import {
  type Address,
  type TrainingKernels,
  type Window,
  windowFields,
} from "../training-kernels.ts";
import type { TensorFlow } from "./library.ts";
import type { WasmMemory } from "./wasm-memory.ts";

/** Values of patches that a convolution looks at together, unless a single patch is larger. */
const PATCH_VALUES = 65_536;

type Inputs = Readonly<Record<string, TensorInfo>>;

/** Puts our kernels where TensorFlow.js' WebAssembly backend has none for a gradient, or a slow one. */
export function registerKernels(
  tf: TensorFlow,
  memory: WasmMemory,
  kernels: TrainingKernels,
): void {
  const own = new WasmKernels(tf, memory, kernels);
  const table: Readonly<Record<string, (inputs: Inputs, attrs: NamedAttrMap) => TensorInfo>> = {
    BatchMatMul: (inputs, attrs) => own.batchMatMul(inputs, attrs),
    Conv2DBackpropFilter: (inputs, attrs) => own.filterGradient(inputs, attrs),
    Conv2DBackpropInput: (inputs, attrs) => own.inputGradient(inputs, attrs),
    DepthwiseConv2dNativeBackpropFilter: (inputs, attrs) =>
      own.depthwiseFilterGradient(inputs, attrs),
    DepthwiseConv2dNativeBackpropInput: (inputs, attrs) =>
      own.depthwiseInputGradient(inputs, attrs),
    // The library's own gives part of the slopes to values that are not the largest (4.22.0).
    MaxPoolGrad: (inputs, attrs) => own.maxPoolGradient(inputs, attrs),
    UnsortedSegmentSum: (inputs, attrs) => own.segmentSum(inputs, attrs),
  };
  for (const [kernelName, kernel] of Object.entries(table)) {
    if (tf.getKernel(kernelName, "wasm") !== undefined) tf.unregisterKernel(kernelName, "wasm");
    tf.registerKernel({
      kernelName,
      backendName: "wasm",
      kernelFunc: ({ inputs, attrs }) => kernel(inputs as unknown as Inputs, attrs ?? {}),
    });
  }
}

/** Kernels of TensorFlow.js by their names and inputs, over ours. */
class WasmKernels {
  readonly #tf: TensorFlow;
  readonly #memory: WasmMemory;
  readonly #kernels: TrainingKernels;
  readonly #scratch: Address;
  readonly #window: Address;
  #patches: Address;
  #patchValues = PATCH_VALUES;

  constructor(tf: TensorFlow, memory: WasmMemory, kernels: TrainingKernels) {
    this.#tf = tf;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#scratch = memory.take(kernels.matmulScratchBytes());
    this.#window = memory.take(4 * windowFields.length);
    this.#patches = memory.take(4 * PATCH_VALUES);
  }

  batchMatMul(inputs: Inputs, attrs: NamedAttrMap): TensorInfo {
    const a = input(inputs, "a", "BatchMatMul");
    const b = input(inputs, "b", "BatchMatMul");
    const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
    const [aRows = 1, aColumns = 1] = a.shape.slice(-2);
    const [bRows = 1, bColumns = 1] = b.shape.slice(-2);
    const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
    const n = transposeB ? bRows : bColumns;
    const { sizeFromShape } = this.#tf.util;
    const [aBatch, bBatch] = [a, b].map(({ shape }) => sizeFromShape(shape.slice(0, -2))) as [
      number,
      number,
    ];
    const outer = this.#tf.broadcast_util.assertAndGetBroadcastShape(
      a.shape.slice(0, -2),
      b.shape.slice(0, -2),
    );
    const out = this.#memory.make([...outer, m, n]);
    const [at, bt, to] = [a, b, out].map((tensor) => this.#memory.addressOf(tensor)) as [
      number,
      number,
      number,
    ];
    const batch = sizeFromShape(outer);
    for (let each = 0; each < batch; each++)
      this.#kernels.matmul(
        transposeA,
        transposeB,
        m,
        n,
        k,
        1,
        at + 4 * (each % aBatch) * m * k,
        aColumns,
        bt + 4 * (each % bBatch) * n * k,
        bColumns,
        to + 4 * each * m * n,
        n,
        false,
        this.#scratch,
      );
    return out;
  }

  filterGradient(inputs: Inputs, attrs: NamedAttrMap): TensorInfo {
    const { info, from, dy, out, to } = this.#byFilter(
      "Conv2DBackpropFilter",
      inputs,
      attrs,
      false,
    );
    this.#kernels.convolutionKernelGradient(
      this.#window,
      info.batchSize,
      from,
      dy,
      1,
      to,
      false,
      this.#patches,
      this.#scratch,
    );
    return out;
  }

  inputGradient(inputs: Inputs, attrs: NamedAttrMap): TensorInfo {
    const { info, from, dy, out, to } = this.#byInput("Conv2DBackpropInput", inputs, attrs, false);
    this.#kernels.convolutionInputGradient(
      this.#window,
      info.batchSize,
      dy,
      from,
      to,
      this.#patches,
      this.#scratch,
    );
    return out;
  }

  depthwiseFilterGradient(inputs: Inputs, attrs: NamedAttrMap): TensorInfo {
    const name = "DepthwiseConv2dNativeBackpropFilter";
    const { info, from, dy, out, to } = this.#byFilter(name, inputs, attrs, true);
    this.#kernels.depthwiseKernelGradient(this.#window, info.batchSize, from, dy, 1, to, false);
    return out;
  }

  depthwiseInputGradient(inputs: Inputs, attrs: NamedAttrMap): TensorInfo {
    const name = "DepthwiseConv2dNativeBackpropInput";
    const { info, from, dy, out, to } = this.#byInput(name, inputs, attrs, true);
    this.#kernels.depthwiseInputGradient(this.#window, info.batchSize, dy, from, to);
    return out;
  }

  /** All of a slope goes to the first of the largest values under the window. */
  maxPoolGradient(inputs: Inputs, attrs: NamedAttrMap): TensorInfo {
    const x = input(inputs, "input", "MaxPoolGrad");
    const dy = input(inputs, "dy", "MaxPoolGrad");
    const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as PoolAttrs;
    const { computePool2DInfo } = this.#tf.backend_util;
    const shape = x.shape as Shape4;
    const info = computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
    const out = this.#memory.make(x.shape);
    spreadSlopes(info, this.#memory.floats(x), this.#memory.floats(dy), this.#memory.floats(out));
    return out;
  }

  /** Rows of a segment are added; a row of no segment is left out. */
  segmentSum(inputs: Inputs, attrs: NamedAttrMap): TensorInfo {
    const x = input(inputs, "x", "UnsortedSegmentSum");
    const segmentIds = inputs["segmentIds"] as TensorInfo;
    const { numSegments } = attrs as { numSegments: number };
    const width = this.#tf.util.sizeFromShape(x.shape.slice(segmentIds.shape.length));
    const out = this.#memory.make([numSegments, ...x.shape.slice(segmentIds.shape.length)]);
    const sums = this.#memory.floats(out).fill(0);
    const [rows, ids] = [this.#memory.floats(x), this.#memory.integers(segmentIds)];
    for (const [row, segment] of ids.entries()) {
      if (segment < 0 || segment >= numSegments) continue;
      for (let at = 0; at < width; at++) {
        const to = segment * width + at;
        sums[to] = (sums[to] ?? 0) + (rows[row * width + at] ?? 0);
      }
    }
    return out;
  }

  /** What a gradient by the filter is made from: `x`, and the slopes. */
  #byFilter(name: string, inputs: Inputs, attrs: NamedAttrMap, depthwise: boolean): Gradient {
    const x = input(inputs, "x", name);
    const { filterShape } = attrs as { filterShape: Shape4 };
    const info = this.#convolution(x.shape as Shape4, filterShape, attrs, depthwise);
    return this.#gradient(name, info, x, input(inputs, "dy", name), info.filterShape);
  }

  /** What a gradient by the input is made from: the filter, and the slopes. */
  #byInput(name: string, inputs: Inputs, attrs: NamedAttrMap, depthwise: boolean): Gradient {
    const filter = input(inputs, "filter", name);
    const { inputShape } = attrs as { inputShape: Shape4 };
    const info = this.#convolution(inputShape, filter.shape as Shape4, attrs, depthwise);
    return this.#gradient(name, info, filter, input(inputs, "dy", name), info.inShape);
  }

  #gradient(
    name: string,
    info: backend_util.Conv2DInfo,
    from: TensorInfo,
    dy: TensorInfo,
    shape: number[],
  ): Gradient {
    const out = this.#memory.make(shape);
    this.#setWindow(info, name);
    const [fromAt, dyAt, to] = [from, dy, out].map((tensor) => this.#memory.addressOf(tensor)) as [
      Address,
      Address,
      Address,
    ];
    return { info, from: fromAt, dy: dyAt, out, to };
  }

  #convolution(
    inShape: Shape4,
    filterShape: Shape4,
    attrs: NamedAttrMap,
    depthwise: boolean,
  ): backend_util.Conv2DInfo {
    const { strides, pad, dimRoundingMode, dilations } = attrs as {
      strides: [number, number] | number;
      pad: "valid" | "same" | number;
      dimRoundingMode?: "floor" | "round" | "ceil";
      dilations?: [number, number] | number;
    };
    const { computeConv2DInfo } = this.#tf.backend_util;
    return computeConv2DInfo(
      inShape,
      filterShape,
      strides,
      depthwise ? (dilations ?? 1) : 1,
      pad,
      dimRoundingMode,
      depthwise,
    );
  }

  #setWindow(info: backend_util.Conv2DInfo, name: string): void {
    if (
      info.dilationHeight !== 1 ||
      info.dilationWidth !== 1 ||
      info.dataFormat !== "channelsLast" ||
      (name.startsWith("Depthwise") && info.outChannels !== info.inChannels)
    )
      throw new TrainingError(
        "training.backend",
        `${name}: there is none for dilations, for channels before the image, or for more than one kernel to a channel`,
      );
    const patch = info.filterHeight * info.filterWidth * info.inChannels;
    if (patch > this.#patchValues) {
      this.#patches = this.#memory.take(4 * patch);
      this.#patchValues = patch;
    }
    const window: Window = {
      height: info.inHeight,
      width: info.inWidth,
      channels: info.inChannels,
      kernelHeight: info.filterHeight,
      kernelWidth: info.filterWidth,
      strideHeight: info.strideHeight,
      strideWidth: info.strideWidth,
      top: info.padInfo.top,
      left: info.padInfo.left,
      outHeight: info.outHeight,
      outWidth: info.outWidth,
      filters: info.outChannels,
      chunk: Math.max(1, Math.floor(this.#patchValues / patch)),
    };
    this.#memory.writeIntegers(
      this.#window,
      windowFields.map((field) => window[field]),
    );
  }
}

type Shape4 = [number, number, number, number];

/** A gradient of a convolution that is to be made. */
interface Gradient {
  readonly info: backend_util.Conv2DInfo;
  readonly from: Address;
  readonly dy: Address;
  readonly out: TensorInfo;
  readonly to: Address;
}

interface PoolAttrs {
  readonly filterSize: [number, number] | number;
  readonly strides: [number, number] | number;
  readonly pad: "valid" | "same" | number;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

function spreadSlopes(
  info: backend_util.Conv2DInfo,
  x: Float32Array,
  slopes: Float32Array,
  to: Float32Array,
): void {
  const { inHeight, inWidth, inChannels, outHeight, outWidth, padInfo } = info;
  to.fill(0);
  for (let at = 0; at < slopes.length; at++) {
    const channel = at % inChannels;
    const place = Math.floor(at / inChannels);
    const line = Math.floor(place / outWidth);
    const image = Math.floor(line / outHeight) * inHeight;
    const top = (line % outHeight) * info.strideHeight - padInfo.top;
    const left = (place % outWidth) * info.strideWidth - padInfo.left;
    let best = -1;
    for (let row = Math.max(0, top); row < Math.min(inHeight, top + info.filterHeight); row++)
      for (
        let column = Math.max(0, left);
        column < Math.min(inWidth, left + info.filterWidth);
        column++
      ) {
        const from = ((image + row) * inWidth + column) * inChannels + channel;
        if (best < 0 || (x[from] ?? 0) > (x[best] ?? 0)) best = from;
      }
    to[best] = (to[best] ?? 0) + (slopes[at] ?? 0);
  }
}

function input(inputs: Inputs, name: string, kernel: string): TensorInfo {
  const tensor = inputs[name];
  if (tensor?.dtype === "float32") return tensor;
  throw new TrainingError("training.backend", `${kernel}: ${name} has to be of float32`);
}
