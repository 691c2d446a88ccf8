import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import { applyMergePatch, isObject } from "../sync/merge-patch.ts";
import type { ContentText, WireUpdate } from "../sync/update-line.ts";
import {
  COUNTERS_KEY,
  type Counters,
  encodeJournalEntry,
  encodeStreamRecord,
  journalKey,
  marksKey,
  updateKey,
} from "./layout.ts";
import type { ReceiverLimits } from "./options.ts";
import { type Refused, refusedForGood, refusedForNow, type TakeOutcome } from "./outcome.ts";
import { parseTail, storedTail, type TakenUpdate } from "./stored-update.ts";
import {
  copyOf,
  nameRecord,
  newStream,
  type StreamState,
  type StreamTable,
} from "./stream-table.ts";

interface Parts {
  readonly table: StreamTable;
  readonly limits: ReceiverLimits;
  readonly nowMs: number;
}

/**
 * Decides on the updates of one commit and gathers what it writes. Nothing is changed but copies: when the write
 * fails, all of this is thrown away.
 */
export class Admission {
  readonly #parts: Parts;
  readonly #states = new Map<string, StreamState>();
  #numbersGiven = 0;
  /** What the store has under the keys that a decision needs. */
  readonly #stored = new Map<string, string>();
  readonly #tails = new Map<string, string>();
  readonly #operations: StoreOperation[] = [];
  readonly #sequences = new Map<number, number[]>();
  /** The updates that are taken, in order. */
  readonly taken: TakenUpdate[] = [];
  #bytes = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Reads what decisions on these updates may need, all at once. @throws StoreError */
  async lookUp(store: KeyValueStore, updates: readonly WireUpdate[]): Promise<void> {
    const keys = new Set<string>();
    for (const { agentId, stream, sequence, content } of updates) {
      const state = this.#parts.table.find(agentId, stream);
      if (state === undefined) continue;
      const { ranges, number, unmarked } = state;
      if (ranges.has(sequence) || unmarked > 0) keys.add(updateKey(number, sequence));
      if (content.kind === "patch") keys.add(updateKey(number, content.patch.base));
    }
    await Promise.all(
      [...keys].map(async (key) => {
        const value = await store.get(key);
        if (value !== undefined) this.#stored.set(key, text(value));
      }),
    );
  }

