import type { Logger } from "../../platform/logger.ts";
import type { ChangeStep } from "../raft/change.ts";
import type { Line } from "./line.ts";
import type { RaftMember } from "./member.ts";
import type { Roster } from "./roster.ts";

/** A learner that lacks no more entries than these is given a vote. */
const LAG_ENTRIES_MAX = 256;
/** How long a change that the leader wants is waited for, before it looks again whether it still does. */
const CHANGE_TIMEOUT_MS = 10_000;

interface Parts {
  readonly line: Pick<Line, "learnerLog">;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** A learner that has not caught up after so long is taken out again. */
  readonly learnerPatienceMs: number;
}

/**
 * While this member leads it looks after learners: who has caught up is given a vote, and with it the group learns which
 * log alone may speak under its number; who does not catch up is taken out again, since it would not help anybody.
 */
export class Steward {
  readonly #parts: Parts;
  readonly #sinceMs = new Map<number, number>();
  #changing = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  tick(member: RaftMember): void {
    if (!member.isLeading) {
      this.#sinceMs.clear();
      return;
    }
    const { learners } = member.configuration;
    for (const id of this.#sinceMs.keys()) if (!learners.includes(id)) this.#sinceMs.delete(id);
    for (const id of learners) {
      const nowMs = this.#parts.nowMs();
      const sinceMs = this.#sinceMs.get(id) ?? nowMs;
      this.#sinceMs.set(id, sinceMs);
      if (!this.#changing) this.#look(member, id, nowMs - sinceMs);
    }
  }

  #look(member: RaftMember, id: number, waitedMs: number): void {
    const { line, learnerPatienceMs } = this.#parts;
    const participant = member.roster.get(id);
    const log = line.learnerLog(id);
    if (participant !== undefined && log !== undefined && member.lagOf(id) <= LAG_ENTRIES_MAX)
      this.#change(member, { kind: "add-voter", id }, new Map([[id, { ...participant, log }]]));
    else if (waitedMs > learnerPatienceMs) this.#change(member, { kind: "remove", id }, new Map());
  }

  #change(member: RaftMember, step: ChangeStep, participants: Roster): void {
    const { logger } = this.#parts;
    this.#changing = true;
    const changed = member.change([step], participants, { timeoutMs: CHANGE_TIMEOUT_MS });
    const over = (): void => {
      this.#changing = false;
    };
    changed.then(over, (error: Error) => {
      over();
      logger.debug("a learner waits", { id: step.id, reason: error.message });
    });
  }
}
