import type { Timer } from "../../platform/clock.ts";
import { toHex } from "../../platform/hex.ts";
import type { Ordering } from "../ordering/ordering.ts";
import { AgreementError, type Patience } from "../ordering/waiting.ts";
import {
  type AgreementParts,
  checkProposal,
  type FinalizeOptions,
  type MaybePatience,
  type ProposeOptions,
} from "./agreement-parts.ts";
import type { Answer } from "./answers.ts";
import type { Ballot } from "./ballot.ts";
import { BallotBox } from "./ballot-box.ts";
import type { CertifiedDecision } from "./certificate.ts";
import { type Decision, isFinished, type OpenProposal, type Proposal } from "./decision.ts";
import { Duties, type WordKey } from "./duties.ts";
import type { Evidence } from "./evidence.ts";
import { type Judge, Judges } from "./judges.ts";
import { ID_BYTES } from "./limits.ts";
import { Listeners } from "./listeners.ts";
import type { MemberList } from "./member-list.ts";
import { NamedWaits } from "./named-waits.ts";
import { NewsDesk } from "./news.ts";
import { Speaker } from "./speaker.ts";
import { VoteMemory } from "./vote-memory.ts";
import type { Choice } from "./word.ts";

/**
 * One member's part in what its group agrees on, over any ordering: values are proposed, voted on by the members, and
 * decided, the same everywhere. Every topic is voted on; one on which all agree has a judge that accepts, since a certificate
 * wants the members' signatures in any case.
 */
export class Agreement {
  readonly #parts: AgreementParts;
  readonly #box: BallotBox;
  readonly #ordering: Ordering;
  readonly #news: NewsDesk;
  readonly #judges: Judges;
  readonly #speaker: Speaker;
  readonly #duties: Duties;
  readonly #votes: VoteMemory;
  readonly #words: NamedWaits<undefined>;
  readonly #decided: NamedWaits<Decision>;
  /** Own proposals that wait for their place. */
  readonly #proposing = new Map<string, Proposal>();
  readonly #proposalListeners: Listeners<OpenProposal>;
  readonly #decisionListeners: Listeners<Decision>;
  readonly #certificateListeners: Listeners<Decision>;
  /** Number of the last decision that listeners heard of. */
  #told: number;
  #pumping = false;
  #timer: Timer | undefined;
  #state: "new" | "started" | "stopped" = "new";

