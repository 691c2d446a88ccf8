import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Signer } from "../../platform/signer.ts";
import type { OrderingProtocol } from "../ordering/ordering.ts";
import { quorumOf } from "../ordering/quorum.ts";
import { type Kept, statementOf } from "./archive.ts";
import type { Ballot } from "./ballot.ts";
import type { BallotBox } from "./ballot-box.ts";
import { signStatement } from "./certificate.ts";
import { Deadlines } from "./deadlines.ts";
import type { Decision } from "./decision.ts";
import type { Item } from "./entry.ts";
import type { Judges } from "./judges.ts";
import type { Speaker } from "./speaker.ts";
import type { VoteMemory } from "./vote-memory.ts";
import { type Choice, reasonOf, signWord, type WordBody } from "./word.ts";

/** What the duties of a member are done with. */
export interface DutiesParts {
  readonly signer: Signer;
  readonly protocol: OrderingProtocol;
  readonly box: BallotBox;
  readonly votes: VoteMemory;
  readonly judges: Judges;
  readonly speaker: Speaker;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a member says about a proposal, by its key. */
export type WordKey = `${"propose" | "vote" | "expire" | "cancel" | "vouch"}/${string}`;

/** How long vouching is left to a quorum of the members, before the others do it too. */
const VOUCHED_WITHIN_MS = 500;

/** What is said about a ballot while it is open. */
const KINDS = ["propose", "vote", "expire", "cancel"] as const;

/** What a member does without being asked: it votes as its judges say, watches the time, and vouches for decisions. */
export class Duties {
  readonly #parts: DutiesParts;
  readonly #deadlines = new Deadlines();
  /** Decisions that others vouch for, until that has taken them too long. */
  readonly #leftToOthers = new Deadlines();
  /** Open ballots on which this member's judge is at work, or was. */
  readonly #judged = new Set<string>();
  /** Keys of words that the group refused: to say them again would change nothing. */
  readonly #refused = new Set<string>();
  #stopped = false;

  constructor(parts: DutiesParts) {
    this.#parts = parts;
  }

