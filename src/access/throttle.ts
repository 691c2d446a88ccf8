const WINDOW_MS = 60_000;

/** Something that may be told now, and how often it happened since it was told last. */
export interface Told {
  readonly key: string;
  /** Times that were not told before this one. */
  readonly more: number;
}

interface State {
  toldAtMs: number;
  more: number;
}

/**
 * Lets each thing be told once a minute, and few things altogether, and counts the rest, so that whoever floods us
 * does not flood logs. Pure: time comes in as a number, monotonic milliseconds.
 */
export class Throttle {
  readonly #tellingsMax: number;
  readonly #keysMax: number;
  readonly #states = new Map<string, State>();
  #others = 0;
  #windowAtMs = Number.NEGATIVE_INFINITY;
  #tellings = 0;

  /** @param limits `perMinuteMax`: tellings of everything; `keysMax`: things told apart */
  constructor(limits: { readonly perMinuteMax: number; readonly keysMax: number }) {
    this.#tellingsMax = limits.perMinuteMax;
    this.#keysMax = limits.keysMax;
  }

  /** It happened. @returns what to tell, or undefined to keep silent this time. */
  happened(key: string, nowMs: number): Told | undefined {
    const state = this.#states.get(key);
    if (state !== undefined && nowMs - state.toldAtMs < WINDOW_MS) {
      state.more++;
      return undefined;
    }
    if (!this.#mayTell(nowMs)) {
      if (state === undefined) this.#others++;
      else state.more++;
      return undefined;
    }
    if (state === undefined) {
      // Full of others: told, but not told apart any more.
      if (this.#states.size < this.#keysMax) this.#states.set(key, { toldAtMs: nowMs, more: 0 });
      return { key, more: 0 };
    }
    const { more } = state;
    state.toldAtMs = nowMs;
    state.more = 0;
    return { key, more };
  }

  /**
   * What was kept silent for a minute and did not happen again. Call it about once a minute.
   * @returns single things, and how often all others happened
   */
  drain(nowMs: number): { readonly told: readonly Told[]; readonly others: number } {
    const told: Told[] = [];
    for (const [key, state] of this.#states) {
      if (nowMs - state.toldAtMs < WINDOW_MS) continue;
      if (state.more === 0) {
        this.#states.delete(key);
      } else if (this.#mayTell(nowMs)) {
        told.push({ key, more: state.more });
        this.#states.delete(key);
      }
    }
    const others = this.#others;
    this.#others = 0;
    return { told, others };
  }

  #mayTell(nowMs: number): boolean {
    if (nowMs - this.#windowAtMs >= WINDOW_MS) {
      this.#windowAtMs = nowMs;
      this.#tellings = 0;
    }
    if (this.#tellings >= this.#tellingsMax) return false;
    this.#tellings++;
    return true;
  }
}
