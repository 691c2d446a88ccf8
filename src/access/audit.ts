import type { Clock, Timer } from "../platform/clock.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { Signer } from "../platform/signer.ts";
import {
  type AuditEntry,
  type AuditHead,
  type AuditNote,
  ChainCheck,
  decodeEntry,
  decodeHead,
  ENTRIES,
  encodeEntry,
  encodeHead,
  entryKey,
  HEAD_KEY,
  headBytes,
  NO_HASH,
} from "./audit-log.ts";

const HEAD_PURPOSE = "agent-mesh/audit/1";
const FLUSH_AFTER_MS = 5_000;
const RETRY_AFTER_MS = 30_000;
const PENDING_MAX = 256;
const PAGE_MAX = 500;

/** Takes note of what was done. Never throws, never blocks. */
export interface AuditTrail {
  note(note: AuditNote): void;
}

/** A page of entries, newest first. */
export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** Pass it as `before` for the next page; absent on the last one. */
  readonly next?: number;
}

/** What a look at the whole log has found. */
export type AuditVerdict =
  | { readonly sound: true; readonly entries: number }
  /** `at`: sequence of the entry that is missing or changed; absent when it is the head that is wrong. */
  | { readonly sound: false; readonly reason: "entry" | "head"; readonly at?: number };

interface Parts {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly signer: Signer;
  readonly logger: Logger;
}

/**
 * Who did what, and whether it was allowed: a ring of entries under the store's prefix `g/a/`, each of which
 * carries the SHA-256 of the one before, and a head signed by the device. Entries reach the disk in batches,
 * seconds after they were made and on {@link close}; what is pending when the power fails is lost.
 */
