import type { Hasher } from "../../platform/hasher.ts";
import type { StoreEntry } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import { Agreement } from "./agreement.ts";
import { Allowances } from "./allowances.ts";
import { ByteWriter } from "./bytes.ts";
import { CatchUp } from "./catch-up.ts";
import { type Certificate, writeCertificate } from "./certificate.ts";
import { Checkpoints } from "./checkpoints.ts";
import { ClientTable } from "./client-table.ts";
import type { Credentials } from "./credentials.ts";
import { encodeSnapshot, type Kept, readKept } from "./durable.ts";
import { EarlyMessages, type ViewMessage } from "./early-messages.ts";
import type { PbftEffects, PbftInput, TimerName } from "./effects.ts";
import { Executor } from "./executor.ts";
import type { Group } from "./group.ts";
import { KEYS } from "./keys.ts";
import { Log } from "./log.ts";
import { decodeMessage, type Message, messageBytesMax } from "./messages.ts";
import { checkOptions, type PbftOptions } from "./options.ts";
import { ProgressWatch } from "./progress-watch.ts";
import { Proposer } from "./proposer.ts";
import { Requests } from "./requests.ts";
import { Self } from "./self.ts";
import { Turn } from "./turn.ts";
import { ViewChanges } from "./view-changes.ts";
import { Views } from "./views.ts";
import { WaitingRequests } from "./waiting-requests.ts";

/** What a replica is made of. */
export interface PbftParts {
  readonly group: Group;
  readonly credentials: Credentials;
  readonly hasher: Hasher;
  readonly options: PbftOptions;
  /** What the replica had asked to persist before it stopped; nothing for a new one. */
  readonly kept: Iterable<StoreEntry>;
}

/**
 * One replica of a group that agrees on the order of requests while up to f of its n members lie, crash or are slow: PBFT of
 * Castro and Liskov (OSDI 1999), with signatures. Pure: inputs in, effects out, one `step` at a time; the caller performs the
 * effects in order and brings what comes of them. Never throws for anything that others say.
 */
export class PbftReplica {
  readonly #self: Self;
  readonly #log: Log;
  readonly #waiting: WaitingRequests;
  readonly #requests: Requests;
  readonly #checkpoints: Checkpoints;
  readonly #executor: Executor;
  readonly #agreement: Agreement;
  readonly #proposer: Proposer;
  readonly #changes: ViewChanges;
  readonly #views: Views;
  readonly #catchUp: CatchUp;
  readonly #watch: ProgressWatch;
  readonly #early: EarlyMessages;
  readonly #allowances: Allowances;
  readonly #messageBytesMax: number;
  readonly #accused = new Set<number>();
  #kept: Kept | undefined;
  /** The state on record is the one after this sequence number; -1 while there is none. */
  #keptState = -1;

