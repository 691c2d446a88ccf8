import type { DeviceSample } from "../platform/device-probe.ts";
import type { Budget } from "./firmware-profile.ts";
import type { BudgetExcess } from "./view.ts";

/** CPU use is averaged over so many samples: a burst is no breach. */
const windowSamples = 6;

/** Compares what the agent takes with what it may take. */
export class BudgetWatch {
  readonly #budget: Budget;
  readonly #window: { readonly monotonicMs: number; readonly cpuMs: number }[] = [];

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** @returns what is over its budget now. CPU is judged once there is a full window of samples. */
  judge(sample: DeviceSample, monotonicMs: number): readonly BudgetExcess[] {
    if (!sample.process.available) return [];
    const { residentBytes, cpuMs } = sample.process;
    const excess: BudgetExcess[] = [];
    if (residentBytes > this.#budget.memoryBytesMax) {
      excess.push({ what: "memoryBytes", used: residentBytes, max: this.#budget.memoryBytesMax });
    }
    this.#window.push({ monotonicMs, cpuMs });
    if (this.#window.length > windowSamples) {
      const oldest = this.#window.shift();
      if (oldest !== undefined && monotonicMs > oldest.monotonicMs) {
        const used = ((cpuMs - oldest.cpuMs) / (monotonicMs - oldest.monotonicMs)) * 100;
        if (used > this.#budget.cpuPercentMax) {
          excess.push({
            what: "cpuPercent",
            used: Math.round(used * 10) / 10,
            max: this.#budget.cpuPercentMax,
          });
        }
      }
    }
    return excess;
  }
}
