/** One uplink's state, for REST, page and metrics. */
export interface UplinkStatus {
  readonly name: string;
  readonly kind: "mqtt";
  /** Without credentials. */
  readonly url: string;
  readonly state: "connecting" | "up" | "waiting" | "stopped";
  /** True for the one that carries updates now. */
  readonly active: boolean;
  /** Why it is down, in words. */
  readonly reason?: string;
  /** When `waiting`: milliseconds until the next attempt. */
  readonly retryInMs?: number;
  readonly attempts: number;
  readonly inFlight: number;
  readonly inFlightMax: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly sentBytes: number;
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
