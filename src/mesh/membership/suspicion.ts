import type { PeerId } from "../../platform/signer.ts";
import { compareVersions, type RecordVersion } from "../records/known-record.ts";
import { Deadlines } from "./deadlines.ts";

/** How long suspicions last. */
export interface SuspicionSpan {
  readonly minMs: number;
  readonly maxMs: number;
  /** Confirmations, beyond the first accuser, that make it last `minMs`. */
  readonly confirmationsWanted: number;
}

/** A member that is suspected, and by whom. */
export interface Suspicion {
  readonly about: PeerId;
  readonly version: RecordVersion;
  readonly startMs: number;
  readonly accusers: readonly PeerId[];
  /** Neighbours whose own suspicion has run out. */
  readonly buriers: readonly PeerId[];
  readonly deadlineMs: number;
  /** How often it was given more time. */
  readonly extensions: number;
}

interface Open {
  readonly about: PeerId;
  readonly version: RecordVersion;
  readonly startMs: number;
  readonly span: SuspicionSpan;
  readonly accusers: PeerId[];
  readonly tellers: PeerId[];
  readonly buriers: PeerId[];
  deadlineMs: number;
  extensions: number;
}

/**
 * Duration of a suspicion that `confirmations` others share: it falls from `maxMs` to `minMs` with their logarithm, so
 * that the first confirmation counts most (Dadgar, Phillips, Currey 2018, "Lifeguard", section IV-B).
 */
export function suspicionMs(span: SuspicionSpan, confirmations: number): number {
  const { minMs, maxMs, confirmationsWanted } = span;
  if (confirmationsWanted < 1) return minMs;
  const share = Math.log(confirmations + 1) / Math.log(confirmationsWanted + 1);
  return Math.max(minMs, maxMs - (maxMs - minMs) * share);
}

/** The suspicions that are open. */
export class Suspicions {
  readonly #open = new Map<PeerId, Open>();
  readonly #deadlines = new Deadlines();

  get nextAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  get size(): number {
    return this.#open.size;
  }

  get(about: PeerId): Suspicion | undefined {
    return this.#open.get(about);
  }

  /** Opens one, unless there is one. @param by `teller`: the neighbour it came from, or the accuser itself */
  start(
    about: PeerId,
    version: RecordVersion,
    by: { readonly accuser: PeerId; readonly teller: PeerId },
    span: SuspicionSpan,
    nowMs: number,
  ): void {
    if (this.#open.has(about)) return;
    const { epoch, sequence } = version;
    const open: Open = {
      about,
      version: { epoch, sequence },
      startMs: nowMs,
      span,
      accusers: [by.accuser],
      tellers: [by.teller],
      buriers: [],
      deadlineMs: 0,
      extensions: 0,
    };
    this.#open.set(about, open);
    this.#arm(open);
  }

  /**
   * Counts a confirmation. Accusers are not signed, so each neighbour can vouch for one only: whoever controls one link
   * gives one confirmation, however many accusers it invents.
   * @returns whether it counted
   */
  confirm(
    about: PeerId,
    version: RecordVersion,
    by: { readonly accuser: PeerId; readonly teller: PeerId },
  ): boolean {
    const open = this.#open.get(about);
    if (open === undefined || compareVersions(open.version, version) !== 0) return false;
    if (open.accusers.length > open.span.confirmationsWanted) return false;
    if (open.accusers.includes(by.accuser) || open.tellers.includes(by.teller)) return false;
    open.accusers.push(by.accuser);
    open.tellers.push(by.teller);
    this.#arm(open);
    return true;
  }

  /** A neighbour has given up on it: one more confirmation, by its own word. */
  confirmDeath(about: PeerId, version: RecordVersion, teller: PeerId): void {
    const open = this.#open.get(about);
    if (open === undefined || compareVersions(open.version, version) !== 0) return;
    if (open.buriers.length >= open.span.confirmationsWanted || open.buriers.includes(teller))
      return;
    open.buriers.push(teller);
    this.#arm(open);
  }

  /** It has been refuted, or the member is gone. */
  end(about: PeerId): void {
    this.#open.delete(about);
  }

  /** Lets every open suspicion begin anew, since this agent itself was not there for a while. */
  restart(nowMs: number): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const { about, version, span, accusers, tellers } of all) {
      const by = { accuser: accusers[0] ?? about, teller: tellers[0] ?? about };
      this.start(about, version, by, span, nowMs);
    }
  }

  /**
   * Takes one out whose time has run out.
   * @param moreMs how much more time such a one gets; a confirmation ends that too
   */
  takeDue(nowMs: number, moreMs: (due: Suspicion) => number = () => 0): Suspicion | undefined {
    for (;;) {
      const about = this.#deadlines.takeDue(nowMs);
      if (about === undefined) return undefined;
      const open = this.#open.get(about);
      if (open === undefined || open.deadlineMs > nowMs) continue;
      const more = moreMs(open);
      if (more <= 0) {
        this.#open.delete(about);
        return open;
      }
      open.extensions++;
      open.deadlineMs = nowMs + more;
      this.#deadlines.add(open.deadlineMs, about);
    }
  }

  #arm(open: Open): void {
    const confirmations = open.accusers.length - 1 + open.buriers.length;
    open.deadlineMs = open.startMs + suspicionMs(open.span, confirmations);
    this.#deadlines.add(open.deadlineMs, open.about);
  }
}
