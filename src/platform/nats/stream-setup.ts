import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  StorageType,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/nats-core";

/** The stream that should keep the updates. */
export interface StreamWish {
  readonly streamName: string;
  readonly subjectPrefix: string;
  readonly createStream: boolean;
  readonly duplicateWindowMs: number;
}

/**
 * Looks for the stream, and creates it where that is wanted. A user who may only publish gets no answer here;
 * whether a stream is there then shows with the first publish.
 * @returns what is known of it: whether single messages can be read without going through its leader
 * @throws Error in words when there is none, or JetStream is off
 */
export async function findStream(
  manager: JetStreamManager,
  wish: StreamWish,
): Promise<{ direct: boolean }> {
  const { streamName, subjectPrefix, createStream, duplicateWindowMs } = wish;
  try {
    const { config } = await manager.streams.info(streamName);
    return { direct: config.allow_direct };
  } catch (error) {
    if (isNoResponders(error))
      throw new Error("JetStream is not enabled on the server: start it with -js or jetstream {}", {
        cause: error,
      });
    if (!(error instanceof JetStreamApiError)) return { direct: false };
    if (error.code === JetStreamApiCodes.JetStreamNotEnabledForAccount)
      throw new Error("JetStream is not enabled for this user's account", { cause: error });
    if (error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    if (!createStream) throw new Error(missingStream(wish), { cause: error });
  }
  await manager.streams.add({
    name: streamName,
    subjects: [`${subjectPrefix}.>`],
    storage: StorageType.File,
    duplicate_window: nanos(duplicateWindowMs),
    allow_direct: true,
  });
  return { direct: true };
}

/** @returns what to do about a stream that is not there or does not take our subjects. */
export function missingStream({ streamName, subjectPrefix }: StreamWish): string {
  return `no JetStream stream takes ${subjectPrefix}.>: create stream ${streamName} with that subject, or set createStream: true`;
}

function isNoResponders(error: unknown): boolean {
  return (
    error instanceof Error &&
    /503|no responders|not enabled/i.test(`${error.name} ${error.message}`)
  );
}
