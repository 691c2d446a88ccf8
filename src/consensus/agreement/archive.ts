import type { PeerId, Signer } from "../../platform/signer.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import { quorumOf } from "../ordering/quorum.ts";
import type { Answer } from "./answers.ts";
import { type Certificate, isSignedBy, type Statement } from "./certificate.ts";
import { type Decision, MEMBERS_TOPIC } from "./decision.ts";
import type { Voucher } from "./entry.ts";
import { DECISIONS_BYTES_MAX, DECISIONS_MAX, LINKS_MAX, RECENT_IDS_MAX } from "./limits.ts";
import type { MemberList } from "./member-list.ts";

/** A decision, and who has vouched for it so far. */
export interface Kept {
  decision: Decision;
  /** Who may vouch for it. */
  readonly list: MemberList;
  /** As they came in; a quorum of them at most. */
  readonly signatures: Map<PeerId, Uint8Array>;
}

/** The last decisions with their certificates, and changes of members further back. */
export class Archive {
  readonly #group: string;
  readonly #protocol: OrderingProtocol;
  #decided = 0;
  /** By number, without gaps, up to the last one. */
  readonly #kept = new Map<number, Kept>();
  readonly #links = new Map<number, Kept>();
  readonly #byId = new Map<string, Kept>();
  readonly #recent = new Set<string>();
  #bytes = 0;

  constructor(group: string, protocol: OrderingProtocol) {
    this.#group = group;
    this.#protocol = protocol;
  }

  /** Number of the last decision; 0 before the first. */
  get decided(): number {
    return this.#decided;
  }

  /** Of the decisions that are kept only for the members' sake, too. */
  get(proposalId: string): Kept | undefined {
    return this.#byId.get(proposalId);
  }

  /** Whether the proposal is one of those that were decided last. */
  isDecided(proposalId: string): boolean {
    return this.#recent.has(proposalId);
  }

  /** Decisions with a larger number, in order. */
  after(number: number, limit: number): Decision[] {
    const found: Decision[] = [];
    const first = Math.max(number, this.#decided - this.#kept.size) + 1;
    for (let at = first; at <= this.#decided && found.length < limit; at++) {
      const kept = this.#kept.get(at);
      if (kept !== undefined) found.push(kept.decision);
    }
    return found;
  }

  /** What was accepted by the members of an epoch, as far as it is kept. */
  acceptedIn(epoch: number): Decision[] {
    return Array.from(this.#kept.values(), ({ decision }) => decision).filter(
      (decision) => decision.epoch === epoch && decision.outcome === "accepted",
    );
  }

  /** Changes of members to a later epoch, in order. */
  linksFrom(epoch: number): Decision[] {
    return Array.from(this.#links.values(), ({ decision }) => decision).filter(
      (decision) => decision.epoch >= epoch,
    );
  }

  /** All that are kept, in the order of their numbers; those that are kept only for the members' sake apart. */
  all(): { readonly kept: readonly Kept[]; readonly links: readonly Kept[] } {
    const links = [...this.#links.values()];
    return {
      kept: [...this.#kept.values()],
      links: links.filter(({ decision }) => !this.#kept.has(decision.number)),
    };
  }

  /** Ids of what was decided last, in order. */
  recent(): ReadonlySet<string> {
    return this.#recent;
  }

  /** Takes a decision; it gets the next number. @param list who may vouch for it */
  add(
    decision: Omit<Decision, "group" | "number" | "epoch" | "certificate">,
    list: MemberList,
  ): Decision {
    const made: Decision = Object.freeze({
      ...decision,
      group: this.#group,
      number: this.#decided + 1,
      epoch: list.epoch,
      certificate: undefined,
    });
    this.#decided++;
    this.#recent.add(made.proposalId);
    if (this.#recent.size > RECENT_IDS_MAX) deleteFirst(this.#recent);
    this.#keep({ decision: made, list, signatures: new Map() });
    return made;
  }

  /** Takes a member's name under a decision. @returns the decision where that completes its certificate */
  vouch(voucher: Voucher, verifier: Pick<Signer, "verify" | "publicKeyOf">): Answer | Decision {
    const { proposalId, signer, signature } = voucher;
    const kept = this.#byId.get(proposalId);
    if (kept === undefined) return "unknown-proposal";
    const { decision, list, signatures } = kept;
    if (decision.outcome !== "accepted") return "not-certifiable";
    if (!list.members.includes(signer)) return "not-a-member";
    if (decision.certificate !== undefined || signatures.has(signer)) return "repeated";
    if (!isSignedBy(verifier, statementOf(decision), voucher)) return "forged";
    signatures.set(signer, signature);
    kept.decision = this.#certified(kept);
    return kept.decision.certificate === undefined ? "taken" : kept.decision;
  }

  /** Begins anew with what {@link all} and {@link recent} gave. */
  restore(
    decided: number,
    { kept, links }: { readonly kept: readonly Kept[]; readonly links: readonly Kept[] },
    recent: Iterable<string>,
  ): void {
    this.#kept.clear();
    this.#links.clear();
    this.#byId.clear();
    this.#recent.clear();
    this.#bytes = 0;
    this.#decided = decided;
    for (const id of recent) this.#recent.add(id);
    for (const link of links) this.#link(link);
    for (const each of kept) this.#keep(each);
    for (const each of [...links, ...kept]) each.decision = this.#certified(each);
  }

  #keep(kept: Kept): void {
    const { number, proposalId } = kept.decision;
    this.#kept.set(number, kept);
    this.#byId.set(proposalId, kept);
    this.#bytes += bytesOf(kept.decision);
    if (kept.decision.topic === MEMBERS_TOPIC) this.#link(kept);
    while (
      this.#kept.size > DECISIONS_MAX ||
      (this.#bytes > DECISIONS_BYTES_MAX && this.#kept.size > 1)
    )
      this.#evict(this.#kept);
  }

  #link(kept: Kept): void {
    this.#links.set(kept.decision.number, kept);
    this.#byId.set(kept.decision.proposalId, kept);
    if (this.#links.size > LINKS_MAX) this.#evict(this.#links);
  }

  /** The oldest one gives way. */
  #evict(from: Map<number, Kept>): void {
    for (const [number, { decision }] of from) {
      from.delete(number);
      if (from === this.#kept) this.#bytes -= bytesOf(decision);
      if (!this.#kept.has(number) && !this.#links.has(number))
        this.#byId.delete(decision.proposalId);
      return;
    }
  }

  #certified({ decision, list, signatures }: Kept): Decision {
    if (decision.outcome !== "accepted" || decision.certificate !== undefined) return decision;
    if (signatures.size < quorumOf(this.#protocol, list.members.length)) return decision;
    const certificate: Certificate = Object.freeze({
      ...statementOf(decision),
      signatures: Array.from(signatures, ([signer, signature]) => ({ signer, signature })),
    });
    return Object.freeze({ ...decision, certificate });
  }
}

/** @returns what members put their names to */
export function statementOf(decision: Decision): Statement {
  const { group, epoch, number, proposalId, topic, digest } = decision;
  return { group, epoch, number, proposalId, topic, digest };
}

function bytesOf({ value, reasons }: Decision): number {
  return reasons.reduce((sum, { length }) => sum + length, value.length);
}

function deleteFirst(set: Set<string>): void {
  for (const first of set) {
    set.delete(first);
    return;
  }
}
