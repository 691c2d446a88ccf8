import type { KeyValueStore, StoreEntry, StoreOperation } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import { type ByteReader, ByteWriter, decodeAll, MalformedError } from "../pbft/bytes.ts";
import { readPeers, readSigned, type SignedHandover, writePeers, writeSigned } from "./handover.ts";

/** Records that are read at a stretch, and their bytes. */
const PAGE_RECORDS = 1_024;
const PAGE_BYTES_MAX = 4 * 1_048_576;
const EPOCH_DIGITS = 16;
const DIGEST_DIGITS = 64;
const FORMAT = 1;
const STANDINGS = ["joining", "member", "left"] as const;

/** Where a member stands: with `joining`, epoch and members are those of its ticket. */
export interface Head {
  readonly standing: (typeof STANDINGS)[number];
  readonly epoch: number;
  /** Of the epoch, sorted. */
  readonly members: readonly PeerId[];
  /** Digest of the state that the epoch began with, and the one before; empty where that is not known. */
  readonly genesis: string;
  readonly genesisBefore: string;
}

/** How an epoch ended, as a member keeps it. */
export interface KeptHandover {
  /** Members of the epoch that ended. */
  readonly voters: readonly PeerId[];
  readonly signed: SignedHandover;
}

/** All that a member had on record when it stopped. */
export interface KeptRecords {
  readonly head: Head;
  /** Timestamps of requests up to this one may have been used. */
  readonly timestamp: number;
  /** By epoch. */
  readonly handovers: readonly KeptHandover[];
}

/** The records of one member of one group, in the agent's store. Says what is to be written; others write. */
export class MemberDisk {
  readonly #store: KeyValueStore;
  readonly #prefix: string;
  readonly #generation: number;

  /** @param group in hexadecimal digits */
  constructor(store: KeyValueStore, group: string) {
    this.#store = store;
    this.#prefix = `c/${group}/`;
    this.#generation = store.generation;
  }

  /** Nothing of the group is on record. @throws StoreError */
  async isEmpty(): Promise<boolean> {
    const records = await this.#store.range({ ...rangeOf(this.#prefix), limit: 1 });
    return records.length === 0;
  }

