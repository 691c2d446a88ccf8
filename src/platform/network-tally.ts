import type { NetworkCounters } from "./network.ts";

/** The counters of a network while they are counted. */
export class Tally {
  sentBytes = 0;
  receivedBytes = 0;
  requestsSent = 0;
  requestsServed = 0;
  messagesPublished = 0;
  messagesDelivered = 0;
  dials = 0;
  dialsFailed = 0;
  readonly #refusals = new Map<string, number>();

  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  snapshot(): NetworkCounters {
    const { sentBytes, receivedBytes, requestsSent, requestsServed } = this;
    const { messagesPublished, messagesDelivered, dials, dialsFailed } = this;
    return {
      sentBytes,
      receivedBytes,
      requestsSent,
      requestsServed,
      messagesPublished,
      messagesDelivered,
      dials,
      dialsFailed,
      refusals: Object.fromEntries(this.#refusals),
    };
  }
}
