import type { Clock, Timer } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import { Batching, type BatchingDecision, type BatchingSettings } from "./batching.ts";
import { Carrier } from "./carrier.ts";
import type { Departures } from "./departures.ts";
import { type Candidate, select } from "./selection.ts";
import type { Uplink } from "./uplink.ts";
import type { UplinkStatus, UplinkView } from "./view.ts";

const PAUSED_KEY = "u/paused";

/** What a {@link Dispatcher} is made of. */
export interface DispatcherParts {
  readonly departures: Departures;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventSink;
}

/**
 * Decides which uplink carries the updates and which ones are connected: the best one that works, in the rhythm
 * that the power policy asks for. The {@link Carrier} does the sending.
 */
export class Dispatcher implements UplinkView {
  readonly #parts: DispatcherParts;
  readonly #batching = new Batching();
  readonly #carrier: Carrier;
  /** Most preferred first. */
  #uplinks: readonly Uplink[] = [];
  /** The last one that carried updates. */
  #last: Uplink | undefined;
  #paused = false;
  #stopped = false;
  #timer: Timer | undefined;

  constructor(parts: DispatcherParts) {
    const { departures, clock, logger } = parts;
    this.#parts = parts;
    this.#carrier = new Carrier({
      departures,
      clock,
      logger,
      decide: () => this.#decide(),
      rested: () => this.#choose(),
    });
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Starts with uplinks as they are configured. @throws StoreError */
  async start(uplinks: readonly Uplink[]): Promise<void> {
    await Promise.all(uplinks.map((uplink) => uplink.start()));
    // Sorting keeps the order of equals.
    this.#uplinks = [...uplinks].sort((a, b) => b.options.priority - a.options.priority);
    this.#paused = (await this.#parts.store.get(PAUSED_KEY)) !== undefined;
    const { departures } = this.#parts;
    departures.outbox.setPaused(this.#paused);
    departures.onMore(() => this.#carrier.pump());
    this.#choose();
    this.#carrier.pump();
  }

  /** Called by an uplink that came up or went down. */
  uplinkChanged(): void {
    this.#choose();
    this.#carrier.pump();
  }

  /** What the power policy asks of the radio. */
  configure(settings: BatchingSettings): void {
    this.#batching.configure(settings);
    this.#carrier.pump();
  }

  status(): readonly UplinkStatus[] {
    return this.#uplinks.map((uplink) => uplink.status(uplink === this.#carrier.uplink));
  }

  /** Something in the agent's state document changed. */
  stateChanged(): void {
    for (const uplink of this.#uplinks) uplink.publishState();
  }

  flush(): void {
    for (const uplink of this.#uplinks) uplink.retryNow();
    this.#batching.flush();
    this.#carrier.pump();
  }

  async pause(): Promise<void> {
    await this.#setPaused(true);
  }

  async resume(): Promise<void> {
    await this.#setPaused(false);
    this.#carrier.pump();
  }

  /** Ends all connections; what is unacknowledged stays in the outbox. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#carrier.finish(true);
    await Promise.all(this.#uplinks.map((uplink) => uplink.stop()));
    this.#carrier.stop();
  }

  async #setPaused(paused: boolean): Promise<void> {
    const change = paused
      ? ({ type: "put", key: PAUSED_KEY, value: new Uint8Array([1]) } as const)
      : ({ type: "del", key: PAUSED_KEY } as const);
    await this.#parts.store.write([change], { durable: true });
    this.#paused = paused;
    this.#parts.departures.outbox.setPaused(paused);
  }

  #decide(): BatchingDecision {
    if (this.#paused) return { priorityMin: undefined };
    const { clock, departures } = this.#parts;
    const passage = { priorityMin: this.#priorityFloor(), guests: this.#takesGuests() };
    return this.#batching.decide(clock.monotonicMs(), departures.pressing(passage));
  }

  /** Updates below it wait for an uplink that is not there now: they are no reason to keep the radio on. */
  #priorityFloor(): number {
    const carrying = this.#carrier.uplink;
    const uplinks = carrying === undefined ? this.#uplinks : [carrying];
    return Math.min(9, ...uplinks.map(({ options }) => options.updatePriorityMin));
  }

  #takesGuests(): boolean {
    const carrying = this.#carrier.uplink;
    return carrying?.takesGuests ?? this.#uplinks.some(({ takesGuests }) => takesGuests);
  }

  #choose(): void {
    if (this.#stopped) return;
    const { priorityMin } = this.#decide();
    const waits = (uplink: Uplink): boolean =>
      priorityMin !== undefined &&
      this.#parts.departures.available({
        priorityMin: Math.max(priorityMin, uplink.options.updatePriorityMin),
        guests: uplink.takesGuests,
      }) > 0;
    const candidates = this.#uplinks.map((uplink) => uplink.candidate(waits(uplink)));
    const asleep =
      this.#batching.disconnects && this.#carrier.settled && !candidates.some(({ work }) => work);
    if (asleep) this.#sleep();
    else this.#follow(candidates);
  }

  #sleep(): void {
    this.#timer?.cancel();
    if (this.#carrier.uplink !== undefined) this.#carrier.carryWith(undefined, false);
    for (const uplink of this.#uplinks) uplink.want(false, "asleep until the next batch");
  }

  #follow(candidates: readonly Candidate[]): void {
    const current = this.#carrier.uplink;
    const at = current === undefined ? undefined : this.#uplinks.indexOf(current);
    const { active, connected, askAgainInMs } = select(candidates, at);
    const next = active === undefined ? undefined : this.#uplinks[active];
    if (next === current) this.#carrier.finish(false);
    else if (current?.up !== true || this.#carrier.settled) this.#hand(next);
    // What is on the way over a link that works arrives there, once.
    else this.#carrier.finish(true);
    for (const [index, uplink] of this.#uplinks.entries()) {
      const wanted = connected[index] === true || uplink === this.#carrier.uplink;
      uplink.want(wanted, reasonToRest(candidates[index]));
    }
    this.#lookAgain(candidates, askAgainInMs);
  }

  #hand(next: Uplink | undefined): void {
    const from = this.#last;
    const takeover = next !== undefined && from !== undefined && next !== from;
    if (next !== undefined) this.#last = next;
    this.#carrier.carryWith(next, takeover);
    if (!takeover) return;
    this.#parts.logger.info("uplink takes over", { uplink: next.name, from: from.name });
    this.#parts.events.emit("uplink.took-over", { uplink: next.name, from: from.name });
  }

  #lookAgain(candidates: readonly Candidate[], askAgainInMs: number | undefined): void {
    this.#timer?.cancel();
    const delays = this.#uplinks.flatMap((uplink, at) =>
      candidates[at]?.exhausted === true ? [uplink.lookAgainInMs] : [],
    );
    if (askAgainInMs !== undefined) delays.push(askAgainInMs);
    if (delays.length === 0) return;
    this.#timer = this.#parts.clock.setTimer("uplink.choose", Math.min(...delays), () =>
      this.uplinkChanged(),
    );
  }
}

function reasonToRest(candidate: Candidate | undefined): string {
  return candidate?.exhausted === true
    ? "bytesPerDayMax is used up; goes on with the next UTC day"
    : "in reserve: dialled when it is needed";
}
