import type { Clock, Timer } from "../platform/clock.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { ReceivedUpdate, UpdateSink } from "../platform/update-sink.ts";
import type { MarksAnswer, MarksRequest } from "../sync/marks-wire.ts";
import type { WireUpdate } from "../sync/update-line.ts";
import { Admission } from "./admission.ts";
import { Follower } from "./follower.ts";
import { forget } from "./forget.ts";
import { sinkCalling } from "./on-update.ts";
import { defaultLimits, type ReceiverLimits } from "./options.ts";
import { refusedForNow, type TakeOutcome } from "./outcome.ts";
import { readPage, type UpdatePage } from "./reading.ts";
import { retire } from "./retention.ts";
import { settle } from "./settlement.ts";
import { StreamTable } from "./stream-table.ts";
import { type TakeResult, takeLines } from "./take.ts";
import {
  type AgentSummary,
  agentSummaries,
  ReceiverCounts,
  type ReceiverStatus,
  type StreamSummary,
  streamSummary,
} from "./view.ts";

/** What a receiver is made of. */
export interface ReceiverOptions {
  /** Where updates and marks are kept; the receiver is the only one who writes there. */
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<ReceiverLimits>;
  /** Gets every update once, in the order of arrival; its place is kept across restarts. */
  readonly sink?: UpdateSink;
  /**
   * The simple form of `sink`: called for one update after the other, once each. When it throws or rejects, it is
   * called again with the same update after a while. After a crash the updates of the last commits may come again.
   */
  readonly onUpdate?: (update: ReceivedUpdate) => void | Promise<void>;
}

/** Takes updates of any number of agents, each once, and keeps them. */
export interface Receiver {
  /**
   * Takes lines as agents send them. Resolves when everything accepted is durable.
   * @param agentId who sends them: updates of others are refused; absent where anybody's are welcome
   * @throws UpdateLineError `update.malformed` when a line has no id that could be answered for; none is taken then
   */
  take(lines: readonly string[], agentId?: string): Promise<TakeResult>;
  /** Takes one update that was read already; `settle` is called once, when it is durable or refused. */
  offer(update: WireUpdate, settle: (outcome: TakeOutcome) => void): void;
  /** What there is of the streams asked about; notes what will never come. @throws StoreError */
  marks(request: MarksRequest): Promise<MarksAnswer>;
  /** Updates of one stream in order of their sequence. @throws StoreError */
  read(query: {
    readonly agent: string;
    readonly stream: string;
    readonly from: number;
    readonly limit: number;
  }): Promise<UpdatePage>;
  agents(): readonly AgentSummary[];
  /** What there is of every stream of an agent; undefined when there is no such agent. */
  streams(agentId: string): readonly StreamSummary[] | undefined;
  /** Removes everything of an agent. @returns false when there is none of that id @throws StoreError */
  forget(agentId: string): Promise<boolean>;
  status(): ReceiverStatus;
  /** Refuses what comes from now on, finishes what waits. The store is the owner's to close. Idempotent. */
  close(): Promise<void>;
}

const UPDATES_PER_COMMIT = 4_096;
const BYTES_PER_COMMIT = 8 * 1_024 * 1_024;
const RETENTION_INTERVAL_MS = 60_000;
/** What an update takes in memory beside its text. */
const UPDATE_BYTES = 300;

type Waiting =
  | {
      readonly kind: "update";
      readonly update: WireUpdate;
      readonly bytes: number;
      readonly settle: (outcome: TakeOutcome) => void;
    }
  | { readonly kind: "task"; readonly perform: () => Promise<void> };

/** @returns a receiver that has read what its store holds. @throws StoreError */
export async function createReceiver(options: ReceiverOptions): Promise<Receiver> {
  const limits = { ...defaultLimits, ...options.limits };
  const table = await StreamTable.load(options.store, limits);
  const receiver = new StoringReceiver(options, limits, table);
  await receiver.start();
  return receiver;
}

class StoringReceiver implements Receiver {
  readonly #options: ReceiverOptions;
  readonly #limits: ReceiverLimits;
  readonly #counts = new ReceiverCounts();
  readonly #follower: Follower | undefined;
  #table: StreamTable;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  /** After a failed write nobody knows what the store has: it is read again first. */
  #stale = false;
  #closed = false;
  #timer: Timer | undefined;

  constructor(options: ReceiverOptions, limits: ReceiverLimits, table: StreamTable) {
    this.#options = options;
    this.#limits = limits;
    this.#table = table;
    const sink = options.sink ?? sinkCalling(options.onUpdate);
    if (sink !== undefined)
      this.#follower = new Follower({ ...options, sink, table: () => this.#table });
  }

  async start(): Promise<void> {
    await this.#follower?.start();
    this.#minutely();
  }

  take(lines: readonly string[], agentId?: string): Promise<TakeResult> {
    return takeLines(lines, agentId, {
      offer: (update, settle) => this.offer(update, settle),
      refused: (code) => this.#counts.refused(code),
    });
  }

