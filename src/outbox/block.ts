import { updateKey } from "./keys.ts";

/** Updates of one lane that were written in one commit and lie under one key. */
export interface Block {
  readonly priority: number;
  /** Ordinal of its first update when it was written; the key is made of it. */
  readonly first: number;
  /** What key and value take on disk. */
  readonly bytes: number;
  /** Updates in it that have not left yet. */
  live: number;
}

/** What all updates of a block share. */
export interface BlockHeader {
  readonly boot: number;
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
  readonly monotonicMs: number;
  /** How often every second update of it was dropped to make room. */
  readonly thinned: number;
}

/**
 * One update in a block; its stream is a number that stands for a name kept elsewhere. A class, since V8 learns of an
 * object literal that its objects live long, and then makes them where only a full collection finds them again,
 * together with the payloads that they point to.
 */
export class BlockRecord {
  readonly ordinal: number;
  readonly streamId: number;
  readonly sequence: number;
  readonly contentType: string;
  /** 0: never. */
  readonly expiresAfterMs: number;
  readonly key: string | undefined;
  readonly payload: Uint8Array;

  constructor(
    place: { readonly ordinal: number; readonly streamId: number; readonly sequence: number },
    contentType: string,
    expiresAfterMs: number,
    key: string | undefined,
    payload: Uint8Array,
  ) {
    this.ordinal = place.ordinal;
    this.streamId = place.streamId;
    this.sequence = place.sequence;
    this.contentType = contentType;
    this.expiresAfterMs = expiresAfterMs;
    this.key = key;
    this.payload = payload;
  }
}

/** A block as read. */
export interface DecodedBlock extends BlockHeader {
  readonly records: readonly BlockRecord[];
}

/** @returns where the block lies in the store. */
export function keyOfBlock({ priority, first }: Pick<Block, "priority" | "first">): string {
  return updateKey(priority, first);
}
