import { StoreError } from "../platform/key-value-store.ts";
import { recordBytesMax } from "./block-codec.ts";
import type { Entry } from "./entry.ts";
import { givesWay } from "./eviction.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboxOptions } from "./options.ts";
import { OutboxError, type UpdateDraft } from "./update.ts";

/** Drafts wait in memory while the disk is busy; beyond this their publishers are told to wait. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;
/**
 * @param waitingBytes what was let in and is not in the ledger yet
 * @returns why the draft can not come in, or undefined when it may.
 */
export function admissionFault(
  draft: UpdateDraft,
  ledger: Ledger,
  options: OutboxOptions,
  waitingBytes: number,
): OutboxError | undefined {
  const { updateBytesMax, streamsMax } = options;
  const { length } = draft.payload;
  if (length > updateBytesMax)
    return new OutboxError(
      "outbox.update-too-large",
      `payload of ${length} bytes is over outbox.updateBytesMax (${updateBytesMax})`,
    );
  const bytes = recordBytesMax(draft);
  const busy = busyFault(waitingBytes + bytes);
  if (busy !== undefined) return busy;
  if (
    ledger.bytes + waitingBytes + bytes > options.bytesMax &&
    !ledger.lanes.some((lane) => givesWay(lane, draft.priority, options.evict))
  )
    return fullFault(options);
  const { streams } = ledger;
  if (streams.size >= streamsMax && streams.byName(draft.stream) === undefined)
    return new OutboxError(
      "outbox.too-many-streams",
      `no more than ${streamsMax} streams (outbox.streamsMax); "${draft.stream}" would be one more`,
    );
  return undefined;
}

/** @returns the refusal for one more when so much is waiting, or undefined. */
export function busyFault(waitingBytes: number): OutboxError | undefined {
  return waitingBytes > WAITING_BYTES_MAX
    ? new OutboxError("outbox.busy", "too much is waiting for the disk; send slower")
    : undefined;
}

/** @returns the refusal when nothing more may be dropped to make room. */
export function fullFault({ bytesMax, evict }: OutboxOptions): OutboxError {
  return new OutboxError(
    "outbox.full",
    `the outbox is full (outbox.bytesMax is ${bytesMax}) and nothing gives way under outbox.evict ${evict}`,
  );
}

/** @returns those that `room` bytes hold, after everything that may give way has. */
export function admit(appends: readonly Entry[], room: number): readonly Entry[] {
  let left = room;
  return appends.filter((entry) => {
    const bytes = recordBytesMax(entry);
    if (bytes > left) return false;
    left -= bytes;
    return true;
  });
}

/** @returns the first of them, as far as `room` bytes hold: the others come in order after them. */
export function admitFirst(appends: readonly Entry[], room: number): readonly Entry[] {
  let left = room;
  const end = appends.findIndex((entry) => {
    left -= recordBytesMax(entry);
    return left < 0;
  });
  return end < 0 ? appends : appends.slice(0, end);
}

/** @returns the refusal of an outbox that was closed. */
export function closedError(): OutboxError {
  return new OutboxError("outbox.closed", "the agent is stopping");
}

/** @returns the refusal of what could not be written, with the fix where there is one. */
export function storeFailed(reason: string, cause: unknown): OutboxError {
  const full = cause instanceof StoreError && cause.code === "store.full";
  const fix = full ? "; free space on the data directory's disk or lower outbox.bytesMax" : "";
  return new OutboxError("outbox.store-failed", `not stored: ${reason}${fix}`, { cause });
}
