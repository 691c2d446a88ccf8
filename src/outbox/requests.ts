import { recordBytesMax } from "./block-codec.ts";
import { type DeadLetterDraft, deadLetterBytes } from "./dead-letters.ts";
import type { Entry } from "./entry.ts";
import type { OutboxError } from "./update.ts";

/** A dead letter that waits for its commit. */
export interface PendingLetter {
  readonly draft: DeadLetterDraft;
  /** Absent for a queued update that is buried: it must not be forgotten when a commit fails. */
  readonly settle?: (error: OutboxError | undefined) => void;
}

/** A dead letter's key that waits to be deleted. */
export interface LetterRemoval {
  readonly key: string;
  readonly settle: (error: OutboxError | undefined) => void;
}

/** What one commit is asked for. */
export interface Requests {
  readonly appends: readonly Entry[];
  readonly letterRemovals: readonly LetterRemoval[];
}

/** At most so many updates share a disk sync. */
export const BATCH_UPDATES_MAX = 4_096;

/** What waits for the disk: requests, with the bytes that were let in and are not in the books yet, and removals. */
export class WaitingRequests {
  #appends: Entry[] = [];
  #letters: PendingLetter[] = [];
  #letterRemovals: LetterRemoval[] = [];
  #waitingBytes = 0;
  #committingBytes = 0;
  /** Updates that left since the books were written last. */
  removals = 0;

  /** Waiting, and being written. */
  get bytes(): number {
    return this.#waitingBytes + this.#committingBytes;
  }

  get updates(): number {
    return this.#appends.length;
  }

  get any(): boolean {
    return this.#appends.length + this.#letters.length + this.#letterRemovals.length > 0;
  }

  addAppend(entry: Entry): void {
    this.#waitingBytes += recordBytesMax(entry);
    this.#appends.push(entry);
  }

  addLetter(draft: DeadLetterDraft, settle: (error: OutboxError | undefined) => void): void {
    const bytes = draft.payload.length;
    this.#waitingBytes += bytes;
    const settled = (error: OutboxError | undefined): void => {
      this.#waitingBytes -= bytes;
      settle(error);
    };
    this.#letters.push({ draft, settle: settled });
  }

  /** Adds the letter of an update that is leaving the queue for it. */
  addBurial(draft: DeadLetterDraft): void {
    this.#letters.push({ draft });
  }

  addLetterRemoval(removal: LetterRemoval): void {
    this.#letterRemovals.push(removal);
  }

  /**
   * Takes what goes into one commit.
   * @param batchBytesMax part of the whole quota, so that room can always be made for what is newest in it
   */
  take(batchBytesMax: number): Requests {
    const requests = {
      appends: this.#takeAppends(batchBytesMax),
      letterRemovals: this.#letterRemovals,
    };
    this.#letterRemovals = [];
    return requests;
  }

  /**
   * Takes the letters, at the last moment: an update that is buried is out of the books at once, so the next
   * books that are written must come with its letter.
   */
  takeLetters(): readonly PendingLetter[] {
    const letters = this.#letters;
    this.#letters = [];
    return letters;
  }

  /** Bytes of the letters that wait. */
  get letterBytes(): number {
    return this.#letters.reduce((sum, { draft }) => sum + deadLetterBytes(draft), 0);
  }

  /** The commit ended, one way or the other. */
  committed(): void {
    this.#committingBytes = 0;
  }

  /** What did not fit into a commit goes first into the next one. */
  putBack(appends: readonly Entry[]): void {
    for (const entry of appends) this.#waitingBytes += recordBytesMax(entry);
    this.#appends = [...appends, ...this.#appends];
  }

  /** Tells everybody who asked; what nobody asked for is kept for the next commit. */
  fail(
    { appends, letterRemovals }: Requests,
    letters: readonly PendingLetter[],
    failure: OutboxError,
  ): void {
    this.#letters.unshift(...letters.filter(({ settle }) => settle === undefined));
    for (const { settle } of [...appends, ...letterRemovals, ...letters]) settle?.(failure);
  }

  /** Fails everything that waits. @returns the updates among it. */
  failAll(failure: OutboxError): number {
    const requests = this.take(Number.POSITIVE_INFINITY);
    const rest = this.#appends;
    this.#appends = [];
    this.#waitingBytes -= rest.reduce((sum, entry) => sum + recordBytesMax(entry), 0);
    this.committed();
    const appends = [...requests.appends, ...rest];
    this.fail({ ...requests, appends }, this.takeLetters(), failure);
    return appends.length;
  }

  #takeAppends(batchBytesMax: number): readonly Entry[] {
    const all = this.#appends;
    let bytes = 0;
    let taken = 0;
    for (const entry of all) {
      const entryBytes = recordBytesMax(entry);
      if (taken === BATCH_UPDATES_MAX || (taken > 0 && bytes + entryBytes > batchBytesMax)) break;
      bytes += entryBytes;
      taken++;
    }
    this.#appends = taken < all.length ? all.splice(taken) : [];
    this.#waitingBytes -= bytes;
    this.#committingBytes = bytes;
    return all;
  }
}
