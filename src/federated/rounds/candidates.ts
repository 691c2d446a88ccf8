import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { RoundPace } from "./options.ts";
import { rank } from "./rank.ts";

/** Candidates that are told from the beginning: the one whose turn it is, and the one that would take over. */
const TOLD_FIRST = 2;

/** Who may put a round together, in the order in which they come into it. */
export class Candidates {
  readonly #hasher: Hasher;
  readonly #task: string;
  #peers: readonly PeerId[] = [];
  #ranked: { readonly round: number; readonly order: readonly PeerId[] } | undefined;

  constructor(hasher: Hasher, task: string) {
    this.#hasher = hasher;
    this.#task = task;
  }

  /** @param peers everybody with the role, in any order */
  set(peers: readonly PeerId[]): void {
    if (isSameOrder(peers, this.#peers)) return;
    this.#peers = [...peers];
    this.#ranked = undefined;
  }

  /** Best first. */
  of(round: number): readonly PeerId[] {
    if (this.#ranked?.round !== round)
      this.#ranked = {
        round,
        order: rank(this.#hasher, { task: this.#task, round }, this.#peers),
      };
    return this.#ranked.order;
  }

  /** Those who are to be told: one more with each takeover, before its turn comes. */
  told(round: number, stage: number): readonly PeerId[] {
    return this.of(round).slice(0, Math.max(TOLD_FIRST, stage + 1));
  }
}

/** @returns after how long the candidate of that rank takes a round: the first at once, the others one by one after the deadline */
export function turnAfterMs(rankOfOne: number, { deadlineMs, takeoverMs }: RoundPace): number {
  return rankOfOne === 0 ? 0 : deadlineMs + rankOfOne * takeoverMs;
}

/** @returns how many turns are over, from the deadline on: 0 before it, 1 with it, one more with each takeover */
export function stageAfter(elapsedMs: number, { deadlineMs, takeoverMs }: RoundPace): number {
  return elapsedMs < deadlineMs ? 0 : 1 + Math.floor((elapsedMs - deadlineMs) / takeoverMs);
}

/** @returns when the next stage begins */
export function nextStageMs(elapsedMs: number, pace: RoundPace): number {
  return pace.deadlineMs + stageAfter(elapsedMs, pace) * pace.takeoverMs;
}

function isSameOrder(one: readonly PeerId[], other: readonly PeerId[]): boolean {
  return one.length === other.length && one.every((peer, at) => peer === other[at]);
}
