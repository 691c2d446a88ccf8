/** What a pass is for. */
export interface Pass {
  /** `train` drops and moves statistics; `gradient` does neither, and normalises by the batch; `infer` by the statistics. */
  readonly mode: "train" | "gradient" | "infer";
  /** What dropout masks follow from. */
  readonly seed: number;
  readonly step: number;
}

/** One step of a network, with the memory for one batch. */
export interface PlainLayer {
  readonly outputSize: number;
  /** Bytes that one sample of a batch takes. */
  readonly bytesPerSample: number;
  /** Makes room for batches of this many samples. */
  reserve(samples: number): void;
  /**
   * @param input `count` samples, valid until the backward pass is done
   * @param weights of the whole model
   * @returns `count` outputs, in memory of the layer or the input itself
   */
  forward(input: Float32Array, count: number, weights: Float32Array, pass: Pass): Float32Array;
  /**
   * After a forward pass of mode `train` or `gradient`.
   * @param outputGradient of the loss by this layer's output; may be overwritten
   * @param gradient of the whole model: the layer's share is written, not added
   * @param wanted whether anybody asks for the gradient by the input
   */
  backward(
    outputGradient: Float32Array,
    count: number,
    weights: Float32Array,
    gradient: Float32Array,
    wanted: boolean,
  ): Float32Array;
}
