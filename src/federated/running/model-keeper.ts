import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";

/** What comes of a round for which this agent has voted, or is about to. */
export interface VotedModels {
  readonly round: number;
  readonly hashes: readonly string[];
}

/** What of a task is kept on flash. */
export interface KeptModels {
  /** All of it. */
  readonly hashes: readonly string[];
  /** That of it which was voted for, and of which it is not known yet whether the rounds go on with it. */
  readonly voted: readonly VotedModels[];
}

/** What a keeper works with. */
export interface ModelKeeperParts {
  readonly shelf: TensorShelf;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
  /** What the last run kept. */
  readonly kept: KeptModels;
  /** Remembers which tensors are kept on the shelf's flash. @throws StoreError */
  readonly remember: (kept: KeptModels) => Promise<void>;
}

/**
 * Which of a task's models are on flash: the one that the rounds go on with, those that this agent has voted for, and those that serve on
 * this device. What is kept no more is released after it was forgotten, so that a crash between leaves something to sweep and nothing to miss.
 */
export class ModelKeeper {
  readonly #parts: ModelKeeperParts;
  #kept: readonly string[];
  /** Those of it that the rounds go on with; after a restart it is not known which these are. */
  #head: readonly string[];
  /** Of rounds that are not known to be over; one of each, since a member votes for one at a time. */
  #voted: readonly VotedModels[];
  #served: readonly string[] = [];
  #headAtMs = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ModelKeeperParts) {
    this.#parts = parts;
    this.#kept = parts.kept.hashes;
    this.#head = parts.kept.hashes;
    this.#voted = parts.kept.voted;
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
      const { clock } = this.#parts;
      const { round, modelHash, stateHash } = head();
      const wanted = [modelHash, ...(stateHash === undefined ? [] : [stateHash])];
      if (!wanted.every((hash) => this.#isHere(hash))) return;
      if (wanted.join() !== this.#head.join()) this.#headAtMs = clock.monotonicMs();
      this.#head = wanted;
      this.#voted = this.#voted.filter((one) => one.round > round);
      await this.#keep();
    });
  }

  /**
   * Makes durable what comes of a round, in place of what was voted for in that round before: until it is known that the round is over.
   * @returns whether it is; never rejects
   */
  async keepVoted(voted: VotedModels): Promise<boolean> {
    let isKept = false;
    await this.#inTurn(async () => {
      const before = this.#voted;
      this.#voted = [...before.filter(({ round }) => round !== voted.round), voted];
      try {
        await this.#keep();
        isKept = voted.hashes.every((hash) => this.#kept.includes(hash));
      } finally {
        if (!isKept) this.#voted = before;
      }
    });
    return isKept;
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
    const ofRounds = [...this.#head, ...this.#voted.flatMap(({ hashes }) => hashes)];
    const needed = ofRounds.filter((hash) => this.#isHere(hash));
    for (const hash of needed) await shelf.keep(hash);
    const wanted = [...new Set([...needed, ...(await this.#servedHere())])];
    if (wanted.join() === this.#kept.join()) return;
    await remember({ hashes: wanted, voted: this.#voted });
    const gone = this.#kept.filter((hash) => !wanted.includes(hash));
    this.#kept = wanted;
    for (const hash of gone) await shelf.release(hash);
  }

  #isHere(hash: string): boolean {
    return this.#parts.shelf.sizeOf(hash) !== undefined;
  }

  /** A full shelf must not cost the rounds their model. */
  async #servedHere(): Promise<readonly string[]> {
    const { shelf, logger } = this.#parts;
    const here: string[] = [];
    for (const hash of this.#served) {
      if (!this.#isHere(hash)) continue;
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
