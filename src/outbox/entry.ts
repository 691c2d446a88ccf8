import type { Block } from "./block.ts";
import type { OutboxError, Update, UpdateDraft } from "./update.ts";

/** Called once with the numbered update when it is on disk, or with the error that kept it out. */
export type Settle = (error: OutboxError | undefined, update?: Update) => void;

type Place = Pick<UpdateDraft, "stream" | "priority">;
type Content = Omit<UpdateDraft, keyof Place>;

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
  /** Its place among those leased, if it is; the lane knows. */
  leaseNumber = 0;
  /** Whom to tell of the commit; undefined for one that was read back. */
  settle: Settle | undefined;

  /** The dead letter that it was; it is deleted in the commit that writes the update. */
  letterKey: string | undefined = undefined;

  constructor(agentId: string, place: Place, content: Content, settle?: Settle) {
    this.agentId = agentId;
    this.stream = place.stream;
    this.payload = content.payload;
    this.contentType = content.contentType;
    this.expiresAfterMs = content.expiresAfterMs ?? 0;
    this.key = content.key;
    this.priority = place.priority;
    this.settle = settle;
  }

  get id(): string {
    return `${this.agentId}/${this.stream}/${this.sequence}`;
  }
}

/** Updates of one lane that are being written together. */
export interface NumberedBlock {
  readonly block: Block;
  readonly entries: readonly Entry[];
}
