import type { Hasher } from "../../platform/hasher.ts";
import type { Decision } from "./effects.ts";
import type { TendermintMessage } from "./messages.ts";
import { type Part, partCountOf, type SplitValue, split } from "./parts.ts";
import type { ValueId } from "./vote.ts";

interface Kept {
  readonly decision: Pick<Decision, "certificate" | "value">;
  split: SplitValue | undefined;
}

/** The latest decisions, for those who come late. */
export class PastDecisions {
  readonly #hasher: Hasher;
  readonly #partBytes: number;
  readonly #keptMax: number;
  readonly #keptBytesMax: number;
  readonly #kept = new Map<number, Kept>();
  #keptBytes = 0;

  /** @param keptBytesMax of all values that are kept; the latest decision is, however large it is */
  constructor(
    hasher: Hasher,
    partBytes: number,
    keptMax: number,
    keptBytesMax = Number.POSITIVE_INFINITY,
  ) {
    this.#hasher = hasher;
    this.#partBytes = partBytes;
    this.#keptMax = keptMax;
    this.#keptBytesMax = keptBytesMax;
  }

  add(decision: Pick<Decision, "certificate" | "value">): void {
    const { height } = decision.certificate;
    if (this.#kept.has(height)) return;
    this.#kept.set(height, { decision, split: undefined });
    this.#keptBytes += decision.value.length;
    for (const [oldest, { decision: old }] of this.#kept) {
      if (this.#kept.size <= this.#keptMax && this.#keptBytes <= this.#keptBytesMax) break;
      if (oldest === height) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= old.value.length;
    }
  }

  /** @returns undefined when the height is not kept, or no longer */
  message(height: number): TendermintMessage | undefined {
    const kept = this.#kept.get(height);
    if (kept === undefined) return undefined;
    const { certificate, value } = kept.decision;
    const { manifest } = this.#splitOf(kept);
    return partCountOf(manifest) === 1
      ? { kind: "decision", certificate, manifest, value }
      : { kind: "decision", certificate, manifest };
  }

  /** @returns none for another value than the one that was decided on */
  parts(height: number, valueId: ValueId, indexes: readonly number[]): readonly Part[] {
    const kept = this.#kept.get(height);
    if (kept === undefined || kept.decision.certificate.valueId !== valueId) return [];
    const { parts } = this.#splitOf(kept);
    return indexes.flatMap((index) => parts[index] ?? []);
  }

  #splitOf(kept: Kept): SplitValue {
    kept.split ??= split(kept.decision.value, this.#partBytes, this.#hasher);
    return kept.split;
  }
}
