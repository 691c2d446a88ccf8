import type { AcceptedReading } from "../streams/stream-recorder.ts";

/** What a device's sensors say, once it can not be lost any more. */
export interface ReadingsSource {
  /** Hears each reading from now on, when it is durable. Listeners are quick and never throw. @returns ends it */
  onReading(listener: (reading: AcceptedReading) => void): () => void;
  /**
   * Readings of earlier that are still here, oldest first within a stream: what waits for its uplink.
   * @throws StoreError
   */
  backlog(): AsyncIterable<AcceptedReading>;
}
