import type { KeyValueStore } from "../../platform/key-value-store.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import { topicMatcher } from "../../readings/topic-filter.ts";
import type { VersionBook } from "../serving/version-book.ts";
import type { ServingState, VersionCommand } from "../serving/view.ts";
import type { StreamBinding } from "../streams/binding.ts";
import type { BookedLabel, Label, LabelBook } from "../streams/label-book.ts";
import type { Normalization } from "../streams/normalization.ts";
import {
  type AcceptedReading,
  type StreamFault,
  StreamRecorder,
} from "../streams/stream-recorder.ts";
import { StreamSource } from "../streams/stream-source.ts";
import { LearningError } from "../tasks/learning-error.ts";
import type { ReadingsSource } from "./readings-source.ts";
import {
  type FormerServing,
  ServedModels,
  type ServedModelsParts,
  type ServingNews,
} from "./served-models.ts";
import { StreamMemory } from "./stream-memory.ts";

/** Readings that come while the history is read back; the oldest give way. */
const WAITING_MAX = 4_096;
/** A step without a reading behind it is over when its time is, and this: what is being written to disk still counts. */
const GRACE_MS = 2_000;
const TICK_MS_MIN = 1_000;
const TICK_MS_MAX = 60_000;

/** What becomes of a task's streams, for whoever publishes and shows it. */
export interface StreamNews extends ServingNews {
  fault(fault: StreamFault): void;
}

/** What a task's streams work with. */
export interface StreamPartParts extends ServedModelsParts {
  readonly store: KeyValueStore;
  readonly readings: ReadingsSource;
  readonly news: StreamNews;
  /** There is enough to learn from now. */
  readonly onReady: () => void;
}

/** What the last run left of a task's streams. */
interface Left extends FormerServing {
  readonly labels: LabelBook;
}

/**
 * A task's part on this device's own streams: records what sensors say, gives samples of it, and judges the newest window with the models
 * that come of the rounds.
 */
export class StreamPart {
  readonly source: StreamSource;
  readonly #parts: StreamPartParts;
  readonly #memory: StreamMemory;
  readonly #recorder: StreamRecorder;
  readonly #labels: LabelBook;
  readonly #models: ServedModels;
  readonly #ticking: WakeUp;
  #lacking: string | undefined;
  /** Readings wait while the history is read back. */
  #waiting: AcceptedReading[] | undefined = [];
  #end: () => void = () => undefined;
  #isStopped = false;

  private constructor(parts: StreamPartParts, memory: StreamMemory, { labels, ...former }: Left) {
    const { binding, clock } = parts;
    this.#parts = parts;
    this.#memory = memory;
    this.#labels = labels;
    const recorder = new StreamRecorder({
      binding,
      topicMatcher,
      place: memory.history,
      onPoint: (atMs) => this.#point(atMs),
      onFault: (fault) => parts.news.fault(fault),
    });
    this.#recorder = recorder;
    this.source = new StreamSource({ binding, recorder, labels });
    this.#models = new ServedModels(parts, memory, { recorder, source: this.source, former });
    this.#ticking = new WakeUp(clock, "learning.streams", () => this.#tick());
  }

  /** Reads back what the last run recorded, and what still waits for its uplink. @throws StoreError */
  static async open(parts: StreamPartParts): Promise<StreamPart> {
    const memory = new StreamMemory(parts, parts.task);
    const [labels, versions, raisedSinceMs] = await Promise.all([
      memory.labels(),
      memory.versions(),
      memory.alert(),
    ]);
    const part = new StreamPart(parts, memory, { labels, versions, raisedSinceMs });
    await part.#begin();
    return part;
  }

  get binding(): StreamBinding {
    return this.#parts.binding;
  }

  /** In words what is missing before anything can be learned here. */
  get lacking(): string | undefined {
    return this.#lacking;
  }

  /** Whether what agents normalise by is known, where it has to be. */
  get isScaled(): boolean {
    return this.binding.normalize !== "federated" || this.source.normalization !== undefined;
  }

  /** Hashes of models that have to outlast a restart. */
  get durable(): readonly string[] {
    return this.#models.durable;
  }

  /** Hashes of models that stay in memory. */
  get pinned(): readonly string[] {
    return this.#models.pinned;
  }

  get versions(): VersionBook {
    return this.#models.versions;
  }

  /** The agents agreed on what to normalise by, perhaps anew. */
  async normalizeBy(scale: Normalization): Promise<void> {
    this.source.normalizeBy(scale);
    await this.#memory
      .keepScale(scale)
      .catch((error: unknown) =>
        this.#parts.logger.warn("what is normalised by was not kept", { error }),
      );
    await this.#models.begin();
    this.#look();
    this.#takeOffers();
  }

