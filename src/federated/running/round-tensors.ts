import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
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
  /** To whom there is a link, and that learn too. */
  readonly neighbours: () => readonly PeerId[];
  readonly random: Random;
  readonly modelBytes: number;
  /** Ends what is being fetched. */
  readonly signal: AbortSignal;
}

/** Neighbours that are asked for a model before those are dialled that have it for certain. */
const NEIGHBOURS_ASKED = 2;

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

  /** An update, or a sheet. @param signal ends it */
  wanted(
    { what, hash, bytesMax, holders }: FetchEffect,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const { exchange } = this.#parts;
    const fetched =
      what === "sheet"
        ? exchange.fetchWithin(hash, { bytesMax, holders, signal })
        : exchange.fetch(hash, { sizeBytes: bytesMax, holders, signal });
    return this.#had(hash, fetched);
  }

  /**
   * Whoever put it together, and those who judged it. They can not have links to a whole fleet: those with a link come first, then
   * some neighbours, which may have it by now, and only then the others, in an order of this agent's own.
   */
  #holders(aggregator: PeerId | undefined): readonly PeerId[] {
    const { members, neighbours, random } = this.#parts;
    const sources = new Set([...(aggregator === undefined ? [] : [aggregator]), ...members()]);
    const linked = neighbours();
    const isLinked = new Set(linked);
    const others = mixed(
      linked.filter((peer) => !sources.has(peer)),
      random,
    );
    return [
      ...[...sources].filter((peer) => isLinked.has(peer)),
      ...others.slice(0, NEIGHBOURS_ASKED),
      ...mixed(
        [...sources].filter((peer) => !isLinked.has(peer)),
        random,
      ),
    ];
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

function mixed(peers: readonly PeerId[], random: Random): readonly PeerId[] {
  const keyed = peers.map((peer) => ({ peer, key: random.next() }));
  return keyed.sort((one, other) => one.key - other.key).map(({ peer }) => peer);
}
