/** What the rest of the agent hands to the outbox; the outbox adds id, sequence and times. */
export interface UpdateDraft {
  /** Names the ordered stream that this belongs to, for example `sensors/room/temp`. */
  readonly stream: string;
  readonly payload: Uint8Array;
  readonly contentType: string;
  /** 0 (first to be shed) to 9 (first to leave). */
  readonly priority: number;
  /** Worthless after this long; 0 or absent: never. */
  readonly expiresAfterMs?: number | undefined;
  /** Marks a state-like update, of which only the newest per key matters. */
  readonly key?: string | undefined;
}

/** An update as it stands in the outbox. */
export interface Update extends UpdateDraft {
  /** `agentId/stream/sequence`, the same at every attempt to deliver it. */
  readonly id: string;
  readonly agentId: string;
  /** Gapless per stream, persistent, from 1. */
  readonly sequence: number;
  /** Place in the outbox as a whole; orders arrival across streams. */
  readonly ordinal: number;
  readonly bootId: string;
  /** Wall clock when it was taken, ms since 1970. */
  readonly observedAtMs: number;
  /** Whether the wall clock could be trusted then. */
  readonly observedAtTrusted: boolean;
  readonly monotonicMs: number;
}

/** The outbox did not take or do something; `code` is stable. */
export class OutboxError extends Error {
  override readonly name = "OutboxError";
  readonly code:
    | "outbox.full"
    | "outbox.too-many-streams"
    | "outbox.store-failed"
    | "outbox.closed"
    | "outbox.update-too-large"
    | "outbox.busy";
  constructor(code: OutboxError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
