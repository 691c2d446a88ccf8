import type { DeviceIdentity, DeviceSample } from "../platform/device-probe.ts";

/** How much the agent saves, from nothing to all it can. */
export type PowerMode = "normal" | "saving" | "aggressive" | "critical";

/** What a power mode asks of the other rooms. */
export interface PowerSettings {
  /** Time between two looks at the body. */
  readonly samplingIntervalMs: number;
  /** Updates are held back until this much time has passed… */
  readonly uplinkBatchIntervalMs: number;
  /** …or this many are waiting. */
  readonly uplinkBatchUpdatesMax: number;
  /** Updates of at least this priority leave at once all the same. */
  readonly uplinkUrgentPriorityMin: number;
  /** Uplinks are disconnected while updates gather, so that the radio sleeps. */
  readonly uplinkDisconnectBetweenBatches: boolean;
}

/** The power mode in force. */
export interface PowerStatus {
  readonly mode: PowerMode;
  /** Why this mode, in words: `battery at 18 % and discharging`. */
  readonly reason: string;
  /** Wall time when the mode was entered, as the clock sees it now: ms since 1970. */
  readonly sinceMs: number;
  readonly settings: PowerSettings;
  readonly transitions: number;
}

/** The agent itself takes more than the budget of its profile or configuration allows. */
export interface BudgetExcess {
  readonly what: "memoryBytes" | "cpuPercent";
  readonly used: number;
  readonly max: number;
}

/** A sample with its place in time and what the profile makes of it. */
export interface ResourceSnapshot {
  readonly sequence: number;
  readonly wallMs: number;
  readonly monotonicMs: number;
  readonly powerMode: PowerMode;
  readonly sample: DeviceSample;
  /** What is over its budget; absent while all is within. */
  readonly overBudget?: readonly BudgetExcess[];
}

/** A point of the history that the page plots; absent values are null. */
export interface ResourcePoint {
  readonly wallMs: number;
  readonly cpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly celsius: number | null;
  readonly batteryPercent: number | null;
  readonly diskPercent: number | null;
  readonly residentBytes: number | null;
}

/** The body, for REST and page. */
export interface DeviceView {
  /** What the device says it is. */
  identity(): DeviceIdentity;
  /** Id, name and the reason why this firmware profile was chosen. */
  profile(): { readonly id: string; readonly name: string; readonly chosenBecause: string };
  /** Undefined only before the first sample. */
  latest(): ResourceSnapshot | undefined;
  /** Oldest first, at most `limit`, at or after `sinceMs`. */
  history(options: { sinceMs: number; limit: number }): readonly ResourcePoint[];
  /** The mode now and what it asks of the other rooms. */
  power(): PowerStatus;
  /** The policy's thresholds and the settings of every mode. */
  powerPolicy(): Readonly<Record<string, unknown>>;
}
