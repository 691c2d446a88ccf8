import type { PeerId } from "../../platform/signer.ts";
import type { Allowance } from "./allowance.ts";
import { type Chunk, GuestQueue } from "./guest-queue.ts";
import { type RelayedUpdate, streamKey, type UpdateFields } from "./relayed-update.ts";

/** An update that was refused upstream for good. */
export interface DeadUpdate {
  readonly sequence: number;
  readonly reason: string;
  /** Number of the report that told the guest; 0 while none has. */
  reportedIn: number;
}

/** How far one stream of a guest has come. It is handed over in ascending order, so two numbers say it. */
export interface StreamProgress {
  readonly agentId: string;
  readonly stream: string;
  /** Names it on disk, within its guest. */
  readonly number: number;
  /** Everything up to here is on disk, or was. */
  storedThrough: number;
  /** Everything up to here was delivered, or refused upstream. */
  settledThrough: number;
  /** Latest observation among those that are stored, and among those settled; ms since 1970, 0: not known. */
  storedObservedAtMs: number;
  settledObservedAtMs: number;
  /** Updates that have not settled. */
  waiting: number;
  dead: DeadUpdate[];
}

/** What has been done for a guest since this agent started. */
export interface GuestCounters {
  taken: number;
  takenBytes: number;
  /** Handed over again and known already. */
  repeated: number;
  delivered: number;
  /** Refused upstream for good. */
  dead: number;
  /** Times that something was refused to the guest, by code. */
  readonly refused: Record<string, number>;
}

/** A neighbour that is relayed for: its streams and what waits of it. Pure. */
export class Guest {
  readonly peer: PeerId;
  /** Names it on disk. */
  readonly number: number;
  readonly allowance: Allowance;
  readonly queue = new GuestQueue();
  readonly streams = new Map<string, StreamProgress>();
  readonly counters: GuestCounters = {
    taken: 0,
    takenBytes: 0,
    repeated: 0,
    delivered: 0,
    dead: 0,
    refused: {},
  };
  agentId: string;
  /** 0: none is open. */
  session = 0;
  /** Wall clock, ms since 1970. */
  seenAtMs: number;
  nextChunk = 1;
  /** Bytes that are being written. */
  pendingBytes = 0;
  readonly #unreported = new Set<StreamProgress>();
  readonly #withDead = new Set<StreamProgress>();
  /** Of this session. */
  #reports = 0;
  #nextStream = 1;

  constructor(about: {
    peer: PeerId;
    number: number;
    agentId: string;
    seenAtMs: number;
    allowance: Allowance;
  }) {
    this.peer = about.peer;
    this.number = about.number;
    this.agentId = about.agentId;
    this.seenAtMs = about.seenAtMs;
    this.allowance = about.allowance;
  }

  /** Bytes on disk and on their way there. */
  get bytes(): number {
    return this.queue.bytes + this.pendingBytes;
  }

  /** Takes over what was kept of a stream. */
  restore(progress: StreamProgress): void {
    this.streams.set(streamKey(progress), progress);
    if (progress.dead.length > 0) this.#withDead.add(progress);
    this.#nextStream = Math.max(this.#nextStream, progress.number + 1);
  }

  /** @returns the stream, which is new where it was not known */
  progressOf(update: Pick<UpdateFields, "agentId" | "stream">): StreamProgress {
    const key = streamKey(update);
    const known = this.streams.get(key);
    if (known !== undefined) return known;
    const progress: StreamProgress = {
      agentId: update.agentId,
      stream: update.stream,
      number: this.#nextStream++,
      storedThrough: 0,
      settledThrough: 0,
      storedObservedAtMs: 0,
      settledObservedAtMs: 0,
      waiting: 0,
      dead: [],
    };
    this.streams.set(key, progress);
    return progress;
  }

