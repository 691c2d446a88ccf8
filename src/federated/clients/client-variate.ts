import { scaffoldClientStep, scaffoldCorrection } from "../strategies/clients/scaffold.ts";

/** What a client has trained. */
export interface TrainedRound {
  /** What all agreed on, as it was when the round began. */
  readonly agreed: Float32Array;
  /** The model that the round began with, and the one that it ended with. */
  readonly before: Float32Array;
  readonly after: Float32Array;
  readonly steps: number;
  readonly learningRate: number;
}

/**
 * SCAFFOLD's variate of one agent, cᵢ: the mean gradient of its own samples in the last round that it trained. It is in memory only:
 * an agent that has none, since it is new or has been restarted, trains one round without a correction, and has one afterwards.
 */
export class ClientVariate {
  #own: Float32Array | undefined;

  /** @param agreed what all agreed on, c @returns what is added to each gradient, c − cᵢ */
  correction(agreed: Float32Array): Float32Array {
    return scaffoldCorrection(agreed, this.#own ?? agreed);
  }

  /** @returns cᵢ⁺, to be sent along @throws RangeError as {@link scaffoldClientStep} */
  trained({ agreed, ...round }: TrainedRound): Float32Array {
    const { client } = scaffoldClientStep({
      ...round,
      server: agreed,
      client: this.#own ?? agreed,
    });
    this.#own = client;
    return client;
  }
}
