import type { Hasher } from "../../platform/hasher.ts";
import type { Signer } from "../../platform/signer.ts";
import {
  type Authority,
  type CertificateFault,
  type CertifiedDecision,
  faultOfDecision,
} from "./certificate.ts";
import { MEMBERS_TOPIC } from "./decision.ts";
import { decodeMemberList, type MemberList } from "./member-list.ts";

/**
 * Why a change of members is not believed. `other-topic`: it decides something else; `malformed`: its value is no list of
 * members; `skipped`: it leads to another epoch than the next.
 */
export type LinkFault = CertificateFault | "other-topic" | "malformed" | "skipped";

/** How far a chain was followed, and why not further. */
export interface Followed {
  readonly list: MemberList;
  /** Of the first change that was not believed. */
  readonly fault: LinkFault | undefined;
}

/** What certificates and names are checked with. */
export type ChainVerifier = Pick<Signer, "verify" | "peerIdOf" | "publicKeyOf">;

/**
 * Follows changes of members from a list that is believed, each certified by a quorum of the members before it. Pure; never
 * throws.
 * @param changes one after the other; those that the list contains already are passed over
 */
export function followMembers(
  from: Authority,
  changes: readonly CertifiedDecision[],
  verifier: ChainVerifier,
  hasher: Hasher,
): Followed {
  let { list } = from;
  for (const change of changes) {
    if (change.certificate.epoch < list.epoch) continue;
    const next = nextList({ ...from, list }, change, verifier, hasher);
    if (typeof next === "string") return { list, fault: next };
    list = next;
  }
  return { list, fault: undefined };
}

function nextList(
  authority: Authority,
  change: CertifiedDecision,
  verifier: ChainVerifier,
  hasher: Hasher,
): MemberList | LinkFault {
  if (change.certificate.topic !== MEMBERS_TOPIC) return "other-topic";
  const fault = faultOfDecision(change, authority, verifier, hasher);
  if (fault !== undefined) return fault;
  const list = decodeMemberList(verifier, change.value);
  if (list === undefined || list.members.length === 0) return "malformed";
  return list.epoch === authority.list.epoch + 1 ? list : "skipped";
}