  offer(update: WireUpdate, settle: (outcome: TakeOutcome) => void): void {
    const text = update.content.kind === "patch" ? 1_000 : update.content.text.length;
    const bytes = UPDATE_BYTES + text;
    if (this.#closed)
      return settle(refusedForNow("receiver.stopping", "the receiver is about to stop"));
    if (this.#waitingBytes + bytes > this.#limits.waitingBytesMax)
      return settle(
        refusedForNow(
          "receiver.busy",
          "more updates are waiting for the disk than fit; come again",
        ),
      );
    this.#waitingBytes += bytes;
    this.#enqueue({ kind: "update", update, bytes, settle });
  }

  marks(request: MarksRequest): Promise<MarksAnswer> {
    return this.#perform(async () => {
      const { store } = this.#options;
      const settlement = await settle(request, this.#table, store);
      if (settlement.operations.length > 0) {
        await this.#write(settlement.operations, true);
        this.#table.adopt(settlement.states, this.#table.counters);
      }
      const { agent, replyTo } = request;
      const { marks } = settlement;
      return { agent, marks, accepts: ["patch"], ...(replyTo === undefined ? {} : { replyTo }) };
    });
  }

  read(query: { agent: string; stream: string; from: number; limit: number }): Promise<UpdatePage> {
    return readPage(this.#options.store, this.#table, query);
  }

  agents(): readonly AgentSummary[] {
    return agentSummaries(this.#table);
  }

  streams(agentId: string): readonly StreamSummary[] | undefined {
    const streams = this.#table.agents.get(agentId);
    return streams === undefined ? undefined : [...streams.values()].map(streamSummary);
  }

  forget(agentId: string): Promise<boolean> {
    return this.#perform(() =>
      forget(agentId, this.#table, this.#options.store, (operations, durable) =>
        this.#write(operations, durable),
      ),
    );
  }

  status(): ReceiverStatus {
    return this.#counts.status(this.#table, {
      waitingUpdates: this.#waiting.length,
      waitingBytes: this.#waitingBytes,
      ...(this.#follower === undefined ? {} : { sink: this.#follower.status() }),
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
    await this.#follower?.close();
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    // In a later turn, so that everything that comes together is written together.
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  #perform<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Error("the receiver is about to stop"));
    return new Promise<T>((resolve, reject) => {
      const perform = async (): Promise<void> => {
        try {
          await this.#freshen();
          resolve(await work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.#enqueue({ kind: "task", perform });
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const head = this.#waiting[0];
      if (head?.kind === "task") {
        this.#waiting.shift();
        await head.perform();
      } else await this.#commit();
      await this.#retire(false);
    }
    this.#running = undefined;
  }

  async #commit(): Promise<void> {
    const items: (Waiting & { kind: "update" })[] = [];
    let bytes = 0;
    for (const item of this.#waiting) {
      if (item.kind !== "update" || items.length === UPDATES_PER_COMMIT) break;
      items.push(item);
      bytes += item.bytes;
      if (bytes > BYTES_PER_COMMIT) break;
    }
    this.#waiting.splice(0, items.length);
    const startedMs = this.#options.clock.monotonicMs();
    let outcomes: TakeOutcome[];
    try {
      await this.#freshen();
      outcomes = await this.#store(items.map(({ update }) => update));
    } catch (error) {
      const refusal = this.#failed(error);
      outcomes = items.map(() => refusal);
    }
    this.#waitingBytes -= bytes;
    this.#counts.committed(outcomes, this.#options.clock.monotonicMs() - startedMs);
    items.forEach(({ settle }, at) => {
      const outcome = outcomes[at];
      if (outcome !== undefined) settle(outcome);
    });
  }

  async #store(updates: readonly WireUpdate[]): Promise<TakeOutcome[]> {
    const { store, clock } = this.#options;
    const admission = new Admission({
      table: this.#table,
      limits: this.#limits,
      nowMs: clock.wallMs(),
    });
    await admission.lookUp(store, updates);
    const outcomes = updates.map((update) => admission.admit(update));
    if (admission.taken.length === 0) return outcomes;
    const commit = this.#table.counters.journalNext;
    await this.#write(admission.operations(), true);
    this.#table.adopt(admission.states, admission.countersAfter());
    this.#follower?.notice(commit, admission.taken);
    return outcomes;
  }

  async #write(operations: Parameters<KeyValueStore["write"]>[0], durable: boolean): Promise<void> {
    // Nothing may be decided on what the table says before this has ended well.
    this.#stale = true;
    const ifGeneration = this.#table.generation;
    await this.#options.store.write(operations, { durable, ifGeneration });
    this.#stale = false;
  }

  async #freshen(): Promise<void> {
    if (!this.#stale && this.#table.generation === this.#options.store.generation) return;
    this.#table = await StreamTable.load(this.#options.store, this.#limits);
    this.#stale = false;
  }

  #failed(error: unknown): TakeOutcome {
    const { code = "receiver.failed", message } = error as { code?: string; message?: string };
    const reason = message ?? String(error);
    this.#counts.fault(reason);
    this.#options.logger.error("updates could not be stored", { code, reason });
    return refusedForNow(code, reason);
  }

  #minutely(): void {
    this.#timer = this.#options.clock.setTimer("receiver.retention", RETENTION_INTERVAL_MS, () => {
      this.#perform(() => this.#retire(true)).catch(() => undefined);
      this.#minutely();
    });
  }

  /** Removes what is over the limits. @param byAge also what is too old, which is looked at once a minute */
  async #retire(byAge: boolean): Promise<void> {
    const { store, clock, logger } = this.#options;
    const { keepBytesMax } = this.#limits;
    const nowMs = byAge && clock.wallTrusted() ? clock.wallMs() : undefined;
    if (!byAge && (keepBytesMax === 0 || this.#table.counters.bytes <= keepBytesMax)) return;
    try {
      await this.#freshen();
      for (;;) {
        const retirement = await retire(store, this.#table, this.#limits, nowMs);
        if (retirement === undefined) return;
        await this.#write(retirement.operations, false);
        this.#table.adopt([], retirement.counters);
        this.#counts.retired(retirement.updates);
        if (!retirement.more) return;
      }
    } catch (error) {
      logger.error("old updates could not be removed", {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
