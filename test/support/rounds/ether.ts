import type { Random } from "../../../src/platform/random.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { EventHeap } from "../../../src/simulator/event-heap.ts";

/** Time, chance, and who can hear whom, in a world of rounds. */
export class Ether {
  readonly random: Random;
  nowMs = 0;
  events = 0;
  /** Share of what is sent or fetched that gets lost. */
  loss = 0;
  readonly #heap = new EventHeap<() => void>();
  #groups = new Map<string, number>();

  constructor(seed: number) {
    this.random = new SeededRandom(`rounds/${seed}`);
  }

  after(delayMs: number, run: () => void): void {
    this.#heap.push(this.nowMs + Math.max(0, delayMs), run);
  }

  /** Until then, or until `isOver`. */
  run(untilMs: number, isOver: () => boolean = () => false): void {
    while (this.#heap.nextMs <= untilMs && !isOver()) {
      this.nowMs = this.#heap.nextMs;
      this.events++;
      this.#heap.pop()?.();
    }
    if (!isOver()) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  between(least: number, most: number): number {
    return least + Math.floor(this.random.next() * (most - least + 1));
  }

  chance(share: number): boolean {
    return this.random.next() < share;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.random.next() * items.length)];
    if (item === undefined) throw new Error("there is nothing to pick from");
    return item;
  }

  /** Cuts the world in two. */
  split(names: readonly string[]): void {
    this.#groups = new Map(names.map((name) => [name, this.between(0, 1)]));
  }

  heal(): void {
    this.#groups.clear();
  }

  isCut(one: string, other: string): boolean {
    return (this.#groups.get(one) ?? 0) !== (this.#groups.get(other) ?? 0);
  }
}
