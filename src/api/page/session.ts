import { type AgentClient, ProblemError, UnreachableError } from "./agent-client.ts";
import { backoffMs } from "./backoff.ts";
import type { ServerSentEvent } from "./event-stream.ts";
import { Figures } from "./figures.ts";
import type { AgentEvent, DeadLetter, LearningTask } from "./model.ts";
import { type PageState, READINGS_STEP } from "./page-state.ts";
import type { Store } from "./store.ts";

const POLL_INTERVAL_MS = 2000;
/** Health, device and dead letters change rarely: every so many polls. */
const SLOW_EVERY_POLLS = 5;
const EVENTS_KEPT = 80;
/** Without an event stream (all listeners taken) the page goes on polling and asks again after this. */
const STREAM_RETRY_MS = 30_000;
const READINGS_PER_PAGE_MAX = 200;
/** Frequent and shown elsewhere: these would drown the others in the feed. */
const NOT_IN_FEED = new Set(["resources.sampled", "readings.received"]);
/** What somebody who looks wants to see at once; rounds may be many, and are asked for anyway. */
const LEARNING_NEWS = new Set(["learning.alert", "learning.task-known", "learning.task-state"]);

/** What a session needs of the browser around it. */
export interface Surroundings {
  /** In [0, 1). */
  readonly random: () => number;
  /** True while nobody can see the page. */
  readonly hidden: () => boolean;
}

/** Keeps the store in step with one agent until stopped: loads, follows events, polls, and recovers. */
export class Session {
  readonly figures: Figures;
  private readonly client: AgentClient;
  private readonly store: Store<PageState>;
  private readonly surroundings: Surroundings;
  private readonly stopping = new AbortController();
  private readonly wakers = new Set<() => void>();
  private polls = 0;
  private refreshing = false;
  private refreshWanted = false;

  constructor(client: AgentClient, store: Store<PageState>, surroundings: Surroundings) {
    this.client = client;
    this.store = store;
    this.surroundings = surroundings;
    this.figures = new Figures(client, store);
  }

  /** Runs until `stop` or until the agent refuses the token. Never rejects. */
  async run(): Promise<void> {
    let attempt = 0;
    while (!this.stopping.signal.aborted) {
      try {
        await this.figures.load(this.stopping.signal);
        this.store.set({ connection: { phase: "live" } });
        attempt = 0;
        await this.stayLive();
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        if (error instanceof ProblemError && error.status === 401) {
          this.store.set({ connection: { phase: "refused", reason: error.message } });
          return;
        }
        await this.lost(error, backoffMs(attempt, this.surroundings.random()));
        attempt += 1;
      }
    }
  }

  stop(): void {
    this.stopping.abort();
  }

  /** Ends the wait for the next attempt or poll. */
  retryNow(): void {
    for (const wake of this.wakers) wake();
  }

  /** Asks for the figures now; asked again meanwhile, it asks once more afterwards. */
  async refresh(): Promise<void> {
    this.refreshWanted = true;
    if (this.refreshing) return;
    this.refreshing = true;
    try {
      while (this.refreshWanted) {
        this.refreshWanted = false;
        await this.figures.poll(this.stopping.signal, true);
      }
    } catch {
      // The poll that runs anyway meets the same failure and reports it.
    } finally {
      this.refreshing = false;
    }
  }

  showReadings(options: { limit?: number; prefix?: string }): void {
    const { readingsLimit, readingsPrefix } = this.store.get();
    this.store.set({
      readingsLimit: Math.min(options.limit ?? readingsLimit, READINGS_PER_PAGE_MAX),
      readingsPrefix: options.prefix ?? readingsPrefix,
    });
    void this.refresh();
  }

  searchFleet(words: string): void {
    this.store.set({ fleetSearch: words });
    void this.refresh();
  }

  showMoreReadings(): void {
    this.showReadings({ limit: this.store.get().readingsLimit + READINGS_STEP });
  }

  /** Does something to the agent and says how it went. */
  private async act(
    name: string,
    done: string,
    deed: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (this.store.get().busy !== undefined) return;
    this.store.set({ busy: name, notice: undefined });
    try {
      await deed(this.stopping.signal);
      this.store.set({ notice: { kind: "done", text: done } });
    } catch (error) {
      this.store.set({ notice: { kind: "failed", text: `${name} failed: ${explain(error)}` } });
    } finally {
      this.store.set({ busy: undefined });
      await this.refresh();
    }
  }

