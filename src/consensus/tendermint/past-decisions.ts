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
  readonly #kept = new Map<number, Kept>();

  constructor(hasher: Hasher, partBytes: number, keptMax: number) {
    this.#hasher = hasher;
    this.#partBytes = partBytes;
    this.#keptMax = keptMax;
  }

  add(decision: Pick<Decision, "certificate" | "value">): void {
    this.#kept.set(decision.certificate.height, { decision, split: undefined });
    if (this.#kept.size > this.#keptMax)
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest);
        break;
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
