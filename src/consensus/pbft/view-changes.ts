import type { Self } from "./self.ts";
import type { Turn } from "./turn.ts";
import {
  decodeNewView,
  decodeViewChange,
  genesisOf,
  isSoundChange,
  type NewView,
  type NewViewPlan,
  planNewView,
  type ViewChange,
} from "./view-change.ts";
import type { Vote } from "./vote.ts";

/** A view that is proven to have begun. */
export interface ProvenView {
  readonly view: number;
  readonly bytes: Uint8Array;
  readonly plan: NewViewPlan;
  /** The primary's pre-prepares, by sequence number. */
  readonly proposals: ReadonlyMap<number, Vote>;
}

/**
 * Who asks for which view: of each replica the highest (Castro and Liskov 1999, section 4.4). All in here is checked: a view
 * change that claims something without proof never gets in.
 */
export class ViewChanges {
  readonly #self: Self;
  readonly #newest: (ViewChange | undefined)[] = [];

  constructor(self: Self) {
    this.#self = self;
  }

  /** One's own, or one's own from before a restart. */
  addOwn(change: ViewChange): void {
    this.#newest[this.#self.index] = change;
  }

  own(): ViewChange | undefined {
    return this.#newest[this.#self.index];
  }

  /** @returns the view that it asks for; undefined when it is known already; false when it was refused */
  take(turn: Turn, bytes: Uint8Array, current: number): number | undefined | false {
    const { check, options, index } = this.#self;
    const change = decodeViewChange(bytes, check, options);
    if (change === undefined) {
      turn.refuse("malformed");
      return false;
    }
    const { signer, view } = change.vote;
    const known = this.#newest[signer];
    if (view < current || signer === index || (known?.vote.view ?? -1) >= view) return undefined;
    if (!isSoundChange(change, check, options)) {
      turn.refuse("bad-view-change");
      return false;
    }
    this.#newest[signer] = change;
    return view;
  }

  /** The highest view that f + 1 replicas ask for, or one above it: one of them at least is honest. */
  supported(): number {
    const views = this.#newest.map((change) => change?.vote.view ?? 0);
    return views.sort((left, right) => right - left)[this.#self.group.faultyMax] ?? 0;
  }

  /**
   * Whether a quorum has asked for this view or a later one. Who went on to a later view does not ask for this one any more:
   * without it, this one may never begin, and whoever waits for it has to be able to give up.
   */
  hasQuorumUpFrom(view: number): boolean {
    const changes = this.#newest.filter((change) => (change?.vote.view ?? -1) >= view);
    return changes.length >= this.#self.group.quorum;
  }

  /** @returns view changes of a quorum for this view, undefined while there are fewer */
  quorumFor(view: number): ViewChange[] | undefined {
    const changes = this.#newest.filter((change) => change?.vote.view === view);
    const { quorum } = this.#self.group;
    return changes.length < quorum ? undefined : changes.slice(0, quorum).filter(isDefined);
  }

  /** @returns the view that begins; undefined when it is below `lowest`; false when it was refused */
  takeNewView(turn: Turn, bytes: Uint8Array, lowest: number): ProvenView | undefined | false {
    const { check, options } = this.#self;
    const newView = decodeNewView(bytes, check, options);
    if (newView === undefined) {
      turn.refuse("malformed");
      return false;
    }
    if (newView.vote.view < lowest) return undefined;
    const proven = this.prove(newView);
    if (proven === undefined) {
      turn.refuse("bad-new-view");
      return false;
    }
    return proven;
  }

  /** @returns what a new view proves, if it does */
  prove(newView: NewView): ProvenView | undefined {
    const { group, check, nullBatch, index } = this.#self;
    const { vote, changes, proposals, bytes } = newView;
    const { view } = vote;
    const primary = group.primaryOf(view);
    if (vote.signer !== primary || !check.isGenuine(vote)) return undefined;
    const signers = new Set(changes.map((change) => change.vote.signer));
    if (signers.size !== changes.length || signers.size < group.quorum) return undefined;
    if (!changes.every((change) => change.vote.view === view && this.#isSound(change)))
      return undefined;
    const plan = planNewView(changes, nullBatch.digest, genesisOf(group));
    if (plan.digests.length !== proposals.length) return undefined;
    const votes = new Map<number, Vote>();
    for (const [at, digest] of plan.digests.entries()) {
      const signature = proposals[at];
      if (signature === undefined) return undefined;
      const sequence = plan.stable.sequence + 1 + at;
      const proposal = { kind: "pre-prepare" as const, view, sequence, digest, signer: primary };
      const signed = { ...proposal, signature };
      if (primary !== index && !check.isGenuine(signed)) return undefined;
      votes.set(sequence, signed);
    }
    return { view, bytes, plan, proposals: votes };
  }

  #isSound(change: ViewChange): boolean {
    const known = this.#newest[change.vote.signer]?.vote;
    const { view, digest } = change.vote;
    const { check, options } = this.#self;
    // The vote is for the digest of everything in it.
    if (known?.view === view && known.digest === digest) return check.isGenuine(change.vote);
    return isSoundChange(change, check, options);
  }
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}
