import { pauseAfter } from "./step.ts";

/** After so many tries something counts as what can not be had. */
const TRIES = 3;

interface Want {
  state: "fetching" | "had" | "failed";
  failures: number;
  retryAtMs: number;
}

/** What is fetched by its hash, each thing once at a time, and again after a pause where it could not be had. */
export class Wanted {
  readonly #retryMs: number;
  readonly #wants = new Map<string, Want>();

  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  /** @returns whether it is to be fetched now */
  due(hash: string, nowMs: number): boolean {
    const want = this.#wants.get(hash);
    if (want === undefined) {
      this.#wants.set(hash, { state: "fetching", failures: 0, retryAtMs: 0 });
      return true;
    }
    if (want.state !== "failed" || want.retryAtMs > nowMs) return false;
    want.state = "fetching";
    return true;
  }

  isFetching(hash: string): boolean {
    return this.#wants.get(hash)?.state === "fetching";
  }

  isHad(hash: string): boolean {
    return this.#wants.get(hash)?.state === "had";
  }

  had(hash: string): void {
    const want = this.#wants.get(hash);
    if (want !== undefined) want.state = "had";
  }

  /** @returns how often until now */
  failed(hash: string, nowMs: number): number {
    const want = this.#wants.get(hash);
    if (want === undefined) return 0;
    want.state = "failed";
    want.failures++;
    want.retryAtMs = nowMs + pauseAfter(want.failures, this.#retryMs);
    return want.failures;
  }

  isGivenUp(failures: number): boolean {
    return failures >= TRIES;
  }

  clear(): void {
    this.#wants.clear();
  }

  /** When something is to be fetched again; what was due before that moment and was not fetched is not wanted any more. */
  nextAtMs(nowMs: number): number {
    let nextAtMs = Number.POSITIVE_INFINITY;
    for (const { state, retryAtMs } of this.#wants.values())
      if (state === "failed" && retryAtMs > nowMs) nextAtMs = Math.min(nextAtMs, retryAtMs);
    return nextAtMs;
  }
}
