import type { StoreEntry } from "../platform/key-value-store.ts";
import type { DeadLetter } from "./view.ts";

/** What becomes a dead letter; the outbox adds id and time. */
export type DeadLetterDraft = Omit<DeadLetter, "id" | "deadAtMs">;

/** @returns a dead letter's value in the store: a line of JSON, then the payload as it came. */
export function encodeDeadLetter(draft: DeadLetterDraft, deadAtMs: number): Uint8Array {
  const { payload, ...rest } = draft;
  return Buffer.concat([Buffer.from(`${JSON.stringify({ ...rest, deadAtMs })}\n`), payload]);
}

/** @throws Error when the entry is no dead letter. */
export function decodeDeadLetter([key, value]: StoreEntry): DeadLetter {
  const end = value.indexOf(0x0a);
  if (end < 0) throw new Error(`dead letter ${key} is damaged`);
  const head = JSON.parse(Buffer.from(value.subarray(0, end)).toString("utf8")) as Omit<
    DeadLetter,
    "id" | "payload"
  >;
  return { ...head, id: key.slice(2), payload: value.subarray(end + 1) };
}