  /** A model came of a round. */
  offer(round: number, hash: string): void {
    this.#models.offer(round, hash);
    this.#takeOffers();
  }

  /** @param name of the task, for people */
  state(name: string): ServingState {
    const { task, binding } = this.#parts;
    const scale = this.source.normalization;
    const state = this.#models.state();
    return {
      task,
      name,
      ...state,
      ...(state.round === undefined && { because: this.#idleBecause() }),
      recorder: this.#recorder.counts(),
      ...(scale !== undefined && {
        scale: binding.channels.map(({ name: channel }, at) => ({
          channel,
          mean: scale.mean[at] ?? 0,
          deviation: scale.deviation[at] ?? 1,
        })),
      }),
    };
  }

  /** @throws LearningError `learning.version` saying why it can not be done */
  async command(command: VersionCommand): Promise<VersionBook> {
    const refusal = this.#models.hasBegun
      ? await this.#models.command(command)
      : `nothing is served yet: ${this.#idleBecause()}`;
    if (refusal !== undefined) throw new LearningError("learning.version", refusal);
    return this.versions;
  }

  get labels(): readonly BookedLabel[] {
    return this.#labels.labels;
  }

  /** @throws DataError naming what is wrong with it; StoreError */
  async addLabel(label: Label): Promise<BookedLabel> {
    const booked = this.#labels.add(label);
    await this.#relabelled();
    return booked;
  }

  /** @returns false when there is none of that id @throws StoreError */
  async removeLabel(id: number): Promise<boolean> {
    if (!this.#labels.remove(id)) return false;
    await this.#relabelled();
    return true;
  }

  /** Ends it; what is not on disk yet is written. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#end();
    this.#ticking.cancel();
    await this.#models.stop();
    await this.#recorder.close();
  }

  /** After {@link stop}: nothing of it is wanted any more. @throws StoreError */
  async erase(): Promise<void> {
    await this.#recorder.erase();
    await this.#memory.erase();
  }

  async #begin(): Promise<void> {
    const { readings, binding } = this.#parts;
    this.#end = readings.onReading((reading) => this.#hear(reading));
    try {
      await this.#recorder.load();
      for await (const reading of readings.backlog()) this.#recorder.hear(reading);
      const scale =
        binding.normalize === "federated"
          ? await this.#memory.scale(binding.channels.length)
          : undefined;
      if (scale !== undefined) this.source.normalizeBy(scale);
    } catch (error) {
      this.#end();
      throw error;
    }
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const reading of waiting) this.#recorder.hear(reading);
    this.source.changed();
    this.#lacking = this.source.lacking();
    if (this.isScaled) await this.#models.begin();
    this.#tick();
  }

  #hear(reading: AcceptedReading): void {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#recorder.hear(reading);
      return;
    }
    waiting.push(reading);
    if (waiting.length > WAITING_MAX) waiting.shift();
  }

  #tick(): void {
    if (this.#isStopped) return;
    const { clock, binding } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#recorder.tick({
      observedAtMs: clock.wallMs() - GRACE_MS,
      observedAtTrusted: clock.wallTrusted(),
      monotonicMs: nowMs - GRACE_MS,
      bootId: clock.bootId,
    });
    this.#takeOffers();
    this.#ticking.at(nowMs + Math.min(TICK_MS_MAX, Math.max(TICK_MS_MIN, binding.everyMs)));
  }

  /** A step of the history is complete. */
  #point(atMs: number): void {
    this.source.changed();
    if (this.#waiting !== undefined || this.#isStopped) return;
    this.#look();
    this.#takeOffers();
    this.#models.point(atMs);
  }

  /** Whether there is enough to learn from by now. */
  #look(): void {
    if (this.#lacking === undefined || this.#isStopped) return;
    this.#lacking = this.source.lacking();
    if (this.#lacking === undefined) this.#parts.onReady();
  }

  #takeOffers(): void {
    if (this.#lacking === undefined && !this.#isStopped) this.#models.takeOffers();
  }

  async #relabelled(): Promise<void> {
    this.source.changed();
    await this.#memory.keepLabels(this.#labels);
    this.#look();
  }

  #idleBecause(): string {
    if (this.#lacking !== undefined) return this.#lacking;
    if (!this.isScaled)
      return "the agents have not agreed on a scale yet (data.normalize: federated)";
    return this.#models.fault ?? "no model has come of a round yet";
  }
}
