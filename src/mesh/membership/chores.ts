import type { PeerId } from "../../platform/signer.ts";
import type { BrokenLinks } from "./broken-links.ts";
import type { Gossip } from "./gossip.ts";
import type { MembershipPace } from "./options.ts";
import type { PartialView } from "./partial-view.ts";
import type { Roster } from "./roster.ts";
import type { SampleSync } from "./sample-sync.ts";
import type { Sought } from "./sought.ts";
import type { Sweeper } from "./sweeper.ts";
import type { TableSync } from "./table-sync.ts";
import type { Turn } from "./turn.ts";

interface Parts {
  readonly broken: BrokenLinks;
  readonly roster: Roster;
  readonly sweeper: Sweeper;
  readonly view: PartialView;
  readonly sync: TableSync;
  readonly samples: SampleSync;
  readonly sought: Sought;
  readonly gossip: Gossip;
  readonly pace: () => MembershipPace;
  /** A neighbour at random. */
  readonly draw: () => PeerId | undefined;
  /** Closes a link on purpose. */
  readonly part: (turn: Turn, peer: PeerId) => void;
}

/**
 * All that is due at some time beside probes. A calm fleet does next to nothing but probe, and probes change nothing here: so when
 * the next of it is due is looked for, in a dozen places, only after something else has happened.
 */
export class Chores {
  readonly #parts: Parts;
  /** Undefined when it has to be looked for again. */
  #nextAtMs: number | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get nextAtMs(): number {
    if (this.#nextAtMs !== undefined) return this.#nextAtMs;
    const { broken, roster, sweeper, view, sync, samples, sought, gossip } = this.#parts;
    this.#nextAtMs = Math.min(
      broken.nextAtMs,
      roster.nextAtMs,
      sync.nextAtMs,
      samples.nextAtMs,
      sought.nextAtMs,
      view.nextAtMs,
      sweeper.nextAtMs,
      gossip.nextAtMs,
    );
    return this.#nextAtMs;
  }

  /** Something has happened that may be followed up sooner than what was next. */
  changed(): void {
    this.#nextAtMs = undefined;
  }

  tick(turn: Turn): void {
    if (this.#nextAtMs !== undefined && this.#nextAtMs > turn.nowMs) return;
    this.changed();
    const { broken, roster, sweeper, view, sync, samples, sought, gossip, ...parts } = this.#parts;
    const pace = parts.pace();
    for (const peer of broken.takeDue(turn.nowMs)) roster.suspect(turn, peer);
    roster.tick(turn);
    sweeper.tick(turn);
    view.tick(turn);
    const surplus = view.surplus();
    if (surplus !== undefined) parts.part(turn, surplus);
    sync.tick(turn, pace, parts.draw);
    samples.tick(turn, pace, parts.draw);
    sought.tick(turn, parts.draw);
    gossip.tick(turn, pace);
  }
}
