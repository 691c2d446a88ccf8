import type { Update } from "./update.ts";

/** The queue in numbers, for REST, page and metrics. Counters count since the agent started. */
export interface QueueStatus {
  readonly updates: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly evict: "drop-oldest" | "drop-lowest-priority" | "reject";
  readonly paused: boolean;
  readonly streams: number;
  readonly updatesByPriority: readonly { readonly priority: number; readonly updates: number }[];
  /** Observation time of the oldest queued update, ms since 1970; absent when empty. */
  readonly oldestObservedAtMs?: number;
  readonly appended: number;
  readonly acknowledged: number;
  readonly shed: number;
  readonly expired: number;
  readonly refused: number;
  readonly deadLetters: number;
  readonly deadLetterBytes: number;
  /** Set while the store cannot write, in words. */
  readonly storeFault?: string;
  /** Times the store was reopened after a failed write. */
  readonly storeRecoveries: number;
  /** Durable commits and the updates in them. */
  readonly commits: number;
  readonly lastCommitMs: number;
}

/** One page of queued updates in delivery order. */
export interface QueuePage {
  readonly updates: readonly Update[];
  /** Pass to get the next page; absent on the last one. */
  readonly cursor?: string;
}

/** An update or message that can not be delivered, kept with the reason. */
export interface DeadLetter {
  readonly id: string;
  /** Why: `payload.too-large`, `topic.malformed`, `receiver.refused`, … */
  readonly code: string;
  readonly reason: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly contentType: string;
  readonly priority: number;
  readonly deadAtMs: number;
  /** The update's own id, where it had got that far. */
  readonly updateId?: string;
}

/** One page of dead letters, oldest first. */
export interface DeadLetterPage {
  readonly deadLetters: readonly DeadLetter[];
  readonly cursor?: string;
}

/** What REST and CLI may see and do of the outbox. */
export interface QueueView {
  status(): QueueStatus;
  /** Updates from the place that `cursor` of an earlier page tells. @throws OutboxError `outbox.store-failed` */
  list(options: { cursor?: string; limit: number; stream?: string }): Promise<QueuePage>;
  listDeadLetters(options: { cursor?: string; limit: number }): Promise<DeadLetterPage>;
  /** Puts a dead letter back at the end of the queue. @returns false when there is none of that id. */
  requeueDeadLetter(id: string): Promise<boolean>;
  deleteDeadLetter(id: string): Promise<boolean>;
}
