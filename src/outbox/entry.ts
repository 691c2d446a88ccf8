import type { Block } from "./block.ts";
import type { OutboxError, Update, UpdateDraft } from "./update.ts";

/** Called once with the numbered update when it is on disk, or with the error that kept it out. */
export type Settle = (error: OutboxError | undefined, update?: Update) => void;

/**
 * An update on its whole way through the outbox: one object from the moment it is handed in until it has left,
 * because at tens of thousands a second every further object shows.
 */
export class Entry implements Update {
  readonly agentId: string;
  readonly stream: string;
  readonly payload: Uint8Array;
  readonly contentType: string;
  readonly expiresAfterMs: number;
  readonly key: string | undefined;
  priority: number;
  sequence = 0;
  ordinal = 0;
  bootId = "";
  observedAtMs = 0;
  observedAtTrusted = false;
  monotonicMs = 0;
  /** Where it lies on disk, once it does. */
  block: Block | undefined = undefined;
  /** Whom to tell of the commit; undefined for one that was read back. */
  settle: Settle | undefined;

  /** The dead letter that it was; it is deleted in the commit that writes the update. */
  letterKey: string | undefined = undefined;

  constructor(agentId: string, draft: UpdateDraft, settle?: Settle) {
    this.agentId = agentId;
    this.stream = draft.stream;
    this.payload = draft.payload;
    this.contentType = draft.contentType;
    this.expiresAfterMs = draft.expiresAfterMs ?? 0;
    this.key = draft.key;
    this.priority = draft.priority;
    this.settle = settle;
  }
}

/** Updates of one lane that are being written together. */
export interface NumberedBlock {
  readonly block: Block;
  readonly entries: readonly Entry[];
}
