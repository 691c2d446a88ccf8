import { compareBytes, type KnownRecord } from "../../mesh/records/known-record.ts";
import type { PeerId } from "../../platform/signer.ts";
import { compareCandidates } from "./suitability.ts";

/** Terms further apart than this never come about by honest work: a change every ten seconds would take four months. */
export const TERM_GAP_MAX = 1_048_576;
/** Validators of the largest committee, without the coordinator. */
export const VALIDATORS_MAX = 9;
/** Most aggregators. */
export const AGGREGATORS_MAX = 8;

/** Why an assignment took the place of the one before. */
export type AssignmentReason = "vacant" | "better" | "members" | "rebalanced";

/** Who has which role, before it is signed. */
export interface RoleChoice {
  /** The committee without the coordinator, by peer id. */
  readonly validators: readonly PeerId[];
  /** By peer id. */
  readonly aggregators: readonly PeerId[];
}

/** An assignment that was decoded, checked and found signed by its maker. Immutable. */
export interface KnownAssignment extends RoleChoice {
  readonly term: number;
  /** Who made it: the coordinator, or a caretaker where nobody is on mains. */
  readonly maker: PeerId;
  /** There is a coordinator and a committee, all on mains. */
  readonly quorum: boolean;
  /** Suitability of the maker when it made it. */
  readonly score: number;
  readonly reason: AssignmentReason;
  /** The encoded RoleAssignment and its signature, for passing on. */
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
  /** The maker's record at that time. */
  readonly record: KnownRecord;
}

/** Names an assignment among all others. */
export interface AssignmentName {
  readonly maker: PeerId;
  readonly term: number;
  /** First 8 bytes of its signature. */
  readonly fingerprint: Uint8Array;
}

const FINGERPRINT_BYTES = 8;

/** @returns the first bytes of the signature */
export function fingerprintOf({ signature }: KnownAssignment): Uint8Array {
  return signature.subarray(0, FINGERPRINT_BYTES);
}

/** @returns whether that is the assignment's name */
export function isNamed(assignment: KnownAssignment, name: AssignmentName): boolean {
  return (
    assignment.maker === name.maker &&
    assignment.term === name.term &&
    compareBytes(fingerprintOf(assignment), name.fingerprint) === 0
  );
}

/**
 * Which of two assignments in force counts: the later term; of one term the one with a quorum, then the more suitable
 * maker, the smaller peer id, and of one maker the larger signature. Terms that are too far apart to be honest count the
 * other way round: whoever invents a term is ignored by all who know a real one, and those who believed it come back.
 */
export function beats(a: KnownAssignment, b: KnownAssignment): boolean {
  const lead = a.term - b.term;
  if (Math.abs(lead) > TERM_GAP_MAX) return lead < 0;
  if (lead !== 0) return lead > 0;
  if (a.quorum !== b.quorum) return a.quorum;
  const order = compareCandidates(
    { peer: a.maker, score: a.score },
    { peer: b.maker, score: b.score },
  );
  return order !== 0 ? order < 0 : compareBytes(a.signature, b.signature) > 0;
}

/** @returns whether two choices give everybody the same roles */
export function isSameChoice(a: RoleChoice, b: RoleChoice): boolean {
  return (
    a.validators.join() === b.validators.join() && a.aggregators.join() === b.aggregators.join()
  );
}
