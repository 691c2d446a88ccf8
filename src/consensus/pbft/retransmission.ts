import type { Checkpoints } from "./checkpoints.ts";
import type { Log } from "./log.ts";
import { STATUS_SLOTS_MAX, type Status } from "./messages.ts";
import type { Self } from "./self.ts";
import { LEVELS, type Slot } from "./slot.ts";
import type { Turn } from "./turn.ts";
import type { ViewChanges } from "./view-changes.ts";

/** Where a replica stands. */
export interface Position {
  readonly view: number;
  /** It has left the view before, and waits for this one to begin. */
  readonly isPending: boolean;
  readonly executed: number;
  /** Proof that `view` has begun; undefined in view 0. */
  readonly newView: Uint8Array | undefined;
}

/** What the answers are made of. */
export interface RetransmissionParts {
  readonly self: Self;
  readonly log: Log;
  readonly checkpoints: Checkpoints;
  readonly changes: ViewChanges;
}

/**
 * Makes up for what the network lost for good. A replica tells the others where it stands, and gets from them what it lacks,
 * each thing in the form that needs the fewest others: a decision with its proof rather than votes (Castro and Liskov, TOCS
 * 2002, section 5.2, without the bit vectors).
 */
export class Retransmission {
  readonly #parts: RetransmissionParts;
  #round = 0;

  constructor(parts: RetransmissionParts) {
    this.#parts = parts;
  }

  /** What this replica has. */
  status({ view, isPending, executed }: Position): Status {
    const { log, checkpoints } = this.#parts;
    this.#round++;
    const count = Math.min(STATUS_SLOTS_MAX, Math.max(0, log.highest - executed));
    const levels = Uint8Array.from({ length: count }, (_, at) => {
      const slot = log.get(executed + 1 + at);
      return slot?.level(view) ?? LEVELS.nothing;
    });
    const stable = checkpoints.stable.sequence;
    return { view, isPending, stable, executed, round: this.#round, levels };
  }

  /** Sends another replica what it lacks. */
  answer(turn: Turn, to: number, status: Status, here: Position): void {
    this.#answerView(turn, to, status, here);
    const { checkpoints, log, self } = this.#parts;
    if (status.stable < checkpoints.stable.sequence)
      turn.send(to, { kind: "stable", certificate: checkpoints.stable });
    for (const vote of checkpoints.ownVotes())
      if (vote.sequence > status.stable) turn.send(to, { kind: "vote", vote });
    const isSameView = !here.isPending && !status.isPending && here.view === status.view;
    const isChosen = this.#isChosen(to, status.round);
    let bytes = 0;
    for (let ahead = 1; ahead <= STATUS_SLOTS_MAX; ahead++) {
      const slot = log.get(status.executed + ahead);
      if (slot === undefined) continue;
      const level = status.levels[ahead - 1] ?? LEVELS.nothing;
      if (level >= LEVELS.decided) continue;
      const { decided, decidedBatch } = slot;
      if (decided !== undefined && decidedBatch !== undefined) {
        if (isChosen)
          bytes += turn.send(to, {
            kind: "decision",
            certificate: decided,
            batch: decidedBatch.bytes,
          });
      } else if (isSameView) bytes += this.#sendVotes(turn, to, slot, level, isChosen);
      if (bytes > self.options.answerBytesMax) return;
    }
  }

  #answerView(turn: Turn, to: number, status: Status, here: Position): void {
    const isBehind = status.view < here.view || (status.view === here.view && status.isPending);
    if (!isBehind) return;
    if (!here.isPending) {
      if (here.newView !== undefined) turn.send(to, { kind: "new-view", bytes: here.newView });
      return;
    }
    const own = this.#parts.changes.own();
    if (own !== undefined) turn.send(to, { kind: "view-change", bytes: own.bytes });
  }

  #sendVotes(turn: Turn, to: number, slot: Slot, level: number, isChosen: boolean): number {
    const { self } = this.#parts;
    const { accepted, prepares, commits } = slot;
    let bytes = 0;
    if (level < LEVELS.accepted && accepted?.batch !== undefined) {
      const isOwn = accepted.vote.signer === self.index;
      if (isOwn || isChosen)
        bytes += turn.send(to, {
          kind: "pre-prepare",
          vote: accepted.vote,
          batch: accepted.batch.bytes,
        });
    }
    const prepare = prepares[self.index];
    if (level < LEVELS.prepared && prepare !== undefined)
      bytes += turn.send(to, { kind: "vote", vote: prepare });
    const commit = commits[self.index];
    if (commit !== undefined) bytes += turn.send(to, { kind: "vote", vote: commit });
    return bytes;
  }

  /** f + 1 of the others answer at length, in turn: one of them is honest. */
  #isChosen(to: number, round: number): boolean {
    const { group, index } = this.#parts.self;
    const distance = (index - to - 1 + group.size) % group.size;
    return (distance + round) % (group.size - 1) <= group.faultyMax;
  }
}
