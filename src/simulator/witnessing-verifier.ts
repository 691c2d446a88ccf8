import type { KnownRecord } from "../mesh/records/known-record.ts";
import type { RecordFault } from "../mesh/records/record-codec.ts";
import type { RecordVerifier } from "../mesh/records/record-verifier.ts";

/**
 * The verifier of one process, in front of the one that all share: tells which records neighbours show to its membership,
 * which asks for every one whether it is known. Others who verify records do not ask, and what they see is not told.
 */
export class WitnessingVerifier implements RecordVerifier {
  readonly #shared: RecordVerifier;
  readonly #showed: (record: KnownRecord) => void;
  /** Asked for, and not known any more. */
  #unknown: Uint8Array | undefined;

  constructor(shared: RecordVerifier, showed: (record: KnownRecord) => void) {
    this.#shared = shared;
    this.#showed = showed;
  }

  known(bytes: Uint8Array): KnownRecord | undefined {
    const record = this.#shared.known(bytes);
    this.#unknown = record === undefined ? bytes : undefined;
    if (record !== undefined) this.#showed(record);
    return record;
  }

  verify(bytes: Uint8Array): KnownRecord | RecordFault {
    const record = this.#shared.verify(bytes);
    if (this.#unknown === bytes && typeof record !== "string") this.#showed(record);
    this.#unknown = undefined;
    return record;
  }
}
