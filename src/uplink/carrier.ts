import type { Clock, Timer } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { OutboundUpdate, SendOutcome } from "../platform/uplink-connection.ts";
import type { BatchingDecision } from "./batching.ts";
import { CatchUp } from "./catch-up.ts";
import type { Departures } from "./departures.ts";
import type { Uplink } from "./uplink.ts";

const LEASE_MAX = 512;
const STORE_RETRY_MS = 1_000;

/** What a {@link Carrier} is made of. */
export interface CarrierParts {
  readonly departures: Departures;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked before each lease: what may leave now. */
  readonly decide: () => BatchingDecision;
  /** Called when nothing is on the way and nothing may leave. */
  readonly rested: () => void;
}

/**
 * Takes updates from where they wait to one uplink, in order, within its window and rate. An update leaves its queue
 * when the receiver has acknowledged it, or says that it has it already ({@link CatchUp}); when the uplink is taken
 * away, everything that was not acknowledged is sent again over the next one.
 */
export class Carrier {
  readonly #parts: CarrierParts;
  #uplink: Uplink | undefined;
  /** The uplink is to be changed: nothing more is sent until what is on the way has settled. */
  #finishing = false;
  #stopped = false;
  /** Counts uplinks: an outcome of an earlier one settles nothing. */
  #epoch = 0;
  #catchUp: CatchUp | undefined;
  #pumping = false;
  #again = false;
  #timer: Timer | undefined;
  #stall: Timer | undefined;

  constructor(parts: CarrierParts) {
    this.#parts = parts;
  }

  get uplink(): Uplink | undefined {
    return this.#uplink;
  }

  /** Whether an uplink that works could be taken away without repeating anything. */
  get settled(): boolean {
    return this.#uplink === undefined || this.#uplink.traffic.inFlight === 0;
  }

  /** Goes on with another uplink, or with none. */
  carryWith(uplink: Uplink | undefined, takeover: boolean): void {
    this.#epoch++;
    this.#finishing = false;
    this.#stall?.cancel();
    this.#stall = undefined;
    this.#uplink?.setActive(false);
    this.#parts.departures.rewind();
    this.#catchUp?.end();
    this.#uplink = uplink;
    const { outbox } = this.#parts.departures;
    this.#catchUp =
      uplink && new CatchUp({ ...this.#parts, outbox, uplink, answered: () => this.pump() });
    uplink?.setActive(true, takeover);
    this.pump();
  }

  /** Lets what is on the way arrive, and sends nothing more until {@link carryWith}, or until told otherwise. */
  finish(finishing: boolean): void {
    this.#finishing = finishing;
  }

  /** Sends what may leave, once for everybody who asks in this turn of the event loop. */
  pump(): void {
    this.#again = true;
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => void this.#run());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.carryWith(undefined, false);
  }

  async #run(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false;
        await this.#sendSome();
        if (this.settled) this.#parts.rested();
      }
    } catch (error) {
      this.#parts.logger.warn("could not read the outbox; trying again", {
        reason: error instanceof Error ? error.message : String(error),
      });
      this.#pumpLater(STORE_RETRY_MS);
    } finally {
      this.#pumping = false;
    }
    if (this.#again) this.pump();
  }

  #pumpLater(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.setTimer("uplink.batch", delayMs, () => this.pump());
  }

  async #sendSome(): Promise<void> {
    const { departures } = this.#parts;
    for (;;) {
      const uplink = this.#uplink;
      const catchUp = this.#catchUp;
      if (this.#stopped) return;
      const decision = this.#parts.decide();
      if (decision.askAgainInMs !== undefined) this.#pumpLater(decision.askAgainInMs);
      if (uplink === undefined || catchUp === undefined) return;
      if (this.#finishing || decision.priorityMin === undefined) return;
      const priorityMin = Math.max(decision.priorityMin, uplink.options.updatePriorityMin);
      const passage = { priorityMin, guests: uplink.takesGuests };
      // Asking for room may use it up: only when there is something to send.
      if (departures.available(passage) === 0 || !catchUp.ready()) return;
      const room = uplink.room(LEASE_MAX);
      if (room.askAgainInMs !== undefined)
        this.#pumpLater(Math.min(room.askAgainInMs, decision.askAgainInMs ?? room.askAgainInMs));
      if (room.updates <= 0) return;
      const epoch = this.#epoch;
      const updates = await departures.lease(room.updates, passage);
      if (updates.length === 0) return;
      // The connection ended while the disk was being read: these were leased after the rewind.
      if (epoch !== this.#epoch) {
        departures.rewind();
        continue;
      }
      for (const update of updates) {
        // The receiver was asked for this agent's streams; those of others may have the same names.
        if (departures.isOwn(update) && catchUp.has(update)) {
          uplink.traffic.skipped++;
          departures.acknowledge(update);
        } else this.#send(uplink, update, epoch);
      }
      catchUp.tellGaps();
      this.#watch(uplink);
    }
  }

  #send(uplink: Uplink, update: OutboundUpdate, epoch: number): void {
    const { clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    uplink.noteSent(update.payload.length);
    uplink.connection.send(update, (outcome) => {
      if (epoch !== this.#epoch) return;
      uplink.traffic.noteSettled();
      this.#settle(uplink, update, outcome, clock.monotonicMs() - sentAtMs);
      this.pump();
    });
  }

  #settle(uplink: Uplink, update: OutboundUpdate, outcome: SendOutcome, roundTripMs: number): void {
    if (outcome.kind === "acknowledged") {
      this.#parts.departures.acknowledge(update);
      uplink.noteAcknowledged(roundTripMs);
      return;
    }
    uplink.traffic.refused++;
    if (outcome.permanent) {
      this.#parts.departures.refuse(update, `${uplink.name}: ${outcome.reason}`);
      return;
    }
    // Sending the next one first would break the stream's order: hang up and begin here again.
    void uplink.backOff(`receiver is not taking updates: ${outcome.reason}`, outcome);
  }

  /** A receiver that is there and answers nothing is told from one that works by what it has acknowledged. */
  #watch(uplink: Uplink): void {
    if (this.#stall !== undefined || uplink.traffic.inFlight === 0) return;
    const { clock } = this.#parts;
    const { stallTimeoutMs } = uplink.options;
    const look = (): void => {
      this.#stall = undefined;
      const { inFlight, progressAtMs, aliveAtMs } = uplink.traffic;
      if (this.#uplink !== uplink || inFlight === 0) return;
      // One that is to be left is not waited for because it means well.
      const heardAtMs = this.#finishing ? progressAtMs : Math.max(progressAtMs, aliveAtMs);
      const leftMs = heardAtMs + stallTimeoutMs - clock.monotonicMs();
      if (leftMs > 0) this.#stall = clock.setTimer("uplink.stall", leftMs, look);
      else
        void uplink.backOff(
          `acknowledged nothing of ${inFlight} updates within ${stallTimeoutMs} ms (stallTimeoutMs)`,
        );
    };
    this.#stall = clock.setTimer("uplink.stall", stallTimeoutMs, look);
  }
}
