import type { Update } from "./update.ts";

/** The queue in numbers, for REST, page and metrics. Counters count since the agent started. */
export interface QueueStatus {
  readonly updates: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly evict: "drop-oldest" | "drop-lowest-priority" | "thin" | "reject";
  readonly paused: boolean;
  readonly streams: number;
  readonly updatesByPriority: readonly { readonly priority: number; readonly updates: number }[];
  /** Observation time of the oldest queued update, ms since 1970; absent when empty. */
  readonly oldestObservedAtMs?: number;
  readonly appended: number;
  readonly acknowledged: number;
  readonly shed: number;
  readonly expired: number;
  /** State-like updates that were not delivered because a newer one of the same key was queued. */
  readonly superseded: number;
  /** Updates that the disk lost: found missing when their turn came. */
  readonly lost: number;
  readonly refused: number;
  readonly deadLetters: number;
  readonly deadLetterBytes: number;
  /** Set while the store cannot write, in words. */
  readonly storeFault?: string;
  /** Times the store was reopened after a failed write. */
  readonly storeRecoveries: number;
  /** Durable commits. */
  readonly commits: number;
  readonly lastCommitMs: number;
  /** What the flash had to take since the agent started. */
  readonly written: WrittenStatus;
}

/** Flash wear. */
export interface WrittenStatus {
  /** Keys and values handed to the store. */
  readonly bytes: number;
  /** Durable writes, each with one sync of the disk. */
  readonly syncs: number;
  /** What the whole process sent to its disks, as the kernel counts: whole pages. */
  readonly deviceBytes?: number;
  /** 0: there is no budget. */
  readonly bytesPerDayMax: number;
  /** How much of the budget is in use: 1 is all of it. */
  readonly budgetUsed: number;
  /** How long a commit waits for company now. */
  readonly lingerMs: number;
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