  /** @throws LostLogError when something was lost since it was written @throws StoreError */
  async load(): Promise<KeptRecords> {
    const { head, generation } = intact("head", await this.#get("h"), readHead);
    if (generation !== this.#generation)
      throw new LostLogError("the store was repaired since, and may have lost records");
    const timestamp = await this.#get("t");
    const handovers: KeptHandover[] = [];
    for await (const [key, value] of this.#all(`${this.#prefix}p/`))
      handovers.push(intact(key, value, readKept));
    return {
      head,
      timestamp: timestamp === undefined ? 0 : intact("t", timestamp, (reader) => reader.u53()),
      handovers,
    };
  }

  /** What the core kept in an epoch, under its own keys. @throws StoreError */
  async epochRecords(epoch: number): Promise<StoreEntry[]> {
    const prefix = this.#epochPrefix(epoch);
    const records: StoreEntry[] = [];
    for await (const [key, value] of this.#all(prefix))
      records.push([key.slice(prefix.length), value]);
    return records;
  }

  /** Takes the records of epochs before this one away. @throws StoreError */
  dropEpochsBefore(epoch: number): Promise<void> {
    return this.#drop(`${this.#prefix}e/`, this.#epochPrefix(epoch));
  }

  /** Takes everything away. The head goes last, so that whoever stops on the way finds it again. @throws StoreError */
  async clear(): Promise<void> {
    const { gte, lt } = rangeOf(this.#prefix);
    await this.#drop(gte, this.#headKey);
    await this.#drop(`${this.#headKey}\u0000`, lt);
    await this.write([{ type: "del", key: this.#headKey }]);
  }

  get #headKey(): string {
    return `${this.#prefix}h`;
  }

  async #drop(gte: string, lt: string): Promise<void> {
    for (;;) {
      const records = await this.#store.range({ gte, lt, limit: PAGE_RECORDS });
      if (records.length === 0) return;
      const operations = records.map(([key]) => ({ type: "del", key }) as const);
      await this.write(operations);
    }
  }

  /** Durable when resolved. @throws StoreError `store.corrupt` when the store lost something meanwhile */
  write(operations: readonly StoreOperation[]): Promise<void> {
    return this.#store.write(operations, { durable: true, ifGeneration: this.#generation });
  }

  headRecord(head: Head): StoreOperation {
    const { standing, epoch, members, genesis, genesisBefore } = head;
    const writer = new ByteWriter(4_096).u8(FORMAT).u53(this.#generation);
    writer.u8(STANDINGS.indexOf(standing)).u53(epoch).text(genesis).text(genesisBefore);
    return this.#put("h", writePeers(writer, members).finish());
  }

  timestampRecord(timestamp: number): StoreOperation {
    return this.#put("t", new ByteWriter(8).u53(timestamp).finish());
  }

  handoverRecord({ voters, signed }: KeptHandover): StoreOperation {
    const writer = writeSigned(writePeers(new ByteWriter(8_192), voters), signed);
    return this.#put(handoverKey(signed.handover.epoch), writer.finish());
  }

  noHandoverRecord(epoch: number): StoreOperation {
    return { type: "del", key: `${this.#prefix}${handoverKey(epoch)}` };
  }

  /** What the core wants to be kept. */
  epochOperations(epoch: number, operations: readonly StoreOperation[]): StoreOperation[] {
    const prefix = this.#epochPrefix(epoch);
    return operations.map((operation) => ({ ...operation, key: `${prefix}${operation.key}` }));
  }

  async *#all(prefix: string): AsyncGenerator<StoreEntry> {
    const { gte, lt } = rangeOf(prefix);
    let from = gte;
    for (;;) {
      const page = await this.#store.range({
        gte: from,
        lt,
        limit: PAGE_RECORDS,
        bytesMax: PAGE_BYTES_MAX,
      });
      yield* page;
      const last = page.at(-1);
      if (last === undefined) return;
      from = `${last[0]}\u0000`;
    }
  }

  #get(key: string): Promise<Uint8Array | undefined> {
    return this.#store.get(`${this.#prefix}${key}`);
  }

  #put(key: string, value: Uint8Array): StoreOperation {
    return { type: "put", key: `${this.#prefix}${key}`, value };
  }

  #epochPrefix(epoch: number): string {
    return `${this.#prefix}e/${padded(epoch)}/`;
  }
}

function readHead(reader: ByteReader): { readonly head: Head; readonly generation: number } {
  if (reader.u8() !== FORMAT) throw new MalformedError("of another format");
  const generation = reader.u53();
  const standing = STANDINGS[reader.u8()];
  if (standing === undefined) throw new MalformedError("no such standing");
  const epoch = reader.u53();
  const [genesis, genesisBefore] = [reader.text(DIGEST_DIGITS), reader.text(DIGEST_DIGITS)];
  const members = readPeers(reader);
  return { generation, head: { standing, epoch, genesis, genesisBefore, members } };
}

function readKept(reader: ByteReader): KeptHandover {
  return { voters: readPeers(reader), signed: readSigned(reader) };
}

function intact<T>(key: string, bytes: Uint8Array | undefined, read: (reader: ByteReader) => T): T {
  const value = bytes && decodeAll(bytes, read);
  if (value === undefined) throw new LostLogError(`the record ${key} is damaged or missing`);
  return value;
}

function handoverKey(epoch: number): string {
  return `p/${padded(epoch)}`;
}

function padded(epoch: number): string {
  return String(epoch).padStart(EPOCH_DIGITS, "0");
}

function rangeOf(prefix: string): { readonly gte: string; readonly lt: string } {
  return { gte: prefix, lt: `${prefix}~` };
}
