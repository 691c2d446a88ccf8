import type { Samples } from "../../platform/training-backend.ts";
import type { StreamBinding } from "../streams/binding.ts";
import type { Normalization } from "../streams/normalization.ts";
import type { StreamRecorder } from "../streams/stream-recorder.ts";
import { newestWindow, pointsForWindow, streamSamples } from "../streams/stream-samples.ts";
import {
  type AlertMessage,
  type DetectorCounts,
  type ScoreMessage,
  StreamDetector,
} from "./detector.ts";
import type { DetectorOptions } from "./detector-options.ts";
import {
  canaryOf,
  type ModelVersion,
  noVersions,
  servingOf,
  type VersionBook,
} from "./version-book.ts";
import {
  type CanaryRules,
  stepVersions,
  type VersionEffect,
  type VersionInput,
} from "./version-step.ts";
import { errorsOf, type Predictor, thresholdOf } from "./window-errors.ts";

/** What a {@link ModelServing} is made of. */
export interface ServingParts {
  readonly task: string;
  readonly binding: StreamBinding;
  readonly recorder: StreamRecorder;
  readonly detection: DetectorOptions;
  readonly canary: CanaryRules;
  readonly normalization?: Normalization;
  /** Labels by hand: what was a failure is not held out as normal. */
  readonly labelAt?: (atMs: number) => number | undefined;
  /** As it was kept by `onVersions`. */
  readonly versions?: VersionBook;
  /** When the alert began that was not over before a restart. */
  readonly raisedSinceMs?: number;
  /** Makes the model with these parameters ready to answer. @throws whatever, when they can not be had: it is tried again with the next one */
  readonly load: (version: Pick<ModelVersion, "round" | "hash">) => Promise<ServingModel>;
  /** A label for people. */
  readonly wallMs: () => number;
  readonly onScore: (message: ScoreMessage) => void;
  readonly onAlert: (message: AlertMessage) => void;
  /** To be written down; parameters of versions that are not in it need not be kept. */
  readonly onVersions: (book: VersionBook, effects: readonly VersionEffect[]) => void;
  /** A model that was to be tried can not be had: it is forgotten. */
  readonly onLost: (version: Pick<ModelVersion, "round" | "hash">, error: unknown) => void;
}

/** A model that is ready; disposed of when it is not needed any more. */
export interface ServingModel extends Predictor {
  dispose(): Promise<void>;
}

/** With classes this share of all but class 0 is anomalous; no hold-out tells it. */
const CLASS_THRESHOLD = 0.5;

interface Ready {
  readonly hash: string;
  readonly model: ServingModel;
  readonly threshold: number;
  readonly holdOutError: number;
}

/**
 * Serves the models of a task on this device: judges the newest windows with one, tries the next in its shadow, and says what came of it. At most
 * two models are ready at a time, three while one is measured. Calls that change versions are done one after the other.
 */
