import { isConfiguration } from "./configuration.ts";
import type { Entry, EntryId, Proposal } from "./entry.ts";
import { entriesBytes } from "./entry.ts";
import type { Snapshot } from "./log-storage.ts";
import type { AppendRequest, Message } from "./message.ts";
import type { Refusal } from "./refusals.ts";
import { TERM_MAX } from "./state.ts";

/** The most bytes by which an asker tells its reads apart. */
export const READ_CONTEXT_BYTES_MAX = 256;

const KINDS: ReadonlySet<unknown> = new Set<Proposal["kind"]>(["normal", "change-v1", "change-v2"]);

/**
 * What is wrong with a message from a peer, by itself: types, ranges, gaps between entries, sizes. The code behind this
 * relies on it, so that nothing that a peer says can lead to an error there.
 * @param bytesMax of entries or of a snapshot
 */
export function messageFault(message: Message, bytesMax: number): Refusal | undefined {
  if (typeof message !== "object" || message === null) return "malformed";
  if (!isId(message.from) || !isId(message.to)) return "malformed";
  if ("term" in message && !isTerm(message.term)) return "malformed";
  if (message.kind === "propose") return proposalsFault(message.entries, bytesMax);
  if (message.kind === "read-index") return contextFault(message.context);
  if (!isTerm(message.term)) return "malformed";
  switch (message.kind) {
    case "vote":
    case "pre-vote":
      return faultUnless(
        areCounts(message.index, message.logTerm) && typeof message.transfer === "boolean",
      );
    case "vote-response":
    case "pre-vote-response":
      return faultUnless(
        typeof message.reject === "boolean" &&
          (message.committed === undefined || isEntryId(message.committed)),
      );
    case "append":
      return appendFault(message, bytesMax);
    case "append-response":
      return faultUnless(
        areCounts(message.index, message.logTerm, message.rejectHint) &&
          typeof message.reject === "boolean",
      );
    case "heartbeat":
      return faultUnless(areCounts(message.commit, message.readRound, message.sentTick));
    case "heartbeat-response":
      return faultUnless(areCounts(message.readRound, message.sentTick));
    case "snapshot":
      return snapshotFault(message.snapshot, message.term, bytesMax);
    case "timeout-now":
      return undefined;
    case "transfer-leader":
      return faultUnless(isId(message.target));
    case "read-index-response":
      return isCount(message.index) ? contextFault(message.context) : "malformed";
    default:
      return "malformed";
  }
}

function appendFault(message: AppendRequest, bytesMax: number): Refusal | undefined {
  const { index, logTerm, commit, term, entries } = message;
  if (!areCounts(index, logTerm, commit) || logTerm > term) return "malformed";
  if ((index === 0) !== (logTerm === 0)) return "malformed";
  const fault = proposalsFault(entries, bytesMax);
  return fault ?? faultUnless(entries.length === 0 || areInOrder(entries, index, logTerm, term));
}

/** Without gaps behind the previous one, and with terms that never fall and are not of the future. */
function areInOrder(
  entries: readonly Entry[],
  index: number,
  logTerm: number,
  term: number,
): boolean {
  let before = { index, term: Math.max(1, logTerm) };
  for (const entry of entries) {
    if (entry.index !== before.index + 1 || !Number.isSafeInteger(entry.index)) return false;
    if (!Number.isSafeInteger(entry.term) || entry.term < before.term) return false;
    before = entry;
  }
  return before.term <= term;
}

function proposalsFault(entries: readonly Proposal[], bytesMax: number): Refusal | undefined {
  if (!Array.isArray(entries)) return "malformed";
  for (const entry of entries)
    if (!KINDS.has(entry?.kind) || !(entry?.data instanceof Uint8Array)) return "malformed";
  return entriesBytes(entries) > bytesMax ? "too-large" : undefined;
}

function snapshotFault(snapshot: Snapshot, term: number, bytesMax: number): Refusal | undefined {
  if (typeof snapshot !== "object" || snapshot === null) return "malformed";
  const { configuration, data } = snapshot;
  if (!isId(snapshot.index) || !isTerm(snapshot.term) || snapshot.term > term) return "malformed";
  if (!(data instanceof Uint8Array)) return "malformed";
  if (typeof configuration !== "object" || configuration === null) return "malformed";
  if (!isConfiguration(configuration)) return "malformed";
  return data.length > bytesMax ? "too-large" : undefined;
}

function contextFault(context: Uint8Array): Refusal | undefined {
  if (!(context instanceof Uint8Array)) return "malformed";
  return context.length > READ_CONTEXT_BYTES_MAX ? "too-large" : undefined;
}

function faultUnless(isSound: boolean): Refusal | undefined {
  return isSound ? undefined : "malformed";
}

function isEntryId(value: EntryId): boolean {
  return typeof value === "object" && value !== null && areCounts(value.index, value.term);
}

function isId(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function isTerm(value: number): boolean {
  return isId(value) && value <= TERM_MAX;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areCounts(...values: readonly number[]): boolean {
  return values.every(isCount);
}
