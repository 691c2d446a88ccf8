import type { HealthCheck, Queue, Uplink } from "./model.ts";
import type { PageState } from "./page-state.ts";

export type Tone = "good" | "warn" | "bad" | "idle";

/** The one line that answers `is this device well?`, and what there is to say about it. */
export interface Verdict {
  readonly tone: Tone;
  readonly headline: string;
  readonly concerns: readonly string[];
}

/** Judges a device by its own health checks, and by what its figures show besides. */
export function verdictOf(
  state: Pick<PageState, "health" | "queue" | "uplinks" | "snapshot" | "device" | "faults">,
): Verdict {
  const { health, queue, uplinks, snapshot, device, faults } = state;
  if (health === undefined) return { tone: "idle", headline: "Looking…", concerns: [] };
  const failing = health.checks.filter(({ ok }) => !ok).map(describeCheck);
  if (!health.ready || failing.length > 0) {
    return { tone: "bad", headline: "Not ready", concerns: failing };
  }
  const concerns = [
    ...(queue === undefined ? [] : queueConcerns(queue)),
    ...(uplinks === undefined ? [] : uplinkConcerns(uplinks)),
  ];
  const throttling = snapshot?.sample.throttling;
  if (throttling?.available === true) {
    if (throttling.underVoltageNow === true) concerns.push("The supply voltage is too low.");
    if (throttling.throttledNow === true) concerns.push("The processor is throttled.");
  }
  const disk = snapshot?.sample.disk;
  if (disk?.available === true && disk.readOnly) {
    concerns.push(`The file system ${disk.path} is read-only.`);
  }
  if (device?.clock.trusted === false) {
    concerns.push("The device's clock is not set: times shown may be wrong, order is not.");
  }
  for (const [part, words] of faults) concerns.push(`No ${part}: ${words}`);
  if (concerns.length > 0) return { tone: "warn", headline: "Needs attention", concerns };
  return { tone: "good", headline: "Healthy", concerns: [] };
}

function describeCheck({ name, detail }: HealthCheck): string {
  return detail === undefined ? `${name} fails.` : `${name}: ${detail}`;
}

function queueConcerns(queue: Queue): string[] {
  const concerns: string[] = [];
  if (queue.storeFault !== undefined) concerns.push(`The store cannot write: ${queue.storeFault}`);
  if (queue.paused) concerns.push("The queue is paused: nothing leaves until it is resumed.");
  const share = queue.bytesMax > 0 ? queue.bytes / queue.bytesMax : 0;
  if (share >= 0.8) concerns.push(`The queue has used ${Math.round(share * 100)} % of its quota.`);
  return concerns;
}

function uplinkConcerns(uplinks: readonly Uplink[]): string[] {
  if (uplinks.length === 0 || uplinks.some(({ state }) => state === "up")) return [];
  // Nothing is to be sent now: the radio sleeps, or a link is kept in reserve.
  if (uplinks.every(({ state }) => state === "idle")) return [];
  const first = uplinks.find(({ state }) => state !== "idle");
  if (first === undefined || first.state === "connecting") return [];
  const why = first.reason === undefined ? "" : `: ${first.reason}`;
  return [`No uplink is up. ${first.name} is ${first.state}${why}`];
}
