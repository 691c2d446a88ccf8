import type { SequenceRange } from "../sync/sequence-ranges.ts";
import type { FollowerStatus } from "./follower.ts";
import type { TakeOutcome } from "./outcome.ts";
import type { StreamState, StreamTable } from "./stream-table.ts";

/** The receiver in numbers. Counters count since it was opened. */
export interface ReceiverStatus {
  readonly agents: number;
  readonly streams: number;
  /** Updates that are kept, and what they take before compression. */
  readonly updates: number;
  readonly bytes: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly refusedByCode: Readonly<Record<string, number>>;
  /** Updates that retention removed. */
  readonly retired: number;
  /** Updates that agents said will never come, of all streams. */
  readonly missing: number;
  readonly waitingUpdates: number;
  readonly waitingBytes: number;
  readonly commits: number;
  readonly lastCommitMs: number;
  /** Why the latest commit failed, until one succeeds. */
  readonly storeFault?: string;
  readonly sink?: FollowerStatus;
}

/** One agent, for lists. */
export interface AgentSummary {
  readonly agent: string;
  readonly streams: number;
  readonly received: number;
  readonly missing: number;
  /** When the latest update was taken, ms since 1970. */
  readonly lastReceivedAtMs: number;
}

/** What there is of one stream, in detail. */
export interface StreamSummary {
  readonly stream: string;
  readonly through: number;
  readonly ranges: readonly SequenceRange[];
  /** What will never come, as far as it is listed, and how much that is in all. */
  readonly missing: readonly SequenceRange[];
  readonly missingUpdates: number;
  readonly received: number;
  readonly lastReceivedAtMs: number;
}

/** @returns all agents, by id */
export function agentSummaries(table: StreamTable): readonly AgentSummary[] {
  return [...table.agents]
    .map(([agent, streams]) => {
      const all = [...streams.values()];
      return {
        agent,
        streams: all.length,
        received: all.reduce((sum, { received }) => sum + received, 0),
        missing: all.reduce((sum, { missingUpdates }) => sum + missingUpdates, 0),
        lastReceivedAtMs: all.reduce(
          (latest, { lastReceivedAtMs }) => Math.max(latest, lastReceivedAtMs),
          0,
        ),
      };
    })
    .sort((a, b) => (a.agent < b.agent ? -1 : 1));
}

/** @returns the stream with its gaps */
export function streamSummary(state: StreamState): StreamSummary {
  const { through, ranges } = state.ranges.marks();
  const missing = state.missing.marks();
  return {
    stream: state.stream,
    through,
    ranges,
    missing: [...(missing.through > 0 ? [[1, missing.through] as const] : []), ...missing.ranges],
    missingUpdates: state.missingUpdates,
    received: state.received,
    lastReceivedAtMs: state.lastReceivedAtMs,
  };
}

/** Plain numbers that are counted as things happen. */
export class ReceiverCounts {
  #accepted = 0;
  #duplicates = 0;
  #retired = 0;
  #commits = 0;
  #lastCommitMs = 0;
  #fault: string | undefined;
  readonly #refusals = new Map<string, number>();

  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  /** A commit has ended. @param tookMs from its first look-up until it was durable */
  committed(outcomes: readonly TakeOutcome[], tookMs: number): void {
    let accepted = 0;
    for (const outcome of outcomes) {
      if (outcome.kind === "accepted") accepted++;
      else if (outcome.kind === "duplicate") this.#duplicates++;
      else this.refused(outcome.code);
    }
    this.#accepted += accepted;
    if (accepted === 0) return;
    this.#commits++;
    this.#lastCommitMs = Math.round(tookMs * 100) / 100;
    this.#fault = undefined;
  }

  fault(reason: string): void {
    this.#fault = reason;
  }

  retired(updates: number): void {
    this.#retired += updates;
  }

  status(
    table: StreamTable,
    now: Pick<ReceiverStatus, "waitingUpdates" | "waitingBytes" | "sink">,
  ): ReceiverStatus {
    return {
      agents: table.agents.size,
      streams: table.streamCount,
      updates: table.counters.updates,
      bytes: table.counters.bytes,
      accepted: this.#accepted,
      duplicates: this.#duplicates,
      refused: [...this.#refusals.values()].reduce((sum, count) => sum + count, 0),
      refusedByCode: Object.fromEntries(this.#refusals),
      retired: this.#retired,
      missing: table.missing,
      ...now,
      commits: this.#commits,
      lastCommitMs: this.#lastCommitMs,
      ...(this.#fault === undefined ? {} : { storeFault: this.#fault }),
    };
  }
}
