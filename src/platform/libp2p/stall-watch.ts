import type { Stream } from "@libp2p/interface";
import { NetworkError } from "../network.ts";

/** Gives a transfer up that stands still. */
export class StallWatch {
  /** Set once it has. */
  expired: NetworkError | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(stream: Stream, idleTimeoutMs: number) {
    this.#timer = setTimeout(() => {
      this.expired = new NetworkError("network.timeout", `no progress in ${idleTimeoutMs} ms`);
      stream.abort(this.expired);
    }, idleTimeoutMs);
  }

  moved(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
