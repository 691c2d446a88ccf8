import type { Signer } from "../../platform/signer.ts";
import { Occasion } from "../../wire/agent_mesh/v1/record_pb.ts";
import type { KnownRecord, RecordVersion } from "../records/known-record.ts";
import { EPOCH_MAX, type SelfDescription, signRecord } from "../records/record-codec.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";

const SEQUENCE_MAX = 0xffff_ffff;

/** What this agent says of itself, under ever newer versions. */
export class SelfRecord {
  readonly #signer: Signer;
  readonly #verifier: RecordVerifier;
  #self: SelfDescription;
  #record: KnownRecord;

  /** @param epoch starts of the agent so far, or whatever is larger than in its earlier life @throws RangeError */
  constructor(signer: Signer, verifier: RecordVerifier, self: SelfDescription, epoch: number) {
    this.#signer = signer;
    this.#verifier = verifier;
    this.#self = self;
    this.#record = this.#sign(self, { epoch, sequence: 0 }, Occasion.UNSPECIFIED);
  }

  get record(): KnownRecord {
    return this.#record;
  }

  /** The next version of the same, or of what is told from now on. @throws RangeError */
  renew(
    occasion: Occasion,
    to: { readonly self?: SelfDescription; readonly leaving?: boolean } = {},
  ): void {
    const { epoch, sequence } = this.#record;
    const self = to.self ?? this.#self;
    const version =
      sequence < SEQUENCE_MAX
        ? { epoch, sequence: sequence + 1 }
        : { epoch: epoch + 1, sequence: 0 };
    this.#record = this.#sign(self, version, occasion, to.leaving);
    this.#self = self;
  }

  /** Tells something else from the next version on. @throws RangeError */
  amend(self: SelfDescription): void {
    // What can not be said is refused now, while somebody is there to hear of it.
    signRecord(this.#signer, self, this.#record, false);
    this.#self = self;
  }

  /** There is a record of this key that this start did not make: a lost disk, or a second agent with the same key. */
  raiseAbove({ epoch }: RecordVersion): void {
    const raised = Math.min(EPOCH_MAX, Math.max(epoch, this.#record.epoch) + 1);
    const version = { epoch: raised, sequence: 0 };
    this.#record = this.#sign(this.#self, version, Occasion.REFUTATION);
  }

  #sign(
    self: SelfDescription,
    version: RecordVersion,
    occasion: Occasion,
    leaving = false,
  ): KnownRecord {
    const signed = signRecord(this.#signer, self, version, leaving, occasion);
    const record = this.#verifier.verify(signed);
    if (typeof record === "string") throw new Error(`the agent's own record is a ${record}`);
    return record;
  }
}
