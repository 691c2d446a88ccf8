import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Ordered } from "../ordering/ordering.ts";
import { AgreementError, type Patience, Waiting } from "../ordering/waiting.ts";
import { type Entry, encodeOperation, keyOf } from "./operation.ts";
import { type PbftMemberOptions, REQUEST_HEAD_BYTES } from "./options.ts";
import type { Outcome } from "./replicated-state.ts";

/** Timestamps that are taken from the disk at once. */
const TIMESTAMPS_RESERVED = 4_096;
/** An operation is large: it goes to all members again after a time that doubles so often. */
const RETRY_DOUBLINGS_MAX = 3;

/** What the desk for a member's own values works with. */
export interface SubmissionsParts {
  readonly options: PbftMemberOptions;
  readonly hasher: Hasher;
  readonly nowMs: () => number;
  /** Timestamps up to this one may have been used before. */
  readonly timestamp: number;
  /** Puts on record that timestamps up to this one may be used. */
  readonly reserve: (timestamp: number, done: () => void) => void;
  /** @returns a signed request; undefined while this member takes no part in any epoch */
  readonly make: (timestamp: number, operation: Uint8Array) => Uint8Array | undefined;
  /** Brings a request to this member's own core. */
  readonly send: (request: Uint8Array) => void;
  /** Brings a request to all other members. */
  readonly spread: (request: Uint8Array) => void;
  /** Whether the entry of this key was decided, lately. */
  readonly isDecided: (key: string) => boolean;
  /** The last place in the order that was applied here. */
  readonly position: () => number;
}

interface Settled {
  readonly position: number;
  readonly outcome: Outcome;
}

interface Pending {
  readonly entry: Entry;
  readonly settled: Promise<Settled>;
}

/** A signed operation that is not executed yet. */
interface UnderWay {
  readonly timestamp: number;
  readonly request: Uint8Array;
  readonly keys: readonly string[];
  readonly reads: readonly string[];
  sentAtMs: number;
  retries: number;
}

const GONE: Outcome = { kind: "applied", result: undefined };

/**
 * What callers of this member want put into the order. The core executes one request of a client at a time, so values gather
 * while one is under way, and go together into the next: one signature for all of them.
 */
export class Submissions {
  readonly #parts: SubmissionsParts;
  readonly #waiting: Waiting<Settled>;
  readonly #readers: Waiting<undefined>;
  readonly #pending = new Map<string, Pending>();
  #pendingBytes = 0;
  /** Not in an operation that is under way. */
  #queue = new Set<string>();
  #reads: string[] = [];
  #readCount = 0;
  #underWay: UnderWay | undefined;
  #timestamp: number;
  #reservedUpTo: number;
  #isReserving = false;
  #isForming = false;
  #failure: AgreementError | undefined;

  constructor(parts: SubmissionsParts) {
    this.#parts = parts;
    this.#waiting = new Waiting(parts.options.waitingMax);
    this.#readers = new Waiting(parts.options.waitingMax);
    this.#timestamp = parts.timestamp;
    this.#reservedUpTo = parts.timestamp;
  }

  /** @throws AgreementError */
  async value(entry: Entry, patience: Patience): Promise<Ordered> {
    const { position, outcome } = await this.#put(entry, patience);
    return { position, result: outcome.kind === "applied" ? outcome.result : undefined };
  }

  /** @throws AgreementError `consensus.refused` when the group can not change so */
  async change(entry: Entry, patience: Patience): Promise<void> {
    const { outcome } = await this.#put(entry, patience);
    if (outcome.kind === "refused") throw new AgreementError("consensus.refused", outcome.reason);
  }

