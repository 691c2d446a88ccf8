import type { PeerId } from "../../platform/signer.ts";
import { POOL_OPERATIONS_MAX } from "./message-codec.ts";
import type { HouseMessage } from "./messages.ts";
import { type Operation, sizeOfOperation } from "./operation.ts";
import type { Pool } from "./pool.ts";
import type { Submissions } from "./submissions.ts";

/** Operations that are told together. */
const TOLD_BYTES_MAX = 262_144;
/** After so long without a decision whoever proposes is told what waits here. */
const STALLED_MS = 1_000;

interface Parts {
  readonly self: PeerId;
  readonly pool: Pool;
  readonly submissions: Submissions;
  readonly retryAfterMs: number;
  readonly nowMs: () => number;
  readonly members: () => readonly PeerId[];
  /** Who proposes at the moment. */
  readonly leader: () => PeerId;
  readonly send: (to: readonly PeerId[], message: HouseMessage) => void;
  /** Something waits in the pool. */
  readonly poke: () => void;
}

/**
 * Tells the other members what waits to be decided: what callers here have put in at once, and again until it is decided;
 * what others have put in only to whoever proposes, when nothing comes of it, since others may not have heard of it.
 */
export class Telling {
  readonly #parts: Parts;
  #isDue = false;
  #movedAtMs = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** All that comes in one turn is told together. */
  soon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#tell(Number.NEGATIVE_INFINITY);
    });
  }

  tick(): void {
    const nowMs = this.#parts.nowMs();
    this.#tell(nowMs - this.#parts.retryAfterMs);
    this.#forward(nowMs);
  }

  /** A height was decided. */
  moved(): void {
    this.#movedAtMs = this.#parts.nowMs();
  }

  #tell(sinceMs: number): void {
    const { self, pool, submissions, members, nowMs, poke } = this.#parts;
    const due = submissions.due(sinceMs, nowMs());
    // Bounded by what may wait here at all, not by the share of one member.
    for (const { named, timeoutMs } of due) pool.add(self, named, nowMs(), 1, timeoutMs);
    if (due.length > 0) {
      const others = members().filter((id) => id !== self);
      this.#send(
        others,
        due.map(({ named }) => named.operation),
      );
    }
    if (pool.size > 0) poke();
  }

  #forward(nowMs: number): void {
    const { self, pool, leader, send } = this.#parts;
    if (pool.size === 0) this.#movedAtMs = nowMs;
    if (nowMs - this.#movedAtMs < STALLED_MS) return;
    this.#movedAtMs = nowMs;
    const proposer = leader();
    if (proposer === self) return;
    const operations = pool.pack(TOLD_BYTES_MAX, POOL_OPERATIONS_MAX);
    send([proposer], { kind: "pool", operations });
  }

  #send(to: readonly PeerId[], operations: readonly Operation[]): void {
    let batch: Operation[] = [];
    let bytes = 0;
    for (const operation of operations) {
      const size = sizeOfOperation(operation);
      if (
        batch.length > 0 &&
        (bytes + size > TOLD_BYTES_MAX || batch.length === POOL_OPERATIONS_MAX)
      ) {
        this.#parts.send(to, { kind: "pool", operations: batch });
        [batch, bytes] = [[], 0];
      }
      batch.push(operation);
      bytes += size;
    }
    this.#parts.send(to, { kind: "pool", operations: batch });
  }
}
