import type { Signer } from "../../platform/signer.ts";
import { compareBytes, type KnownRecord } from "./known-record.ts";
import { type RecordFault, readRecord } from "./record-codec.ts";

/** As many as a number holds exactly. */
const TAIL_BYTES = 6;

/** Turns bytes into records. Verifying costs a fifth of a millisecond on a fast machine, so what was verified is kept. */
export interface RecordVerifier {
  /** @returns the record when these very bytes were verified before and are still remembered; cheap */
  known(bytes: Uint8Array): KnownRecord | undefined;
  /** Verifies unless known. Never throws. */
  verify(bytes: Uint8Array): KnownRecord | RecordFault;
}

/**
 * Remembers up to `recordsMax` verified records, oldest out first. Agents in one process may share one: then each record
 * is decoded, verified and held once.
 */
export class CachingVerifier implements RecordVerifier {
  readonly #signer: Signer;
  readonly #recordsMax: number;
  readonly #records = new Map<number, KnownRecord>();

  constructor(signer: Signer, recordsMax: number) {
    this.#signer = signer;
    this.#recordsMax = recordsMax;
  }

  known(bytes: Uint8Array): KnownRecord | undefined {
    const record = this.#records.get(tailOf(bytes));
    return record !== undefined && compareBytes(record.bytes, bytes) === 0 ? record : undefined;
  }

  verify(bytes: Uint8Array): KnownRecord | RecordFault {
    const known = this.known(bytes);
    if (known !== undefined) return known;
    const record = readRecord(this.#signer, bytes);
    if (typeof record === "string") return record;
    this.#records.set(tailOf(bytes), record);
    if (this.#records.size > this.#recordsMax) {
      const [oldest] = this.#records.keys();
      if (oldest !== undefined) this.#records.delete(oldest);
    }
    return record;
  }
}

/** The end of the signature: as good as random, so it tells records apart; all bytes are compared after that. */
function tailOf(bytes: Uint8Array): number {
  let key = 0;
  for (let at = Math.max(0, bytes.length - TAIL_BYTES); at < bytes.length; at++)
    key = key * 256 + (bytes[at] ?? 0);
  return key;
}
