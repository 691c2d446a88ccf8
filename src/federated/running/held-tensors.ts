import type { HoldEffect } from "../rounds/step.ts";
import type { RoundParts } from "./round-parts.ts";

/** The three parts that an agent has in a task's rounds. */
export type Machine = "trainer" | "aggregator" | "judge";

const MACHINES: readonly Machine[] = ["trainer", "aggregator", "judge"];

/** What the machines of one task want to stay on the shelf, and what of it outlasts a restart. */
export class HeldTensors {
  readonly #parts: Pick<RoundParts, "task" | "shelf" | "keepSheets" | "logger">;
  readonly #durable = new Map<Machine, readonly string[]>();
  /** That outlast a restart. */
  #sheets: ReadonlySet<string>;
  #keeping: Promise<unknown> = Promise.resolve();

  constructor(parts: Pick<RoundParts, "task" | "shelf" | "keepSheets" | "keptSheets" | "logger">) {
    this.#parts = parts;
    this.#sheets = new Set(parts.keptSheets.keys());
  }

  /** What both the aggregator and the judge want durable is written once, and goes when neither wants it. */
  hold(machine: Machine, { hashes, durable }: HoldEffect): void {
    const { shelf, keepSheets } = this.#parts;
    shelf.pin(this.#owner(machine), hashes);
    this.#durable.set(machine, durable);
    const wanted = new Set([...this.#durable.values()].flat());
    const isSame =
      wanted.size === this.#sheets.size && [...wanted].every((hash) => this.#sheets.has(hash));
    if (isSame) return;
    const gone = [...this.#sheets].filter((hash) => !wanted.has(hash));
    const isNew = [...wanted].filter((hash) => !this.#sheets.has(hash));
    this.#sheets = wanted;
    this.#keeping = this.#keeping
      .then(async () => {
        for (const hash of isNew) await shelf.keep(hash);
        await keepSheets([...wanted]);
        for (const hash of gone) await shelf.release(hash);
      })
      .catch((error: unknown) => this.#parts.logger.warn("sheets were not kept", { error }));
  }

  /** Nothing has to stay for the machines any more; what is durable does. */
  letGo(): void {
    for (const machine of MACHINES) this.#parts.shelf.pin(this.#owner(machine), []);
  }

  /** Resolves when what was wanted is on disk, or could not be written. */
  async kept(): Promise<void> {
    await this.#keeping;
  }

  #owner(machine: Machine): string {
    return `${this.#parts.task}/${machine}`;
  }
}
