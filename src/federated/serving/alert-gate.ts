/** When many scores make one alert. */
export interface AlertRules {
  /** So many… */
  readonly raiseCount: number;
  /** …of the last so many windows have to be above the threshold. */
  readonly raiseOf: number;
  /** An alert is over after so many windows in a row that are not. */
  readonly clearAfter: number;
  /** More are kept to oneself, and counted. */
  readonly alertsPerHourMax: number;
}

/** What the gate says of a window: an alert begins or ends, or nothing does. */
export type AlertChange = "raised" | "cleared" | undefined;

const HOUR_MS = 3_600_000;

/**
 * Makes alerts of scores, with hysteresis: one window above the threshold is chance, and a failure that flickers is one failure.
 * Pure; time is that of the windows.
 */
export class AlertGate {
  readonly #rules: AlertRules;
  /** Whether each of the last windows was above. */
  #recent: readonly boolean[] = [];
  #quiet = 0;
  #state: "quiet" | "raised" | "suppressed" = "quiet";
  #raisedAtMs: readonly number[] = [];
  #sinceMs = 0;
  #suppressed = 0;

  /** @param raisedSinceMs when the alert began that is not over, where there is one */
  constructor(rules: AlertRules, raisedSinceMs?: number) {
    this.#rules = rules;
    if (raisedSinceMs === undefined) return;
    this.#state = "raised";
    this.#sinceMs = raisedSinceMs;
  }

  /** Whether there is an alert now, told or not. */
  get isRaised(): boolean {
    return this.#state !== "quiet";
  }

  /** When the alert at hand, or the last one, began. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Alerts that were not told, since there were too many. */
  get suppressed(): number {
    return this.#suppressed;
  }

  /** @param isAbove the threshold @param atMs not below that of the window before */
  take(isAbove: boolean, atMs: number): AlertChange {
    const { raiseCount, raiseOf, clearAfter } = this.#rules;
    this.#recent = [...this.#recent, isAbove].slice(-raiseOf);
    this.#quiet = isAbove ? 0 : this.#quiet + 1;
    if (this.#state === "quiet") {
      if (this.#recent.filter(Boolean).length < raiseCount) return undefined;
      this.#sinceMs = atMs;
      return this.#raise(atMs);
    }
    if (this.#quiet < clearAfter) return undefined;
    const wasTold = this.#state === "raised";
    this.#state = "quiet";
    this.#recent = [];
    return wasTold ? "cleared" : undefined;
  }

  #raise(atMs: number): AlertChange {
    const { alertsPerHourMax } = this.#rules;
    this.#raisedAtMs = this.#raisedAtMs.filter((past) => past > atMs - HOUR_MS);
    if (this.#raisedAtMs.length >= alertsPerHourMax) {
      this.#state = "suppressed";
      this.#suppressed++;
      return undefined;
    }
    this.#raisedAtMs = [...this.#raisedAtMs, atMs];
    this.#state = "raised";
    return "raised";
  }
}
