import type { Agreement } from "./agreement.ts";
import type { Certificate } from "./certificate.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { encodeView, type Kept } from "./durable.ts";
import { KEYS } from "./keys.ts";
import type { Log } from "./log.ts";
import type { Self } from "./self.ts";
import type { Turn } from "./turn.ts";
import {
  genesisOf,
  newViewContent,
  planNewView,
  viewChangeContent,
  withVote,
} from "./view-change.ts";
import type { ProvenView, ViewChanges } from "./view-changes.ts";

/** What the views are made of. */
export interface ViewsParts {
  readonly self: Self;
  readonly log: Log;
  readonly checkpoints: Checkpoints;
  readonly agreement: Agreement;
  readonly changes: ViewChanges;
  /** A view begins on top of this checkpoint: it is stable. */
  readonly stable: (turn: Turn, certificate: Certificate) => void;
  /** A view has begun, with proposals up to this sequence number. */
  readonly entered: (turn: Turn, proposedUpTo: number) => void;
}

/** Doublings of a timeout beyond this are all the same. */
const ATTEMPTS_MAX = 30;

/**
 * Which view this replica is in, and how it gets to the next: by its own timer, with f + 1 others, or because a new view
 * proves that a quorum has (Castro and Liskov 1999, sections 4.4 and 4.5.2). Who has left a view never says anything in it
 * again, not even after a restart.
 */
export class Views {
  readonly #parts: ViewsParts;
  #view = 0;
  #isPending = false;
  #newView: Uint8Array | undefined;
  /** View changes since something was executed: timeouts double with each. */
  #attempts = 0;
  #isTimed = false;

  constructor(parts: ViewsParts) {
    this.#parts = parts;
  }

  get view(): number {
    return this.#view;
  }

  /** It has left the view before this one, and waits for this one to begin. */
  get isPending(): boolean {
    return this.#isPending;
  }

  /** Proof that the view has begun; undefined in view 0. */
  get newView(): Uint8Array | undefined {
    return this.#newView;
  }

  /** This replica proposes. */
  get isPrimary(): boolean {
    return !this.#isPending && this.#parts.self.isPrimaryOf(this.#view);
  }

  /** A quorum has asked for the view that is waited for, or for later ones: its time runs. */
  get isTimed(): boolean {
    return this.#isTimed;
  }

  /** How long the primary has for one request, or for its view to begin. */
  get timeoutMs(): number {
    const { progressTimeoutMs, progressTimeoutMaxMs } = this.#parts.self.options;
    return Math.min(progressTimeoutMs * 2 ** this.#attempts, progressTimeoutMaxMs);
  }

  /** What was waited for came: timeouts are long enough. */
  progressed(): void {
    this.#attempts = 0;
  }

  /** The view goes on that this replica was in when it stopped. */
  resume(turn: Turn, { view, isPending, viewChange, newView }: Kept): void {
    const { changes, agreement } = this.#parts;
    this.#view = view;
    this.#isPending = isPending;
    if (viewChange !== undefined) changes.addOwn(viewChange);
    this.#newView = isPending ? undefined : newView?.bytes;
    if (isPending) return;
    const proven = newView && changes.prove(newView);
    if (newView !== undefined && proven === undefined)
      throw new Error("the record of the view proves nothing");
    agreement.resume(turn, view, proven?.proposals ?? new Map());
    this.#parts.entered(turn, this.#proposedUpTo(proven));
  }

  /** Leaves the current view, and asks for another. */
  leave(turn: Turn, view: number): void {
    const { self, checkpoints, log, changes, agreement } = this.#parts;
    this.#view = view;
    this.#isPending = true;
    this.#newView = undefined;
    this.#attempts = Math.min(ATTEMPTS_MAX, this.#attempts + 1);
    const { stable } = checkpoints;
    const prepared = log.prepared();
    const content = viewChangeContent(view, stable, prepared);
    const digest = self.hasher.sha256Hex(content);
    const vote = self.sign("view-change", view, stable.sequence, digest);
    const bytes = withVote(vote, content);
    changes.addOwn({ vote, stable, prepared, bytes });
    agreement.suspend();
    turn.put(KEYS.view, encodeView(view, true));
    turn.put(KEYS.viewChange, bytes);
    turn.broadcast({ kind: "view-change", bytes });
    turn.stop("progress");
    this.#stopTimer(turn);
    this.consider(turn);
  }

  /** Others have asked for a view: joins f + 1 of them, or begins the view when a quorum has asked for it. */
  consider(turn: Turn): void {
    const { changes, self } = this.#parts;
    const supported = changes.supported();
    if (supported > this.#view) {
      this.leave(turn, supported);
      return;
    }
    if (!this.#isPending || !changes.hasQuorumUpFrom(this.#view)) return;
    const isComplete = changes.quorumFor(this.#view) !== undefined;
    if (isComplete && self.isPrimaryOf(this.#view)) this.#begin(turn);
    else if (!this.#isTimed) {
      // Not before: alone, it would run ahead of the others.
      this.#isTimed = true;
      turn.start("new-view", this.timeoutMs);
    }
  }

  /** A view has begun that is proven, and not older than what this replica has asked for. */
  enter(turn: Turn, proven: ProvenView): void {
    const { view, plan, bytes, proposals } = proven;
    this.#view = view;
    this.#isPending = false;
    this.#newView = bytes;
    turn.put(KEYS.view, encodeView(view, false));
    turn.put(KEYS.newView, bytes);
    turn.stop("progress");
    this.#stopTimer(turn);
    this.#parts.stable(turn, plan.stable);
    this.#parts.agreement.enterView(turn, view, proposals);
    this.#parts.entered(turn, this.#proposedUpTo(proven));
  }

  #begin(turn: Turn): void {
    const { self, changes } = this.#parts;
    const view = this.#view;
    const quorum = changes.quorumFor(view);
    if (quorum === undefined) return;
    const plan = planNewView(quorum, self.nullBatch.digest, genesisOf(self.group));
    const proposals = new Map(
      plan.digests.map((digest, at) => {
        const sequence = plan.stable.sequence + 1 + at;
        return [sequence, self.sign("pre-prepare", view, sequence, digest)];
      }),
    );
    const signatures = [...proposals.values()].map(({ signature }) => signature);
    const content = newViewContent(view, quorum, signatures);
    const digest = self.hasher.sha256Hex(content);
    const vote = self.sign("new-view", view, plan.stable.sequence, digest);
    const bytes = withVote(vote, content);
    turn.broadcast({ kind: "new-view", bytes });
    this.enter(turn, { view, bytes, plan, proposals });
  }

  #proposedUpTo(proven: ProvenView | undefined): number {
    if (proven === undefined) return 0;
    return proven.plan.stable.sequence + proven.plan.digests.length;
  }

  #stopTimer(turn: Turn): void {
    if (this.#isTimed) turn.stop("new-view");
    this.#isTimed = false;
  }
}
