import { backoffMs } from "../platform/backoff.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import type { ConnectionLimits, UplinkConnection } from "../platform/uplink-connection.ts";
import { Meter } from "./meter.ts";
import { type UplinkOptions, urlOf } from "./options.ts";
import { RateLimit, type RateRoom } from "./rate-limit.ts";
import type { Candidate } from "./selection.ts";
import { Traffic } from "./traffic.ts";
import type { UplinkStatus } from "./view.ts";

/** How an agent is, as its state document tells: `asleep` is not connected, and will be back by itself. */
export type Presence = "online" | "asleep" | "offline";

/** What an {@link Uplink} is made of. */
export interface UplinkParts {
  readonly options: UplinkOptions;
  readonly connection: UplinkConnection;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventSink;
  /** Called when the uplink came up or went down. */
  readonly changed: () => void;
  readonly command: (topic: string, payload: Uint8Array) => void;
  /** The state document to leave with the receiver while we are there, and when we go. */
  readonly state: (presence: Presence) => Uint8Array;
}

/** However often an uplink failed right after it took over, it is tried again within this time. */
const FAILBACK_MAX_MS = 3_600_000;

/** One road out: keeps its connection while it is wanted, redials for ever, and knows how it is doing. */
export class Uplink {
  readonly #parts: UplinkParts;
  readonly #meter: Meter;
  readonly #rate: RateLimit;
  readonly traffic: Traffic;
  #state: UplinkStatus["state"] = "stopped";
  #limits: ConnectionLimits = { inFlightMax: 0 };
  #reason: string | undefined;
  #retry: Timer | undefined;
  #retryAtMs = 0;
  #retryInMs = 0;
  #attempts = 0;
  #failures = 0;
  /** Times in a row that the receiver asked us to come back later. */
  #refusals = 0;
  /** Times in a row that it failed soon after it had taken over. */
  #relapses = 0;
  #activeSinceMs: number | undefined;
  #upSinceMs = 0;
  #acknowledgedBefore = 0;

