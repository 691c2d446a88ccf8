/** An update on its way out, ready for any wire. */
export interface OutboundUpdate {
  /** `agentId/stream/sequence`: the same at every attempt, so that a receiver can deduplicate. */
  readonly id: string;
  readonly agentId: string;
  /** Where topics or subjects say it, it goes below the uplink's prefix. */
  readonly stream: string;
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly contentType: string;
  /** Wall clock at observation, ms since 1970, and whether that clock could be trusted. */
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
  /** Marks a state-like update: which state of its stream it tells of. */
  readonly key?: string | undefined;
  /** Of another agent's update: peer ids of the agents that it came through, its own first. */
  readonly path?: readonly string[] | undefined;
}

/**
 * How one update fared. `refused` is the receiver's own verdict; a lost connection settles nothing. With
 * `retryAfterMs` the receiver says when it wants to be asked again.
 */
export type SendOutcome =
  | { readonly kind: "acknowledged" }
  | {
      readonly kind: "refused";
      readonly permanent: boolean;
      readonly reason: string;
      readonly retryAfterMs?: number;
    };

/** What the receiver allows on this connection. */
export interface ConnectionLimits {
  /** Updates that may be unacknowledged at once (MQTT 5 Receive Maximum). */
  readonly inFlightMax: number;
}

/**
 * What the receiver has of one stream: everything from 1 up to `through`, and these ranges above it (both ends
 * included, ascending, apart from each other).
 */
export interface StreamMarks {
  readonly through: number;
  readonly ranges: readonly (readonly [first: number, last: number])[];
  /**
   * When the highest of these was observed, ms since 1970, where the receiver says so. An update that was observed
   * later can not be one of them, whatever its number.
   */
  readonly lastObservedAtMs?: number;
}

/** What the receiver has, by stream; a stream that is missing is unknown to it. */
export type Marks = ReadonlyMap<string, StreamMarks>;

/** What a connection tells its owner. After `down`, no outcome of an earlier send arrives any more. */
export interface UplinkListener {
  up(limits: ConnectionLimits): void;
  /** @param retryAfterMs when the receiver said so, or when trying sooner is of no use */
  down(reason: string, retryAfterMs?: number): void;
  /** Connected, and held up by something that only the other side can change; `up` or `down` follows. */
  waiting?(reason: string): void;
  /** While up: what was sent is in good hands and will take its time; no reason to give the connection up. */
  progress?(): void;
  /** While down: what it went down for may be over, so trying is of use at once. */
  retry?(): void;
  /** A message for this agent came back over the uplink. */
  command(topic: string, payload: Uint8Array): void;
}

/**
 * One road out. It neither queues nor retries: the outbox is the queue and the dispatcher decides when to
 * connect again.
 */
export interface UplinkConnection {
  /** Bytes on the wire both ways, over all connections that were made so far; for metered links. */
  readonly wireBytes: number;
  /** Where it leads now, as a URL; absent where that is what the settings say. */
  readonly leadsTo?: string;
  /** False while it can not carry updates of other agents; absent where it always can. */
  readonly takesGuests?: boolean;
  /** Begins to connect; exactly one of `up` or `down` follows, and `down` again when an open one ends. */
  connect(listener: UplinkListener): void;
  /** Sends one update while up. `settle` is called at most once, never after `down`. */
  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void;
  /**
   * Asks the receiver what it has of these streams, so that only the rest is sent. `settle` is called at most
   * once, never after `down`: with undefined where the receiver does not keep marks or does not answer in time.
   * Absent where the road knows no such question.
   */
  askMarks?(streams: readonly string[], settle: (marks: Marks | undefined) => void): void;
  /**
   * Tells the receiver, while up, that of these streams nothing below the number will come any more. Nobody waits for
   * an answer: what is not heard is told again on a later connection. Absent where the road can not say it.
   */
  tellFirst?(firsts: ReadonlyMap<string, number>): void;
  /** Publishes the agent's retained state document (MQTT), or does nothing where there is no such thing. */
  publishState(state: Uint8Array): void;
  /** Ends the connection in an orderly way; `down` is not called for it. Idempotent. */
  disconnect(): Promise<void>;
}