export class ModelServing {
  readonly #parts: ServingParts;
  readonly #detector: StreamDetector;
  readonly #ready = new Map<number, Ready>();
  #book: VersionBook;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ServingParts) {
    this.#parts = parts;
    this.#book = parts.versions ?? noVersions;
    const { task, binding, detection, normalization, raisedSinceMs } = parts;
    this.#detector = new StreamDetector({
      task,
      goal: binding.goal.kind,
      alerts: detection,
      stepMs: binding.windowStep * binding.everyMs,
      ...(normalization !== undefined && { normalization }),
      ...(raisedSinceMs !== undefined && { raisedSinceMs }),
    });
  }

  get versions(): VersionBook {
    return this.#book;
  }

  /** Whether there is an alert now. */
  get isRaised(): boolean {
    return this.#detector.isRaised;
  }

  /** When the alert at hand began; undefined without one. */
  get raisedSinceMs(): number | undefined {
    return this.#detector.raisedSinceMs;
  }

  /** Whether a model is ready to judge. */
  get isServing(): boolean {
    const serving = servingOf(this.#book);
    return serving !== undefined && this.#ready.has(serving.round);
  }

  counts(): DetectorCounts {
    return this.#detector.counts();
  }

  /** Makes ready what served before a restart. @throws whatever `load` does */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      const serving = servingOf(this.#book);
      if (serving !== undefined) await this.#makeReady(serving, this.#holdOut());
      this.#rearrange();
      await this.#tryCanary();
    });
  }

  /**
   * A model came of a round: it serves if it is the first, and is tried otherwise.
   * @throws whatever `load` does; DataError `data.setting` when the history is too short to judge it, or its answers are not finite
   */
  offer(round: number, hash: string): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#book.versions.some((each) => each.round === round)) return;
      try {
        await this.#step(await this.#measured(round, hash));
      } finally {
        await this.#disposeOfOthers();
      }
    });
  }

  /** By hand. @returns why it can not be done, undefined when it is @throws whatever `load` does */
  command(
    input: Extract<VersionInput, { kind: "promote" | "rollback" | "pin" | "unpin" }>,
  ): Promise<string | undefined> {
    return this.#inTurn(() => this.#step(input));
  }

  /** Judges the newest window, if one ends with the newest point and is due. Never rejects for what a model does. */
  async point(atMs: number): Promise<void> {
    const { recorder, binding, normalization, onScore, onAlert } = this.#parts;
    if (!this.#detector.isDue(atMs)) return;
    const series = recorder.series(pointsForWindow(binding));
    const window = newestWindow(series, binding, { ...(normalization && { normalization }) });
    const judged = window && (await this.#detector.judge(window));
    if (judged === undefined) return;
    onScore(judged.score);
    if (judged.alert !== undefined) onAlert(judged.alert);
    const { shadow, score } = judged;
    if (shadow === undefined) return;
    const { round, score: canaryError } = shadow;
    const input = { kind: "shadowed", round, canaryError, servingError: score.score } as const;
    await this.#inTurn(() => this.#step(input));
  }

  /** Ends it: models are disposed of, windows are judged no more. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      this.#detector.serve(undefined);
      this.#detector.shadow(undefined);
      for (const { model } of this.#ready.values()) await model.dispose();
      this.#ready.clear();
    });
  }

  async #measured(round: number, hash: string): Promise<VersionInput> {
    const holdOut = this.#holdOut();
    const { holdOutError } = await this.#makeReady({ round, hash }, holdOut);
    const serving = servingOf(this.#book);
    const ready = serving === undefined ? undefined : this.#ready.get(serving.round);
    const offer = { kind: "offered", round, hash, holdOutError } as const;
    if (ready === undefined) return offer;
    return { ...offer, servingHoldOutError: meanOf(await errorsOf(ready.model, holdOut)) };
  }

  /** Steps, and makes ready what is needed for it. Nothing is changed when a model that is to serve can not be had. */
  async #step(input: VersionInput): Promise<string | undefined> {
    const { canary, wallMs, onVersions, binding } = this.#parts;
    // Of a class nobody knows at once whether it is right: there is nothing to compare in the shadow.
    const rules = binding.goal.kind === "classify" ? { ...canary, shadowWindows: 0 } : canary;
    const { book, effects, refusal } = stepVersions(this.#book, input, rules, wallMs());
    for (const { kind, version } of effects)
      if (kind === "serve") await this.#makeReady(version, this.#holdOut());
    const isNew = book !== this.#book;
    this.#book = this.#withThresholds(book);
    this.#rearrange();
    if (isNew) onVersions(this.#book, effects);
    await this.#tryCanary();
    await this.#disposeOfOthers();
    return refusal;
  }

  /** Makes the model on trial ready; where it can not be had the next one is tried. */
  async #tryCanary(): Promise<void> {
    const canary = canaryOf(this.#book);
    if (canary === undefined || this.#ready.has(canary.round)) return;
    try {
      await this.#makeReady(canary, this.#holdOut());
      this.#rearrange();
    } catch (error) {
      this.#parts.onLost(canary, error);
      await this.#step({ kind: "lost", round: canary.round });
    }
  }

  #rearrange(): void {
    const served = (version: ModelVersion | undefined) => {
      const ready = version && this.#ready.get(version.round);
      return version && ready && { ...ready, round: version.round };
    };
    this.#detector.serve(served(servingOf(this.#book)));
    this.#detector.shadow(served(canaryOf(this.#book)));
  }

  async #makeReady(
    version: Pick<ModelVersion, "round" | "hash" | "threshold">,
    holdOut: Samples,
  ): Promise<Ready> {
    const known = this.#ready.get(version.round);
    if (known !== undefined) return known;
    const { binding, detection, load } = this.#parts;
    const model = await load(version);
    try {
      const errors = await errorsOf(model, holdOut);
      const threshold =
        version.threshold ??
        (binding.goal.kind === "classify" ? CLASS_THRESHOLD : thresholdOf(errors, detection));
      const ready = { hash: version.hash, model, threshold, holdOutError: meanOf(errors) };
      this.#ready.set(version.round, ready);
      return ready;
    } catch (error) {
      await model.dispose();
      throw error;
    }
  }

  #withThresholds(book: VersionBook): VersionBook {
    if (!book.versions.some((each) => this.#lacksThreshold(each))) return book;
    const versions = book.versions.map((each) => {
      const threshold = this.#ready.get(each.round)?.threshold;
      return this.#lacksThreshold(each) && threshold !== undefined ? { ...each, threshold } : each;
    });
    return { ...book, versions };
  }

  #lacksThreshold({ round, threshold }: ModelVersion): boolean {
    return threshold === undefined && this.#ready.has(round);
  }

  async #disposeOfOthers(): Promise<void> {
    const needed = [servingOf(this.#book)?.round, canaryOf(this.#book)?.round];
    for (const [round, { model }] of this.#ready) {
      if (needed.includes(round)) continue;
      this.#ready.delete(round);
      await model.dispose();
    }
  }

  #holdOut(): Samples {
    const { recorder, binding, normalization, labelAt } = this.#parts;
    return streamSamples(recorder.series(), binding, {
      ...(normalization !== undefined && { normalization }),
      ...(labelAt !== undefined && { labelAt }),
    }).holdOut;
  }

  /** One after the other, whether or not the one before could be done. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function meanOf(errors: Float32Array): number {
  let sum = 0;
  for (const error of errors) sum += error;
  return sum / Math.max(1, errors.length);
}
