import type { PeerId } from "../platform/signer.ts";
import { putNewest } from "./bounded.ts";

/** A limit of frames and of payload bytes; what is not used is saved up for `burstSeconds`. */
export interface Rate {
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly burstSeconds: number;
}

/** Limits of everything that comes in. */
export interface RateSettings {
  readonly peer: Rate;
  readonly global: Rate;
  /** Of one peer in one protocol or topic, by its full name. */
  readonly protocols: Readonly<Record<string, Rate>>;
  /** Peers that are kept count of; those quiet for longest give way. */
  readonly peersMax: number;
}

/** Whose limit a frame went over. */
export type RateExcess = "peer" | "protocol" | "global";

/**
 * A pair of token buckets. A frame needs a whole token; bytes only need a level above zero and may take it below,
 * so that a frame larger than the burst passes now and then, and is paid off before the next.
 */
class Meter {
  readonly #rate: Rate;
  readonly #framesMax: number;
  readonly #bytesMax: number;
  #frames: number;
  #bytes: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    // A rate below one a second still lets one go.
    this.#framesMax = Math.max(1, rate.framesPerSecond * rate.burstSeconds);
    this.#bytesMax = Math.max(1, rate.bytesPerSecond * rate.burstSeconds);
    this.#frames = this.#framesMax;
    this.#bytes = this.#bytesMax;
    this.#atMs = nowMs;
  }

  hasRoom(nowMs: number): boolean {
    const seconds = Math.max(0, nowMs - this.#atMs) / 1_000;
    if (seconds > 0) {
      this.#frames = Math.min(this.#framesMax, this.#frames + seconds * this.#rate.framesPerSecond);
      this.#bytes = Math.min(this.#bytesMax, this.#bytes + seconds * this.#rate.bytesPerSecond);
      this.#atMs = nowMs;
    }
    return this.#frames >= 1 && this.#bytes > 0;
  }

  take(bytes: number): void {
    this.#frames -= 1;
    this.#bytes -= bytes;
  }

  /** Nothing is missing any more: it is as good as a new one. */
  isFull(nowMs: number): boolean {
    return (
      this.hasRoom(nowMs) && this.#frames === this.#framesMax && this.#bytes === this.#bytesMax
    );
  }
}

interface PeerMeters {
  readonly all: Meter;
  /** At most one for each protocol that has a limit of its own. */
  protocols: Map<string, Meter> | undefined;
  /** Of the last frame, roughly: moves the peer up in the order of giving way only now and then. */
  usedAtMs: number;
}

/** How stale a peer's place in the order may be; spares moving it with every frame. */
const PLACE_STALE_MS = 1_000;
/** Of a peer that was quiet for so long nothing is kept, once its meters are full. */
const QUIET_MS = 60_000;
/** How often that is looked for: a look has to pass by every place that has become free since the map was laid out anew. */
const FORGET_EVERY_MS = 10_000;

/** Token buckets for each peer, for each peer's protocols, and for all together. Pure: time comes in as a number. */
export class RateLimits {
  readonly #settings: RateSettings;
  readonly #protocols: ReadonlyMap<string, Rate>;
  readonly #peers = new Map<PeerId, PeerMeters>();
  #global: Meter | undefined;
  #forgetAtMs = Number.NEGATIVE_INFINITY;

  constructor(settings: RateSettings) {
    this.#settings = settings;
    this.#protocols = new Map(Object.entries(settings.protocols));
  }

  /** Peers that are kept count of. */
  get size(): number {
    return this.#peers.size;
  }

  /**
   * Counts a frame in, unless it is too much; then it costs nothing.
   * @param what protocol id or topic @param nowMs monotonic
   * @returns whose limit it would go over
   */
  take(peer: PeerId, what: string, bytes: number, nowMs: number): RateExcess | undefined {
    const meters = this.#metersOf(peer, nowMs);
    if (!meters.all.hasRoom(nowMs)) return "peer";
    const protocol = this.#protocolMeter(meters, what, nowMs);
    if (protocol !== undefined && !protocol.hasRoom(nowMs)) return "protocol";
    this.#global ??= new Meter(this.#settings.global, nowMs);
    if (!this.#global.hasRoom(nowMs)) return "global";
    meters.all.take(bytes);
    protocol?.take(bytes);
    this.#global.take(bytes);
    return undefined;
  }

  #metersOf(peer: PeerId, nowMs: number): PeerMeters {
    const known = this.#peers.get(peer);
    if (known !== undefined && nowMs - known.usedAtMs < PLACE_STALE_MS) return known;
    this.#forgetQuiet(nowMs);
    if (known !== undefined) {
      known.usedAtMs = nowMs;
      putNewest(this.#peers, peer, known, this.#settings.peersMax);
      return known;
    }
    const meters: PeerMeters = {
      all: new Meter(this.#settings.peer, nowMs),
      protocols: undefined,
      usedAtMs: nowMs,
    };
    putNewest(this.#peers, peer, meters, this.#settings.peersMax);
    return meters;
  }

  /** Without it every stranger that ever knocked would be remembered until `peersMax` others have. */
  #forgetQuiet(nowMs: number): void {
    if (nowMs < this.#forgetAtMs) return;
    this.#forgetAtMs = nowMs + FORGET_EVERY_MS;
    for (const [peer, { all, protocols, usedAtMs }] of this.#peers) {
      if (nowMs - usedAtMs < QUIET_MS) return;
      const meters = [all, ...(protocols?.values() ?? [])];
      if (!meters.every((meter) => meter.isFull(nowMs))) return;
      this.#peers.delete(peer);
    }
  }

  #protocolMeter(meters: PeerMeters, what: string, nowMs: number): Meter | undefined {
    const rate = this.#protocols.get(what);
    if (rate === undefined) return undefined;
    meters.protocols ??= new Map();
    let meter = meters.protocols.get(what);
    if (meter === undefined) {
      meter = new Meter(rate, nowMs);
      meters.protocols.set(what, meter);
    }
    return meter;
  }
}