export class Audit implements AuditTrail {
  readonly #parts: Parts;
  readonly #entriesMax: number;
  /** The oldest that is kept, the newest that there is. */
  #head: AuditHead;
  /** The oldest that is on the disk. */
  #storedFirst: number;
  readonly #pending: { readonly sequence: number; readonly value: Uint8Array }[] = [];
  #lost = 0;
  #timer: Timer | undefined;
  #closed = false;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(parts: Parts, entriesMax: number, head: AuditHead) {
    this.#parts = parts;
    this.#entriesMax = entriesMax;
    this.#head = head;
    this.#storedFirst = head.first;
  }

  /** Finds where the log stands. A head that does not belong to the entries is noted, and mended. @throws StoreError */
  static async open(parts: Parts, limits: { readonly entriesMax: number }): Promise<Audit> {
    const stored = await parts.store.get(HEAD_KEY);
    const [newest] = await parts.store.range({ ...ENTRIES, limit: 1, reverse: true });
    const [oldest] = await parts.store.range({ ...ENTRIES, limit: 1 });
    const signed = stored === undefined ? undefined : decodeHead(stored);
    const head = signed?.head;
    const last = newest === undefined ? undefined : decodeEntry(newest[1])?.sequence;
    const first = oldest === undefined ? undefined : decodeEntry(oldest[1])?.sequence;
    const hash = newest === undefined ? undefined : parts.hasher.sha256Hex(newest[1]);
    const fresh = stored === undefined && newest === undefined;
    const right =
      signed !== undefined &&
      isOurs(parts.signer, signed) &&
      signed.head.last === last &&
      signed.head.hash === hash;
    const audit = new Audit(parts, limits.entriesMax, {
      first: head?.first ?? first ?? 1,
      // Never twice the same number, whichever of the two knows more.
      last: Math.max(head?.last ?? 0, last ?? 0),
      hash: hash ?? NO_HASH,
    });
    if (!fresh && !right) {
      parts.logger.warn("the end of the audit log is not what it was", {});
      audit.note({
        actor: "automatic",
        action: "audit.gap",
        outcome: "allowed",
        detail: "the end of the log was not what it should be",
      });
    }
    return audit;
  }

  note(note: AuditNote): void {
    if (this.#closed) return;
    if (this.#pending.length >= PENDING_MAX) {
      this.#lost++;
      return;
    }
    if (this.#lost > 0) {
      const times = this.#lost;
      this.#lost = 0;
      this.#append({ actor: "automatic", action: "audit.gap", outcome: "allowed", times });
    }
    this.#append(note);
    this.#timer ??= this.#parts.clock.setTimer("audit flush", FLUSH_AFTER_MS, () => this.#due());
  }

  /**
   * @param query `before`: only entries of a smaller sequence; entries that are not on disk yet are left out
   * @throws StoreError
   */
  async page(query: { readonly limit: number; readonly before?: number }): Promise<AuditPage> {
    const limit = Math.min(Math.max(1, query.limit), PAGE_MAX);
    const lt = query.before === undefined ? ENTRIES.lt : entryKey(Math.max(0, query.before));
    const found = await this.#parts.store.range({
      gte: ENTRIES.gte,
      lt,
      limit: limit + 1,
      reverse: true,
    });
    const entries = found
      .map(([, value]) => decodeEntry(value))
      .filter((entry) => entry !== undefined)
      .slice(0, limit);
    const last = entries.at(-1);
    return found.length > limit && last !== undefined
      ? { entries, next: last.sequence }
      : { entries };
  }

  /** Reads the whole log and follows the chain. @throws StoreError */
  async verify(): Promise<AuditVerdict> {
    await this.flush();
    return this.#exclusively(async () => {
      const { store, hasher } = this.#parts;
      const stored = await store.get(HEAD_KEY);
      const signed = stored === undefined ? undefined : decodeHead(stored);
      if (signed === undefined) {
        const [left] = await store.range({ ...ENTRIES, limit: 1 });
        return stored === undefined && left === undefined
          ? { sound: true, entries: 0 }
          : { sound: false, reason: "head" };
      }
      if (!isOurs(this.#parts.signer, signed)) return { sound: false, reason: "head" };
      const { head } = signed;
      const chain = new ChainCheck(hasher, head.first);
      let sequence = head.first;
      for (;;) {
        const page = await store.range({
          gte: entryKey(sequence),
          lt: ENTRIES.lt,
          limit: PAGE_MAX,
        });
        for (const [, value] of page) {
          if (sequence > head.last || !chain.follows(value))
            return { sound: false, reason: "entry", at: sequence };
          sequence++;
        }
        if (page.length < PAGE_MAX) break;
      }
      if (sequence <= head.last) return { sound: false, reason: "entry", at: sequence };
      if ((chain.hash ?? NO_HASH) !== head.hash) return { sound: false, reason: "head" };
      return { sound: true, entries: head.last - head.first + 1 };
    });
  }

  /** Writes what is pending. @throws StoreError; what was not written is tried again later */
  flush(): Promise<void> {
    return this.#exclusively(() => this.#write());
  }

  /** Writes what is pending, and takes no further notes. @throws StoreError */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.flush();
  }

  #append(note: AuditNote): void {
    const { clock, hasher } = this.#parts;
    const sequence = this.#head.last + 1;
    const value = encodeEntry({
      ...note,
      sequence,
      atMs: clock.wallMs(),
      clockTrusted: clock.wallTrusted(),
      previous: this.#head.hash,
    });
    this.#pending.push({ sequence, value });
    this.#head = {
      first: Math.max(this.#head.first, sequence - this.#entriesMax + 1),
      last: sequence,
      hash: hasher.sha256Hex(value),
    };
  }

  #due(): void {
    this.#timer = undefined;
    this.flush().catch((error: unknown) => {
      this.#parts.logger.error("the audit log could not be written", { reason: String(error) });
      if (this.#closed) return;
      this.#timer ??= this.#parts.clock.setTimer("audit flush", RETRY_AFTER_MS, () => this.#due());
    });
  }

  /** The same entries under the same keys however often it is tried, so a write that failed halfway does no harm. */
  async #write(): Promise<void> {
    const count = this.#pending.length;
    if (count === 0) return;
    const { store, signer } = this.#parts;
    const head = this.#head;
    const operations = this.#pending.map(
      ({ sequence, value }): StoreOperation => ({ type: "put", key: entryKey(sequence), value }),
    );
    for (let sequence = this.#storedFirst; sequence < head.first; sequence++)
      operations.push({ type: "del", key: entryKey(sequence) });
    const value = encodeHead(head, signer.sign(HEAD_PURPOSE, headBytes(head)));
    operations.push({ type: "put", key: HEAD_KEY, value });
    await store.write(operations, { durable: true });
    this.#pending.splice(0, count);
    this.#storedFirst = head.first;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => undefined);
    return done;
  }
}

function isOurs(
  signer: Signer,
  { head, signature }: { readonly head: AuditHead; readonly signature: Uint8Array },
): boolean {
  return signer.verify(signer.publicKey, HEAD_PURPOSE, headBytes(head), signature);
}
