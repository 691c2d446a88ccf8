import type { KeyValueStore, StoreRange } from "../platform/key-value-store.ts";
import { SequenceRanges } from "../sync/sequence-ranges.ts";
import {
  COUNTERS_KEY,
  type Counters,
  decodeStreamRecord,
  MISSING_RANGES_MAX,
  numberOf,
  type StreamRecord,
  sequenceOf,
  streamKey,
  updateKey,
  updatesEnd,
} from "./layout.ts";
import type { ReceiverLimits } from "./options.ts";

/** A stream of an agent, under the number that its keys carry. */
export interface StreamState extends StreamRecord {
  readonly number: number;
  readonly agentId: string;
  readonly stream: string;
  /** False until its name is in the store. */
  readonly named: boolean;
}

const PAGE = 5_000;
const NO_COUNTERS: Counters = {
  nextStream: 1,
  journalFirst: 1,
  journalNext: 1,
  updates: 0,
  bytes: 0,
};

/** All streams that are known, as the store has them. */
export class StreamTable {
  readonly #limits: ReceiverLimits;
  readonly #agents = new Map<string, Map<string, StreamState>>();
  readonly #numbers = new Map<number, StreamState>();
  counters: Counters = NO_COUNTERS;

  /** The store's generation under which all of this was read. */
  readonly generation: number;

  private constructor(limits: ReceiverLimits, generation: number) {
    this.#limits = limits;
    this.generation = generation;
  }

