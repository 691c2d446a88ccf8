import { type Batch, decodeBatch } from "./batch.ts";
import { type Certificate, gather, isCertified } from "./certificate.ts";
import { contradict } from "./evidence.ts";
import type { Log } from "./log.ts";
import { requestContent } from "./request.ts";
import type { Self } from "./self.ts";
import type { Slot } from "./slot.ts";
import type { Turn } from "./turn.ts";
import type { Vote } from "./vote.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/** What the agreement is made of. */
export interface AgreementParts {
  readonly self: Self;
  readonly log: Log;
  readonly waiting: WaitingRequests;
}

/** Batches asked for at once. */
const FETCHES_MAX = 8;

/**
 * The normal case: pre-prepare, prepare, commit (Castro and Liskov 1999, section 4.2). Works in one view, and knows nothing
 * of how views begin and end. A replica supports one batch for each view and sequence number, and puts that on record
 * before it says so.
 */
export class Agreement {
  readonly #self: Self;
  readonly #log: Log;
  readonly #waiting: WaitingRequests;
  #view = 0;
  #isActive = false;

  constructor({ self, log, waiting }: AgreementParts) {
    this.#self = self;
    this.#log = log;
    this.#waiting = waiting;
  }

  /** A primary gives a batch its sequence number. */
  propose(turn: Turn, sequence: number, batch: Batch): void {
    const vote = this.#self.sign("pre-prepare", this.#view, sequence, batch.digest);
    const slot = this.#log.at(sequence);
    slot.support(vote, batch);
    slot.keepAccepted(turn);
    turn.broadcast({ kind: "pre-prepare", vote, batch: batch.bytes });
    this.#advance(turn, slot, batch.digest);
  }

