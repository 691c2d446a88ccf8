import type { Clock } from "../../platform/clock.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Evaluation } from "../../platform/training-backend.ts";
import type { RoundRecord } from "../rounds/round-record.ts";
import type { LearningRound } from "../view.ts";

/** Rounds that are shown. */
const ROUNDS_MAX = 1_024;

/** A round as it was heard of. */
export type HeardRound = Omit<LearningRound, "aggregator"> & { readonly aggregator: PeerId };

/** The rounds of a task that this agent has heard of, for people: the newest 1,024, oldest first. */
export class HeardRounds {
  readonly #clock: Pick<Clock, "monotonicMs" | "wallMs">;
  readonly #rounds: HeardRound[];
  #heardAtMs: number | undefined;

  /** @param earlier of which was heard before the task was joined anew */
  constructor(clock: Pick<Clock, "monotonicMs" | "wallMs">, earlier: readonly HeardRound[] = []) {
    this.#clock = clock;
    this.#rounds = [...earlier];
  }

  /** With larger numbers. */
  after(round: number, limit: number): readonly HeardRound[] {
    return this.#rounds.filter((each) => each.round > round).slice(0, limit);
  }

  get latest(): HeardRound | undefined {
    return this.#rounds.at(-1);
  }

  /** @param isNext it follows the one that was heard of last: how long it took is known */
  hear(record: RoundRecord, isNext: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    const since = isNext ? this.#heardAtMs : undefined;
    this.#heardAtMs = nowMs;
    const { round, aggregator, updates, samples, samplesTotal, modelHash } = record;
    this.#rounds.push({
      round,
      heardAtMs: this.#clock.wallMs(),
      ...(since !== undefined && { tookMs: Math.round(nowMs - since) }),
      aggregator,
      updates,
      samples,
      samplesTotal,
      modelHash,
    });
    if (this.#rounds.length > ROUNDS_MAX) this.#rounds.shift();
  }

  /** How good its model is on what was kept back here. */
  judged(
    round: number,
    which: "evaluation" | "ownEvaluation",
    { loss, accuracy }: Evaluation,
  ): void {
    const at = this.#rounds.findIndex((each) => each.round === round);
    const heard = this.#rounds[at];
    if (heard === undefined) return;
    this.#rounds[at] = {
      ...heard,
      [which]: { loss, ...(accuracy !== undefined && { accuracy }) },
    };
  }
}
