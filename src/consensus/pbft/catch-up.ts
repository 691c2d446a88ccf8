import type { Agreement } from "./agreement.ts";
import { Allowances } from "./allowances.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { Executor } from "./executor.ts";
import type { Log } from "./log.ts";
import { type Fetch, fetchContent, type Message, statusContent } from "./messages.ts";
import type { ProgressWatch } from "./progress-watch.ts";
import { type Position, Retransmission } from "./retransmission.ts";
import type { Self } from "./self.ts";
import { chunkOf, type Snapshot } from "./state.ts";
import { StateTransfer } from "./state-transfer.ts";
import type { Turn } from "./turn.ts";
import type { ViewChanges } from "./view-changes.ts";
import type { Views } from "./views.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/** What catching up is made of. */
export interface CatchUpParts {
  readonly self: Self;
  readonly log: Log;
  readonly waiting: WaitingRequests;
  readonly checkpoints: Checkpoints;
  readonly executor: Executor;
  readonly agreement: Agreement;
  readonly changes: ViewChanges;
  readonly views: Views;
  readonly watch: ProgressWatch;
}

/** Requests that a backup hands to the primary again at once. */
const FORWARDS_MAX = 16;
/** And their bytes, but for the first. */
const FORWARD_BYTES_MAX = 65_536;
/** Statuses of one replica answered between two looks: an answer may be long. */
const STATUSES_MAX = 2;

/** Finds out what this replica lacks and gets it from the others, and gives them what they lack. */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #retransmission: Retransmission;
  readonly #transfer: StateTransfer;
  readonly #statuses = new Allowances(STATUSES_MAX);
  /** At the last look. */
  #executedBefore = -1;
  #quietTicks = 0;

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
    this.#retransmission = new Retransmission(parts);
    this.#transfer = new StateTransfer(parts.self, (turn, to, fetch) => this.#ask(turn, to, fetch));
  }

  /** The group has a stable state that this replica does not have. */
  get isBehind(): boolean {
    return this.#parts.checkpoints.isBehind;
  }

  /** Looks whether something was lost, and asks for it. Comes at regular intervals. */
  look(turn: Turn): void {
    const { self, executor, views, watch } = this.#parts;
    const { executed } = executor;
    this.#statuses.refill();
    const { isBehind } = this;
    const isWaiting = isBehind || views.isPending || watch.isWaiting(executed);
    const isStuck = isWaiting && executed === this.#executedBefore;
    this.#executedBefore = executed;
    this.#quietTicks++;
    if (!isStuck && this.#quietTicks < self.options.idleResendTicks) return;
    this.#quietTicks = 0;
    this.#tellStatus(turn);
    if (!isStuck) return;
    this.fetchMissing(turn);
    this.fetchState(turn);
    if (!views.isPending) this.forward(turn);
  }

  /** Asks for the group's state where this replica has none. */
  fetchState(turn: Turn): void {
    if (this.isBehind) this.#transfer.pursue(turn, this.#parts.checkpoints.stable);
  }

  /** A backup hands what has waited longest to the primary. */
  forward(turn: Turn): void {
    const { self, views, waiting } = this.#parts;
    if (views.isPrimary) return;
    const primary = self.group.primaryOf(views.view);
    let forwarded = 0;
    let length = 0;
    for (const { bytes } of waiting.all()) {
      length += bytes.length;
      if (forwarded === FORWARDS_MAX || (forwarded > 0 && length > FORWARD_BYTES_MAX)) return;
      turn.send(primary, { kind: "request", bytes });
      forwarded++;
    }
  }

  /** Asks everybody for batches of which only the digest is known here. */
  fetchMissing(turn: Turn): void {
    const { self, agreement, executor } = this.#parts;
    agreement.fetchMissing(executor.executed + 1, (sequence, digest) => {
      for (let index = 0; index < self.group.size; index++)
        if (index !== self.index) this.#ask(turn, index, { what: "batch", sequence, digest });
    });
  }

  /** Somebody tells how far it is, or asks for something. @returns false when it is not from who sent it */
  answer(
    turn: Turn,
    sender: number,
    message: Extract<Message, { kind: "status" | "fetch" }>,
  ): boolean {
    const { hasher, check } = this.#parts.self;
    const { vote, content } = message;
    if (vote.signer !== sender) {
      turn.refuse("not-the-sender");
      return false;
    }
    const isSigned =
      vote.kind === message.kind &&
      vote.digest === hasher.sha256Hex(content) &&
      check.isGenuine(vote);
    if (!isSigned) turn.refuse("wrong-signature");
    else if (message.kind === "fetch") this.#answerFetch(turn, sender, message.fetch);
    else if (!this.#statuses.take(sender)) turn.refuse("too-many");
    else this.#retransmission.answer(turn, sender, message.status, this.#position());
    return isSigned;
  }

  /** A part of a state. */
  takeState(turn: Turn, message: Extract<Message, { kind: "manifest" | "chunk" }>): void {
    const snapshot: Snapshot | undefined =
      message.kind === "manifest"
        ? this.#transfer.takeManifest(turn, message.sequence, message.manifest)
        : this.#transfer.takeChunk(turn, message);
    if (snapshot !== undefined) this.#parts.executor.arrived(snapshot);
  }

  /** The stable state is here. */
  hasState(): void {
    this.#transfer.abandon();
  }

  #tellStatus(turn: Turn): void {
    const { self } = this.#parts;
    const status = this.#retransmission.status(this.#position());
    const content = statusContent(status);
    const digest = self.hasher.sha256Hex(content);
    const vote = self.sign("status", status.view, status.executed, digest);
    turn.broadcast({ kind: "status", vote, content, status });
  }

  #ask(turn: Turn, to: number, fetch: Fetch): void {
    const { self, views } = this.#parts;
    const content = fetchContent(fetch);
    const digest = self.hasher.sha256Hex(content);
    const vote = self.sign("fetch", views.view, fetch.sequence, digest);
    turn.send(to, { kind: "fetch", vote, content, fetch });
  }

  #answerFetch(turn: Turn, to: number, fetch: Fetch): void {
    const { log, checkpoints, self } = this.#parts;
    const { sequence } = fetch;
    if (fetch.what === "batch") {
      const batch = log.get(sequence)?.batchOf(fetch.digest);
      if (batch !== undefined) turn.send(to, { kind: "batch", sequence, batch: batch.bytes });
      return;
    }
    const snapshot = checkpoints.snapshotAt(sequence);
    const { stable } = checkpoints;
    if (snapshot === undefined) {
      if (sequence < stable.sequence) turn.send(to, { kind: "stable", certificate: stable });
    } else if (fetch.what === "manifest")
      turn.send(to, { kind: "manifest", sequence, manifest: snapshot.manifest });
    else {
      const { index } = fetch;
      const chunk = chunkOf(snapshot.bytes, index, self.options);
      turn.send(to, { kind: "chunk", sequence, index, chunk });
    }
  }

  #position(): Position {
    const { views, executor } = this.#parts;
    const { view, isPending, newView } = views;
    return { view, isPending, newView, executed: executor.executed };
  }
}
