import type { ResourceSnapshot } from "../device/view.ts";
import type { UpdateDraft } from "../outbox/update.ts";

/** Name of the stream of the device's own resource snapshots. */
const DEVICE_STREAM = "device/resources";
/** Below ordinary readings: when something must be shed, the device's own health is less dear. */
const DEVICE_PRIORITY = 3;

/** @returns a look at the device as a reading: `{wallMs, powerMode, …sample}`, absent parts left out. */
export function deviceReading({ wallMs, powerMode, sample }: ResourceSnapshot): UpdateDraft {
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
