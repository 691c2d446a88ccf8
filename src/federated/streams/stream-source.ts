import type { Samples } from "../../platform/training-backend.ts";
import type { StreamBinding } from "./binding.ts";
import type { LabelBook } from "./label-book.ts";
import { type ChannelMoments, momentsOf, type Normalization } from "./normalization.ts";
import type { StreamRecorder } from "./stream-recorder.ts";
import { type StreamSamples, streamSamples } from "./stream-samples.ts";

/** With fewer windows to train on nothing is learned that would be of use to others. */
export const TRAIN_WINDOWS_MIN = 8;

/** What a {@link StreamSource} reads. */
export interface StreamSourceParts {
  readonly binding: StreamBinding;
  readonly recorder: StreamRecorder;
  readonly labels: LabelBook;
}

/**
 * What a device's streams give to learn from, as it is now: samples are cut anew when they are asked for and the history has gone on since.
 * It stands where a dataset does.
 */
export class StreamSource {
  readonly #parts: StreamSourceParts;
  #normalization: Normalization | undefined;
  #cut: StreamSamples | undefined;
  #trainCount = 0;

  constructor(parts: StreamSourceParts) {
    this.#parts = parts;
  }

  /** What the agents agreed on, where the binding wants it. */
  get normalization(): Normalization | undefined {
    return this.#normalization;
  }

  normalizeBy(normalization: Normalization | undefined): void {
    this.#normalization = normalization;
    this.changed();
  }

  /** The history, or what is said of it, is another than before. */
  changed(): void {
    this.#cut = undefined;
  }

  /** Windows to train on when they were cut last. */
  get trainCount(): number {
    return this.#trainCount;
  }

  /** Windows to train on. */
  get train(): Samples {
    return this.#samples().train;
  }

  /** The newest windows, which none of `train` touches. */
  get test(): Samples {
    return this.#samples().holdOut;
  }

  /** What is told of each channel's values; never a value itself. */
  moments(): readonly ChannelMoments[] {
    const { recorder, binding } = this.#parts;
    const all = momentsOf(recorder.series());
    return all.slice(0, binding.channels.length);
  }

  /** @returns in words what is missing before anything can be learned */
  lacking(): string | undefined {
    const { recorder, binding } = this.#parts;
    const { streams, points } = recorder.counts();
    const topics = binding.channels.map(({ topic }) => topic).join(", ");
    if (points === 0 && streams === 0)
      return `nothing has been published here on ${topics} (data.channels)`;
    const { count } = this.train;
    if (count >= TRAIN_WINDOWS_MIN) return undefined;
    return `${count} of ${TRAIN_WINDOWS_MIN} windows to train on; the history of ${topics} has ${points} steps, a window ${binding.windowLength}`;
  }

  /** Labels by hand, where there are any. */
  labelAt(atMs: number): number | undefined {
    return this.#parts.labels.classAt(atMs);
  }

  #samples(): StreamSamples {
    const { recorder, binding } = this.#parts;
    if (this.#cut !== undefined) return this.#cut;
    const normalization = this.#normalization ?? unscaled(binding);
    const cut = streamSamples(recorder.series(), binding, {
      normalization,
      labelAt: (atMs) => this.labelAt(atMs),
    });
    this.#cut = cut;
    this.#trainCount = cut.train.count;
    return cut;
  }
}

/** How many windows there are does not depend on what they are normalised by. */
function unscaled({ channels }: StreamBinding): Normalization {
  return {
    mean: new Float64Array(channels.length),
    deviation: new Float64Array(channels.length).fill(1),
  };
}
