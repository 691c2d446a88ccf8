import type { Clock, Timer } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import type { ConnectionLimits, UplinkConnection } from "../platform/uplink-connection.ts";
import { backoffMs } from "./backoff.ts";
import type { UplinkOptions } from "./options.ts";
import type { UplinkStatus } from "./view.ts";

/** What an {@link Uplink} is made of. */
export interface UplinkParts {
  readonly options: UplinkOptions;
  readonly connection: UplinkConnection;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventSink;
  /** Called when the uplink came up or went down. */
  readonly changed: () => void;
  readonly command: (topic: string, payload: Uint8Array) => void;
  /** The state document to leave with the receiver while we are there, and when we go. */
  readonly state: (online: boolean) => Uint8Array;
}

const RATE_WINDOW_MS = 10_000;

/** One road out: keeps its connection, redials for ever, and knows how it is doing. */
export class Uplink {
  readonly #parts: UplinkParts;
  #state: UplinkStatus["state"] = "stopped";
  #limits: ConnectionLimits = { inFlightMax: 0 };
  #reason: string | undefined;
  #retry: Timer | undefined;
  #retryAtMs = 0;
  #attempts = 0;
  #failures = 0;
  #upSinceMs = 0;
  #acknowledgedBefore = 0;
  #rate = { sinceMs: 0, count: 0, perSecond: 0 };
  /** Kept by the dispatcher. */
  readonly traffic = {
    inFlight: 0,
    acknowledged: 0,
    refused: 0,
    sentBytes: 0,
    lastRoundTripMs: undefined as number | undefined,
  };

  constructor(parts: UplinkParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.options.name;
  }

  get up(): boolean {
    return this.#state === "up";
  }

  get limits(): ConnectionLimits {
    return this.#limits;
  }

  get connection(): UplinkConnection {
    return this.#parts.connection;
  }

  start(): void {
    if (this.#state === "stopped") this.#connect();
  }

  /** Tries at once instead of when the backoff says. */
  retryNow(): void {
    if (this.#state !== "waiting") return;
    this.#retry?.cancel();
    this.#connect();
  }

  /** Hangs up on a receiver that asked us to come back later. */
  async backOff(reason: string): Promise<void> {
    const ended = this.#parts.connection.disconnect();
    // At once: nothing more may be handed to a connection that is ending.
    this.#down(reason);
    await ended;
  }

  async stop(): Promise<void> {
    if (this.up) this.#parts.connection.publishState(this.#parts.state(false));
    this.#state = "stopped";
    this.#retry?.cancel();
    await this.#parts.connection.disconnect();
  }

  /** Tells the receiver how we are, if it can be told now. */
  publishState(): void {
    if (this.up) this.#parts.connection.publishState(this.#parts.state(true));
  }

  noteAcknowledged(roundTripMs: number): void {
    this.traffic.acknowledged++;
    this.traffic.lastRoundTripMs = roundTripMs;
    this.#updateRate(1);
  }

  status(active: boolean): UplinkStatus {
    const { options, clock } = this.#parts;
    this.#updateRate(0);
    const { lastRoundTripMs, ...traffic } = this.traffic;
    return {
      name: options.name,
      kind: options.kind,
      url: options.url,
      state: this.#state,
      active,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(this.#state === "waiting"
        ? { retryInMs: Math.max(0, this.#retryAtMs - clock.monotonicMs()) }
        : {}),
      attempts: this.#attempts,
      inFlightMax: this.up ? this.#limits.inFlightMax : options.inFlightMax,
      ...traffic,
      acknowledgedPerSecond: this.#rate.perSecond,
      ...(lastRoundTripMs === undefined ? {} : { lastRoundTripMs }),
    };
  }

  #connect(): void {
    this.#state = "connecting";
    this.#attempts++;
    this.#parts.connection.connect({
      up: (limits) => {
        this.#state = "up";
        this.#limits = limits;
        this.#reason = undefined;
        this.#upSinceMs = this.#parts.clock.monotonicMs();
        this.#acknowledgedBefore = this.traffic.acknowledged;
        this.publishState();
        const { name, url } = this.#parts.options;
        this.#parts.logger.info("uplink is up", { uplink: name, url });
        this.#parts.events.emit("uplink.up", { uplink: name });
        this.#parts.changed();
      },
      down: (reason) => this.#down(reason),
      command: this.#parts.command,
    });
  }

  #down(reason: string): void {
    const { clock, random, options, logger, events, changed } = this.#parts;
    if (this.#state === "stopped") return;
    const wasUp = this.up;
    // A receiver that lets us in and takes nothing is no success: the interval goes on growing.
    const proven =
      this.traffic.acknowledged > this.#acknowledgedBefore ||
      clock.monotonicMs() - this.#upSinceMs > options.retryMaxMs;
    if (wasUp && proven) this.#failures = 0;
    this.#state = "waiting";
    this.#reason = reason;
    this.#failures++;
    const retryInMs = backoffMs(this.#failures, options, random);
    this.#retryAtMs = clock.monotonicMs() + retryInMs;
    this.#retry = clock.setTimer("uplink.retry", retryInMs, () => this.#connect());
    logger.warn("uplink is down", { uplink: options.name, reason, retryInMs });
    // An outage is one event, however many attempts it takes.
    if (wasUp || this.#failures === 1) events.emit("uplink.down", { uplink: options.name, reason });
    changed();
  }

  #updateRate(acknowledged: number): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const rate = this.#rate;
    rate.count += acknowledged;
    const elapsedMs = nowMs - rate.sinceMs;
    if (elapsedMs < 1_000) return;
    // An exponential mean over about ten seconds: steady to look at, and two numbers to keep.
    const weight = Math.min(1, elapsedMs / RATE_WINDOW_MS);
    rate.perSecond += weight * ((rate.count * 1_000) / elapsedMs - rate.perSecond);
    if (rate.perSecond < 0.01) rate.perSecond = 0;
    rate.sinceMs = nowMs;
    rate.count = 0;
  }
}
