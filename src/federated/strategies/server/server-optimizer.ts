/** Vectors as long as the model that a server optimiser keeps from round to round, by their names. */
export type Moments = Readonly<Record<string, Float32Array>>;

/** How the server moves the model by the aggregate of a round: the other half of a strategy. */
export interface ServerOptimizer {
  readonly name: string;
  /** @returns the moments before the first round */
  begin(length: number): Moments;
  /** Makes new arrays and leaves its arguments as they are. */
  step(
    model: Float32Array,
    update: Float32Array,
    moments: Moments,
  ): { readonly model: Float32Array; readonly moments: Moments };
}
