import type { ModelVersion, VersionBook } from "../serving/version-book.ts";
import type { VersionEffect } from "../serving/version-step.ts";

/** Of models that served before, so many are kept on flash to go back to. */
const FORMER_MAX = 3;

/** Which of a task's versions have to be kept where: those that serve or did on flash, those on trial in memory. */
export class KeptVersions {
  /** Served at some time, as far as it is known. */
  readonly #served: Set<string>;

  /** @param kept hashes of what is on flash */
  constructor(kept: readonly string[]) {
    this.#served = new Set(kept);
  }

  changed(effects: readonly VersionEffect[]): void {
    for (const { kind, version } of effects) {
      if (kind === "serve") this.#served.add(version.hash);
      if (kind === "forget") this.#served.delete(version.hash);
    }
  }

  /** @returns hashes of those that have to outlast a restart; a model that never served is not worth a write */
  durable({ versions }: VersionBook): readonly string[] {
    const serving = versions.filter(({ state }) => state === "serving");
    const former = versions
      .filter(({ state, hash }) => isFormer(state) && this.#served.has(hash))
      .toSorted((a, b) => b.sinceMs - a.sinceMs || b.round - a.round);
    return [...serving, ...former.slice(0, FORMER_MAX)].map(({ hash }) => hash);
  }

  /** @returns hashes of those that are needed at any moment */
  pinned({ versions }: VersionBook): readonly string[] {
    return versions.filter(({ state }) => !isFormer(state)).map(({ hash }) => hash);
  }
}

function isFormer(state: ModelVersion["state"]): boolean {
  return state === "retired" || state === "rejected";
}
