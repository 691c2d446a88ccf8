import type { ResourceSnapshot } from "../device/view.ts";
import type { UpdateDraft } from "../outbox/update.ts";

/** Name of the stream of the device's own resource snapshots. */
const DEVICE_STREAM = "device/resources";
/** Below ordinary readings: when something must be shed, the device's own health is less dear. */
const DEVICE_PRIORITY = 3;
const SLACK_MS = 500;

/** @returns a look at the device as a reading: `{wallMs, powerMode, …sample}`, absent parts left out. */
function deviceReading({ wallMs, powerMode, sample }: ResourceSnapshot): UpdateDraft {
  const present = Object.fromEntries(
    Object.entries(sample).flatMap(([name, measured]) => {
      const { available, ...values } = measured as { available: boolean };
      return available ? [[name, values]] : [];
    }),
  );
  return {
    stream: DEVICE_STREAM,
    payload: Buffer.from(JSON.stringify({ wallMs, powerMode, ...present })),
    contentType: "application/json",
    priority: DEVICE_PRIORITY,
  };
}

/** Picks the looks at the device that become readings: the first, and later ones that are far enough apart. */
export class DeviceReadings {
  readonly #intervalMs: number;
  #dueAtMs = Number.NEGATIVE_INFINITY;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** @returns the look as a reading; undefined when the last one is not long ago */
  take(snapshot: ResourceSnapshot): UpdateDraft | undefined {
    if (snapshot.monotonicMs < this.#dueAtMs) return undefined;
    // Looks are not quite evenly spaced: half a second early is in time.
    this.#dueAtMs = snapshot.monotonicMs + this.#intervalMs - SLACK_MS;
    return deviceReading(snapshot);
  }
}