  /** Updates are on disk. @param keep whether they stay in memory too */
  stored(
    place: Pick<Chunk, "number" | "bytes" | "count">,
    updates: readonly UpdateFields[],
    keep: boolean,
  ): void {
    for (const update of updates) {
      const progress = this.progressOf(update);
      if (update.sequence <= progress.storedThrough) restart(progress, update.sequence);
      progress.waiting++;
      progress.storedThrough = update.sequence;
      if (update.observedAtTrusted)
        progress.storedObservedAtMs = Math.max(progress.storedObservedAtMs, update.observedAtMs);
    }
    this.queue.add(place, keep ? updates : undefined);
  }

  /** @returns chunks of which nothing waits any more, and the streams that came further */
  settle(
    update: RelayedUpdate,
    refusal: string | undefined,
  ): { readonly done: readonly Chunk[]; readonly further: ReadonlySet<StreamProgress> } {
    const further = new Set<StreamProgress>();
    const done = this.queue.settle(update, refusal, (passed) => {
      further.add(this.#passed(passed));
    });
    return { done, further };
  }

  get hasNews(): boolean {
    return this.#unreported.size > 0;
  }

  /** The guest is to hear of this stream, or of more of it, with the next report. */
  remind(progress: StreamProgress): void {
    this.#unreported.add(progress);
  }

  /** The guest has heard all reports up to this one. @returns streams of which less has to be kept */
  heard(report: number): StreamProgress[] {
    const changed: StreamProgress[] = [];
    for (const progress of this.#withDead) {
      const left = progress.dead.filter(
        ({ reportedIn }) => reportedIn === 0 || reportedIn > report,
      );
      if (left.length === progress.dead.length) continue;
      progress.dead = left;
      if (left.length === 0) this.#withDead.delete(progress);
      changed.push(progress);
    }
    return changed;
  }

  /** @returns streams that a report is to tell of; what it does not tell of is given back with {@link remind} */
  takeNews(): StreamProgress[] {
    const news = [...this.#unreported];
    this.#unreported.clear();
    return news;
  }

  /** The next report tells of these refusals. @returns its number */
  reported(dead: readonly DeadUpdate[]): number {
    this.#reports++;
    for (const update of dead) if (update.reportedIn === 0) update.reportedIn = this.#reports;
    return this.#reports;
  }

  /** A new session begins: what the last one was told may not have arrived. */
  beginSession(session: number): void {
    this.session = session;
    this.#reports = 0;
    this.#unreported.clear();
    for (const { dead } of this.#withDead) for (const update of dead) update.reportedIn = 0;
  }

  /** @returns the stream that gives way to others: the one known longest of which nothing has to be remembered */
  idleStream(): StreamProgress | undefined {
    for (const progress of this.streams.values())
      if (progress.waiting === 0 && progress.dead.length === 0 && !this.#unreported.has(progress))
        return progress;
    return undefined;
  }

  #passed(update: RelayedUpdate): StreamProgress {
    const progress = this.progressOf(update);
    progress.waiting--;
    progress.settledThrough = Math.max(progress.settledThrough, update.sequence);
    if (update.observedAtTrusted)
      progress.settledObservedAtMs = Math.max(progress.settledObservedAtMs, update.observedAtMs);
    if (update.refusal === undefined) this.counters.delivered++;
    else {
      this.counters.dead++;
      progress.dead.push({ sequence: update.sequence, reason: update.refusal, reportedIn: 0 });
      this.#withDead.add(progress);
    }
    this.#unreported.add(progress);
    return progress;
  }
}

/** The numbers of the stream begin again, or an old one comes once more: nothing from there on is claimed. */
function restart(progress: StreamProgress, sequence: number): void {
  progress.settledThrough = Math.min(progress.settledThrough, sequence - 1);
  progress.storedThrough = sequence - 1;
  progress.storedObservedAtMs = 0;
  progress.settledObservedAtMs = 0;
  progress.dead = progress.dead.filter((dead) => dead.sequence < sequence);
}