  /** @throws StoreError, or Error naming the record when one is damaged */
  static async load(store: KeyValueStore, limits: ReceiverLimits): Promise<StreamTable> {
    const table = new StreamTable(limits, store.generation);
    const counters = await store.get(COUNTERS_KEY);
    table.counters = await withoutReuse(
      store,
      counters === undefined ? NO_COUNTERS : (parse(counters) as Counters),
    );
    const names = new Map<number, { agent: string; stream: string }>();
    for await (const [key, value] of pages(store, { gte: "s/", lt: "s0" }))
      names.set(numberOf(key), parse(value) as { agent: string; stream: string });
    for await (const [key, record] of pages(store, { gte: "m/", lt: "m0" })) {
      const number = numberOf(key);
      const name = names.get(number);
      if (name === undefined) continue;
      const { agent, stream } = name;
      try {
        table.#put({
          ...decodeStreamRecord(record, limits.rangesMax),
          number,
          agentId: agent,
          stream,
          named: true,
        });
      } catch (error) {
        throw new Error(
          `the store's record of ${agent}/${stream} is damaged; move the data directory away, or restore it from a backup`,
          { cause: error },
        );
      }
    }
    if (table.generation > 0) await table.#rebuildMarks(store, names);
    return table;
  }

  get agents(): ReadonlyMap<string, ReadonlyMap<string, StreamState>> {
    return this.#agents;
  }

  get streamCount(): number {
    return this.#numbers.size;
  }

  /** Updates of all streams that agents said will never come. */
  get missing(): number {
    let sum = 0;
    for (const { missingUpdates } of this.#numbers.values()) sum += missingUpdates;
    return sum;
  }

  find(agentId: string, stream: string): StreamState | undefined {
    return this.#agents.get(agentId)?.get(stream);
  }

  byNumber(number: number): StreamState | undefined {
    return this.#numbers.get(number);
  }

  /**
   * Why no further stream of this agent can be taken up; undefined when it can.
   * @param staged streams that are about to be taken up
   */
  noRoomFor(agentId: string, staged: readonly StreamState[]): string | undefined {
    const { agentsMax, streamsMax, streamsPerAgentMax } = this.#limits;
    const fresh = new Set(staged.map((state) => state.agentId));
    for (const known of this.#agents.keys()) fresh.delete(known);
    if (!this.#agents.has(agentId) && !fresh.has(agentId))
      if (this.#agents.size + fresh.size >= agentsMax)
        return `${agentsMax} agents are known already (--agents-max)`;
    if (this.streamCount + staged.length >= streamsMax)
      return `${streamsMax} streams are known already (--streams-max)`;
    const own = staged.filter((state) => state.agentId === agentId).length;
    if ((this.#agents.get(agentId)?.size ?? 0) + own >= streamsPerAgentMax)
      return `${streamsPerAgentMax} streams of this agent are known already (--streams-per-agent-max)`;
    return undefined;
  }

  /** The store has these states and counters now. */
  adopt(states: Iterable<StreamState>, counters: Counters): void {
    for (const state of states) this.#put({ ...state, named: true });
    this.counters = counters;
  }

  /** The store has nothing of this agent any more. */
  drop(agentId: string): void {
    for (const state of this.#agents.get(agentId)?.values() ?? [])
      this.#numbers.delete(state.number);
    this.#agents.delete(agentId);
  }

  /** A repair may have lost marks of streams whose updates are there: what can be seen is there. */
  async #rebuildMarks(
    store: KeyValueStore,
    names: ReadonlyMap<number, { readonly agent: string; readonly stream: string }>,
  ): Promise<void> {
    for (const [number, { agent, stream }] of names) {
      if (this.#numbers.has(number)) continue;
      const state = newStream({ number, agentId: agent, stream }, this.#limits);
      const range = { gte: updateKey(number, 0), lt: updatesEnd(number) };
      for await (const [key] of pages(store, range))
        if (state.ranges.add(sequenceOf(key)) === "full") state.unmarked++;
      if (state.ranges.last > 0) this.#put({ ...state, named: true });
    }
  }

  #put(state: StreamState): void {
    let streams = this.#agents.get(state.agentId);
    if (streams === undefined) {
      streams = new Map();
      this.#agents.set(state.agentId, streams);
    }
    streams.set(state.stream, state);
    this.#numbers.set(state.number, state);
  }
}

/** @returns the state of a stream of which nothing has come yet */
export function newStream(
  identity: Pick<StreamState, "number" | "agentId" | "stream">,
  limits: ReceiverLimits,
): StreamState {
  return {
    ...identity,
    named: false,
    ranges: new SequenceRanges(limits.rangesMax),
    missing: new SequenceRanges(MISSING_RANGES_MAX),
    missingUpdates: 0,
    unmarked: 0,
    received: 0,
    lastReceivedAtMs: 0,
  };
}

/** @returns a copy that can be changed without the original noticing */
export function copyOf(state: StreamState): StreamState {
  return { ...state, ranges: state.ranges.clone(), missing: state.missing.clone() };
}

/** @returns what stands under the stream's name in the store */
export function nameRecord({ number, agentId, stream }: StreamState): {
  readonly type: "put";
  readonly key: string;
  readonly value: Uint8Array;
} {
  const value = Buffer.from(JSON.stringify({ agent: agentId, stream }));
  return { type: "put", key: streamKey(number), value };
}

/** Numbers are never given twice, also where a repair of the store has lost the counters. */
async function withoutReuse(store: KeyValueStore, counters: Counters): Promise<Counters> {
  const lastOf = async (gte: string, lt: string): Promise<number> => {
    const [last] = await store.range({ gte, lt, limit: 1, reverse: true });
    return last === undefined ? 0 : numberOf(last[0].split("/", 2).join("/"));
  };
  const [name, marks, updates, commit] = await Promise.all([
    lastOf("s/", "s0"),
    lastOf("m/", "m0"),
    lastOf("u/", "u0"),
    lastOf("j/", "j0"),
  ]);
  return {
    ...counters,
    nextStream: Math.max(counters.nextStream, name + 1, marks + 1, updates + 1),
    journalNext: Math.max(counters.journalNext, commit + 1),
  };
}

/** All entries of a range, a page at a time. */
export async function* pages(
  store: KeyValueStore,
  { gte, lt }: Pick<StoreRange, "gte" | "lt">,
): AsyncGenerator<readonly [key: string, value: Uint8Array]> {
  let from = gte;
  for (;;) {
    const page = await store.range({ gte: from, lt, limit: PAGE, bytesMax: 4 * 1_024 * 1_024 });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    from = `${last[0]}\u0000`;
  }
}

function parse(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8"));
}