  /**
   * @throws RangeError when the options are out of bounds, or the credentials are none of a member
   * @throws Error when what was kept is damaged
   */
  constructor({ group, credentials, hasher, options, kept }: PbftParts) {
    checkOptions(options);
    const self = new Self(group, credentials, hasher, options);
    const log = new Log(options.windowSize);
    const waiting = new WaitingRequests(options);
    const table = new ClientTable(options);
    const checkpoints = new Checkpoints(self);
    const changes = new ViewChanges(self);
    const agreement = new Agreement({ self, log, waiting });
    this.#self = self;
    this.#log = log;
    this.#waiting = waiting;
    this.#checkpoints = checkpoints;
    this.#changes = changes;
    this.#agreement = agreement;
    this.#proposer = new Proposer({ self, log, waiting, agreement });
    this.#requests = new Requests({ self, table, waiting });
    this.#executor = new Executor({ self, log, table, waiting, checkpoints });
    this.#views = new Views({
      self,
      log,
      checkpoints,
      agreement,
      changes,
      stable: (turn, certificate) => this.#takeProof(turn, certificate),
      entered: (turn, proposedUpTo) => this.#entered(turn, proposedUpTo),
    });
    this.#watch = new ProgressWatch(log, waiting);
    this.#catchUp = new CatchUp({
      self,
      log,
      waiting,
      checkpoints,
      executor: this.#executor,
      agreement,
      changes,
      views: this.#views,
      watch: this.#watch,
    });
    this.#early = new EarlyMessages(options);
    this.#allowances = new Allowances(options.costlyMessagesMax);
    this.#messageBytesMax = messageBytesMax(options, group);
    this.#kept = readKept(kept, self);
  }

  /** The view that this replica is in, or has asked for. */
  get view(): number {
    return this.#views.view;
  }

  /** It takes part in `view`; otherwise it waits for it to begin. */
  get isActive(): boolean {
    return !this.#views.isPending;
  }

  /** Who proposes in this view, or will. */
  get primary(): PeerId | undefined {
    const { group } = this.#self;
    return group.members[group.primaryOf(this.#views.view)];
  }

  /** The last sequence number that the application has executed. */
  get executed(): number {
    return this.#executor.executed;
  }

  /** Proof of the last stable checkpoint; sequence number 0 before the first. */
  get stable(): Certificate {
    return this.#checkpoints.stable;
  }

  /** The group has a state that this replica does not have, and fetches. */
  get isBehind(): boolean {
    return this.#catchUp.isBehind;
  }

  /** Requests that are known here and not executed. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Has to come first, once: what a new replica, or one that was stopped, does at its start. */
  start(): PbftEffects {
    const kept = this.#kept;
    if (kept === undefined) throw new Error("the replica was started before");
    this.#kept = undefined;
    const turn = this.#turn(undefined);
    turn.start("resend", this.#self.options.resendIntervalMs);
    const { snapshot, stable, slots } = kept;
    this.#checkpoints.restore(stable);
    this.#log.advance(turn, stable.sequence);
    for (const { sequence, ...slot } of slots) {
      this.#log.at(sequence).restore(slot);
      const { decided } = slot;
      // Whoever keeps the proofs may not have got this one yet.
      if (decided !== undefined)
        turn.decided.push({ certificate: decided.certificate, requests: decided.batch.requests });
    }
    if (snapshot !== undefined) {
      if (!this.#executor.install(turn, snapshot))
        throw new Error("the record of the state is damaged");
      this.#keptState = snapshot.sequence;
    }
    this.#views.resume(turn, kept);
    this.#catchUp.fetchState(turn);
    return this.#finish(turn);
  }

  /** Takes one input. @throws Error when the application's answer is to something else than it was told */
  step(input: PbftInput): PbftEffects {
    if (this.#kept !== undefined) throw new Error("the replica was not started");
    const turn = this.#turn(input.kind === "message" ? input.from : undefined);
    switch (input.kind) {
      case "message":
        this.#message(turn, input.from, input.bytes);
        break;
      case "request":
        this.#request(turn, input.bytes, input.isOwn);
        break;
      case "timer":
        this.#timer(turn, input.timer);
        break;
      case "executed":
        if (this.#executor.done(turn, input, this.#views.view)) this.#stable(turn);
        this.#settle(turn);
        break;
    }
    return this.#finish(turn);
  }

  #turn(from: PeerId | undefined): Turn {
    return new Turn(this.#self.group, this.#self.others, from);
  }

  #finish(turn: Turn): PbftEffects {
    this.#judge(turn);
    if (this.#executor.installArrived(turn)) {
      this.#watch.restart();
      this.#settle(turn);
    }
    this.#executor.next(turn);
    if (this.#views.isPrimary) this.#proposer.propose(turn, this.#executor.executed);
    if (!this.#views.isPending && !this.#catchUp.isBehind) {
      const { executed } = this.#executor;
      if (this.#watch.look(turn, executed, () => this.#views.timeoutMs)) this.#views.progressed();
    }
    return turn.effects();
  }

  #message(turn: Turn, from: PeerId, bytes: Uint8Array): void {
    const { group } = this.#self;
    const sender = group.indexOf(from);
    if (sender === undefined || sender === this.#self.index) {
      turn.refuse("not-a-member");
      return;
    }
    if (bytes.length > this.#messageBytesMax) {
      turn.refuse("oversized");
      return;
    }
    const message = decodeMessage(bytes, this.#messageBytesMax, group.size);
    if (message === undefined) turn.refuse("malformed");
    else this.#take(turn, from, sender, message);
  }

  #take(turn: Turn, from: PeerId, sender: number, message: Message): void {
    switch (message.kind) {
      case "request":
        this.#request(turn, message.bytes);
        break;
      case "pre-prepare":
        if (message.vote.kind === "pre-prepare") this.#inView(turn, from, message);
        else turn.refuse("malformed");
        break;
      case "vote":
        if (message.vote.kind === "checkpoint") {
          if (this.#checkpoints.take(turn, message.vote)) this.#stable(turn);
        } else if (message.vote.kind === "prepare" || message.vote.kind === "commit")
          this.#inView(turn, from, message);
        else turn.refuse("malformed");
        break;
      case "batch":
        this.#agreement.takeBatch(turn, message.sequence, message.batch);
        break;
      case "manifest":
      case "chunk":
        this.#catchUp.takeState(turn, message);
        break;
      case "view-change":
      case "new-view":
      case "status":
      case "fetch":
      case "decision":
      case "stable":
        if (!this.#allowances.take(sender)) turn.refuse("too-many");
        else if (!this.#costly(turn, sender, message)) this.#allowances.exhaust(sender);
        break;
    }
  }

  /** @returns false when it was worth nothing */
  #costly(
    turn: Turn,
    sender: number,
    message: Exclude<Message, ViewMessage | { kind: "request" | "batch" | "manifest" | "chunk" }>,
  ): boolean {
    const { view } = this.#views;
    switch (message.kind) {
      case "view-change": {
        const wanted = this.#changes.take(turn, message.bytes, view);
        if (typeof wanted === "number") this.#views.consider(turn);
        return wanted !== false;
      }
      case "new-view": {
        const lowest = this.#views.isPending ? view : view + 1;
        const proven = this.#changes.takeNewView(turn, message.bytes, lowest);
        if (proven !== undefined && proven !== false) this.#views.enter(turn, proven);
        return proven !== false;
      }
      case "decision": {
        const { certificate, batch } = message;
        return this.#agreement.takeDecision(turn, certificate, batch, this.#executor.executed);
      }
      case "stable":
        return this.#takeProof(turn, message.certificate);
      case "status":
      case "fetch":
        break;
    }
    return this.#catchUp.answer(turn, sender, message);
  }

  /** A word that counts in one view. */
  #inView(turn: Turn, from: PeerId, message: ViewMessage): void {
    const { view, isPending } = this.#views;
    const { vote } = message;
    if (vote.view > view || (vote.view === view && isPending)) {
      if (!this.#early.add(from, message)) turn.refuse("too-many");
    } else if (vote.view < view) turn.refuse("wrong-view");
    else if (message.kind === "pre-prepare")
      this.#agreement.takeProposal(turn, vote, message.batch);
    else this.#agreement.takeVote(turn, vote);
  }

  #request(turn: Turn, bytes: Uint8Array, isOwn = false): void {
    const { view, isPending, isPrimary } = this.#views;
    const request = this.#requests.take(turn, bytes, view, isOwn);
    if (request === undefined) return;
    if (isPrimary) this.#waiting.enqueue(request);
    else if (!isPending && turn.from === undefined)
      turn.send(this.#self.group.primaryOf(view), { kind: "request", bytes });
  }

  #timer(turn: Turn, timer: TimerName): void {
    switch (timer) {
      case "resend":
        turn.start("resend", this.#self.options.resendIntervalMs);
        this.#allowances.refill();
        this.#catchUp.look(turn);
        break;
      case "new-view":
        if (this.#views.isTimed) this.#views.leave(turn, this.#views.view + 1);
        break;
      case "progress":
        if (this.#views.isPending || !this.#watch.isOn) break;
        this.#watch.restart();
        // Who is behind can not tell whether the primary does its work.
        if (!this.#catchUp.isBehind) this.#views.leave(turn, this.#views.view + 1);
        break;
    }
  }

  /** @returns false when it proves nothing */
  #takeProof(turn: Turn, certificate: Certificate): boolean {
    const isNewer = this.#checkpoints.takeProof(certificate);
    if (isNewer === undefined) turn.refuse("bad-certificate");
    if (isNewer === true) this.#stable(turn);
    return isNewer !== undefined;
  }

  /** Another state of the group is stable. */
  #stable(turn: Turn): void {
    const { stable } = this.#checkpoints;
    turn.put(KEYS.stable, writeCertificate(new ByteWriter(512), stable).finish());
    this.#log.advance(turn, stable.sequence);
    this.#settle(turn);
  }

  /** When the stable state is here, it takes the place of the log that led to it. */
  #settle(turn: Turn): void {
    const snapshot = this.#checkpoints.stableSnapshot;
    if (snapshot === undefined || snapshot.sequence <= this.#keptState) return;
    this.#keptState = snapshot.sequence;
    turn.put(KEYS.state, encodeSnapshot(snapshot));
    this.#log.drop(turn, snapshot.sequence);
    this.#catchUp.hasState();
  }

  #entered(turn: Turn, proposedUpTo: number): void {
    const { view } = this.#views;
    this.#watch.restart();
    if (this.#views.isPrimary) this.#proposer.begin(view, proposedUpTo);
    else this.#catchUp.forward(turn);
    this.#catchUp.fetchMissing(turn);
    for (const { from, message } of this.#early.take(view)) this.#inView(turn, from, message);
  }

  /** One proof against each liar is enough. A primary that contradicted itself is not waited for. */
  #judge(turn: Turn): void {
    const { view, isPending } = this.#views;
    const primary = this.#self.group.primaryOf(view);
    const found = turn.evidence.splice(0);
    for (const evidence of found) {
      const { accused, first, second } = evidence;
      if (!this.#accused.has(accused)) {
        this.#accused.add(accused);
        turn.evidence.push(evidence);
      }
      if (isPending || first.kind !== "pre-prepare" || first.view !== view) continue;
      if (accused !== primary || this.#views.view !== view) continue;
      for (const vote of [first, second])
        turn.broadcast({ kind: "pre-prepare", vote, batch: undefined });
      this.#watch.restart();
      this.#views.leave(turn, view + 1);
    }
  }
}
