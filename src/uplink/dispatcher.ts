import type { Outbox } from "../outbox/outbox.ts";
import { type Update, updateId } from "../outbox/update.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { OutboundUpdate, SendOutcome } from "../platform/uplink-connection.ts";
import { Batching, type BatchingSettings } from "./batching.ts";
import type { Uplink } from "./uplink.ts";
import type { UplinkStatus, UplinkView } from "./view.ts";

const PAUSED_KEY = "u/paused";
const LEASE_MAX = 512;
const STORE_RETRY_MS = 1_000;

/** What a {@link Dispatcher} is made of. */
export interface DispatcherParts {
  readonly outbox: Outbox;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Takes updates from the outbox to the first uplink that is up, in order, within its window. An update
 * leaves the outbox when the receiver has acknowledged it; when the connection ends, everything that was
 * not acknowledged is sent again over the next one.
 */
export class Dispatcher implements UplinkView {
  readonly #parts: DispatcherParts;
  readonly #batching = new Batching();
  #uplinks: readonly Uplink[] = [];
  #active: Uplink | undefined;
  #paused = false;
  #stopped = false;
  /** Counts connections: an outcome of an earlier one settles nothing. */
  #epoch = 0;
  #pumping = false;
  #again = false;
  #timer: Timer | undefined;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Starts with uplinks in order of preference. @throws StoreError */
  async start(uplinks: readonly Uplink[]): Promise<void> {
    this.#uplinks = uplinks;
    this.#paused = (await this.#parts.store.get(PAUSED_KEY)) !== undefined;
    this.#parts.outbox.setPaused(this.#paused);
    this.#parts.outbox.onAppended(() => this.#pump());
    for (const uplink of uplinks) uplink.start();
  }

  /** Called by an uplink that came up or went down. */
  uplinkChanged(): void {
    const best = this.#uplinks.find(({ up }) => up);
    if (best === this.#active) return;
    this.#abandon();
    this.#active = best;
    this.#pump();
  }

  /** What the power policy asks of the radio. */
  configure(settings: BatchingSettings): void {
    this.#batching.configure(settings);
    this.#pump();
  }

  status(): readonly UplinkStatus[] {
    return this.#uplinks.map((uplink) => uplink.status(uplink === this.#active));
  }

  /** Something in the agent's state document changed. */
  stateChanged(): void {
    for (const uplink of this.#uplinks) uplink.publishState();
  }

  flush(): void {
    for (const uplink of this.#uplinks) uplink.retryNow();
    this.#batching.flush();
    this.#pump();
  }

  async pause(): Promise<void> {
    await this.#setPaused(true);
  }

  async resume(): Promise<void> {
    await this.#setPaused(false);
    this.#pump();
  }

  /** Ends all connections; what is unacknowledged stays in the outbox. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await Promise.all(this.#uplinks.map((uplink) => uplink.stop()));
    this.#abandon();
  }

  async #setPaused(paused: boolean): Promise<void> {
    const change = paused
      ? ({ type: "put", key: PAUSED_KEY, value: new Uint8Array([1]) } as const)
      : ({ type: "del", key: PAUSED_KEY } as const);
    await this.#parts.store.write([change], { durable: true });
    this.#paused = paused;
    this.#parts.outbox.setPaused(paused);
  }

  #abandon(): void {
    this.#epoch++;
    if (this.#active !== undefined) this.#active.traffic.inFlight = 0;
    this.#active = undefined;
    this.#parts.outbox.rewind();
  }

  /** Sends what may leave, once for everybody who asks in this turn of the event loop. */
  #pump(): void {
    this.#again = true;
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false;
        await this.#sendSome();
      }
    } catch (error) {
      this.#parts.logger.warn("could not read the outbox; trying again", {
        reason: error instanceof Error ? error.message : String(error),
      });
      this.#pumpLater(STORE_RETRY_MS);
    } finally {
      this.#pumping = false;
    }
    if (this.#again) this.#pump();
  }

  #pumpLater(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.setTimer("uplink.batch", delayMs, () => this.#pump());
  }

  async #sendSome(): Promise<void> {
    const { outbox, clock } = this.#parts;
    for (;;) {
      const uplink = this.#active;
      if (uplink === undefined || this.#paused || this.#stopped) return;
      const room = Math.min(LEASE_MAX, uplink.limits.inFlightMax - uplink.traffic.inFlight);
      if (room <= 0) return;
      const decision = this.#batching.decide(clock.monotonicMs(), outbox.available());
      if (decision.askAgainInMs !== undefined) this.#pumpLater(decision.askAgainInMs);
      if (decision.priorityMin === undefined) return;
      const epoch = this.#epoch;
      const updates = await outbox.lease(room, decision.priorityMin);
      if (updates.length === 0) return;
      // The connection ended while the disk was being read: these were leased after the rewind.
      if (epoch !== this.#epoch) {
        outbox.rewind();
        continue;
      }
      for (const update of updates) this.#send(uplink, update, epoch);
    }
  }

  #send(uplink: Uplink, update: Update, epoch: number): void {
    const { clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    uplink.traffic.inFlight++;
    uplink.traffic.sentBytes += update.payload.length;
    uplink.connection.send(toOutbound(update), (outcome) => {
      if (epoch !== this.#epoch) return;
      uplink.traffic.inFlight--;
      this.#settle(uplink, update, outcome, clock.monotonicMs() - sentAtMs);
      this.#pump();
    });
  }

  #settle(uplink: Uplink, update: Update, outcome: SendOutcome, roundTripMs: number): void {
    if (outcome.kind === "acknowledged") {
      this.#parts.outbox.acknowledge(update);
      uplink.noteAcknowledged(roundTripMs);
      return;
    }
    uplink.traffic.refused++;
    if (outcome.permanent) {
      this.#parts.outbox.refuse(update, "receiver.refused", `${uplink.name}: ${outcome.reason}`);
      return;
    }
    // Sending the next one first would break the stream's order: hang up and begin here again.
    void uplink.backOff(`receiver is not taking updates: ${outcome.reason}`);
  }
}

function toOutbound(update: Update): OutboundUpdate {
  const { agentId, stream, sequence, payload, contentType } = update;
  const { observedAtMs, observedAtTrusted } = update;
  return {
    id: updateId(update),
    agentId,
    stream,
    sequence,
    topic: stream,
    payload,
    contentType,
    observedAtMs,
    observedAtTrusted,
  };
}
