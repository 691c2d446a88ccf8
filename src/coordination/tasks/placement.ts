import type { Clock } from "../../platform/clock.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { CallFault } from "../contract-net/effects.ts";
import type { SchedulerInput, TaskChange } from "../distribution/effects.ts";
import { defaultDistributionOptions } from "../distribution/options.ts";
import { Scheduler } from "../distribution/scheduler.ts";
import type { AgentOffer, Attempt, Requirements } from "../distribution/task.ts";
import type { TaskOptions } from "./options.ts";
import type { OrderFault, OrderSpec } from "./order.ts";

/** What becomes of an order that is distributed. `retry`: another agent is looked for; `isFailure`: that costs an attempt. */
export type PlacementEnd =
  | { readonly kind: "retry"; readonly reason: string; readonly isFailure: boolean }
  | { readonly kind: "end"; readonly fault: OrderFault | undefined; readonly detail: string };

/** What a placement is made of. */
export interface PlacementParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly options: Pick<TaskOptions, "openMax" | "retryMinMs" | "retryMaxMs" | "unmetPatienceMs">;
  /** Asks the agent to do it. @returns whether it is asked */
  readonly engage: (id: string, peer: PeerId, expiresInMs: number) => boolean;
  /** The agent is to stop. */
  readonly revoke: (id: string) => void;
  readonly onEnd: (id: string, end: PlacementEnd) => void;
}

type Input = SchedulerInput extends infer Each
  ? Each extends unknown
    ? Omit<Each, "nowMs">
    : never
  : never;

/** Performs what the scheduler wants done with orders that are distributed. */
export class Placement {
  readonly #parts: PlacementParts;
  readonly #scheduler: Scheduler;
  readonly #attempts = new Map<string, Attempt>();
  readonly #timeouts = new Map<string, number>();
  #nextAtMs = Number.POSITIVE_INFINITY;
  #isStopped = false;

  constructor(parts: PlacementParts) {
    const { random, options } = parts;
    const { openMax, retryMinMs, retryMaxMs, unmetPatienceMs } = options;
    this.#parts = parts;
    this.#scheduler = new Scheduler({
      random,
      options: {
        ...defaultDistributionOptions,
        tasksMax: openMax,
        finishedMax: openMax,
        retryMinMs,
        retryMaxMs,
        unmetPatienceMs,
      },
    });
  }

  /** When a `tick` is due. */
  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  tick(): void {
    this.#step({ kind: "tick" });
  }

  /** @param offer undefined: the agent is gone, or takes nothing any more */
  offered(peer: PeerId, offer: AgentOffer | undefined): void {
    this.#step(offer === undefined ? { kind: "gone", peer } : { kind: "offer", offer });
  }

  submit(id: string, spec: OrderSpec, needs: Requirements, deadlineMs: number): void {
    const { priority, timeoutMs, retriesMax } = spec;
    this.#timeouts.set(id, Math.min(timeoutMs, deadlineMs));
    const task = { id, needs, priority, after: [], deadlineMs, timeoutMs };
    this.#step({ kind: "submit", tasks: [{ ...task, attemptsMax: retriesMax + 1 }] });
  }

  cancel(id: string): void {
    if (this.#timeouts.delete(id)) this.#step({ kind: "cancel", id });
  }

  /** The call that stood for the attempt has ended. */
  ended(id: string, isDone: boolean, fault: CallFault | undefined, reason: string): void {
    const attempt = this.#attempts.get(id);
    if (attempt === undefined) return;
    if (isDone) this.#step({ kind: "done", attempt });
    else if (fault === "too-few-bids" || fault === "no-candidates")
      this.#step({ kind: "declined", attempt });
    else this.#step({ kind: "failed", attempt, reason });
  }

  /** Nothing more is done. */
  stop(): void {
    this.#isStopped = true;
  }

  #step(input: Input): void {
    if (this.#isStopped) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const { changes, assign, revoke, nextTickAtMs } = this.#scheduler.step({ ...input, nowMs });
    this.#nextAtMs = nextTickAtMs;
    for (const { id, number } of revoke)
      if (this.#attempts.get(id)?.number === number) {
        this.#attempts.delete(id);
        this.#parts.revoke(id);
      }
    for (const change of changes) this.#changed(change);
    for (const { attempt } of assign) this.#assigned(attempt);
  }

  #assigned(attempt: Attempt): void {
    const { id, peer } = attempt;
    this.#attempts.set(id, attempt);
    if (this.#parts.engage(id, peer, this.#timeouts.get(id) ?? 0)) return;
    this.#step({ kind: "declined", attempt });
  }

  #changed(change: TaskChange): void {
    const { onEnd } = this.#parts;
    const { id, kind } = change;
    switch (kind) {
      case "taken":
        return;
      case "done":
        this.#forget(id);
        onEnd(id, { kind: "end", fault: undefined, detail: "" });
        return;
      case "refused":
        this.#forget(id);
        onEnd(id, {
          kind: "end",
          fault: change.reason === "unmet" ? "unmet" : "refused",
          detail: `${change.reason} ${change.detail.join(", ")}`.trim(),
        });
        return;
      case "failed":
        // The desk may have ended it itself.
        if (this.#forget(id))
          onEnd(id, { kind: "end", fault: change.reason, detail: change.detail });
        return;
      case "attempt-failed":
        this.#attempts.delete(id);
        onEnd(id, { kind: "retry", reason: change.reason, isFailure: true });
        return;
      case "returned":
        if (this.#attempts.delete(id)) this.#parts.revoke(id);
        onEnd(id, { kind: "retry", reason: "returned", isFailure: false });
    }
  }

  #forget(id: string): boolean {
    this.#attempts.delete(id);
    return this.#timeouts.delete(id);
  }
}
