import type { Agreement } from "../consensus/agreement/agreement.ts";
import {
  decodeDecision,
  encodeDecision,
  faultOfDecision,
} from "../consensus/agreement/certificate.ts";
import type { Decision, OpenProposal } from "../consensus/agreement/decision.ts";
import type { Choice } from "../consensus/agreement/word.ts";
import type { Committee, CommitteeChange } from "../consensus/committee/committee.ts";
import type { MemberChain } from "../consensus/committee/member-chain.ts";
import type { CommitteeQuestion, CommitteeReply } from "../consensus/committee/message-codec.ts";
import { quorumOf } from "../consensus/ordering/quorum.ts";
import { AgreementError } from "../consensus/ordering/waiting.ts";
import type {
  CommitteeView,
  ConsensusStatus,
  ConsensusView,
  DecisionView,
  NamedPeer,
  ProposalView,
  Proposed,
  SeatView,
  Verdict,
} from "../consensus/view.ts";
import type { MeshNode } from "../mesh/node.ts";
import type { Clock } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { Hasher } from "../platform/hasher.ts";
import { fromHex, toHex } from "../platform/hex.ts";
import { NetworkError } from "../platform/network.ts";
import type { PeerId, Signer } from "../platform/signer.ts";

/** Shorter than a client of REST waits. */
const WAIT_MS = 8_000;
/** When open proposals were first seen, for how long it took and how long it still may. */
const SEEN_MAX = 1_024;

/** What the desk works with. */
export interface ConsensusDeskParts {
  readonly committee: Committee;
  readonly chain: MemberChain;
  readonly node: Pick<MeshNode, "id" | "member">;
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly ask: (peer: PeerId, question: CommitteeQuestion) => Promise<CommitteeReply>;
}

/** Agreement for REST, CLI, page and metrics: with the own seat where there is one, by asking members where there is none. */
export class ConsensusDesk implements ConsensusView {
  readonly #parts: ConsensusDeskParts;
  readonly #seenAtMs = new Map<string, number>();
  #agreement: Agreement | undefined;
  #leader: PeerId | undefined;
  #latencyMs: number | undefined;
  #proposals = 0;
  #decisions = 0;
  #leaders = 0;

  constructor(parts: ConsensusDeskParts) {
    this.#parts = parts;
  }

  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  /** There is a seat; its agreement has not been started. */
  seated(agreement: Agreement): void {
    this.#agreement = agreement;
    agreement.onProposal(({ id }) => this.#saw(id));
    agreement.onDecision((decision) => this.#decided(decision));
  }

  /** Something about the committee has changed. */
  changed({ kind }: CommitteeChange): void {
    if (kind === "left" || kind === "lost") this.#agreement = undefined;
    if (kind !== "status") return;
    const leader = this.#parts.committee.status()?.leader;
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#leaders++;
    const agentId = leader && this.#named(leader).agentId;
    this.#parts.events.emit("consensus.leader-changed", {
      ...(leader !== undefined && { peerId: leader }),
      ...(agentId !== undefined && { agentId }),
      ...(leader === undefined && { reason: "nobody leads" }),
    });
  }

  status(): ConsensusStatus {
    const { committee } = this.#parts;
    const known = this.#committee();
    const seat = this.#seat();
    const latencyMs = this.#latencyMs;
    return {
      enabled: true,
      standing: committee.standing,
      ...(known !== undefined && { committee: known }),
      ...(seat !== undefined && { seat }),
      ...(latencyMs !== undefined && { latencyMs }),
      counters: {
        proposals: this.#proposals,
        decisions: this.#decisions,
        leaders: this.#leaders,
      },
    };
  }

  async propose(value: Uint8Array, topic: string, expiresAfterMs: number): Promise<Proposed> {
    this.#proposals++;
    const agreement = this.#agreement;
    if (agreement === undefined) return this.#proposeElsewhere(value, topic, expiresAfterMs);
    const options = { topic, deadlineMs: expiresAfterMs, timeoutMs: WAIT_MS };
    return { proposalId: (await agreement.propose(value, options)).id };
  }

  async vote(proposalId: string, choice: Choice, reason: string): Promise<void> {
    await this.#seated().vote(proposalId, choice, reason, { timeoutMs: WAIT_MS });
  }

  async cancel(proposalId: string): Promise<void> {
    await this.#seated().cancel(proposalId, { timeoutMs: WAIT_MS });
  }

  proposals(): readonly ProposalView[] {
    return this.#agreement?.proposals().map((open) => this.#open(open)) ?? [];
  }

  proposal(proposalId: string): ProposalView | undefined {
    const found = this.#agreement?.proposals().find(({ id }) => id === proposalId);
    return found && this.#open(found);
  }

  decisions(after: number, limit: number): readonly DecisionView[] {
    return this.#agreement?.decisions(after, limit).map((one) => this.#ended(one)) ?? [];
  }

  async decision(proposalId: string): Promise<DecisionView | undefined> {
    const own = this.#agreement?.decision(proposalId);
    if (own !== undefined) return this.#ended(own);
    return this.#agreement === undefined ? this.#askForDecision(proposalId) : undefined;
  }

  verify(bytes: Uint8Array): Verdict {
    const { committee, chain, signer, hasher } = this.#parts;
    const read = decodeDecision(signer, bytes);
    if (read === undefined) return { valid: false, fault: "malformed" };
    const { group, epoch, number, proposalId, topic } = read.certificate;
    const said = { group, number, proposalId, topic, value: read.value };
    const { known } = committee;
    if (known === undefined) return { valid: false, fault: "no-committee", ...said };
    const list = chain.listAt(known, epoch);
    if (list === undefined) return { valid: false, fault: "other-epoch", ...said };
    const { protocol } = known.founding;
    const authority = { group: known.founding.group, protocol, list };
    const fault = faultOfDecision(read, authority, signer, hasher);
    return { valid: fault === undefined, ...(fault !== undefined && { fault }), ...said };
  }