  private constructor(
    parts: AgreementParts,
    made: { box: BallotBox; news: NewsDesk; ordering: Ordering; votes: VoteMemory },
  ) {
    const { signer, logger, options } = parts;
    const { box, news, ordering, votes } = made;
    this.#parts = parts;
    this.#box = box;
    this.#news = news;
    this.#ordering = ordering;
    this.#votes = votes;
    this.#told = box.archive.decided;
    this.#judges = new Judges({ ...parts, ...options });
    this.#words = new NamedWaits(options.waitingMax);
    this.#decided = new NamedWaits(options.waitingMax);
    this.#proposalListeners = new Listeners(logger);
    this.#decisionListeners = new Listeners(logger);
    this.#certificateListeners = new Listeners(logger);
    const answered = (key: string, answer: Answer | Error | undefined): void =>
      this.#answered(key, answer);
    this.#speaker = new Speaker({ ...parts, ordering, keys: signer, answered });
    const [judges, speaker] = [this.#judges, this.#speaker];
    this.#duties = new Duties({ ...parts, box, votes, judges, speaker });
  }

  /** Opens this member of the group. @throws Error what the ordering throws @throws StoreError */
  static async open(parts: AgreementParts): Promise<Agreement> {
    const news = new NewsDesk();
    const box = new BallotBox({ ...parts, verifier: parts.signer, observer: news });
    const ordering = await parts.ordering(box);
    const votes = await VoteMemory.open(parts);
    return new Agreement(parts, { box, news, ordering, votes });
  }

  /** Takes part from now on, with ballots that are open as well. */
  start(): void {
    if (this.#state !== "new") return;
    this.#state = "started";
    this.#news.listen(() => this.#pump());
    this.#ordering.start();
    for (const ballot of this.#duties.restored()) this.#proposalListeners.tell(ballot.open());
    this.#tickLater();
  }

  /** Takes part no more. Idempotent. */
  async stop(): Promise<void> {
    if (this.#state === "stopped") return;
    this.#state = "stopped";
    this.#timer?.cancel();
    this.#duties.stop();
    this.#speaker.stop();
    const error = new AgreementError("consensus.stopped", "this member stops");
    this.#words.fail(error);
    this.#decided.fail(error);
    await this.#ordering.stop();
  }

  /** This member of the group, to look at it, to read in order, and to change the members. */
  get ordering(): Ordering {
    return this.#ordering;
  }

  /**
   * Puts a value to the vote. Resolves when it has its place in the order; an aborted wait does not take it back.
   * @throws RangeError for a topic, a value or a deadline that can not be
   * @throws AgreementError `consensus.refused` with the reason; otherwise it may still be put to the vote
   */
  async propose(value: Uint8Array, options: ProposeOptions): Promise<Proposal> {
    const { topic, deadlineMs } = options;
    const { signer, random, hasher, clock } = this.#parts;
    checkProposal(value, topic, deadlineMs);
    this.#checkRoom();
    const id = toHex(random.bytes(ID_BYTES));
    const proposal: Proposal = Object.freeze({
      id,
      topic,
      value: value.slice(),
      digest: hasher.sha256Hex(value),
      proposer: signer.peerId,
      expiresAfterMs: deadlineMs,
    });
    const key: WordKey = `propose/${id}`;
    const placed = this.#words.wait(key, clock.monotonicMs(), this.#patience(options));
    if (this.#words.has(key)) {
      this.#proposing.set(id, proposal);
      const after = this.#box.archive.decided;
      const body = { kind: "propose", topic, value, expiresAfterMs: deadlineMs, after } as const;
      this.#duties.say(key, id, body);
      this.#tickLater();
    }
    try {
      await placed;
      return proposal;
    } finally {
      this.#proposing.delete(id);
      this.#speaker.drop(key);
    }
  }

  /**
   * Votes by hand, once for each proposal, in the place of a judge. Resolves when the vote has its place in the order. Cast
   * once it is on disk: from then on it is said until the ballot is closed, whoever waits for it.
   * @param reason cut to 256 bytes
   * @throws AgreementError `consensus.refused` with the reason @throws StoreError when it was not cast
   */
  async vote(
    proposalId: string,
    choice: Choice,
    reason = "",
    patience: MaybePatience = {},
  ): Promise<void> {
    this.#checkRoom();
    const { peerId } = this.#parts.signer;
    const ballot = this.#openBallot(proposalId);
    if (!ballot.mayVote(peerId, this.#box.present))
      throw refused("this member has no vote on the proposal");
    if (this.#votes.isCasting(proposalId)) throw refused("this member is voting at the moment");
    const ordered = ballot.voteOf(peerId);
    const before = ordered ?? this.#votes.get(proposalId);
    if (before !== undefined && before.body.choice !== choice)
      throw refused(`this member has voted to ${before.body.choice} it`);
    if (ordered !== undefined) return;
    if (before === undefined) await this.#duties.cast(ballot, choice, reason);
    if (!this.#box.open.has(proposalId)) throw refused("the proposal has been decided meanwhile");
    await this.#word(`vote/${proposalId}`, patience);
  }

  /** Takes back what this member proposed. @throws AgreementError `consensus.refused` when it is not open, or not this member's */
  async cancel(proposalId: string, patience: MaybePatience = {}): Promise<void> {
    this.#checkRoom();
    const { proposal } = this.#openBallot(proposalId);
    if (proposal.proposer !== this.#parts.signer.peerId)
      throw refused("only its proposer can cancel a proposal");
    this.#duties.say(`cancel/${proposalId}`, proposalId, { kind: "cancel" });
    await this.#word(`cancel/${proposalId}`, patience);
  }

  /**
   * Waits until a proposal has been decided, as far as it is not. On any member, and after a restart as well, for as long as
   * the decision is kept.
   * @throws AgreementError `consensus.refused` when the decision is not kept any more
   */
  async finalize(proposalId: string, options: FinalizeOptions = {}): Promise<Decision> {
    if (this.#state === "stopped") throw new AgreementError("consensus.stopped", "it has stopped");
    const { certified = false } = options;
    const { archive } = this.#box;
    const decision = archive.get(proposalId)?.decision;
    if (decision !== undefined && (!certified || isFinished(decision))) return decision;
    if (decision === undefined && archive.isDecided(proposalId))
      throw refused("the decision is not kept any more");
    const name = certified ? certifiedName(proposalId) : proposalId;
    const nowMs = this.#parts.clock.monotonicMs();
    const decided = this.#decided.wait(name, nowMs, this.#patience(options));
    this.#tickLater();
    return decided;
  }

  /**
   * Sets who votes on a topic here without being asked, on proposals that are open as well.
   * @throws Error when the topic has a judge @returns takes the judge away again
   */
  judge(topic: string, judge: Judge): () => void {
    const end = this.#judges.set(topic, judge);
    if (this.#state === "started") this.#duties.considerAll();
    return end;
  }

  /** Hears of proposals; after a restart of some again. @returns ends it */
  onProposal(listener: (proposal: OpenProposal) => void): () => void {
    return this.#proposalListeners.add(listener);
  }

  /** Hears of decisions, in order; after a restart of some again. @returns ends it */
  onDecision(listener: (decision: Decision) => void): () => void {
    return this.#decisionListeners.add(listener);
  }

  /** Hears of decisions that have their certificate. @returns ends it */
  onCertificate(listener: (decision: Decision) => void): () => void {
    return this.#certificateListeners.add(listener);
  }

  /** Open ones, oldest first. */
  proposals(): readonly OpenProposal[] {
    return Array.from(this.#box.open.values(), (ballot) => ballot.open());
  }

  /** Decisions that are kept, with numbers larger than that, in order. */
  decisions(after: number, limit: number): readonly Decision[] {
    return this.#box.archive.after(after, limit);
  }

  /** How a proposal ended; undefined while it is open, and when that is not kept any more. */
  decision(proposalId: string): Decision | undefined {
    return this.#box.archive.get(proposalId)?.decision;
  }

  /** Who votes, as far as this member knows. */
  members(): MemberList {
    return this.#box.present;
  }

  /** What leads from the members of an epoch to the present ones, as far as it is certified: for `followMembers`. */
  memberChanges(fromEpoch: number): readonly CertifiedDecision[] {
    return this.#box.archive
      .linksFrom(fromEpoch)
      .flatMap(({ value, certificate }) =>
        certificate === undefined ? [] : [{ value, certificate }],
      );
  }

  /** Members that voted twice, oldest first. */
  evidence(): readonly Evidence[] {
    return this.#box.evidence;
  }

  #word(key: WordKey, patience: MaybePatience): Promise<undefined> {
    const nowMs = this.#parts.clock.monotonicMs();
    const said = this.#words.wait(key, nowMs, this.#patience(patience));
    this.#tickLater();
    return said;
  }

  #openBallot(proposalId: string): Ballot {
    const ballot = this.#box.open.get(proposalId);
    if (ballot !== undefined) return ballot;
    const isDecided = this.#box.archive.isDecided(proposalId);
    throw refused(isDecided ? "the proposal has been decided" : "no such proposal is known here");
  }

  #patience({ timeoutMs = this.#parts.options.waitMs, signal }: MaybePatience): Patience {
    return { timeoutMs, signal };
  }

  #checkRoom(): void {
    if (this.#state !== "started") throw new AgreementError("consensus.stopped", "it does not run");
    const { wordsMax } = this.#parts.options;
    if (this.#speaker.size >= wordsMax)
      throw new AgreementError("consensus.busy", `${wordsMax} words wait for this group already`);
  }

  #answered(key: string, answer: Answer | Error | undefined): void {
    const isTaken = answer === undefined || answer === "taken" || answer === "repeated";
    if (isTaken || this.#isOwnPlaced(key)) {
      this.#words.settle(key, undefined);
      return;
    }
    const isRefusal = typeof answer === "string";
    if (isRefusal) this.#duties.refused(key);
    const reason = isRefusal ? answer : answer.message;
    this.#parts.logger.debug("the group did not take a word", { key, reason });
    this.#words.settle(key, refused(`the group did not take it: ${reason}`));
  }

  /** Whether this is a proposal that was tried again while the first try had its place already. */
  #isOwnPlaced(key: string): boolean {
    if (!key.startsWith("propose/")) return false;
    const id = key.slice("propose/".length);
    const { open, archive } = this.#box;
    const proposer = (open.get(id)?.proposal ?? archive.get(id)?.decision)?.proposer;
    return proposer === this.#parts.signer.peerId;
  }

  /** Once for everything that is applied in one turn. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      if (this.#state !== "started") return;
      const { opened, closed, certified, restored } = this.#news.take();
      if (restored) this.#restored();
      const ending = new Set(
        closed.flatMap(({ number, proposalId }) => (number > this.#told ? [proposalId] : [])),
      );
      for (const ballot of opened) {
        const { id } = ballot.proposal;
        const isOpen = this.#box.open.has(id);
        if (isOpen) this.#duties.opened(ballot);
        this.#words.settle(`propose/${id}`, undefined);
        // Of one that was decided before this member began nobody would hear the end.
        if (isOpen || ending.has(id)) this.#proposalListeners.tell(ballot.open());
      }
      for (const decision of closed) this.#closed(decision);
      for (const decision of certified) this.#certified(decision);
      this.#tickLater();
    });
  }

  #closed(decision: Decision): void {
    const { proposalId, number } = decision;
    this.#duties.closed(decision, (key) => this.#words.has(key));
    this.#decided.settle(proposalId, decision);
    if (isFinished(decision)) this.#decided.settle(certifiedName(proposalId), decision);
    if (number <= this.#told) return;
    this.#told = number;
    this.#decisionListeners.tell(decision);
  }

  #certified(decision: Decision): void {
    this.#duties.certified(decision);
    this.#decided.settle(certifiedName(decision.proposalId), decision);
    this.#certificateListeners.tell(decision);
  }

  /** A state came in the place of the entries that led to it. */
  #restored(): void {
    const { archive } = this.#box;
    for (const id of this.#proposing.keys())
      if (this.#isOwnPlaced(`propose/${id}`)) this.#words.settle(`propose/${id}`, undefined);
    for (const decision of archive.after(this.#told, Number.POSITIVE_INFINITY))
      this.#closed(decision);
    for (const name of this.#decided.names) {
      const decision = archive.get(name.replace(CERTIFIED, ""))?.decision;
      if (decision === undefined) continue;
      if (isFinished(decision) || !name.endsWith(CERTIFIED)) this.#decided.settle(name, decision);
    }
    for (const ballot of this.#duties.restored()) this.#proposalListeners.tell(ballot.open());
  }

  /** While something waits for time to go by. */
  #tickLater(): void {
    if (this.#timer !== undefined || this.#state !== "started") return;
    if (this.#duties.isIdle && this.#words.isIdle && this.#decided.isIdle) return;
    const { clock, options } = this.#parts;
    this.#timer = clock.setTimer("agreement.tick", options.tickMs, () => {
      this.#timer = undefined;
      const nowMs = clock.monotonicMs();
      this.#words.expire(nowMs);
      this.#decided.expire(nowMs);
      this.#duties.tick(nowMs);
      this.#tickLater();
    });
  }
}

const CERTIFIED = "/certified";

function certifiedName(proposalId: string): string {
  return `${proposalId}${CERTIFIED}`;
}

function refused(message: string): AgreementError {
  return new AgreementError("consensus.refused", message);
}
