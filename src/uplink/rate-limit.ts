/** A limit per second; what is not used is saved up for a second. */
class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #level: number;
  #atMs: number | undefined;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    // A rate below one a second still lets one go.
    this.#burst = Math.max(1, perSecond);
    this.#level = this.#burst;
  }

  /** @returns what may be taken now; negative while earlier takings are being paid off. */
  level(nowMs: number): number {
    const elapsedMs = nowMs - (this.#atMs ?? nowMs);
    this.#atMs = nowMs;
    this.#level = Math.min(this.#burst, this.#level + (elapsedMs * this.#perSecond) / 1_000);
    return this.#level;
  }

  take(amount: number): void {
    this.#level -= amount;
  }

  /** @returns time until, `taken` having been taken, the level is `wanted` or a second's worth. */
  waitMs(wanted: number, taken = 0): number {
    const missing = Math.min(wanted, this.#burst) - (this.#level - taken);
    return Math.max(1, Math.ceil((missing * 1_000) / this.#perSecond));
  }
}

/** How many updates may leave now, and when to ask again where a limit lowered the number. */
export interface RateRoom {
  readonly updates: number;
  readonly askAgainInMs?: number;
}

const SMOOTHING = 0.1;

/**
 * Limits of one uplink in updates and payload bytes per second. Pure: time comes in as a number. How large the
 * next updates are is not known before they are read, so their number is estimated from what went before, and
 * what was too much is paid off before the next.
 */
export class RateLimit {
  readonly #updates: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;
  #meanBytes = 256;

  constructor(limits: {
    readonly updatesPerSecondMax?: number;
    readonly bytesPerSecondMax?: number;
  }) {
    const { updatesPerSecondMax, bytesPerSecondMax } = limits;
    this.#updates =
      updatesPerSecondMax === undefined ? undefined : new TokenBucket(updatesPerSecondMax);
    this.#bytes = bytesPerSecondMax === undefined ? undefined : new TokenBucket(bytesPerSecondMax);
  }

  /** Payload bytes of an update, on average. */
  get meanBytes(): number {
    return this.#meanBytes;
  }

  /** @param wanted how many updates would leave without limits */
  room(nowMs: number, wanted: number): RateRoom {
    const updates = this.#updates;
    if (updates !== undefined) {
      const level = Math.floor(updates.level(nowMs));
      if (level < 1) return { updates: 0, askAgainInMs: updates.waitMs(1) };
      if (level < wanted)
        return { ...this.#byBytes(nowMs, level), askAgainInMs: updates.waitMs(1, level) };
    }
    return this.#byBytes(nowMs, wanted);
  }

  /** Notes an update that leaves. */
  take(bytes: number): void {
    this.#meanBytes += SMOOTHING * (bytes - this.#meanBytes);
    this.#updates?.take(1);
    this.#bytes?.take(bytes);
  }

  #byBytes(nowMs: number, wanted: number): RateRoom {
    const bytes = this.#bytes;
    if (bytes === undefined) return { updates: wanted };
    const level = bytes.level(nowMs);
    // A larger update than a second's worth leaves when the bucket is full.
    const first = Math.min(this.#meanBytes, 1);
    if (level < first) return { updates: 0, askAgainInMs: bytes.waitMs(this.#meanBytes) };
    const affordable = Math.max(1, Math.floor(level / Math.max(1, this.#meanBytes)));
    if (affordable >= wanted) return { updates: wanted };
    const taken = affordable * this.#meanBytes;
    return { updates: affordable, askAgainInMs: bytes.waitMs(this.#meanBytes, taken) };
  }
}
