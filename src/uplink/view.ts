import type { UplinkOptions } from "./options.ts";

/** One uplink's state, for REST, page and metrics. */
export interface UplinkStatus {
  readonly name: string;
  readonly kind: UplinkOptions["kind"];
  /** Without credentials; `mesh:` and the agent it leads through for a neighbour. */
  readonly url: string;
  /** `idle`: not connected because nothing is to be sent over it now; `reason` says why. */
  readonly state: "connecting" | "up" | "waiting" | "idle" | "stopped";
  /** True for the one that carries updates now. */
  readonly active: boolean;
  /** Why it is not up, or does not carry updates, in words. */
  readonly reason?: string;
  /** When `waiting`: milliseconds until the next attempt. */
  readonly retryInMs?: number;
  readonly attempts: number;
  readonly inFlight: number;
  readonly inFlightMax: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Updates that were not sent, since the receiver said that it has them. */
  readonly skipped: number;
  /** Payload bytes. */
  readonly sentBytes: number;
  /** Bytes on the wire both ways. */
  readonly wireBytes: number;
  /** Times it took the updates over from another uplink. */
  readonly takeovers: number;
  /** Updates of neighbours that this agent relays for can travel over it. */
  readonly takesGuests: boolean;
  /** Wire bytes of this UTC day and their limit, where there is one. */
  readonly dayBytes?: number;
  readonly dayBytesMax?: number;
  /** Updates per second over the last ten seconds. */
  readonly acknowledgedPerSecond: number;
  /** Round trip of the latest acknowledgement. */
  readonly lastRoundTripMs?: number;
}

/** What REST and CLI may see and do of the uplinks. */
export interface UplinkView {
  status(): readonly UplinkStatus[];
  /** Sends what is queued now, whatever the power policy's batching says, and retries at once. */
  flush(): void;
  /** Nothing leaves until `resume`; kept across restarts. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  readonly paused: boolean;
}
