import { Inflights } from "./inflights.ts";

/**
 * How a leader sends to a follower. `probe`: one message until it is known what the follower has; `replicate`: ahead of
 * the acknowledgements; `snapshot`: nothing, since the follower needs entries that were compacted away.
 */
export type ProgressMode = "probe" | "replicate" | "snapshot";

/** How much a leader sends ahead. */
export interface InflightLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

/** What a leader knows of one member, itself included (Ongaro and Ousterhout 2014, figure 2: nextIndex, matchIndex). */
export class Progress {
  readonly #inflights: Inflights;
  #match = 0;
  #next: number;
  #mode: ProgressMode = "probe";
  #pendingSnapshot = 0;
  #isHeld = false;
  #sentCommit = 0;
  /** It has no vote in the configuration in force. */
  isLearner = false;
  /** It was heard of since the last look at the quorum. */
  isActive: boolean;
  /** When the last heartbeat that it answered was sent, in ticks of the leader. */
  answeredTick = Number.NEGATIVE_INFINITY;

  /** When it was last sent an append that it answers, in ticks of the leader. */
  askedTick = Number.NEGATIVE_INFINITY;

  /** @param next the first entry to send it */
  constructor(limits: InflightLimits, next: number, isActive: boolean) {
    this.#inflights = new Inflights(limits.inflightMessagesMax, limits.inflightBytesMax);
    this.#next = next;
    this.isActive = isActive;
  }

  /** The last entry that it is known to have on disk. */
  get match(): number {
    return this.#match;
  }

  /** The next entry to send it, always beyond `match`. */
  get next(): number {
    return this.#next;
  }

  get mode(): ProgressMode {
    return this.#mode;
  }

  /** Index of the snapshot that it was sent and has not answered yet, or 0. */
  get pendingSnapshot(): number {
    return this.#pendingSnapshot;
  }

  get inflightCount(): number {
    return this.#inflights.count;
  }

  get isFull(): boolean {
    return this.#inflights.isFull;
  }

  /** No append is sent before it answers something. */
  get isPaused(): boolean {
    return this.#mode === "snapshot" || this.#isHeld;
  }

  /** Of a member when a term begins: nothing is known of it. @param match what it has: nothing, except for the leader */
  reset(match: number, next: number): void {
    this.#change("probe");
    this.#match = match;
    this.#next = next;
    this.#sentCommit = 0;
    this.isActive = false;
    this.answeredTick = Number.NEGATIVE_INFINITY;
    this.askedTick = Number.NEGATIVE_INFINITY;
  }

  becomeProbe(): void {
    const after = Math.max(this.#match, this.#pendingSnapshot);
    this.#change("probe");
    this.#next = after + 1;
    this.#sentCommit = Math.min(this.#sentCommit, this.#next - 1);
  }

  becomeReplicate(): void {
    this.#change("replicate");
    this.#next = this.#match + 1;
  }

  /** @param index of the snapshot */
  becomeSnapshot(index: number): void {
    this.#change("snapshot");
    this.#pendingSnapshot = index;
    this.#next = index + 1;
    this.#sentCommit = index;
  }

  /** The snapshot did not arrive: probe from what is known. */
  snapshotFailed(): void {
    this.#pendingSnapshot = 0;
    this.becomeProbe();
  }

  /** An append was sent. @param count entries in it; @param bytes of their data; @param commit that it carries */
  sent(count: number, bytes: number, commit: number): void {
    this.#sentCommit = commit;
    if (this.#mode === "replicate") {
      if (count > 0) {
        this.#next += count;
        this.#inflights.add(this.#next - 1, bytes);
      }
      this.#isHeld = this.#inflights.isFull;
    } else if (count > 0) this.#isHeld = true;
  }

  /** A heartbeat carried this commit index. */
  sentCommit(commit: number): void {
    this.#sentCommit = commit;
  }

  /** Whether a message would tell it of a commit that it was not told of, and has the entries for. */
  canLearnOf(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.#next - 1;
  }

  /** It has everything up to `index`. @returns whether that is news */
  acknowledge(index: number): boolean {
    if (index <= this.#match) return false;
    this.#match = index;
    this.#next = Math.max(this.#next, index + 1);
    this.#isHeld = false;
    return true;
  }

  /** The flight up to `index` landed. */
  freeTo(index: number): void {
    this.#inflights.freeTo(index);
  }

  /**
   * It refused the append behind `rejected`. @param hint where its log may agree
   * @returns whether that is news, not an answer to something before
   */
  decrease(rejected: number, hint: number): boolean {
    if (this.#mode === "replicate") {
      if (rejected <= this.#match) return false;
      this.#next = this.#match + 1;
    } else {
      if (this.#next - 1 !== rejected) return false;
      this.#next = Math.max(Math.min(rejected, hint + 1), this.#match + 1);
      this.#isHeld = false;
    }
    this.#sentCommit = Math.min(this.#sentCommit, this.#next - 1);
    return true;
  }

  /** Nothing is sent before it gives a sign of life. */
  hold(): void {
    this.#isHeld = true;
  }

  /** It gave a sign of life: one append may go, to find out whether those before it were lost. */
  release(): void {
    this.#isHeld = false;
  }

  #change(mode: ProgressMode): void {
    this.#mode = mode;
    this.#isHeld = false;
    this.#pendingSnapshot = 0;
    this.#inflights.clear();
  }
}
