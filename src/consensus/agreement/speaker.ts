import type { Clock, Timer } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import { fromHex } from "../../platform/hex.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Ordering } from "../ordering/ordering.ts";
import { AgreementError } from "../ordering/waiting.ts";
import { type Answer, decodeAnswers } from "./answers.ts";
import { encodeEntry, type Item, itemBytes } from "./entry.ts";
import { ENTRY_BYTES_MAX, ID_BYTES, ITEMS_MAX } from "./limits.ts";
import type { KeyNames } from "./member-list.ts";
import type { AgreementOptions } from "./options.ts";

interface Entry {
  readonly keys: readonly string[];
  readonly bytes: Uint8Array;
  readonly id: Uint8Array;
}

/** What a speaker is made of. */
export interface SpeakerParts {
  readonly ordering: Pick<Ordering, "submit">;
  readonly keys: KeyNames;
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly logger: Logger;
  readonly options: Pick<AgreementOptions, "entryTimeoutMs" | "retryAfterMs" | "entriesMax">;
  /** Hears what came of each; undefined where the ordering does not know any more, since it was put in twice. */
  readonly answered: (key: string, answer: Answer | Error | undefined) => void;
}

/**
 * Puts what this member says into the order, as often as it takes: words that come while others are under way share an
 * entry. An entry that is tried again is the same, so the ordering applies it once.
 */
export class Speaker {
  readonly #parts: SpeakerParts;
  /** What has to be said, by its key, whether it is under way or not. */
  readonly #said = new Map<string, Item>();
  readonly #waiting = new Set<string>();
  /** To be tried again. */
  #failed: Entry[] = [];
  #underWay = 0;
  #pumping = false;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(parts: SpeakerParts) {
    this.#parts = parts;
  }

  /** Words that are not answered yet. */
  get size(): number {
    return this.#said.size;
  }

  /** Says it until it is answered or dropped. Nothing happens where the same key is being said. */
  say(key: string, make: () => Item): void {
    if (this.#stopped || this.#said.has(key)) return;
    this.#said.set(key, make());
    this.#waiting.add(key);
    this.#pump();
  }

  /** It has not to be said any more; it may have been. */
  drop(key: string): void {
    this.#said.delete(key);
    this.#waiting.delete(key);
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
  }

  /** Once for everything that is said in one turn. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      while (!this.#stopped && this.#underWay < this.#parts.options.entriesMax) {
        const entry = this.#retry === undefined ? this.#next() : undefined;
        if (entry === undefined) return;
        void this.#submit(entry);
      }
    });
  }

  #next(): Entry | undefined {
    for (let entry = this.#failed.shift(); entry !== undefined; entry = this.#failed.shift())
      if (entry.keys.some((key) => this.#said.has(key))) return entry;
    const keys: string[] = [];
    const items: Item[] = [];
    let bytes = 0;
    for (const key of this.#waiting) {
      const item = this.#said.get(key);
      if (item === undefined) continue;
      bytes += itemBytes(item);
      if (items.length === ITEMS_MAX || (items.length > 0 && bytes > ENTRY_BYTES_MAX)) break;
      this.#waiting.delete(key);
      keys.push(key);
      items.push(item);
    }
    if (items.length === 0) return undefined;
    const encoded = encodeEntry(this.#parts.keys, items);
    const id = fromHex(this.#parts.hasher.sha256Hex(encoded).slice(0, 2 * ID_BYTES));
    return { keys, bytes: encoded, id };
  }

  async #submit(entry: Entry): Promise<void> {
    const { ordering, options, logger } = this.#parts;
    this.#underWay++;
    try {
      const patience = { timeoutMs: options.entryTimeoutMs };
      const { result } = await ordering.submit(entry.bytes, patience, entry.id);
      this.#answer(entry, result);
    } catch (error) {
      if (this.#stopped) return;
      const isFinal = !(error instanceof AgreementError) || error.code === "consensus.refused";
      logger.debug("an entry was not ordered", { error, isFinal });
      if (!isFinal) this.#failed.push(entry);
      else for (const key of entry.keys) this.#answered(key, asError(error));
      this.#pause();
    } finally {
      this.#underWay--;
    }
    this.#pump();
  }

  #answer({ keys }: Entry, result: Uint8Array | undefined): void {
    const answers = result && decodeAnswers(result);
    for (const [at, key] of keys.entries()) this.#answered(key, answers?.[at]);
  }

  #answered(key: string, answer: Answer | Error | undefined): void {
    // Dropped meanwhile.
    if (!this.#said.delete(key)) return;
    this.#parts.answered(key, answer);
  }

  /** Nothing is put in for a while. */
  #pause(): void {
    const { clock, options } = this.#parts;
    this.#retry ??= clock.setTimer("agreement.retry", options.retryAfterMs, () => {
      this.#retry = undefined;
      this.#pump();
    });
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
