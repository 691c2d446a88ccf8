/** An update on its way out, ready for any wire. */
export interface OutboundUpdate {
  /** `agentId/stream/sequence`: the same at every attempt, so that a receiver can deduplicate. */
  readonly id: string;
  readonly agentId: string;
  readonly stream: string;
  readonly sequence: number;
  /** Topic below the uplink's prefix. */
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly contentType: string;
  /** Wall clock at observation, ms since 1970, and whether that clock could be trusted. */
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
}

/** How one update fared. `refused` is the receiver's own verdict; a lost connection settles nothing. */
export type SendOutcome =
  | { readonly kind: "acknowledged" }
  | { readonly kind: "refused"; readonly permanent: boolean; readonly reason: string };

/** What the receiver allows on this connection. */
export interface ConnectionLimits {
  /** Updates that may be unacknowledged at once (MQTT 5 Receive Maximum). */
  readonly inFlightMax: number;
}

/** What a connection tells its owner. After `down`, no outcome of an earlier send arrives any more. */
export interface UplinkListener {
  up(limits: ConnectionLimits): void;
  down(reason: string): void;
  /** A message for this agent came back over the uplink. */
  command(topic: string, payload: Uint8Array): void;
}

/**
 * One road out. It neither queues nor retries: the outbox is the queue and the dispatcher decides when to
 * connect again.
 */
export interface UplinkConnection {
  /** Begins to connect; exactly one of `up` or `down` follows, and `down` again when an open one ends. */
  connect(listener: UplinkListener): void;
  /** Sends one update while up. `settle` is called at most once, never after `down`. */
  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void;
  /** Publishes the agent's retained state document (MQTT), or does nothing where there is no such thing. */
  publishState(state: Uint8Array): void;
  /** Ends the connection in an orderly way; `down` is not called for it. Idempotent. */
  disconnect(): Promise<void>;
}
