import type { Logger } from "../../logger.ts";

/** Bounds of what the broker remembers. */
export interface StateLimits {
  /** Sessions that outlive their connection. */
  readonly sessionsMax: number;
  readonly subscriptionsPerSessionMax: number;
  /** Sessions of clients that stay away for longer are forgotten, whatever they asked for. */
  readonly sessionExpirySecondsMax: number;
  /** Messages waiting for one session; the newest are dropped over it. */
  readonly queuedBytesPerSessionMax: number;
  /** Messages waiting for all sessions together. */
  readonly queuedBytesMax: number;
  readonly retainedMax: number;
  readonly retainedBytesMax: number;
}

/** Says something once, until it is over. */
export class Complaint {
  readonly #logger: Logger;
  readonly #message: string;
  #voiced = false;

  constructor(logger: Logger, message: string) {
    this.#logger = logger;
    this.#message = message;
  }

  voice(fields: Readonly<Record<string, unknown>>): void {
    if (!this.#voiced) this.#logger.warn(this.#message, fields);
    this.#voiced = true;
  }

  /** The next time is worth a line again. */
  over(): void {
    this.#voiced = false;
  }
}
