import type { ReceivedUpdate, UpdateSink } from "../platform/update-sink.ts";

/** @returns a sink that calls `onUpdate` for one update after the other; undefined where there is none to call */
export function sinkCalling(
  onUpdate: ((update: ReceivedUpdate) => void | Promise<void>) | undefined,
): UpdateSink | undefined {
  if (onUpdate === undefined) return undefined;
  let delivered = 0;
  return {
    name: "onUpdate",
    batchUpdatesMax: 1,
    resume: (mark = 0) => Promise.resolve(mark),
    async deliver(updates) {
      for (const update of updates) await onUpdate(update);
      delivered += updates.length;
      return delivered;
    },
  };
}
