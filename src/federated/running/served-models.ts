import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { TrainingRunner } from "../../platform/training-runner.ts";
import { weightsOfBytes } from "../combining/weights-codec.ts";
import type { AlertMessage, DetectorCounts, ScoreMessage } from "../serving/detector.ts";
import { ModelServing, type ServingModel } from "../serving/model-serving.ts";
import type { ServingOptions } from "../serving/serving-options.ts";
import { type ModelVersion, servingOf, type VersionBook } from "../serving/version-book.ts";
import type { VersionEffect } from "../serving/version-step.ts";
import type { ServingState, VersionCommand } from "../serving/view.ts";
import type { StreamBinding } from "../streams/binding.ts";
import type { StreamRecorder } from "../streams/stream-recorder.ts";
import type { StreamSource } from "../streams/stream-source.ts";
import { LearningError } from "../tasks/learning-error.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import { KeptVersions } from "./kept-versions.ts";
import { NewestOffer } from "./newest-offer.ts";
import type { StreamMemory } from "./stream-memory.ts";

/** What becomes of windows and models, for whoever publishes and shows it. */
export interface ServingNews {
  score(message: ScoreMessage): void;
  alert(message: AlertMessage): void;
  versions(book: VersionBook, effects: readonly VersionEffect[]): void;
}

/** What served models work with. */
export interface ServedModelsParts {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly spec: TaskSpec;
  readonly binding: StreamBinding;
  readonly serving: ServingOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  readonly training: TrainingRunner;
  readonly parameterCount: number;
  /** A model by its hash, from here or from others; undefined where nobody has it. */
  readonly model: (hash: string) => Promise<Uint8Array | undefined>;
  readonly news: ServingNews;
  /** Other models have to outlast a restart than before, or stay in memory. */
  readonly onModels: () => void;
  /** What the last run kept on flash. */
  readonly kept: readonly string[];
}

/** What the last run left. */
export interface FormerServing {
  readonly versions: VersionBook;
  /** When the alert began that was not over. */
  readonly raisedSinceMs: number | undefined;
}

/** A task's models on this device: which judges its windows, which is tried, and what of them is kept. */
export class ServedModels {
  readonly #parts: ServedModelsParts;
  readonly #memory: StreamMemory;
  readonly #recorder: StreamRecorder;
  readonly #source: StreamSource;
  readonly #offers: NewestOffer;
  readonly #models: KeptVersions;
  readonly #former: FormerServing;
  #serving: ModelServing | undefined;
  #newest: ScoreMessage | undefined;
  #isStopped = false;

