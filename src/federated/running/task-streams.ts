import type { Clock } from "../../platform/clock.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { DataError } from "../data/data-error.ts";
import { streamBytesMax } from "../streams/binding.ts";
import type { KnownTask } from "../tasks/known-task.ts";
import type { TensorExchange } from "../tensors/tensor-exchange.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";
import type { LearningGround } from "./learning-ground.ts";
import type { ReadingsSource } from "./readings-source.ts";
import type { OpeningRound, RoundsCommittee } from "./round-parts.ts";
import { RoundTensors } from "./round-tensors.ts";
import { encodeScaleUpdate, inspectScaleUpdate } from "./scale-round.ts";
import { type StreamNews, StreamPart } from "./stream-part.ts";

/** What a task's streams are opened with. */
export interface TaskStreamsParts {
  readonly ground: LearningGround;
  readonly exchange: TensorExchange;
  readonly shelf: TensorShelf;
  readonly committee: RoundsCommittee;
  /** To whom there is a link, and that learn too. */
  readonly neighbours: () => readonly PeerId[];
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  readonly readings: ReadingsSource;
  readonly parameterCount: number;
  /** Where findings go. */
  readonly streamNews: StreamNews;
  /** What the last run kept on flash. */
  readonly kept: readonly string[];
  /** Ends what is being fetched. */
  readonly signal: AbortSignal;
  /** Who put the newest model together, and so has it. */
  readonly aggregator: () => PeerId | undefined;
  readonly onReady: () => void;
  readonly onModels: () => void;
}

/**
 * Opens what a task records of this device's streams.
 * @throws DataError `data.setting` where it would take more memory than learning has; StoreError
 */
export async function openTaskStreams(
  { manifest: { task, spec } }: KnownTask,
  parts: TaskStreamsParts,
): Promise<StreamPart> {
  const { data: binding, serving } = spec;
  if (binding.kind !== "streams" || serving === undefined)
    throw new Error("the task is not on streams");
  const { ground, exchange, shelf, logger, committee, parameterCount, signal } = parts;
  const bytes = streamBytesMax(binding);
  const owner = `${task}/streams`;
  if (!shelf.reserve(owner, bytes))
    throw new DataError(
      "data.setting",
      `its history and windows may take ${bytes} bytes, and learning.memoryBytesMax leaves less: raise it here, or start the task with a shorter data.historyMs or data.samplesMax`,
    );
  const tensors = new RoundTensors({
    exchange,
    logger,
    members: () => committee.members(),
    neighbours: parts.neighbours,
    random: parts.random.fork("holders"),
    modelBytes: 4 * parameterCount,
    signal,
  });
  const { aggregator, streamNews } = parts;
  try {
    return await StreamPart.open({
      ...parts,
      task,
      spec,
      binding,
      serving,
      training: ground.training,
      model: (hash) => tensors.model(hash, aggregator()),
      news: streamNews,
    });
  } catch (error) {
    shelf.reserve(owner, 0);
    throw error;
  }
}

/** Gives back what {@link openTaskStreams} took of the shelf. */
export function releaseTaskStreams(shelf: TensorShelf, task: string): void {
  shelf.pin(servingOwner(task), []);
  shelf.reserve(`${task}/streams`, 0);
}

/** Whose pins models are that this device serves. */
export function servingOwner(task: string): string {
  return `${task}/serving`;
}

/** @returns how many channels the agents agree on a scale for; undefined where they do not */
export function scaledChannels({ manifest }: KnownTask): number | undefined {
  const { data } = manifest.spec;
  return data.kind === "streams" && data.normalize === "federated"
    ? data.channels.length
    : undefined;
}

/** @returns what round 1 is, where it agrees on a scale @param streams this agent's own, where it has any */
export function openingOf(
  known: KnownTask,
  { peerId }: Signer,
  streams: StreamPart | undefined,
): { readonly opening?: OpeningRound } {
  const channels = scaledChannels(known);
  if (channels === undefined) return {};
  return {
    opening: {
      update: () => {
        if (streams === undefined) throw new Error("there is no history here");
        const { source } = streams;
        const bytes = encodeScaleUpdate(peerId, source.moments());
        return { bytes, samples: source.train.count, loss: 0 };
      },
      inspect: (bytes) => inspectScaleUpdate(bytes, channels),
    },
  };
}
