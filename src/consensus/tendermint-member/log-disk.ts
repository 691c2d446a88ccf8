import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import type { Evidence } from "../tendermint/evidence.ts";
import { compact, type DecisionEntry, type WalEntry } from "../tendermint/wal.ts";
import { type Origin, readHead, writeHead } from "./log-head.ts";
import { decodeRecord, encodeRecord, type ProvenState, type StoredRecord } from "./record-codec.ts";

/** Records that are read at a stretch, and their bytes. */
const PAGE_RECORDS = 1_024;
const PAGE_BYTES_MAX = 4 * 1_048_576;
const DIGITS = 16;

/** What is to be on disk. Decisions before a state that takes their place are dropped. */
export interface LogChange {
  /** A state of others takes the place of all that is there. */
  readonly replaced: ProvenState | undefined;
  readonly entries: readonly WalEntry[];
  /** A state that this member made. */
  readonly kept: ProvenState | undefined;
  readonly evidence: readonly Evidence[];
}

/** What was there when the log was opened. */
export interface LoadedLog {
  readonly state: ProvenState | undefined;
  /** After that state, without gaps. */
  readonly decisions: readonly DecisionEntry[];
  /** Of the last height that began. */
  readonly entries: readonly WalEntry[];
  readonly evidence: readonly Evidence[];
}

/**
 * The log of one member of one group, in the agent's store: the last state that is proven, the decisions since, and what
 * was written down at the current height. Each of the three is bounded.
 */
export class LogDisk {
  readonly #store: KeyValueStore;
  readonly #prefix: string;
  readonly #generation: number;
  readonly #entriesMax: number;
  readonly #evidenceMax: number;
  readonly origin: Origin;
  /** Of the current height, as they are on disk under numbers from `#firstEntry` on. */
  #entries: WalEntry[] = [];
  #firstEntry = 1;
  /** Behind the last number that a write was tried with: one that failed may have reached the disk. */
  #triedUntil = 1;
  /** The first decision that is on disk. */
  #firstDecision = 1;
  #lastDecision = 0;
  #evidence = 0;
  #loaded: LoadedLog = { state: undefined, decisions: [], entries: [], evidence: [] };

  private constructor(
    store: KeyValueStore,
    group: string,
    origin: Origin,
    bounds: { readonly logEntriesMax: number; readonly evidenceKeptMax: number },
  ) {
    this.#store = store;
    this.#prefix = prefixOf(group);
    this.#generation = store.generation;
    this.#entriesMax = bounds.logEntriesMax;
    this.#evidenceMax = bounds.evidenceKeptMax;
    this.origin = origin;
  }

  /**
   * Begins the log of a member that has never said anything in this group. Durable when resolved: who finds it again
   * knows that nothing was lost before.
   * @param group in hexadecimal digits @throws LostLogError when part of an earlier one is there @throws StoreError
   */
  static async create(
    store: KeyValueStore,
    group: string,
    origin: Origin,
    bounds: { readonly logEntriesMax: number; readonly evidenceKeptMax: number },
  ): Promise<LogDisk> {
    const disk = new LogDisk(store, group, origin, bounds);
    const [before] = await store.range({ ...rangeOf(prefixOf(group)), limit: 1 });
    if (before !== undefined) throw new LostLogError("part of an earlier log is there");
    const value = writeHead({ generation: store.generation, origin });
    await store.write([{ type: "put", key: `${prefixOf(group)}h`, value }], { durable: true });
    return disk;
  }

  /**
   * Reads a log that was begun.
   * @throws LostLogError when the store lost records since it was begun, or some are missing @throws StoreError
   */
  static async open(
    store: KeyValueStore,
    group: string,
    bounds: { readonly logEntriesMax: number; readonly evidenceKeptMax: number },
  ): Promise<LogDisk> {
    const stored = await store.get(`${prefixOf(group)}h`);
    if (stored === undefined) throw new LostLogError("the log was never begun, or is lost");
    const head = readHead(stored);
    if (head === undefined) throw new LostLogError("how the log began can not be read");
    if (head.generation !== store.generation)
      throw new LostLogError("the store was repaired since, and may have lost records");
    const disk = new LogDisk(store, group, head.origin, bounds);
    await disk.#load();
    return disk;
  }

  /** What was there when the log was opened. To be called once: it is let go of. */
  take(): LoadedLog {
    const loaded = this.#loaded;
    this.#loaded = { state: undefined, decisions: [], entries: [], evidence: [] };
    return loaded;
  }