  admit(update: WireUpdate): TakeOutcome {
    const outcome = this.#decide(update);
    const name = nameOf(update);
    const state = this.#states.get(name);
    // A stream is known from its first update that is taken.
    if (outcome.kind === "refused" && state !== undefined && !this.#sequences.has(state.number))
      this.#states.delete(name);
    return outcome;
  }

  #decide(update: WireUpdate): TakeOutcome {
    const state = this.#stateOf(update);
    if ("kind" in state) return state;
    const { ranges, missing, number } = state;
    const { sequence } = update;
    const key = updateKey(number, sequence);
    const late = missing.has(sequence);
    const stored = this.#tails.get(key) ?? this.#stored.get(key);
    if (stored !== undefined || (ranges.has(sequence) && !late)) return repeated(update, stored);
    const content = this.#contentOf(update, number);
    if (content.kind === "refused") return content;
    const tail = storedTail(update, content, this.#parts.nowMs);
    const value = Buffer.from(tail);
    if (value.length > this.#parts.limits.updateBytesMax)
      return refusedForGood(
        "update.too-large",
        `an update of ${value.length} bytes is over the receiver's limit (${this.#parts.limits.updateBytesMax}, --update-bytes-max)`,
      );
    if (late) {
      missing.remove(sequence);
      state.missingUpdates--;
    } else if (ranges.add(sequence) === "full") state.unmarked++;
    state.received++;
    state.lastReceivedAtMs = this.#parts.nowMs;
    this.#keep(state, update, key, value, tail);
    return { kind: "accepted" };
  }

  /** States that were changed. */
  get states(): readonly StreamState[] {
    return [...this.#states.values()].filter(({ number }) => this.#sequences.has(number));
  }

  /** @returns counters after this commit */
  countersAfter(): Counters {
    const { counters } = this.#parts.table;
    return {
      ...counters,
      nextStream: counters.nextStream + this.#numbersGiven,
      journalNext: counters.journalNext + 1,
      updates: counters.updates + this.taken.length,
      bytes: counters.bytes + this.#bytes,
    };
  }

  /** @returns everything to be written, in one batch */
  operations(): readonly StoreOperation[] {
    const { table, nowMs } = this.#parts;
    for (const state of this.states) {
      if (!state.named) this.#operations.push(nameRecord(state));
      const value = encodeStreamRecord(state);
      this.#operations.push({ type: "put", key: marksKey(state.number), value });
    }
    const streams = new Map(
      [...this.#sequences].map(([number, all]) => [number, all.sort((a, b) => a - b)]),
    );
    this.#operations.push(
      {
        type: "put",
        key: journalKey(table.counters.journalNext),
        value: encodeJournalEntry({ atMs: nowMs, bytes: this.#bytes, streams }),
      },
      {
        type: "put",
        key: COUNTERS_KEY,
        value: Buffer.from(JSON.stringify(this.countersAfter())),
      },
    );
    return this.#operations;
  }

  #keep(
    state: StreamState,
    { sequence }: WireUpdate,
    key: string,
    value: Uint8Array,
    tail: string,
  ): void {
    this.#operations.push({ type: "put", key, value });
    this.#tails.set(key, tail);
    this.#bytes += value.length;
    const sequences = this.#sequences.get(state.number);
    if (sequences === undefined) this.#sequences.set(state.number, [sequence]);
    else sequences.push(sequence);
    this.taken.push({ of: state, sequence, tail });
  }

  /** @returns the content in full, or why it can not be told */
  #contentOf({ content, key }: WireUpdate, number: number): ContentText | Refused {
    if (content.kind !== "patch") return content;
    const { base, merge } = content.patch;
    const baseKey = updateKey(number, base);
    const held = this.#tails.get(baseKey) ?? this.#stored.get(baseKey);
    const fields = held === undefined ? undefined : parseTail(held);
    if (fields === undefined || !isObject(fields.payload))
      return refusedForNow("sync.base-missing", `update ${base} is not here; send the whole state`);
    if (fields.key !== key)
      return refusedForGood("update.invalid", `update ${base} is of another key`);
    try {
      return { kind: "json", text: JSON.stringify(applyMergePatch(fields.payload, merge)) };
    } catch {
      return refusedForGood("update.invalid", "patch.merge is nested too deeply");
    }
  }

  #stateOf(update: WireUpdate): StreamState | Refused {
    const { agentId, stream } = update;
    const name = nameOf(update);
    const staged = this.#states.get(name);
    if (staged !== undefined) return staged;
    const { table, limits } = this.#parts;
    const known = table.find(agentId, stream);
    if (known !== undefined) {
      const copy = copyOf(known);
      this.#states.set(name, copy);
      return copy;
    }
    const fault = table.noRoomFor(
      agentId,
      this.states.filter((state) => !state.named),
    );
    if (fault !== undefined) return refusedForGood("receiver.too-many-streams", fault);
    const number = table.counters.nextStream + this.#numbersGiven++;
    const fresh = newStream({ number, agentId, stream }, limits);
    this.#states.set(name, fresh);
    return fresh;
  }
}

function nameOf({ agentId, stream }: WireUpdate): string {
  return `${agentId}/${stream}`;
}

/** A sequence that is there already: the same update once more, or a number that was given twice. */
function repeated(update: WireUpdate, stored: string | undefined): TakeOutcome {
  const known = stored === undefined ? undefined : parseTail(stored);
  if (known?.observedAtMs === undefined || known.observedAtMs === update.observedAtMs)
    return { kind: "duplicate" };
  return refusedForGood(
    "sync.sequence-reused",
    `another update of this id is here, observed at another time; if the agent's data directory was replaced, give the agent another agent.id or forget it here (DELETE /v1/agents/${update.agentId})`,
  );
}

function text(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
}
