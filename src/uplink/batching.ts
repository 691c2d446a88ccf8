/** The part of the power policy that the uplink obeys. */
export interface BatchingSettings {
  readonly uplinkBatchIntervalMs: number;
  readonly uplinkBatchUpdatesMax: number;
  readonly uplinkUrgentPriorityMin: number;
  /** Between two batches there is no connection. */
  readonly uplinkDisconnectBetweenBatches: boolean;
}

/** What may leave now, and when to ask again if nothing else happens before. */
export interface BatchingDecision {
  /** Updates of at least this priority may leave; undefined: none. */
  readonly priorityMin: number | undefined;
  readonly askAgainInMs?: number;
}

/**
 * Lets the radio sleep: with an interval set, updates gather and leave together. Urgent ones never wait.
 * Pure: time and queue come in, a decision goes out.
 */
export class Batching {
  #settings: BatchingSettings = {
    uplinkBatchIntervalMs: 0,
    uplinkBatchUpdatesMax: Number.MAX_SAFE_INTEGER,
    uplinkUrgentPriorityMin: 0,
    uplinkDisconnectBetweenBatches: false,
  };
  #drainedAtMs: number | undefined;
  #draining = false;

  configure(settings: BatchingSettings): void {
    this.#settings = settings;
  }

  /** Whether connections are let go while nothing may leave. */
  get disconnects(): boolean {
    return (
      this.#settings.uplinkBatchIntervalMs > 0 && this.#settings.uplinkDisconnectBetweenBatches
    );
  }

  /** The next decision lets everything leave, whatever the interval. */
  flush(): void {
    this.#draining = true;
  }

  decide(nowMs: number, waiting: number): BatchingDecision {
    const { uplinkBatchIntervalMs, uplinkBatchUpdatesMax, uplinkUrgentPriorityMin } =
      this.#settings;
    if (uplinkBatchIntervalMs === 0) return { priorityMin: 0 };
    if (waiting === 0) {
      if (this.#draining) this.#drainedAtMs = nowMs;
      this.#draining = false;
      return { priorityMin: undefined };
    }
    this.#drainedAtMs ??= nowMs;
    const dueInMs = this.#drainedAtMs + uplinkBatchIntervalMs - nowMs;
    if (dueInMs <= 0 || waiting >= uplinkBatchUpdatesMax) this.#draining = true;
    if (this.#draining) return { priorityMin: 0 };
    const urgent = uplinkUrgentPriorityMin <= 9 ? uplinkUrgentPriorityMin : undefined;
    return { priorityMin: urgent, askAgainInMs: dueInMs };
  }
}
