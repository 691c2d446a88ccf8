import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { Signer } from "../../platform/signer.ts";
import type { CommitteeRecord } from "../../wire/agent_mesh/v1/committee_pb.ts";
import {
  type ChangeFollower,
  decodeRecord,
  encodeRecord,
  type KnownCommittee,
  type RecordFault,
  readRecord,
  supersedes,
} from "./record.ts";

const KEY = "k/record";

/** The committee of the fleet, as far as this node knows it, in memory and on disk. */
export class KnownCommittees {
  readonly #signer: Signer;
  readonly #store: KeyValueStore;
  readonly #follower: ChangeFollower;
  #newest: KnownCommittee | undefined;

  constructor(signer: Signer, store: KeyValueStore, follower: ChangeFollower) {
    this.#signer = signer;
    this.#store = store;
    this.#follower = follower;
  }

  get newest(): KnownCommittee | undefined {
    return this.#newest;
  }

  /** What was known before this process started. @throws StoreError */
  async load(): Promise<void> {
    const bytes = await this.#store.get(KEY);
    const record = bytes && decodeRecord(bytes);
    const read = record && readRecord(this.#signer, this.#follower, record);
    // What can not be believed is as good as nothing: others know it too.
    if (typeof read === "object") this.#newest = read;
  }

  /** @returns the committee of a record; a fault where it is not to be believed; undefined where it is nothing new */
  judge(record: CommitteeRecord): KnownCommittee | RecordFault | undefined {
    const read = readRecord(this.#signer, this.#follower, record, this.#newest);
    if (typeof read === "string") return read;
    return supersedes(read, this.#newest) ? read : undefined;
  }

  /** Goes by it from now on. Durable when resolved. @param further what is to be on disk with it @throws StoreError */
  async keep(known: KnownCommittee, further: readonly StoreOperation[] = []): Promise<void> {
    const operation = { type: "put", key: KEY, value: encodeRecord(this.#signer, known) } as const;
    await this.#store.write([operation, ...further], { durable: true });
    this.#newest = known;
  }
}
