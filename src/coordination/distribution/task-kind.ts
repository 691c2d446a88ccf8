import type { Random } from "../../platform/random.ts";
import { Balancer } from "./balancer.ts";
import { Heap } from "./heap.ts";
import { meets } from "./matching.ts";
import type { Requirements } from "./task.ts";
import { precedes, type TaskEntry } from "./task-entry.ts";
import type { Worker } from "./worker.ts";

/**
 * All tasks of the same requirements. When the first of them finds no agent, none of the others does: so those that have to
 * wait cost nothing, and keep nobody else waiting.
 */
export class TaskKind {
  readonly key: string;
  readonly needs: Requirements;
  readonly ready = new Heap<TaskEntry>(precedes);
  readonly balancer: Balancer;
  /** Tasks of this kind that are not finished. */
  count = 0;
  /** Since when nobody meets the requirements. */
  unmetSinceMs: number | undefined;
  #able: Worker[] | undefined;

  constructor(key: string, needs: Requirements, random: Random, loadMargin: number) {
    this.key = key;
    this.needs = needs;
    this.balancer = new Balancer(random, loadMargin);
  }

  /** Agents that meet the requirements when idle. */
  able(workers: ReadonlyMap<string, Worker>): readonly Worker[] {
    this.#able ??= [...workers.values()].filter(({ offer }) => meets(offer, this.needs));
    return this.#able;
  }

  /** Agents came, left, or offer something else. */
  forgetAble(): void {
    this.#able = undefined;
  }
}
