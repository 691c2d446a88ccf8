import type { Hasher } from "../platform/hasher.ts";

/** What was done, or tried. */
export type AuditAction =
  | "grant.issued"
  | "grant.imported"
  | "grant.revoked"
  | "revocations.imported"
  | "peer.banned"
  | "peer.unbanned"
  | "use.denied"
  | "token.created"
  | "token.revoked"
  /** The log itself: entries that could not be kept, a beginning after a loss. */
  | "audit.gap";

/** Something to be noted. */
export interface AuditNote {
  /** Who did it: `token:<id>`, `peer:<peer id>`, `automatic`, …. */
  readonly actor: string;
  readonly action: AuditAction;
  /** To whom or what. */
  readonly subject?: string;
  readonly outcome: "allowed" | "denied";
  readonly detail?: string;
  /** Times it happened, for what is told in sum; once unless set. */
  readonly times?: number;
}

/** An entry of the log. */
export interface AuditEntry extends AuditNote {
  /** Without gaps. */
  readonly sequence: number;
  /** Wall clock, ms since 1970, and whether it could be relied on. */
  readonly atMs: number;
  readonly clockTrusted: boolean;
  /** SHA-256 of the entry before, as it is stored; 64 zeros in the first of all. */
  readonly previous: string;
}

/** Where entries and the head are kept. */
export const ENTRIES = { gte: "g/a/", lt: "g/a0" } as const;
/** Key of the signed {@link AuditHead}. */
export const HEAD_KEY = "g/head";
/** What stands before the first entry of all. */
export const NO_HASH = "0".repeat(64);

const TEXT_CHARACTERS_MAX = 256;
const SEQUENCE_DIGITS = 11;

/** Which entries there are: signed, so that nobody without the device's key can cut the log or write it anew. */
export interface AuditHead {
  /** Of the oldest entry that is kept. */
  readonly first: number;
  /** Of the newest entry; one less than `first` when there is none. */
  readonly last: number;
  /** SHA-256 of the newest entry. */
  readonly hash: string;
}

/** @returns the key of an entry; keys are in the order of sequences. */
export function entryKey(sequence: number): string {
  return `g/a/${sequence.toString(36).padStart(SEQUENCE_DIGITS, "0")}`;
}

/** @returns the entry as it is stored and hashed; long texts are cut. */
export function encodeEntry(entry: AuditEntry): Uint8Array {
  const { actor, subject, detail } = entry;
  return Buffer.from(
    JSON.stringify({
      ...entry,
      actor: cut(actor),
      ...(subject === undefined ? {} : { subject: cut(subject) }),
      ...(detail === undefined ? {} : { detail: cut(detail) }),
    }),
  );
}

/** @returns the entry, or undefined when the bytes are none. */
export function decodeEntry(bytes: Uint8Array): AuditEntry | undefined {
  const entry = parse(bytes) as AuditEntry | undefined;
  const sound =
    Number.isSafeInteger(entry?.sequence) &&
    Number.isFinite(entry?.atMs) &&
    typeof entry?.previous === "string" &&
    typeof entry.actor === "string" &&
    typeof entry.action === "string" &&
    typeof entry.outcome === "string";
  return sound ? entry : undefined;
}

/** @returns what the device signs: the head in fixed form. */
export function headBytes({ first, last, hash }: AuditHead): Uint8Array {
  return Buffer.from(`${first} ${last} ${hash}`);
}

/** @returns the head with its signature, as it is stored. */
export function encodeHead(head: AuditHead, signature: Uint8Array): Uint8Array {
  return Buffer.from(
    JSON.stringify({ ...head, signature: Buffer.from(signature).toString("base64url") }),
  );
}

/** @returns the head and its signature, which is not checked; undefined when the bytes are none. */
export function decodeHead(
  bytes: Uint8Array,
): { readonly head: AuditHead; readonly signature: Uint8Array } | undefined {
  const value = parse(bytes) as (AuditHead & { readonly signature: string }) | undefined;
  if (!Number.isSafeInteger(value?.first) || !Number.isSafeInteger(value?.last)) return undefined;
  if (typeof value?.hash !== "string" || typeof value.signature !== "string") return undefined;
  const { first, last, hash, signature } = value;
  return { head: { first, last, hash }, signature: Buffer.from(signature, "base64url") };
}

/** Follows the chain from entry to entry. */
export class ChainCheck {
  readonly #hasher: Hasher;
  #sequence: number;
  #hash: string | undefined;

  /** @param first sequence that the first entry must have */
  constructor(hasher: Hasher, first: number) {
    this.#hasher = hasher;
    this.#sequence = first - 1;
  }

  /** Of the last entry that followed. */
  get hash(): string | undefined {
    return this.#hash;
  }

  /** @returns whether the next stored value is the entry that has to follow. */
  follows(value: Uint8Array): boolean {
    const entry = decodeEntry(value);
    if (entry?.sequence !== this.#sequence + 1) return false;
    if (this.#hash !== undefined && entry.previous !== this.#hash) return false;
    if (entry.sequence === 1 && entry.previous !== NO_HASH) return false;
    this.#sequence = entry.sequence;
    this.#hash = this.#hasher.sha256Hex(value);
    return true;
  }
}

function cut(text: string): string {
  return text.slice(0, TEXT_CHARACTERS_MAX);
}

function parse(bytes: Uint8Array): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