  /** Settles when an operation is executed here that was made later than now. @throws AgreementError */
  read(patience: Patience): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const key = String(++this.#readCount);
    const done = this.#readers.add(key, this.#parts.nowMs(), patience);
    // Of those whose time was over while nothing went on.
    if (this.#reads.length >= this.#parts.options.waitingMax)
      this.#reads = this.#reads.filter((read) => this.#readers.has(read));
    this.#reads.push(key);
    this.wake();
    return done;
  }

  /** An entry was executed here. */
  executed(key: string, position: number, outcome: Outcome): void {
    if (this.#pending.has(key)) this.#waiting.settle(key, { position, outcome });
  }

  /** Requests of this member up to this timestamp are through. @param isExecuted whether this very one was executed */
  concluded(timestamp: number, isExecuted: boolean): void {
    const underWay = this.#underWay;
    if (underWay === undefined || underWay.timestamp > timestamp) return;
    this.#putBack(underWay, isExecuted && underWay.timestamp === timestamp);
    this.wake();
  }

  /** Requests with lower timestamps are not executed any more. */
  outran(timestamp: number): void {
    this.#timestamp = Math.max(this.#timestamp, timestamp);
    this.concluded(timestamp, false);
  }

  /** The state jumped: some of what waits may have been decided on the way. */
  installed(): void {
    for (const key of this.#pending.keys()) this.#settleDecided(key);
    if (this.#underWay !== undefined) this.#parts.send(this.#underWay.request);
  }

  /** Requests of the epoch that was are not executed any more. @param members who they are now */
  epochEnded(members: readonly PeerId[]): void {
    for (const [key, { entry }] of this.#pending) {
      if (entry.kind === "value") continue;
      const { kind, peer } = entry.step;
      if (members.includes(peer) !== (kind === "add")) continue;
      this.#waiting.settle(key, { position: this.#parts.position(), outcome: { kind: "known" } });
    }
    if (this.#underWay !== undefined) this.#putBack(this.#underWay, false);
    this.wake();
  }

  tick(): void {
    const nowMs = this.#parts.nowMs();
    this.#waiting.expire(nowMs);
    this.#readers.expire(nowMs);
    const underWay = this.#underWay;
    if (underWay === undefined) {
      this.wake();
      return;
    }
    const { retryAfterMs } = this.#parts.options;
    if (nowMs - underWay.sentAtMs < retryAfterMs * 2 ** underWay.retries) return;
    underWay.sentAtMs = nowMs;
    underWay.retries = Math.min(RETRY_DOUBLINGS_MAX, underWay.retries + 1);
    // The primary may keep it to itself: then the others have to know of it, to suspect the primary.
    this.#parts.send(underWay.request);
    if (this.#underWay === underWay) this.#parts.spread(underWay.request);
  }

  /** Nothing of this member is decided any more. */
  fail(error: AgreementError): void {
    this.#failure = error;
    this.#waiting.fail(error);
    this.#readers.fail(error);
  }

  /** Once for everything that comes in one turn. */
  wake(): void {
    if (this.#isForming || this.#underWay !== undefined || this.#failure !== undefined) return;
    if (this.#queue.size === 0 && this.#reads.length === 0) return;
    this.#isForming = true;
    queueMicrotask(() => {
      this.#isForming = false;
      if (this.#underWay === undefined && this.#failure === undefined) this.#form();
    });
  }

  #put(entry: Entry, patience: Patience): Promise<Settled> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const key = keyOf(entry, this.#parts.hasher);
    const before = this.#pending.get(key);
    if (before !== undefined) return before.settled;
    const { waitingBytesMax } = this.#parts.options;
    const { length } = entry.bytes;
    if (this.#pendingBytes + length > waitingBytesMax)
      return Promise.reject(
        new AgreementError(
          "consensus.busy",
          `${waitingBytesMax} bytes wait for this group already`,
        ),
      );
    const settled = this.#waiting.add(key, this.#parts.nowMs(), patience);
    if (!this.#waiting.has(key)) return settled;
    this.#pending.set(key, { entry, settled });
    this.#pendingBytes += length;
    const forget = (): void => {
      this.#pending.delete(key);
      this.#queue.delete(key);
      this.#pendingBytes -= length;
    };
    settled.then(forget, forget);
    this.#queue.add(key);
    this.wake();
    return settled;
  }

  #form(): void {
    if (this.#queue.size === 0 && this.#reads.length === 0) return;
    if (this.#timestamp >= this.#reservedUpTo) {
      this.#reserve();
      return;
    }
    const { keys, entries } = this.#gather();
    const timestamp = this.#timestamp + 1;
    const request = this.#parts.make(timestamp, encodeOperation(entries));
    if (request === undefined) return;
    this.#timestamp = timestamp;
    for (const key of keys) this.#queue.delete(key);
    const reads = this.#reads.splice(0);
    this.#underWay = { timestamp, request, keys, reads, sentAtMs: this.#parts.nowMs(), retries: 0 };
    this.#parts.send(request);
  }

  /** As many as go together, those that came first. */
  #gather(): { readonly keys: string[]; readonly entries: Entry[] } {
    const { operationValuesMax, pbft } = this.#parts.options;
    const keys: string[] = [];
    const entries: Entry[] = [];
    let room = pbft.requestBytesMax - REQUEST_HEAD_BYTES;
    for (const key of this.#queue) {
      const pending = this.#pending.get(key);
      // Its caller has given up.
      if (pending === undefined || !this.#waiting.has(key)) continue;
      room -= pending.entry.bytes.length;
      if (entries.length === operationValuesMax || (room < 0 && entries.length > 0)) break;
      keys.push(key);
      entries.push(pending.entry);
    }
    return { keys, entries };
  }

  #reserve(): void {
    if (this.#isReserving) return;
    this.#isReserving = true;
    const upTo = this.#timestamp + TIMESTAMPS_RESERVED;
    this.#parts.reserve(upTo, () => {
      this.#isReserving = false;
      this.#reservedUpTo = upTo;
      this.wake();
    });
  }

  /** What was not decided goes into the next operation, before all else. */
  #putBack({ keys, reads }: UnderWay, isExecuted: boolean): void {
    this.#underWay = undefined;
    const again = keys.filter((key) => {
      if (!this.#pending.has(key) || !this.#waiting.has(key)) return false;
      return !this.#settleDecided(key);
    });
    if (again.length > 0) this.#queue = new Set([...again, ...this.#queue]);
    if (isExecuted) for (const read of reads) this.#readers.settle(read, undefined);
    else this.#reads.unshift(...reads);
  }

  #settleDecided(key: string): boolean {
    if (!this.#parts.isDecided(key)) return false;
    this.#waiting.settle(key, { position: this.#parts.position(), outcome: GONE });
    return true;
  }
}
