import type { Progress } from "../../simulator/run/simulation.ts";
import type { ProgressLine } from "./progress-line.ts";

/** How fast it runs once all agents are up, before the healing. */
export class Speed {
  readonly #progress: Pick<ProgressLine, "elapsedMs">;
  #fromMs = 0;
  #realMs = 0;
  #virtualFromMs = 0;
  #virtualMs = 0;

  constructor(progress: Pick<ProgressLine, "elapsedMs">) {
    this.#progress = progress;
  }

  /** All are up. */
  begin(virtualMs: number): void {
    this.#fromMs = this.#progress.elapsedMs;
    this.#virtualFromMs = virtualMs;
  }

  note({ phase, virtualMs }: Progress): void {
    if (phase === "healing") return;
    this.#virtualMs = virtualMs;
    this.#realMs = this.#progress.elapsedMs - this.#fromMs;
  }

  get realMsPerVirtualS(): number {
    return Math.round((10_000 * this.#realMs) / (this.#virtualMs - this.#virtualFromMs)) / 10;
  }
}
