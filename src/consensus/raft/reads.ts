import type { Configuration } from "./configuration.ts";
import { jointIndex } from "./quorum.ts";

/** A read that waits for the index from which on it is linearizable. */
export interface PendingRead {
  /** Who asked. */
  readonly from: number;
  /** How the asker tells its reads apart. */
  readonly context: Uint8Array;
}

/** A read that may be done as soon as everything up to `index` is applied. */
export interface ReadState {
  readonly index: number;
  readonly context: Uint8Array;
}

interface CountedRead extends PendingRead {
  readonly index: number;
}

/**
 * Reads of a leader that wait (Ongaro 2014, section 6.4). They are counted through: a heartbeat carries the number of the
 * newest one, and what a quorum gave back says up to which one they are confirmed.
 */
export class ReadQueue {
  /** Before the first commit of the term it is not known what is committed. */
  #early: PendingRead[] = [];
  #unconfirmed: CountedRead[] = [];
  #confirmed = 0;
  #rounds = new Map<number, number>();

  get size(): number {
    return this.#early.length + this.#unconfirmed.length;
  }

  /** Number of the newest unconfirmed read, for heartbeats; 0 when there is none. */
  get round(): number {
    return this.#unconfirmed.length === 0 ? 0 : this.#confirmed + this.#unconfirmed.length;
  }

  /** The greatest number that a heartbeat can have carried. */
  get lastRound(): number {
    return this.#confirmed + this.#unconfirmed.length;
  }

  /** Waits for the first commit of the term. */
  addEarly(read: PendingRead): void {
    this.#early.push(read);
  }

  /** Those that waited for the first commit of the term. */
  takeEarly(): readonly PendingRead[] {
    const early = this.#early;
    if (early.length > 0) this.#early = [];
    return early;
  }

  /** Waits for a quorum. @param index committed when it was asked for */
  add({ from, context }: PendingRead, index: number): void {
    this.#unconfirmed.push({ from, context, index });
  }

  /** A member still took this node for the leader when it got this round. */
  acknowledge(id: number, round: number): void {
    this.#rounds.set(id, Math.max(this.#rounds.get(id) ?? 0, round));
  }

  /** Takes out what a quorum has confirmed. */
  takeConfirmed(configuration: Configuration): readonly CountedRead[] {
    const round = jointIndex(configuration, (id) => this.#rounds.get(id));
    const count = Math.min(round - this.#confirmed, this.#unconfirmed.length);
    if (count <= 0) return [];
    const reads = this.#unconfirmed.slice(0, count);
    this.#unconfirmed = this.#unconfirmed.slice(count);
    this.#confirmed += count;
    return reads;
  }

  /** The term is over: whoever asked has to ask again. */
  clear(): void {
    this.#early = [];
    this.#unconfirmed = [];
    this.#confirmed = 0;
    this.#rounds = new Map();
  }
}
