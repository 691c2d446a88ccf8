import type { PeerId } from "../../platform/signer.ts";
import type { Capabilities, Health, Occasion } from "../../wire/agent_mesh/v1/record_pb.ts";

/** A record that was decoded, checked and found signed by the key it names. Immutable; shared by all who hold it. */
export interface KnownRecord {
  readonly peerId: PeerId;
  readonly agentId: string;
  /** Version of the program. */
  readonly version: string;
  readonly epoch: number;
  readonly sequence: number;
  /** Multiaddresses, best first; at most 16. */
  readonly addresses: readonly string[];
  readonly capabilities: Readonly<Capabilities> | undefined;
  readonly health: Readonly<Health> | undefined;
  /** The agent stops on purpose. */
  readonly leaving: boolean;
  readonly occasion: Occasion;
  /** The encoded SignedRecord as it came, for passing on. */
  readonly bytes: Uint8Array;
  /** FNV-1a of the peer id, 32 bits: its place in digests. */
  readonly hash: number;
}

/** Which of two records of one key is newer. */
export interface RecordVersion {
  readonly epoch: number;
  readonly sequence: number;
}

/** @returns negative when `a` is older than `b`, 0 when they are the same version */
export function compareVersions(a: RecordVersion, b: RecordVersion): number {
  return a.epoch - b.epoch || a.sequence - b.sequence;
}

/**
 * Last writer wins. A key that signs two records under one version gets one of them everywhere: the one whose bytes are
 * larger, so that the order of arrival decides nothing.
 * @returns positive when `a` replaces `b`, 0 when they are the same
 */
export function compareRecords(a: KnownRecord, b: KnownRecord): number {
  if (a === b) return 0;
  return compareVersions(a, b) || compareBytes(a.bytes, b.bytes);
}

/** @returns negative, 0 or positive, byte by byte, then by length */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
