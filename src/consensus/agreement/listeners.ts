import type { Logger } from "../../platform/logger.ts";

/** Who wants to hear of something. One that throws keeps nothing from the others. */
export class Listeners<T> {
  readonly #listeners = new Set<(what: T) => void>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @returns ends it */
  add(listener: (what: T) => void): () => void {
    // A function of its own for each call, so that the same listener can be added twice.
    const own = (what: T): void => listener(what);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  tell(what: T): void {
    for (const listener of this.#listeners)
      try {
        listener(what);
      } catch (error) {
        this.#logger.error("a listener failed", { error });
      }
  }
}