  /** A proposal, of this view. Without a batch it comes from somebody who shows what the primary signed. */
  takeProposal(turn: Turn, vote: Vote, batchBytes: Uint8Array | undefined): void {
    const self = this.#self;
    if (vote.signer !== self.group.primaryOf(this.#view)) {
      turn.refuse("not-the-primary");
      return;
    }
    if (vote.signer === self.index) {
      turn.refuse("from-the-primary");
      return;
    }
    const slot = this.#slotFor(turn, vote);
    if (slot === undefined) return;
    const known = slot.accepted;
    if (known !== undefined && known.vote.view === vote.view) {
      if (known.vote.digest !== vote.digest) this.#contradicted(turn, known.vote, vote);
      else if (batchBytes !== undefined && slot.wanted === vote.digest)
        this.takeBatch(turn, vote.sequence, batchBytes);
      return;
    }
    if (!self.check.isGenuine(vote)) {
      turn.refuse("wrong-signature");
      return;
    }
    if (batchBytes === undefined) {
      slot.propose(vote);
      return;
    }
    const batch = decodeBatch(batchBytes, self.hasher, self.options);
    if (batch?.digest !== vote.digest)
      turn.refuse(batch === undefined ? "bad-batch" : "wrong-digest");
    else if (batch.requests.length === 0 || !this.#areGenuine(batch)) turn.refuse("bad-batch");
    else this.#support(turn, slot, vote, batch);
  }

  /** A prepare or commit, of this view. */
  takeVote(turn: Turn, vote: Vote): void {
    const { index, group, check } = this.#self;
    const { kind, signer, digest } = vote;
    if (kind === "prepare" && signer === group.primaryOf(this.#view)) {
      turn.refuse("from-the-primary");
      return;
    }
    const slot = this.#slotFor(turn, vote);
    if (slot === undefined) return;
    const votes = kind === "prepare" ? slot.prepares : slot.commits;
    const known = votes[signer];
    if (known !== undefined) {
      if (known.digest !== digest) this.#contradicted(turn, known, vote);
      return;
    }
    if (this.#isSettled(slot, vote)) return;
    if (!check.isGenuine(vote) || signer === index) {
      turn.refuse("wrong-signature");
      return;
    }
    votes[signer] = vote;
    const accepted = slot.accepted?.vote;
    // It was shown something else than this replica was: one of both names the liar.
    if (kind === "prepare" && accepted !== undefined && accepted.digest !== digest)
      turn.send(signer, { kind: "pre-prepare", vote: accepted, batch: undefined });
    this.#advance(turn, slot, digest);
  }

  /** A batch that this replica lacked. */
  takeBatch(turn: Turn, sequence: number, bytes: Uint8Array): void {
    const { hasher, options } = this.#self;
    const slot = this.#log.get(sequence);
    const wanted = slot?.wanted;
    if (slot === undefined || wanted === undefined) {
      turn.refuse("not-asked-for");
      return;
    }
    const batch = decodeBatch(bytes, hasher, options);
    if (batch?.digest !== wanted) {
      turn.refuse("wrong-digest");
      return;
    }
    if (slot.decided !== undefined) this.#decide(turn, slot, slot.decided, batch);
    const proposal = slot.accepted?.vote;
    if (!this.#isActive || proposal?.digest !== wanted) return;
    if (this.#areGenuine(batch)) this.#support(turn, slot, proposal, batch);
    else {
      slot.spurn(proposal);
      turn.refuse("bad-batch");
    }
  }

  /** A batch with the proof that it was decided, in whatever view. @returns false when it proves nothing */
  takeDecision(turn: Turn, certificate: Certificate, bytes: Uint8Array, executed: number): boolean {
    const { hasher, options, check } = this.#self;
    const { sequence } = certificate;
    if (sequence <= executed || this.#log.get(sequence)?.decidedBatch !== undefined) return true;
    if (sequence > this.#log.high || sequence <= this.#log.floor) {
      turn.refuse("outside-watermarks");
      return true;
    }
    if (!isCertified(certificate, check)) {
      turn.refuse("bad-certificate");
      return false;
    }
    const batch = decodeBatch(bytes, hasher, options);
    if (batch?.digest === certificate.digest)
      this.#decide(turn, this.#log.at(sequence), certificate, batch);
    else turn.refuse("wrong-digest");
    return true;
  }

  /** The view is left: nothing is said in it any more. */
  suspend(): void {
    this.#isActive = false;
  }

  /**
   * Begins a view with what its primary proposes.
   * @param proposals pre-prepares by sequence number; their signatures are genuine
   */
  enterView(turn: Turn, view: number, proposals: ReadonlyMap<number, Vote>): void {
    this.#view = view;
    this.#isActive = true;
    for (const slot of this.#log.slots()) {
      slot.leaveView();
      const isProposed = proposals.has(slot.sequence) && this.#log.isInWindow(slot.sequence);
      if (!isProposed) slot.unpropose(turn);
    }
    this.#takeFirst(turn, proposals);
  }

  /** Goes on in the view in which this replica stopped: it says again what it had said. */
  resume(turn: Turn, view: number, proposals: ReadonlyMap<number, Vote>): void {
    this.#view = view;
    this.#isActive = true;
    for (const slot of this.#log.slots()) {
      const { accepted, prepared, sequence } = slot;
      if (accepted?.batch === undefined || accepted.vote.view !== view) continue;
      this.#sayPrepared(slot, accepted.vote);
      if (prepared?.view !== view) continue;
      const own = this.#self.sign("commit", view, sequence, prepared.digest);
      slot.commits[this.#self.index] = own;
    }
    this.#takeFirst(turn, proposals);
  }

  /** Asks for batches that are missing, the first ones. */
  fetchMissing(from: number, ask: (sequence: number, digest: string) => void): void {
    let asked = 0;
    for (let sequence = from; sequence <= this.#log.highest && asked < FETCHES_MAX; sequence++) {
      const wanted = this.#log.get(sequence)?.wanted;
      if (wanted === undefined) continue;
      asked++;
      ask(sequence, wanted);
    }
  }

  /** What the view begins with, as far as it is not here yet. */
  #takeFirst(turn: Turn, proposals: ReadonlyMap<number, Vote>): void {
    const { nullBatch } = this.#self;
    for (const [sequence, vote] of proposals) {
      // Of another window: this replica stopped after a checkpoint had become stable.
      if (!this.#log.isInWindow(sequence)) continue;
      const slot = this.#log.at(sequence);
      if (slot.accepted?.vote.view === this.#view) continue;
      const batch = vote.digest === nullBatch.digest ? nullBatch : slot.batchOf(vote.digest);
      if (batch === undefined) slot.propose(vote);
      else this.#support(turn, slot, vote, batch);
    }
  }

  #support(turn: Turn, slot: Slot, vote: Vote, batch: Batch): void {
    slot.support(vote, batch);
    slot.keepAccepted(turn);
    slot.forgetBatches(turn);
    const { decided } = slot;
    if (decided?.digest === batch.digest && slot.decidedBatch === undefined)
      this.#decide(turn, slot, decided, batch);
    const own = this.#sayPrepared(slot, vote);
    if (own !== undefined) turn.broadcast({ kind: "vote", vote: own });
    this.#advance(turn, slot, vote.digest);
  }

  /** A primary has said so with its proposal. */
  #sayPrepared(slot: Slot, { view, sequence, digest }: Vote): Vote | undefined {
    if (this.#self.isPrimaryOf(view)) return undefined;
    const own = this.#self.sign("prepare", view, sequence, digest);
    slot.prepares[this.#self.index] = own;
    return own;
  }

  /** Looks whether the votes for this digest are enough for the next step. */
  #advance(turn: Turn, slot: Slot, digest: string): void {
    const { group, index } = this.#self;
    const { sequence, accepted } = slot;
    const view = this.#view;
    if (accepted?.batch?.digest === digest && slot.commits[index] === undefined) {
      const prepares = gather(slot.prepares, digest, group.quorum - 1);
      if (prepares !== undefined) {
        const proposal = accepted.vote.signature;
        slot.prepare(turn, { view, sequence, digest, proposal, prepares }, accepted.batch);
        const own = this.#self.sign("commit", view, sequence, digest);
        slot.commits[index] = own;
        turn.broadcast({ kind: "vote", vote: own });
      }
    }
    if (slot.decided !== undefined) return;
    const signatures = gather(slot.commits, digest, group.quorum);
    if (signatures === undefined) return;
    const certificate = { kind: "commit" as const, view, sequence, digest, signatures };
    this.#decide(turn, slot, certificate, slot.batchOf(digest));
  }

  #decide(turn: Turn, slot: Slot, certificate: Certificate, batch: Batch | undefined): void {
    slot.decide(turn, certificate, batch);
    if (batch !== undefined) turn.decided.push({ certificate, requests: batch.requests });
  }

  /** Further votes change nothing; they are not worth a check of their signatures. */
  #isSettled(slot: Slot, { kind }: Vote): boolean {
    if (kind === "commit") return slot.decided !== undefined;
    return slot.commits[this.#self.index] !== undefined;
  }

  #contradicted(turn: Turn, first: Vote, second: Vote): void {
    if (!this.#self.check.isGenuine(second)) turn.refuse("wrong-signature");
    else if (contradict(first, second)) {
      turn.evidence.push({ accused: first.signer, first, second });
      turn.refuse("contradiction");
    }
  }

  /** Below the window, only commits can still help: to execute what is stable elsewhere. */
  #slotFor(turn: Turn, { kind, sequence }: Vote): Slot | undefined {
    if (this.#log.isInWindow(sequence)) return this.#log.at(sequence);
    const slot = kind === "commit" ? this.#log.get(sequence) : undefined;
    if (slot === undefined) turn.refuse("outside-watermarks");
    return slot;
  }

  #areGenuine(batch: Batch): boolean {
    const { credentials, group } = this.#self;
    return batch.requests.every(
      (request) =>
        this.#waiting.isKnown(request) ||
        credentials.isRequestOf(request.client, requestContent(group, request), request.signature),
    );
  }
}
