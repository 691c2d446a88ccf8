import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";

/** Something that is started and stopped with the agent. */
export interface Part {
  readonly name: string;
  start?(): Promise<void> | void;
  stop?(): Promise<void> | void;
}

/** How long one part may take to stop before the others go on without it. */
const STOP_PATIENCE_MS = 5_000;

/** Starts parts in order and stops them in reverse, so that each finds what it stands on. */
export class Lifecycle {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #started: Part[] = [];
  #stopping: Promise<void> | undefined;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * Starts parts that do not need each other, side by side, on top of those that were started before. When
   * one fails, everything is stopped. @throws what the first of them threw.
   */
  async start(...parts: readonly Part[]): Promise<void> {
    await this.guard(async () => {
      const outcomes = await Promise.allSettled(parts.map(async (part) => part.start?.()));
      outcomes.forEach(({ status }, at) => {
        const part = parts[at];
        if (status === "fulfilled" && part !== undefined) this.#started.push(part);
      });
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    });
  }

  /** Does some work between the parts; when it fails, everything is stopped. @throws what it threw. */
  async guard<T>(work: () => Promise<T> | T): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops everything once. A part that fails or hangs is logged and does not keep the others up. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (let part = this.#started.pop(); part !== undefined; part = this.#started.pop())
      await this.#stopOne(part);
  }

  async #stopOne(part: Part): Promise<void> {
    const { name } = part;
    const overdue = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(`agent.stop.${name}`, STOP_PATIENCE_MS, () => {
      this.#logger.error("part did not stop in time; going on without it", { part: name });
      overdue.resolve();
    });
    const stopped = Promise.resolve()
      .then(() => part.stop?.())
      .catch((error: unknown) =>
        this.#logger.error("part failed while stopping", { part: name, reason: String(error) }),
      );
    await Promise.race([stopped, overdue.promise]);
    timer.cancel();
  }
}