  constructor(parts: UplinkParts) {
    const { options, connection, store, clock, logger } = parts;
    this.#parts = parts;
    this.traffic = new Traffic(clock);
    this.#rate = new RateLimit(options);
    this.#meter = new Meter({
      name: options.name,
      bytesPerDayMax: options.bytesPerDayMax,
      store,
      clock,
      logger,
      wireBytes: () => connection.wireBytes,
    });
  }

  get options(): UplinkOptions {
    return this.#parts.options;
  }

  get name(): string {
    return this.#parts.options.name;
  }

  /** Whether updates of other agents can travel over it: Sparkplug knows an edge node's own alone. */
  get takesGuests(): boolean {
    const { kind, updatePriorityMin } = this.options;
    // Those of others have no priority here: they go where all may go.
    const able = kind !== "sparkplug" && updatePriorityMin === 0;
    return able && this.connection.takesGuests !== false;
  }

  get up(): boolean {
    return this.#state === "up";
  }

  get connection(): UplinkConnection {
    return this.#parts.connection;
  }

  /** Reads what is kept of it; it connects when it {@link want}s to. @throws StoreError */
  async start(): Promise<void> {
    await this.#meter.load();
    this.#state = "idle";
  }

  /** Connects, or lets the connection go for the reason given. */
  want(connected: boolean, because: string): void {
    if (this.#state === "stopped") return;
    if (connected) {
      if (this.#state !== "idle") return;
      this.#reason = undefined;
      this.#connect();
      return;
    }
    this.#reason = because;
    if (this.#state === "idle") return;
    this.#retry?.cancel();
    if (this.up) this.connection.publishState(this.#parts.state("asleep"));
    this.#state = "idle";
    this.#failures = 0;
    this.#refusals = 0;
    this.#parts.logger.debug("uplink is let go", { uplink: this.name, because });
    this.connection.disconnect().catch((error: unknown) =>
      this.#parts.logger.debug("uplink did not end well", {
        uplink: this.name,
        reason: String(error),
      }),
    );
  }

  /** Tries at once instead of when the backoff says. */
  retryNow(): void {
    if (this.#state !== "waiting") return;
    this.#retry?.cancel();
    this.#connect();
  }

  /** What the choice among uplinks goes by. @param work updates that it may carry are waiting */
  candidate(work: boolean): Candidate {
    const { failbackAfterMs, standby, bytesPerDayMax } = this.options;
    return {
      up: this.up,
      upForMs: this.up ? this.#parts.clock.monotonicMs() - this.#upSinceMs : 0,
      failbackAfterMs: Math.min(
        Math.max(FAILBACK_MAX_MS, failbackAfterMs),
        failbackAfterMs * 2 ** this.#relapses,
      ),
      hopeful: this.#isHopeful(),
      cold: (standby ?? (bytesPerDayMax === undefined ? "connected" : "cold")) === "cold",
      exhausted: this.#meter.charge() <= 0,
      work,
    };
  }

  /** When to look whether its bytes for the day are there again. */
  get lookAgainInMs(): number {
    return this.#meter.lookAgainInMs;
  }

  /** It carries the updates from now on, or does so no more. @param takeover from another uplink */
  setActive(active: boolean, takeover = false): void {
    this.traffic.inFlight = 0;
    this.#activeSinceMs = active ? this.#parts.clock.monotonicMs() : undefined;
    if (takeover) this.traffic.takeovers++;
  }

  /** How many updates may leave now, within window, rate and what is left of the day. */
  room(leaseMax: number): RateRoom {
    const window = Math.min(leaseMax, this.#limits.inFlightMax - this.traffic.inFlight);
    if (window <= 0) return { updates: 0 };
    const leftBytes = this.#meter.charge();
    // Used up: once what is on the way has settled, another uplink is chosen.
    if (leftBytes <= 0) return { updates: 0 };
    const affordable = leftBytes / (this.#rate.meanBytes * (this.traffic.inFlight + 1));
    const room = this.#rate.room(this.#parts.clock.monotonicMs(), window);
    return { ...room, updates: Math.min(room.updates, Math.max(1, Math.floor(affordable))) };
  }

  noteSent(payloadBytes: number): void {
    this.traffic.noteSent(payloadBytes);
    this.#rate.take(payloadBytes);
  }

  noteAcknowledged(roundTripMs: number): void {
    this.#refusals = 0;
    this.traffic.noteAcknowledged(roundTripMs);
  }

  /**
   * Hangs up: on a receiver that asked us to come back later, or that is not what it should be.
   * @param asked the receiver's own wish, and how long it wants to be left alone where it said so
   */
  async backOff(reason: string, asked?: { readonly retryAfterMs?: number }): Promise<void> {
    const ended = this.connection.disconnect();
    // At once: nothing more may be handed to a connection that is ending.
    this.#down(reason, asked?.retryAfterMs, asked !== undefined);
    await ended;
  }

  async stop(): Promise<void> {
    if (this.up) this.connection.publishState(this.#parts.state("offline"));
    this.#state = "stopped";
    this.#retry?.cancel();
    await this.connection.disconnect();
    await this.#meter.close();
  }

  /** Tells the receiver how we are, if it can be told now. */
  publishState(): void {
    if (this.up) this.connection.publishState(this.#parts.state("online"));
  }

  status(active: boolean): UplinkStatus {
    const { options, clock } = this.#parts;
    const { name, kind, bytesPerDayMax, inFlightMax } = options;
    const { inFlight, acknowledged, refused, skipped, sentBytes, takeovers } = this.traffic;
    const { lastRoundTripMs, acknowledgedPerSecond } = this.traffic;
    const { dayBytes } = this.#meter;
    return {
      name,
      kind,
      url: this.#url,
      state: this.#state,
      active,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(this.#state === "waiting"
        ? { retryInMs: Math.max(0, this.#retryAtMs - clock.monotonicMs()) }
        : {}),
      attempts: this.#attempts,
      inFlight,
      inFlightMax: this.up ? this.#limits.inFlightMax : inFlightMax,
      acknowledged,
      refused,
      skipped,
      sentBytes,
      wireBytes: this.connection.wireBytes,
      takeovers,
      takesGuests: this.takesGuests,
      ...(dayBytes === undefined || bytesPerDayMax === undefined
        ? {}
        : { dayBytes, dayBytesMax: bytesPerDayMax }),
      acknowledgedPerSecond,
      ...(lastRoundTripMs === undefined ? {} : { lastRoundTripMs }),
    };
  }

  get #url(): string {
    const { options, connection } = this.#parts;
    return connection.leadsTo ?? urlOf(options);
  }

  #isHopeful(): boolean {
    const { refusalsMax, stallTimeoutMs } = this.options;
    if (this.#state === "connecting" && this.#failures === 0) return true;
    const trying = this.#state === "connecting" || this.#state === "waiting";
    const asked = this.#refusals > 0 && this.#refusals < refusalsMax;
    return trying && asked && this.#retryInMs < stallTimeoutMs;
  }

  #connect(): void {
    this.#state = "connecting";
    this.#attempts++;
    this.connection.connect({
      up: (limits) => {
        this.#state = "up";
        this.#limits = limits;
        this.#reason = undefined;
        this.#upSinceMs = this.#parts.clock.monotonicMs();
        this.#acknowledgedBefore = this.traffic.acknowledged;
        this.publishState();
        const { name } = this;
        this.#parts.logger.info("uplink is up", { uplink: name, url: this.#url });
        this.#parts.events.emit("uplink.up", { uplink: name });
        this.#parts.changed();
      },
      down: (reason, retryAfterMs) =>
        this.#down(reason, retryAfterMs, this.up && retryAfterMs !== undefined),
      waiting: (reason) => {
        this.#reason = reason;
      },
      progress: () => this.traffic.noteProgress(),
      retry: () => this.retryNow(),
      command: this.#parts.command,
    });
  }

  #down(reason: string, retryAfterMs: number | undefined, asked: boolean): void {
    const { clock, random, options, logger, events, changed } = this.#parts;
    if (this.#state === "stopped" || this.#state === "idle") return;
    const wasUp = this.up;
    const nowMs = clock.monotonicMs();
    // A receiver that lets us in and takes nothing is no success: the interval goes on growing.
    const proven =
      this.traffic.acknowledged > this.#acknowledgedBefore ||
      nowMs - this.#upSinceMs > options.retryMaxMs;
    if (wasUp && proven) this.#failures = 0;
    if (this.#activeSinceMs !== undefined)
      this.#relapses =
        nowMs - this.#activeSinceMs < 2 * options.failbackAfterMs ? this.#relapses + 1 : 0;
    this.#state = "waiting";
    this.#reason = reason;
    this.#failures++;
    this.#refusals = asked ? this.#refusals + 1 : 0;
    const retryInMs = retryAfterMs ?? backoffMs(this.#failures, options, random);
    this.#retryInMs = retryInMs;
    this.#retryAtMs = nowMs + retryInMs;
    this.#retry?.cancel();
    this.#retry = clock.setTimer("uplink.retry", retryInMs, () => this.#connect());
    logger.warn("uplink is down", { uplink: options.name, reason, retryInMs });
    // An outage is one event, however many attempts it takes.
    if (wasUp || this.#failures === 1) events.emit("uplink.down", { uplink: options.name, reason });
    changed();
  }
}