  constructor(
    parts: ServedModelsParts,
    memory: StreamMemory,
    streams: {
      readonly recorder: StreamRecorder;
      readonly source: StreamSource;
      readonly former: FormerServing;
    },
  ) {
    this.#parts = parts;
    this.#memory = memory;
    this.#recorder = streams.recorder;
    this.#source = streams.source;
    this.#former = streams.former;
    this.#models = new KeptVersions(parts.kept);
    this.#offers = new NewestOffer({
      clock: parts.clock,
      offer: async ({ round, hash }) => this.#serving?.offer(round, hash),
      onFault: (error) =>
        parts.logger.debug("a model is not served yet", { reason: (error as Error).message }),
    });
  }

  /** Hashes of models that have to outlast a restart. */
  get durable(): readonly string[] {
    return this.#models.durable(this.versions);
  }

  /** Hashes of models that stay in memory. */
  get pinned(): readonly string[] {
    return this.#models.pinned(this.versions);
  }

  get versions(): VersionBook {
    return this.#serving?.versions ?? this.#former.versions;
  }

  /** Why the newest model is not taken, in words. */
  get fault(): string | undefined {
    return this.#offers.fault;
  }

  /** What is shown of it. */
  state(): Pick<ServingState, "round" | "threshold" | "newest" | "alert" | "detector"> {
    const serving = this.#serving;
    const version = serving?.isServing === true ? servingOf(serving.versions) : undefined;
    const sinceMs = this.#raisedSinceMs;
    return {
      ...(version !== undefined && { round: version.round }),
      ...(version?.threshold !== undefined && { threshold: version.threshold }),
      ...(this.#newest !== undefined && { newest: this.#newest }),
      alert: { raised: sinceMs !== undefined, ...(sinceMs !== undefined && { sinceMs }) },
      detector: serving?.counts() ?? NOTHING_JUDGED,
    };
  }

  /** Begins to judge, with what served before; once more when what is normalised by is another. */
  async begin(): Promise<void> {
    const { task, binding, serving, clock, news, logger } = this.#parts;
    const { normalization } = this.#source;
    const { versions } = this;
    const raisedSinceMs = this.#raisedSinceMs;
    await this.#serving?.close();
    if (this.#isStopped) return;
    const model = new ModelServing({
      task,
      binding,
      recorder: this.#recorder,
      detection: serving.detector,
      canary: serving.canary,
      ...(normalization !== undefined && { normalization }),
      labelAt: (atMs) => this.#source.labelAt(atMs),
      versions,
      ...(raisedSinceMs !== undefined && { raisedSinceMs }),
      load: (version) => this.#load(version),
      wallMs: () => clock.wallMs(),
      onScore: (message) => {
        this.#newest = message;
        news.score(message);
      },
      onAlert: (message) => {
        news.alert(message);
        const sinceMs = message.state === "raised" ? message.sinceMs : undefined;
        this.#quietly(this.#memory.keepAlert(sinceMs), "an alert was not kept");
      },
      onVersions: (book, effects) => this.#changed(book, effects),
      onLost: ({ round }, error) => logger.warn("a model is not to be had", { round, error }),
    });
    this.#serving = model;
    await model
      .start()
      .catch((error: unknown) => logger.warn("what served before can not be had yet", { error }));
    this.#parts.onModels();
  }

  /** A model came of a round: it is taken by {@link takeOffers}. */
  offer(round: number, hash: string): void {
    this.#offers.put({ round, hash });
  }

  /** Tries what was offered, if it is time. */
  takeOffers(): void {
    if (this.#serving !== undefined && !this.#isStopped) this.#offers.go();
  }

  /** A step of the history is complete. */
  point(atMs: number): void {
    if (this.#serving !== undefined)
      this.#quietly(this.#serving.point(atMs), "a window was not judged");
  }

  /** @returns why it can not be done; undefined when it is */
  async command(command: VersionCommand): Promise<string | undefined> {
    try {
      return await this.#serving?.command(command);
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Whether there is anything that a command could be for. */
  get hasBegun(): boolean {
    return this.#serving !== undefined;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const { versions } = this;
    await this.#serving?.close();
    await this.#memory
      .keepVersions(versions)
      .catch((error: unknown) => this.#warn("versions of models were not kept", error));
  }

  get #raisedSinceMs(): number | undefined {
    return this.#serving === undefined ? this.#former.raisedSinceMs : this.#serving.raisedSinceMs;
  }

  #changed(book: VersionBook, effects: readonly VersionEffect[]): void {
    // A window of a trial is not worth a write.
    if (effects.length === 0) return;
    const { news, onModels } = this.#parts;
    this.#models.changed(effects);
    news.versions(book, effects);
    onModels();
    this.#quietly(this.#memory.keepVersions(book), "versions of models were not kept");
  }

  async #load({ round, hash }: Pick<ModelVersion, "round" | "hash">): Promise<ServingModel> {
    const { spec, training, random, model, parameterCount } = this.#parts;
    const bytes = await model(hash);
    const weights = bytes && weightsOfBytes(bytes, parameterCount);
    if (weights === undefined)
      throw new LearningError("learning.no-model", `the model of round ${round} can not be had`);
    const built = await training.build(spec.model, random.fork(`serving/${round}`));
    try {
      await built.write(weights);
    } catch (error) {
      await built.dispose();
      throw error;
    }
    return built;
  }

  #quietly(work: Promise<unknown>, fault: string): void {
    work.catch((error: unknown) => this.#warn(fault, error));
  }

  #warn(fault: string, error: unknown): void {
    this.#parts.logger.warn(fault, { task: this.#parts.task, error });
  }
}

const NOTHING_JUDGED: DetectorCounts = {
  judged: 0,
  anomalous: 0,
  skipped: 0,
  failed: 0,
  alerts: 0,
  suppressed: 0,
};