  /**
   * Writes durably. To be called again with the same after a failure.
   * @throws StoreError `store.corrupt` when the store lost something meanwhile: this member is lost
   */
  async write({ replaced, entries, kept, evidence }: LogChange): Promise<void> {
    const operations: StoreOperation[] = [];
    let current = this.#entries;
    let nextEntry = this.#firstEntry + current.length;
    let firstEntry = this.#firstEntry;
    let [firstDecision, lastDecision] = [this.#firstDecision, this.#lastDecision];
    let count = this.#evidence;
    const put = (key: string, record: StoredRecord): void =>
      void operations.push({ type: "put", key, value: encodeRecord(record) });
    const dropDecisions = (until: number): void => {
      for (; firstDecision <= Math.min(until, lastDecision); firstDecision++)
        operations.push({ type: "del", key: this.#key("d", firstDecision) });
    };
    if (replaced !== undefined) {
      const { height } = replaced.offer;
      dropDecisions(lastDecision);
      [firstDecision, lastDecision] = [height + 1, height];
      put(`${this.#prefix}s`, { kind: "snapshot", ...replaced });
    }
    let fresh: WalEntry[] = [];
    let isFromStart = false;
    for (const entry of entries) {
      if (entry.kind === "decision") {
        lastDecision = entry.certificate.height;
        put(this.#key("d", lastDecision), entry);
        continue;
      }
      // What was said at a height that is over can not be contradicted any more.
      if (entry.kind === "height") {
        fresh = [];
        isFromStart = true;
      }
      fresh.push(entry);
    }
    if (!isFromStart && current.length + fresh.length > this.#entriesMax) {
      fresh = compact([...current, ...fresh], 0);
      isFromStart = true;
    }
    if (isFromStart) {
      for (; firstEntry < nextEntry; firstEntry++)
        operations.push({ type: "del", key: this.#key("w", firstEntry) });
      current = [];
    }
    for (const entry of fresh) put(this.#key("w", nextEntry++), entry);
    for (let at = nextEntry; at < this.#triedUntil; at++)
      operations.push({ type: "del", key: this.#key("w", at) });
    this.#triedUntil = Math.max(this.#triedUntil, nextEntry);
    if (kept !== undefined) {
      put(`${this.#prefix}s`, { kind: "snapshot", ...kept });
      dropDecisions(kept.offer.height);
    }
    for (const one of evidence)
      put(this.#key("v", count++ % this.#evidenceMax), { kind: "evidence", evidence: one });
    await this.#store.write(operations, { durable: true, ifGeneration: this.#generation });
    this.#triedUntil = nextEntry;
    this.#entries = isFromStart ? fresh : current;
    if (!isFromStart) this.#entries.push(...fresh);
    this.#firstEntry = firstEntry;
    [this.#firstDecision, this.#lastDecision] = [firstDecision, lastDecision];
    this.#evidence = count;
  }

  async #load(): Promise<void> {
    const stored = await this.#store.get(`${this.#prefix}s`);
    const state = stored && decodeRecord(stored);
    if (stored !== undefined && state?.kind !== "snapshot")
      throw new LostLogError("the state can not be read");
    const proven = state?.kind === "snapshot" ? state : undefined;
    const height = proven?.offer.height ?? 0;
    const decisions: DecisionEntry[] = [];
    for (const [at, record] of await this.#read("d", height + 1)) {
      if (record?.kind !== "decision" || at !== height + decisions.length + 1)
        throw new LostLogError(`decision ${at} can not be read, or one before it is missing`);
      decisions.push(record);
    }
    const entries: WalEntry[] = [];
    for (const [at, record] of await this.#read("w", 0)) {
      if (entries.length === 0) this.#firstEntry = at;
      const isEntry = record !== undefined && record.kind !== "snapshot";
      if (!isEntry || record.kind === "evidence" || at !== this.#firstEntry + entries.length)
        throw new LostLogError(`record ${at} can not be read, or one before it is missing`);
      entries.push(record);
    }
    const [begun] = entries;
    const last = height + decisions.length;
    const isWhole =
      begun === undefined
        ? last === 0
        : begun.kind === "height" && (begun.height === last || begun.height === last + 1);
    if (!isWhole) throw new LostLogError(`${last} heights are decided, and others were begun`);
    const evidence: Evidence[] = [];
    for (const [, record] of await this.#read("v", 0))
      if (record?.kind === "evidence") evidence.push(record.evidence);
    this.#entries = entries;
    this.#triedUntil = this.#firstEntry + entries.length;
    [this.#firstDecision, this.#lastDecision] = [height + 1, last];
    this.#evidence = evidence.length;
    this.#loaded = { state: proven, decisions, entries: [...entries], evidence };
  }

  async #read(
    kind: string,
    from: number,
  ): Promise<(readonly [at: number, record: StoredRecord | undefined])[]> {
    const { lt } = rangeOf(`${this.#prefix}${kind}/`);
    const found: (readonly [number, StoredRecord | undefined])[] = [];
    let gte = this.#key(kind, from);
    for (;;) {
      const page = await this.#store.range({
        gte,
        lt,
        limit: PAGE_RECORDS,
        bytesMax: PAGE_BYTES_MAX,
      });
      const last = page.at(-1);
      if (last === undefined) return found;
      for (const [key, value] of page)
        found.push([Number(key.slice(-DIGITS)), decodeRecord(value)]);
      gte = this.#key(kind, Number(last[0].slice(-DIGITS)) + 1);
    }
  }

  #key(kind: string, at: number): string {
    return `${this.#prefix}${kind}/${String(at).padStart(DIGITS, "0")}`;
  }
}

function prefixOf(group: string): string {
  return `c/${group}/`;
}

function rangeOf(prefix: string): { readonly gte: string; readonly lt: string } {
  return { gte: prefix, lt: `${prefix}~` };
}
