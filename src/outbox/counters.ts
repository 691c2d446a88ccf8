import type { QueueStatus } from "./view.ts";

type Counted =
  | "appended"
  | "acknowledged"
  | "shed"
  | "expired"
  | "superseded"
  | "lost"
  | "refused"
  | "storeRecoveries"
  | "commits"
  | "lastCommitMs";

/** What an outbox has done since the agent started, as its status tells it. */
export type OutboxCounters = { -readonly [Name in Counted]: QueueStatus[Name] };

/** @returns an account of nothing yet. */
export function newCounters(): OutboxCounters {
  return {
    appended: 0,
    acknowledged: 0,
    shed: 0,
    expired: 0,
    superseded: 0,
    lost: 0,
    refused: 0,
    storeRecoveries: 0,
    commits: 0,
    lastCommitMs: 0,
  };
}
