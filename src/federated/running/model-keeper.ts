import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";

/** What a keeper works with. */
export interface ModelKeeperParts {
  readonly shelf: TensorShelf;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
  /** What the last run kept. */
  readonly kept: readonly string[];
  /** Remembers which tensors are kept on the shelf's flash. @throws StoreError */
  readonly remember: (hashes: readonly string[]) => Promise<void>;
}

/**
 * Which of a task's models are on flash: the one that the rounds go on with, and those that serve on this device. What is kept no more is
 * released after it was forgotten, so that a crash between leaves something to sweep and nothing to miss.
 */
export class ModelKeeper {
  readonly #parts: ModelKeeperParts;
  #kept: readonly string[];
  /** Those of it that the rounds go on with; after a restart it is not known which these are. */
  #head: readonly string[];
  #served: readonly string[] = [];
  #headAtMs = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ModelKeeperParts) {
    this.#parts = parts;
    this.#kept = parts.kept;
    this.#head = parts.kept;
  }

  /** When another model was kept for the rounds, monotonic; 0 before the first. */
  get headAtMs(): number {
    return this.#headAtMs;
  }

  /**
   * Makes the newest model durable, and what the strategy remembers, if they are here.
   * @param ready resolves when they are, or can not be had; never rejects for the latter
   */
  keepHead(head: () => RoundHead, ready: Promise<unknown> = Promise.resolve()): Promise<void> {
    return this.#inTurn(async () => {
      await ready;
      const { shelf, clock } = this.#parts;
      const { modelHash, stateHash } = head();
      const wanted = [modelHash, ...(stateHash === undefined ? [] : [stateHash])];
      if (!wanted.every((hash) => shelf.sizeOf(hash) !== undefined)) return;
      if (wanted.join() !== this.#head.join()) this.#headAtMs = clock.monotonicMs();
      this.#head = wanted;
      await this.#keep();
    });
  }

  /** @param hashes of models that serve, or did */
  keepServed(hashes: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      this.#served = hashes;
      await this.#keep();
    });
  }

  async #keep(): Promise<void> {
    const { shelf, remember } = this.#parts;
    for (const hash of this.#head) await shelf.keep(hash);
    const wanted = [...new Set([...this.#head, ...(await this.#servedHere())])];
    if (wanted.join() === this.#kept.join()) return;
    await remember(wanted);
    const gone = this.#kept.filter((hash) => !wanted.includes(hash));
    this.#kept = wanted;
    for (const hash of gone) await shelf.release(hash);
  }

  /** A full shelf must not cost the rounds their model. */
  async #servedHere(): Promise<readonly string[]> {
    const { shelf, logger } = this.#parts;
    const here: string[] = [];
    for (const hash of this.#served) {
      if (shelf.sizeOf(hash) === undefined) continue;
      try {
        await shelf.keep(hash);
        here.push(hash);
      } catch (error) {
        logger.warn("a model that serves was not kept: it may be gone after a restart", { error });
      }
    }
    return here;
  }

  /** One after the other, whether or not the one before could be done. What fails is told, and tried again with the next. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const { logger } = this.#parts;
    const done = this.#turn
      .then(work)
      .catch((error: unknown) => logger.warn("a model was not kept", { error }));
    this.#turn = done;
    return done;
  }
}
