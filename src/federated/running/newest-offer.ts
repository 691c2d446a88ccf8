import type { Clock } from "../../platform/clock.ts";
import type { ModelVersion } from "../serving/version-book.ts";

type Offer = Pick<ModelVersion, "round" | "hash">;

/** A model that could not be measured is tried again after so long. */
const RETRY_MS = 10_000;

/** Where models go to be served. */
export interface NewestOfferParts {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** @throws whatever keeps it from being served */
  readonly offer: (model: Offer) => Promise<void>;
  readonly onFault: (error: unknown) => void;
}

/**
 * Passes models on to be served, one after the other: of those that come meanwhile the newest, so that rounds which are faster than a
 * device measures do not pile up. One that could not be taken is tried again, until a newer one comes.
 */
export class NewestOffer {
  readonly #parts: NewestOfferParts;
  #waiting: Offer | undefined;
  #isBusy = false;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #fault: string | undefined;

  constructor(parts: NewestOfferParts) {
    this.#parts = parts;
  }

  /** Why the last one was not taken, in words; undefined when it was. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Takes the place of one that waits. */
  put(model: Offer): void {
    this.#waiting = model;
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
  }

  /** Passes on what waits, if it is time. */
  go(): void {
    if (this.#isBusy || this.#waiting === undefined) return;
    if (this.#parts.clock.monotonicMs() < this.#notBeforeMs) return;
    this.#isBusy = true;
    void this.#pass(this.#waiting).finally(() => {
      this.#isBusy = false;
      this.go();
    });
  }

  async #pass(model: Offer): Promise<void> {
    const { clock, offer, onFault } = this.#parts;
    try {
      await offer(model);
      this.#fault = undefined;
      if (this.#waiting === model) this.#waiting = undefined;
    } catch (error) {
      this.#fault = (error as Error).message;
      if (this.#waiting === model) this.#notBeforeMs = clock.monotonicMs() + RETRY_MS;
      onFault(error);
    }
  }
}