  queueAction(action: "pause" | "resume" | "flush"): void {
    const words = {
      pause: ["Pause", "The queue is paused: readings are still taken, nothing leaves."],
      resume: ["Resume", "The queue runs again."],
      flush: ["Flush", "Everything that waits is being sent now."],
    } as const;
    const [name, done] = words[action];
    void this.act(name, done, (signal) => this.client.post(`/v1/queue/${action}`, signal));
  }

  learningAction({ task, spec }: LearningTask, action: "pause" | "resume" | "stop"): void {
    const words = {
      pause: ["Pause", `${spec.name} rests: no new round begins.`],
      resume: ["Resume", `${spec.name} goes on.`],
      stop: ["End", `${spec.name} is ended; its newest model stays in use.`],
    } as const;
    const [name, done] = words[action];
    const path = `/v1/learning/tasks/${encodeURIComponent(task)}/${action}`;
    void this.act(name, done, (signal) => this.client.post(path, signal));
  }

  requeue(letter: DeadLetter): void {
    const path = `/v1/queue/dead-letters/${encodeURIComponent(letter.id)}`;
    const done = `${letter.topic} is back in the queue.`;
    void this.act("Requeue", done, (signal) => this.client.post(`${path}/requeue`, signal));
  }

  deleteLetter(letter: DeadLetter): void {
    const path = `/v1/queue/dead-letters/${encodeURIComponent(letter.id)}`;
    void this.act("Delete", `The dead letter of ${letter.topic} is gone.`, (signal) =>
      this.client.delete(path, signal),
    );
  }

  /** Follows events and polls side by side; rejects when either finds the agent gone. */
  private async stayLive(): Promise<void> {
    const round = new AbortController();
    const signal = AbortSignal.any([this.stopping.signal, round.signal]);
    try {
      await Promise.race([this.keepPolling(signal), this.keepFollowing(signal)]);
    } finally {
      round.abort();
    }
  }

  private async keepPolling(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.sleep(POLL_INTERVAL_MS, signal);
      if (signal.aborted) return;
      // A page nobody looks at should not keep a battery-powered device awake.
      if (this.surroundings.hidden()) continue;
      this.polls += 1;
      await this.figures.poll(signal, this.polls % SLOW_EVERY_POLLS === 0);
    }
  }

  private async keepFollowing(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.client.follow((event) => this.noteEvent(event, signal), signal);
        throw new UnreachableError("its event stream ended");
      } catch (error) {
        const refused = error instanceof ProblemError && error.status !== 401;
        if (!refused) throw error;
        this.figures.fault("events", error.message);
        await this.sleep(STREAM_RETRY_MS, signal);
        this.figures.fault("events", undefined);
        await this.figures.sampled(signal);
      }
    }
  }

  private noteEvent(raw: ServerSentEvent, signal: AbortSignal): void {
    let event: AgentEvent;
    try {
      event = JSON.parse(raw.data) as AgentEvent;
    } catch {
      return;
    }
    // Not everything in the stream is an event: `events.missed` carries none.
    if (typeof event.atMs !== "number") return;
    if (raw.type === "resources.sampled") void this.figures.sampled(signal).catch(() => {});
    if (raw.type === "power.mode-changed" || raw.type.startsWith("uplink.")) void this.refresh();
    if (raw.type.startsWith("mesh.") || LEARNING_NEWS.has(raw.type)) void this.refresh();
    if (NOT_IN_FEED.has(raw.type)) return;
    const events = this.store
      .get()
      .events.filter(({ id, atMs }) => id !== event.id || atMs !== event.atMs);
    const kept = [{ ...event, type: raw.type }, ...events].slice(0, EVENTS_KEPT);
    this.store.set({ events: kept });
  }

  private async lost(error: unknown, waitMs: number): Promise<void> {
    const reason = explain(error);
    this.store.set({ connection: { phase: "lost", retryAtMs: Date.now() + waitMs, reason } });
    await this.sleep(waitMs, this.stopping.signal);
    this.store.set({ connection: { phase: "lost", reason } });
  }

  /** Resolves after the time, at `retryNow`, or when the signal fires. */
  private sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        this.wakers.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, durationMs);
      signal.addEventListener("abort", finish);
      this.wakers.add(finish);
    });
  }
}

/** What went wrong, in words for the user. */
export function explain(error: unknown): string {
  if (error instanceof ProblemError && error.status === 403) {
    return `this token may not do that. Sign in with an operator or admin token. (${error.message})`;
  }
  return error instanceof Error ? error.message : String(error);
}