  async found(): Promise<void> {
    await this.#parts.committee.found();
  }

  #seated(): Agreement {
    if (this.#agreement !== undefined) return this.#agreement;
    throw new AgreementError("consensus.unready", "this agent has no seat in the committee");
  }

  /** @throws AgreementError, NetworkError what the last member that was asked said */
  async #proposeElsewhere(
    value: Uint8Array,
    topic: string,
    expiresAfterMs: number,
  ): Promise<Proposed> {
    const body = {
      $typeName: "agent_mesh.v1.CommitteeProposal",
      topic,
      value,
      expiresAfterMs: BigInt(expiresAfterMs),
    } as const;
    let last: unknown = new AgreementError("consensus.unready", "no member of it can be reached");
    for (const peer of this.#others()) {
      try {
        const answer = await this.#parts.ask(peer, { case: "proposal", value: body });
        if (answer.case === "proposalId") return { proposalId: toHex(answer.value) };
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error;
        last = error;
      }
    }
    throw last;
  }

  async #askForDecision(proposalId: string): Promise<DecisionView | undefined> {
    const { ask, signer } = this.#parts;
    const value = {
      $typeName: "agent_mesh.v1.CommitteeDecisionWanted",
      proposalId: fromHex(proposalId),
    } as const;
    for (const peer of this.#others()) {
      try {
        const answer = await ask(peer, { case: "decisionWanted", value });
        if (answer.case !== "decision") continue;
        const { valid } = this.verify(answer.value);
        const read = valid ? decodeDecision(signer, answer.value) : undefined;
        if (read?.certificate.proposalId !== proposalId) continue;
        const { number, topic } = read.certificate;
        return {
          number,
          proposalId,
          topic,
          value: read.value,
          outcome: "accepted",
          reasons: [],
          certificate: answer.value,
        };
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error;
      }
    }
    return undefined;
  }

  /** Members to ask, those that are there first. */
  #others(): readonly PeerId[] {
    const { committee, node } = this.#parts;
    const members = committee.known?.members ?? [];
    const isThere = (peer: PeerId): boolean => committee.fitness(peer) !== "gone";
    const others = members.filter((peer) => peer !== node.id);
    return [...others.filter(isThere), ...others.filter((peer) => !isThere(peer))];
  }

  #saw(proposalId: string): void {
    if (this.#seenAtMs.has(proposalId)) return;
    this.#seenAtMs.set(proposalId, this.#parts.clock.monotonicMs());
    if (this.#seenAtMs.size > SEEN_MAX)
      for (const oldest of this.#seenAtMs.keys()) {
        this.#seenAtMs.delete(oldest);
        break;
      }
  }

  #decided({ proposalId, number, topic, outcome }: Decision): void {
    this.#decisions++;
    const seenAtMs = this.#seenAtMs.get(proposalId);
    this.#seenAtMs.delete(proposalId);
    if (seenAtMs !== undefined) this.#latencyMs = this.#parts.clock.monotonicMs() - seenAtMs;
    this.#parts.events.emit("consensus.decided", { proposalId, number, topic, outcome });
  }

  #named(peerId: PeerId): NamedPeer {
    const { node } = this.#parts;
    const agentId = node.member(peerId)?.record.agentId;
    return { peerId, self: peerId === node.id, ...(agentId !== undefined && { agentId }) };
  }

  #committee(): CommitteeView | undefined {
    const { committee } = this.#parts;
    const { known } = committee;
    if (known === undefined) return undefined;
    const { founding, changes, members } = known;
    const leader = committee.status()?.leader;
    return {
      group: founding.group,
      protocol: founding.protocol,
      epoch: changes.length + 1,
      members: members.map((peer) => ({
        ...this.#named(peer),
        leads: peer === leader,
        fitness: committee.fitness(peer),
      })),
      quorum: quorumOf(founding.protocol, members.length),
    };
  }

  #seat(): SeatView | undefined {
    const status = this.#parts.committee.status();
    if (status === undefined) return undefined;
    const { standing, leader, term, position, learners } = status;
    return {
      standing,
      ...(leader !== undefined && { leader: this.#named(leader) }),
      term,
      position,
      learners: learners.map((peer) => this.#named(peer)),
    };
  }

  #open({ id, topic, value, proposer, expiresAfterMs, votes }: OpenProposal): ProposalView {
    const nowMs = this.#parts.clock.monotonicMs();
    const goneMs = nowMs - (this.#seenAtMs.get(id) ?? nowMs);
    return {
      proposalId: id,
      topic,
      value,
      proposer: this.#named(proposer),
      expiresInMs: Math.max(0, expiresAfterMs - goneMs),
      votes: votes.map(({ member, choice, reason }) => ({
        member: this.#named(member),
        choice,
        reason,
      })),
    };
  }

  #ended(decision: Decision): DecisionView {
    const { number, proposalId, topic, value, outcome, proposer, reasons, certificate } = decision;
    return {
      number,
      proposalId,
      topic,
      value,
      outcome,
      reasons,
      ...(proposer !== undefined && { proposer: this.#named(proposer) }),
      ...(certificate !== undefined && {
        certificate: encodeDecision(this.#parts.signer, { value, certificate }),
      }),
    };
  }
}
