import { toHex } from "../../platform/hex.ts";
import { AgreementError, type Patience, Waiting } from "../ordering/waiting.ts";
import type { Change } from "../raft/change.ts";
import { PROPOSAL_ID_BYTES } from "./command.ts";

/** What came of a proposal. */
export interface Decided {
  /** Place in the group's log. */
  readonly index: number;
  readonly term: number;
  /** What the state machine answered; undefined when the same proposal was decided before, or was a change of members. */
  readonly result: Uint8Array | undefined;
  /** Why a change of members was not made, though it has its place in the log; undefined when it was. */
  readonly refused: string | undefined;
}

/** What is put before the group. */
export interface Proposal {
  readonly data: Uint8Array;
  /** Undefined for a command. */
  readonly change: Change | undefined;
}

interface Proposed extends Proposal {
  readonly decided: Promise<Decided>;
  proposedAtMs: number;
}

interface Parts {
  readonly waitingMax: number;
  readonly waitingBytesMax: number;
  readonly nowMs: () => number;
}

/** What callers on this member want decided: proposed again and again until it is, or until its time is over. */
export class Proposals {
  readonly #parts: Parts;
  readonly #waiting: Waiting<Decided>;
  readonly #proposed = new Map<string, Proposed>();
  #bytes = 0;
  /** Not given to the core yet: they go together. */
  #batch = new Set<string>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#waiting = new Waiting(parts.waitingMax);
  }

  /** Nobody waits for anything. */
  get isIdle(): boolean {
    return this.#proposed.size === 0;
  }

  /** Something has to be given to the core. */
  get isPending(): boolean {
    return this.#batch.size > 0;
  }

  /** Whoever names a proposal that waits already waits along. @throws AgreementError */
  add(id: Uint8Array, proposal: Proposal, patience: Patience): Promise<Decided> {
    if (id.length !== PROPOSAL_ID_BYTES)
      throw new Error(`the id of a proposal has ${PROPOSAL_ID_BYTES} bytes, not ${id.length}`);
    const key = toHex(id);
    const before = this.#proposed.get(key);
    if (before !== undefined) return before.decided;
    const { waitingBytesMax, nowMs } = this.#parts;
    const { length } = proposal.data;
    if (this.#bytes + length > waitingBytesMax)
      return Promise.reject(
        new AgreementError(
          "consensus.busy",
          `${waitingBytesMax} bytes wait for this group already`,
        ),
      );
    const decided = this.#waiting.add(key, nowMs(), patience);
    if (!this.#waiting.has(key)) return decided;
    this.#proposed.set(key, { ...proposal, decided, proposedAtMs: Number.NEGATIVE_INFINITY });
    this.#bytes += length;
    const forget = (): void => {
      this.#proposed.delete(key);
      this.#bytes -= length;
    };
    decided.then(forget, forget);
    this.#batch.add(key);
    return decided;
  }

  /** @returns what is to be given to the core now, in order */
  takeBatch(): readonly Proposal[] {
    const nowMs = this.#parts.nowMs();
    const batch: Proposal[] = [];
    for (const key of this.#batch) {
      const proposed = this.#proposed.get(key);
      if (proposed === undefined) continue;
      proposed.proposedAtMs = nowMs;
      batch.push(proposed);
    }
    this.#batch = new Set();
    return batch;
  }

  /** Proposes again what was proposed before then and is not decided. */
  retry(beforeMs: number): void {
    for (const [key, { proposedAtMs }] of this.#proposed)
      if (proposedAtMs < beforeMs) this.#batch.add(key);
  }

  settle(id: Uint8Array, decided: Decided): void {
    if (this.#proposed.size > 0) this.#waiting.settle(toHex(id), decided);
  }

  expire(): void {
    this.#waiting.expire(this.#parts.nowMs());
  }

  fail(error: Error): void {
    this.#waiting.fail(error);
  }
}
