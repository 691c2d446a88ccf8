import type { StoreOperation } from "../platform/key-value-store.ts";
import { updateKey } from "./keys.ts";
import type { QueuedUpdate } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";
import { encodeRecord } from "./record-codec.ts";
import { type StreamState, writeStream } from "./stream-table.ts";
import type { OutboxError, Update, UpdateDraft } from "./update.ts";

/** Called once with the numbered update when it is on disk, or with the error that kept it out. */
export type Settle = (error: OutboxError | undefined, update?: Update) => void;

/** A draft that waits for its commit. */
export interface PendingAppend {
  readonly draft: UpdateDraft;
  readonly settle: Settle;
  /** What it takes on disk at most. */
  readonly bytes: number;
}

/** An update with its place in stream and outbox, not yet on disk. */
export interface NumberedUpdate {
  readonly queued: QueuedUpdate;
  readonly settle: Settle;
}

/**
 * Numbers drafts in their order and adds their writes to `operations`. Numbers are given at commit and
 * not before, so that a commit that fails leaves no gap.
 */
export function numberUpdates(
  appends: readonly PendingAppend[],
  ledger: Ledger,
  parts: Pick<OutboxParts, "agentId" | "clock">,
  operations: StoreOperation[],
): NumberedUpdate[] {
  if (appends.length === 0) return [];
  const { clock, agentId } = parts;
  const observedAtMs = clock.wallMs();
  const observedAtTrusted = clock.wallTrusted();
  const monotonicMs = clock.monotonicMs();
  const { bootId } = clock;
  const numbered: NumberedUpdate[] = [];
  for (const { draft, settle } of appends) {
    const known = ledger.streams.byName(draft.stream);
    const stream = known ?? ledger.streams.add(draft.stream, draft.priority);
    if (known === undefined) operations.push(writeStream(stream));
    const ordinal = ledger.nextOrdinal++;
    const priority = lanePriority(stream, draft, ledger);
    const update: { -readonly [name in keyof Update]: Update[name] } = {
      agentId,
      stream: draft.stream,
      sequence: stream.sequence + 1,
      ordinal,
      priority,
      payload: draft.payload,
      contentType: draft.contentType,
      bootId,
      observedAtMs,
      observedAtTrusted,
      monotonicMs,
    };
    if (draft.expiresAfterMs !== undefined) update.expiresAfterMs = draft.expiresAfterMs;
    if (draft.key !== undefined) update.key = draft.key;
    ledger.streams.advance(stream, update.sequence, ordinal);
    const key = updateKey(priority, ordinal);
    const value = encodeRecord(update, { streamId: stream.id, boot: ledger.boot });
    operations.push({ type: "put", key, value });
    const bytes = key.length + value.length;
    numbered.push({ queued: { update, bytes }, settle });
  }
  return numbered;
}

/** A stream moves to another priority only when nothing of it waits, or is being written, at the old one. */
function lanePriority(stream: StreamState, draft: UpdateDraft, ledger: Ledger): number {
  if (stream.priority === draft.priority) return stream.priority;
  const lane = ledger.lane(stream.priority);
  const drained =
    stream.lastOrdinal < lane.end && (lane.count === 0 || lane.head > stream.lastOrdinal);
  if (drained) stream.priority = draft.priority;
  return stream.priority;
}
