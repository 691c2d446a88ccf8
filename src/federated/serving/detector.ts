import { denormalized, type Normalization } from "../streams/normalization.ts";
import type { JudgedWindow } from "../streams/stream-samples.ts";
import { AlertGate, type AlertRules } from "./alert-gate.ts";
import { meanSquare, type Predictor, shareOfOthers } from "./window-errors.ts";

/** A model that judges, and by what. */
export interface ServedModel {
  readonly round: number;
  /** Hash of its parameters. */
  readonly hash: string;
  readonly model: Predictor;
  /** Windows with a score above it are anomalous. */
  readonly threshold: number;
}

/** What a detector is made of. */
export interface DetectorParts {
  readonly task: string;
  readonly goal: "reconstruct" | "forecast" | "classify";
  readonly alerts: AlertRules;
  /** From one window that is judged to the next at the least: `windowStep` times `everyMs`. */
  readonly stepMs: number;
  /** Forecasts are told in the sensors' own units with it. */
  readonly normalization?: Normalization;
  /** When the alert began that is not over, where there is one. */
  readonly raisedSinceMs?: number;
}

/** What is published of each window that was judged, as JSON. */
export interface ScoreMessage {
  readonly task: string;
  /** Newest moment of the window, ms since 1970. */
  readonly atMs: number;
  /** Mean square error, in deviations where values are normalised; with classes the share of all but class 0. */
  readonly score: number;
  readonly threshold: number;
  readonly isAnomalous: boolean;
  readonly round: number;
  readonly window: { readonly fromMs: number; readonly toMs: number };
  /** With a goal of a forecast: what is to come, step by step and channel by channel. */
  readonly forecast?: readonly number[];
  /** With a goal of classes: the likeliest. */
  readonly class?: number;
}

/** What is published when an alert begins or ends, as JSON. */
export interface AlertMessage {
  readonly task: string;
  readonly state: "raised" | "cleared";
  readonly atMs: number;
  /** When it began. */
  readonly sinceMs: number;
  readonly score: number;
  readonly threshold: number;
  readonly round: number;
  readonly window: { readonly fromMs: number; readonly toMs: number };
  /** Alerts before it that were kept back, since there were too many in an hour. */
  readonly suppressed: number;
}

/** What came of a window. */
export interface Judgement {
  readonly score: ScoreMessage;
  readonly alert?: AlertMessage;
  /** What a model on trial made of it, beside the one that serves. */
  readonly shadow?: { readonly round: number; readonly hash: string; readonly score: number };
}

/** What became of windows since start. */
export interface DetectorCounts {
  readonly judged: number;
  readonly anomalous: number;
  /** Windows that came while the one before was still being judged, or while there was no model. */
  readonly skipped: number;
  readonly failed: number;
  readonly alerts: number;
  readonly suppressed: number;
}

/**
 * Judges the newest window with the model that serves, and in its shadow with one on trial. At most one window is judged at a time:
 * a device that is behind skips, and counts it.
 */
export class StreamDetector {
  readonly #parts: DetectorParts;
  readonly #gate: AlertGate;
  readonly #counts = { judged: 0, anomalous: 0, skipped: 0, failed: 0, alerts: 0 };
  #serving: ServedModel | undefined;
  #shadow: ServedModel | undefined;
  #isBusy = false;
  #judgedAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: DetectorParts) {
    this.#parts = parts;
    this.#gate = new AlertGate(parts.alerts, parts.raisedSinceMs);
  }

  /** The model that serves from now on; undefined: none. An alert at hand stays until windows are calm with it. */
  serve(model: ServedModel | undefined): void {
    this.#serving = model;
  }

  /** The model on trial from now on; undefined: none. */
  shadow(model: ServedModel | undefined): void {
    this.#shadow = model;
  }

  /** Whether there is an alert now. */
  get isRaised(): boolean {
    return this.#gate.isRaised;
  }

  /** When the alert at hand began; undefined without one. */
  get raisedSinceMs(): number | undefined {
    return this.#gate.isRaised ? this.#gate.sinceMs : undefined;
  }

  counts(): DetectorCounts {
    return { ...this.#counts, suppressed: this.#gate.suppressed };
  }

  /** Whether a window that ends then is to be judged, so that others need not be cut. */
  isDue(toMs: number): boolean {
    return toMs >= this.#judgedAtMs + this.#parts.stepMs;
  }

  /**
   * @returns undefined when the window was not due, was skipped or could not be judged
   */
  async judge(window: JudgedWindow): Promise<Judgement | undefined> {
    if (!this.isDue(window.toMs)) return undefined;
    const serving = this.#serving;
    if (this.#isBusy || serving === undefined) {
      this.#counts.skipped++;
      return undefined;
    }
    this.#isBusy = true;
    const shadow = this.#shadow;
    try {
      const judged = await this.#ask(serving, window);
      const judgement = this.#conclude(serving, window, judged);
      if (shadow === undefined || shadow.hash === serving.hash) return judgement;
      const { score } = await this.#ask(shadow, window);
      return { ...judgement, shadow: { round: shadow.round, hash: shadow.hash, score } };
    } catch {
      // A model that was disposed of meanwhile, or memory that is short: the next window comes soon.
      this.#counts.failed++;
      return undefined;
    } finally {
      this.#isBusy = false;
    }
  }

  async #ask({ model }: ServedModel, window: JudgedWindow): Promise<Judged> {
    const { features, targets, newest } = window;
    const { goal, normalization } = this.#parts;
    const asked = newest === undefined ? features : joined(features, newest);
    const count = newest === undefined ? 1 : 2;
    const answers = await model.predict(asked, count);
    const answer = answers.subarray(0, answers.length / count);
    if (goal === "classify") {
      const most = answer.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      return { score: shareOfOthers(answer, 0), class: Math.max(0, answer.indexOf(most)) };
    }
    const score = meanSquare(answer, targets, 0);
    if (newest === undefined) return { score };
    const future = answers.subarray(answers.length / 2);
    const told = normalization === undefined ? future : denormalized(future, normalization);
    return { score, forecast: [...told] };
  }

  #conclude({ threshold, round }: ServedModel, window: JudgedWindow, judged: Judged): Judgement {
    const { task } = this.#parts;
    const { fromMs, toMs } = window;
    this.#judgedAtMs = toMs;
    const isAnomalous = judged.score > threshold;
    this.#counts.judged++;
    if (isAnomalous) this.#counts.anomalous++;
    const said = { task, atMs: toMs, threshold, round, window: { fromMs, toMs } };
    // JSON has no infinity: a model whose answer is not finite is as wrong as can be told.
    const finite = Math.min(judged.score, Number.MAX_VALUE);
    const score = { ...said, ...judged, score: finite, isAnomalous };
    const state = this.#gate.take(isAnomalous, toMs);
    if (state === undefined) return { score };
    if (state === "raised") this.#counts.alerts++;
    const { sinceMs, suppressed } = this.#gate;
    return { score, alert: { ...said, state, sinceMs, score: finite, suppressed } };
  }
}

interface Judged {
  readonly score: number;
  readonly forecast?: readonly number[];
  readonly class?: number;
}

function joined(one: Float32Array, other: Float32Array): Float32Array {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
