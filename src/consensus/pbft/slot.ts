import type { Batch } from "./batch.ts";
import { ByteWriter } from "./bytes.ts";
import {
  type Certificate,
  type PreparedCertificate,
  writeCertificate,
  writePrepared,
} from "./certificate.ts";
import { SLOT_KEYS } from "./keys.ts";
import type { Turn } from "./turn.ts";
import { type Vote, writeVote } from "./vote.ts";

/** How far one sequence number is, as a status tells it: nothing, accepted, prepared in this view, decided. */
export const LEVELS = { nothing: 0, accepted: 1, prepared: 2, decided: 3 } as const;

/** The primary's proposal, with the batch as soon as that is here. */
export interface Accepted {
  readonly vote: Vote;
  readonly batch: Batch | undefined;
  /** The batch has come and can not be supported. */
  readonly isBad: boolean;
}

/** Everything about one sequence number. Votes are those of the current view; certificates outlive views. */
export class Slot {
  readonly sequence: number;
  /** By place in the group. */
  readonly prepares: (Vote | undefined)[] = [];
  readonly commits: (Vote | undefined)[] = [];
  #accepted: Accepted | undefined;
  #prepared: { readonly certificate: PreparedCertificate; readonly batch: Batch } | undefined;
  #decided: { readonly certificate: Certificate; readonly batch: Batch | undefined } | undefined;
  /** Digests of batches that were written down. */
  readonly #kept = new Set<string>();

  constructor(sequence: number) {
    this.sequence = sequence;
  }

  get accepted(): Accepted | undefined {
    return this.#accepted;
  }

  /** Of the highest view in which this batch, or another, was prepared here. */
  get prepared(): PreparedCertificate | undefined {
    return this.#prepared?.certificate;
  }

  get decided(): Certificate | undefined {
    return this.#decided?.certificate;
  }

  /** The batch that was decided, once it is here. */
  get decidedBatch(): Batch | undefined {
    return this.#decided?.batch;
  }

  /** Digest of a batch that is needed and not here. */
  get wanted(): string | undefined {
    if (this.#decided !== undefined)
      return this.#decided.batch === undefined ? this.#decided.certificate.digest : undefined;
    const accepted = this.#accepted;
    if (accepted === undefined || accepted.batch !== undefined || accepted.isBad) return undefined;
    return accepted.vote.digest;
  }

  /** See {@link LEVELS}. */
  level(view: number): number {
    if (this.#decided !== undefined) return LEVELS.decided;
    if (this.#prepared?.certificate.view === view) return LEVELS.prepared;
    return this.#accepted?.batch === undefined ? LEVELS.nothing : LEVELS.accepted;
  }

  /** @returns a batch of this sequence number that is here */
  batchOf(digest: string): Batch | undefined {
    for (const batch of [this.#accepted?.batch, this.#prepared?.batch, this.#decided?.batch])
      if (batch?.digest === digest) return batch;
    return undefined;
  }

  /** The primary proposes this; what was accepted in an earlier view counts no more. */
  propose(vote: Vote): void {
    this.#accepted = { vote, batch: undefined, isBad: false };
  }

  /** The batch proposed is here, and supported from now on. */
  support(vote: Vote, batch: Batch): void {
    this.#accepted = { vote, batch, isBad: false };
  }

  /** What was proposed is not supported. */
  spurn(vote: Vote): void {
    this.#accepted = { vote, batch: undefined, isBad: true };
  }

  /** Puts what is supported on record. */
  keepAccepted(turn: Turn): void {
    const accepted = this.#accepted;
    if (accepted?.batch === undefined) return;
    this.#keepBatch(turn, accepted.batch);
    const value = writeVote(new ByteWriter(), accepted.vote).finish();
    turn.put(SLOT_KEYS.accepted(this.sequence), value);
  }

  prepare(turn: Turn, certificate: PreparedCertificate, batch: Batch): void {
    this.#prepared = { certificate, batch };
    this.#keepBatch(turn, batch);
    const value = writePrepared(new ByteWriter(512), certificate).finish();
    turn.put(SLOT_KEYS.prepared(this.sequence), value);
  }

  /** The batch may be missing for now. */
  decide(turn: Turn, certificate: Certificate, batch: Batch | undefined): void {
    this.#decided = { certificate, batch };
    if (batch === undefined) return;
    this.#keepBatch(turn, batch);
    const value = writeCertificate(new ByteWriter(512), certificate).finish();
    turn.put(SLOT_KEYS.decided(this.sequence), value);
  }

  /** Takes back what was on record before a restart. */
  restore(kept: {
    readonly accepted?: { readonly vote: Vote; readonly batch: Batch };
    readonly prepared?: { readonly certificate: PreparedCertificate; readonly batch: Batch };
    readonly decided?: { readonly certificate: Certificate; readonly batch: Batch };
  }): void {
    const { accepted, prepared, decided } = kept;
    if (accepted !== undefined) this.support(accepted.vote, accepted.batch);
    this.#prepared = prepared ?? this.#prepared;
    this.#decided = decided ?? this.#decided;
    for (const one of [accepted, prepared, decided])
      if (one !== undefined) this.#kept.add(one.batch.digest);
  }

  /** Another view begins: votes of the last one count no more. */
  leaveView(): void {
    this.prepares.length = 0;
    this.commits.length = 0;
  }

  /** Nothing is proposed here in the view that begins. */
  unpropose(turn: Turn): void {
    if (this.#accepted === undefined) return;
    this.#accepted = undefined;
    turn.del(SLOT_KEYS.accepted(this.sequence));
    this.forgetBatches(turn);
  }

  /** Batches that nothing refers to any more go. */
  forgetBatches(turn: Turn): void {
    for (const digest of this.#kept) {
      if (this.batchOf(digest) !== undefined) continue;
      this.#kept.delete(digest);
      turn.del(SLOT_KEYS.batch(this.sequence, digest));
    }
  }

  /** Takes everything off the record. */
  erase(turn: Turn): void {
    if (this.#accepted !== undefined) turn.del(SLOT_KEYS.accepted(this.sequence));
    if (this.#prepared !== undefined) turn.del(SLOT_KEYS.prepared(this.sequence));
    if (this.#decided !== undefined) turn.del(SLOT_KEYS.decided(this.sequence));
    for (const digest of this.#kept) turn.del(SLOT_KEYS.batch(this.sequence, digest));
  }

  #keepBatch(turn: Turn, batch: Batch): void {
    if (this.#kept.has(batch.digest)) return;
    this.#kept.add(batch.digest);
    turn.put(SLOT_KEYS.batch(this.sequence, batch.digest), batch.bytes);
  }
}
