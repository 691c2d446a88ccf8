import type { Logger } from "../../platform/logger.ts";
import type { PeerId } from "../../platform/signer.ts";
import { TENSOR_BYTES_MAX } from "../rounds/limits.ts";
import type { FetchEffect } from "../rounds/step.ts";
import { TensorError } from "../tensors/tensor-error.ts";
import type { TensorExchange } from "../tensors/tensor-exchange.ts";

/** What it works with. */
export interface RoundTensorsParts {
  readonly exchange: TensorExchange;
  readonly logger: Logger;
  readonly members: () => readonly PeerId[];
  readonly modelBytes: number;
  /** Ends what is being fetched. */
  readonly signal: AbortSignal;
}

/** Has what a round is made of, from here or from whoever has it; undefined where nobody does. */
export class RoundTensors {
  readonly #parts: RoundTensorsParts;

  constructor(parts: RoundTensorsParts) {
    this.#parts = parts;
  }

  /** @param aggregator who put it together */
  model(hash: string, aggregator: PeerId | undefined): Promise<Uint8Array | undefined> {
    const { exchange, modelBytes: sizeBytes, signal } = this.#parts;
    const holders = this.#holders(aggregator);
    return this.#had(hash, exchange.fetch(hash, { sizeBytes, holders, signal }));
  }

  /** What the strategy remembers. @param aggregator who put it together */
  state(hash: string, aggregator: PeerId | undefined): Promise<Uint8Array | undefined> {
    const { exchange, signal } = this.#parts;
    const options = { bytesMax: TENSOR_BYTES_MAX, holders: this.#holders(aggregator), signal };
    return this.#had(hash, exchange.fetchWithin(hash, options));
  }

  /** An update, or a sheet. */
  wanted({ what, hash, bytesMax, holders }: FetchEffect): Promise<Uint8Array | undefined> {
    const { exchange, signal } = this.#parts;
    const fetched =
      what === "sheet"
        ? exchange.fetchWithin(hash, { bytesMax, holders, signal })
        : exchange.fetch(hash, { sizeBytes: bytesMax, holders, signal });
    return this.#had(hash, fetched);
  }

  /** Whoever put it together, and those who judged it. */
  #holders(aggregator: PeerId | undefined): readonly PeerId[] {
    const members = this.#parts.members();
    return [...new Set([...(aggregator === undefined ? [] : [aggregator]), ...members])];
  }

  async #had(hash: string, fetched: Promise<Uint8Array>): Promise<Uint8Array | undefined> {
    try {
      return await fetched;
    } catch (error) {
      if (!(error instanceof TensorError)) throw error;
      this.#parts.logger.debug("a tensor could not be had", { hash, reason: error.message });
      return undefined;
    }
  }
}