  /** Nothing waits for time to go by. */
  get isIdle(): boolean {
    return this.#deadlines.isEmpty && this.#leftToOthers.isEmpty;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** @returns whether it was not known before */
  opened(ballot: Ballot): boolean {
    const { id, expiresAfterMs } = ballot.proposal;
    const isNew = this.#deadlines.begin(id, this.#parts.clock.monotonicMs(), expiresAfterMs);
    this.#consider(ballot);
    return isNew;
  }

  /** The group did not take a word. */
  refused(key: string): void {
    this.#refused.add(key);
  }

  /** @param isAwaited whether a caller waits for what comes of the word */
  closed(decision: Decision, isAwaited: (key: WordKey) => boolean): void {
    const { proposalId } = decision;
    const { votes, speaker } = this.#parts;
    this.#deadlines.end(proposalId);
    this.#judged.delete(proposalId);
    votes.forget(proposalId);
    for (const kind of KINDS) {
      const key: WordKey = `${kind}/${proposalId}`;
      this.#refused.delete(key);
      if (!isAwaited(key)) speaker.drop(key);
    }
    this.#vouch(decision);
  }

  certified({ proposalId }: Decision): void {
    this.#leftToOthers.end(proposalId);
    this.#parts.speaker.drop(`vouch/${proposalId}`);
  }

  /** Looks at everything anew, as after a restart. @returns ballots that were not known before */
  restored(): Ballot[] {
    const { box, votes } = this.#parts;
    this.#deadlines.keep(box.open);
    for (const id of this.#judged) if (!box.open.has(id)) this.#judged.delete(id);
    this.#refused.clear();
    const fresh = [...box.open.values()].filter((ballot) => this.opened(ballot));
    votes.sweep((id) => box.open.has(id), box.archive.decided);
    const { links, kept } = box.archive.all();
    for (const { decision } of [...links, ...kept]) this.#vouch(decision);
    return fresh;
  }

  /** Time goes by. */
  tick(nowMs: number): void {
    const { box, signer } = this.#parts;
    this.considerAll();
    for (const id of this.#leftToOthers.due(nowMs)) {
      this.#leftToOthers.end(id);
      const kept = box.archive.get(id);
      if (kept !== undefined && this.#mayVouch(kept)) this.#sayVoucher(kept.decision);
    }
    if (!box.present.members.includes(signer.peerId)) return;
    for (const id of this.#deadlines.due(nowMs))
      if (box.open.get(id)?.expired.has(signer.peerId) === false)
        this.say(`expire/${id}`, id, { kind: "expire" });
  }

  /** Votes where nothing was voted yet, as far as there is a judge. */
  considerAll(): void {
    for (const ballot of this.#parts.box.open.values()) this.#consider(ballot);
  }

  /** Says a word until it is answered. */
  say(key: WordKey, proposalId: string, body: WordBody): void {
    const { signer, box, speaker } = this.#parts;
    if (this.#refused.has(key)) return;
    speaker.say(key, (): Item => {
      const { signed } = signWord(signer, box.group, proposalId, body);
      return { kind: "word", signed };
    });
  }

  /** Casts this member's vote and says it, where the ballot is still open then. @throws StoreError @throws Error when it has voted */
  async cast({ proposal }: Ballot, choice: Choice, reason: string): Promise<void> {
    const { box, votes } = this.#parts;
    const { id, digest } = proposal;
    const body = { kind: "vote", digest, choice, reason: reasonOf(reason) } as const;
    await votes.cast(id, body, box.archive.decided);
    if (box.open.has(id)) this.#sayVote(id);
    else votes.forget(id);
  }

  #sayVote(proposalId: string): void {
    const { votes, speaker } = this.#parts;
    const word = votes.get(proposalId);
    const key: WordKey = `vote/${proposalId}`;
    if (word === undefined || this.#stopped || this.#refused.has(key)) return;
    speaker.say(key, () => ({ kind: "word", signed: word.signed }));
  }

  #consider(ballot: Ballot): void {
    const { box, signer, votes, judges } = this.#parts;
    const { id, topic, digest } = ballot.proposal;
    if (this.#stopped || this.#judged.has(id) || votes.isCasting(id)) return;
    if (!ballot.mayVote(signer.peerId, box.present)) return;
    if (ballot.voteOf(signer.peerId) !== undefined) return;
    const cast = votes.get(id);
    if (cast !== undefined) {
      // Under another digest it can only be of a proposal that took the id first elsewhere, which the order has not.
      if (cast.body.digest === digest) this.#sayVote(id);
      return;
    }
    if (!judges.has(topic)) return;
    this.#judged.add(id);
    void this.#judge(ballot);
  }

  /** Never rejects. */
  async #judge(ballot: Ballot): Promise<void> {
    const { box, signer, votes, judges, logger } = this.#parts;
    const { id } = ballot.proposal;
    const verdict = await judges.ask(ballot.proposal);
    if (verdict === "abstain" || this.#stopped || !box.open.has(id)) return;
    // By hand, meanwhile.
    if (votes.isCasting(id) || votes.get(id) !== undefined) return;
    if (ballot.voteOf(signer.peerId) !== undefined) return;
    const isAccepted = verdict === "accept";
    try {
      await this.cast(ballot, isAccepted ? "accept" : "reject", isAccepted ? "" : verdict.reject);
    } catch (error) {
      // Asked again with the next tick.
      this.#judged.delete(id);
      logger.warn("a vote could not be cast", { proposal: id, error });
    }
  }

  /**
   * A quorum of signatures is enough, so members take turns: the others leave it to those whose turn it is, and what none of them has to
   * put into the order, and onto every member's flash, is left out.
   */
  #vouch({ proposalId }: Decision): void {
    const { box, signer, protocol, clock } = this.#parts;
    const kept = box.archive.get(proposalId);
    if (kept === undefined || !this.#mayVouch(kept)) return;
    const { decision, list } = kept;
    const { length } = list.members;
    const turn = (list.members.indexOf(signer.peerId) + decision.number) % length;
    if (turn < quorumOf(protocol, length)) this.#sayVoucher(decision);
    else this.#leftToOthers.begin(proposalId, clock.monotonicMs(), VOUCHED_WITHIN_MS);
  }

  #mayVouch({ decision, signatures, list }: Kept): boolean {
    const { peerId } = this.#parts.signer;
    if (decision.outcome !== "accepted" || decision.certificate !== undefined) return false;
    return !signatures.has(peerId) && list.members.includes(peerId);
  }

  #sayVoucher(decision: Decision): void {
    const { signer, speaker } = this.#parts;
    const { proposalId } = decision;
    speaker.say(`vouch/${proposalId}`, () => ({
      kind: "voucher",
      voucher: { proposalId, ...signStatement(signer, statementOf(decision)) },
    }));
  }
}
