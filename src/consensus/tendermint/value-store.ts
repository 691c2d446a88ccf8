import type { Hasher } from "../../platform/hasher.ts";
import {
  type Manifest,
  type Part,
  PartAssembler,
  type PartOutcome,
  partCountOf,
  split,
} from "./parts.ts";
import type { ValueId } from "./vote.ts";

interface Entry {
  readonly manifest: Manifest;
  readonly assembler: PartAssembler;
  value: Uint8Array | undefined;
  /** For those who ask; made when the first one does. */
  parts: readonly Part[] | undefined;
  /** Undefined until the host said whether the value is valid. */
  isValid: boolean | undefined;
  wasAsked: boolean;
}

/** A value that is whole. */
export interface KnownValue {
  readonly value: Uint8Array;
  readonly manifest: Manifest;
  readonly isValid: boolean | undefined;
}

/** The values of one height: those being put together, and those that are whole. Bounded in number, and each in size. */
export class ValueStore {
  readonly #hasher: Hasher;
  readonly #valuesMax: number;
  readonly #entries = new Map<ValueId, Entry>();

  constructor(hasher: Hasher, valuesMax: number) {
    this.#hasher = hasher;
    this.#valuesMax = valuesMax;
  }

  /** @returns undefined while it is not whole */
  get(valueId: ValueId): KnownValue | undefined {
    const entry = this.#entries.get(valueId);
    if (entry?.value === undefined) return undefined;
    const { value, manifest, isValid } = entry;
    return { value, manifest, isValid };
  }

  /** Parts will be taken from now on. The oldest value that is not `kept` gives way. */
  expect(valueId: ValueId, manifest: Manifest, kept: ReadonlySet<ValueId>): void {
    if (this.#entries.has(valueId)) return;
    if (this.#entries.size >= this.#valuesMax)
      for (const oldest of this.#entries.keys()) {
        if (kept.has(oldest)) continue;
        this.#entries.delete(oldest);
        break;
      }
    this.#entries.set(valueId, {
      manifest,
      assembler: new PartAssembler(manifest, this.#hasher),
      value: undefined,
      parts: undefined,
      isValid: undefined,
      wasAsked: false,
    });
  }

  /** A value of this node's own, or one that it wrote down. @throws RangeError as {@link split} does */
  put(value: Uint8Array, partBytes: number, kept: ReadonlySet<ValueId>): ValueId {
    const { valueId, manifest, parts } = split(value, partBytes, this.#hasher);
    this.expect(valueId, manifest, kept);
    const entry = this.#entries.get(valueId);
    if (entry !== undefined) {
      entry.value = value;
      entry.parts = parts;
      entry.isValid = true;
    }
    return valueId;
  }

  /** @returns "unwanted" when nobody announced the value */
  add(valueId: ValueId, part: Part): PartOutcome | "unwanted" {
    const entry = this.#entries.get(valueId);
    if (entry === undefined) return "unwanted";
    if (entry.value !== undefined) return "duplicate";
    const outcome = entry.assembler.add(part);
    if (outcome === "complete") entry.value = entry.assembler.value();
    return outcome;
  }

  /** The whole of a value of one part. @returns whether it is that value */
  addWhole(valueId: ValueId, value: Uint8Array): boolean {
    const outcome = this.add(valueId, { index: 0, bytes: value, proof: [] });
    return outcome === "complete" || outcome === "duplicate";
  }

  /** @returns whether the host is to be asked for a verdict: once for each value that is whole */
  isToBeAsked(valueId: ValueId): boolean {
    const entry = this.#entries.get(valueId);
    if (entry?.value === undefined || entry.isValid !== undefined || entry.wasAsked) return false;
    entry.wasAsked = true;
    return true;
  }

  /** @returns whether that is news */
  judge(valueId: ValueId, isValid: boolean): boolean {
    const entry = this.#entries.get(valueId);
    if (entry === undefined || entry.isValid !== undefined) return false;
    entry.isValid = isValid;
    return true;
  }

  /** Values that were announced and are not whole, with what is missing of them. */
  *incomplete(): Iterable<{ readonly valueId: ValueId; readonly indexes: readonly number[] }> {
    for (const [valueId, { value, assembler }] of this.#entries)
      if (value === undefined) yield { valueId, indexes: assembler.missing() };
  }

  /** The parts with these indexes. @returns none of a value that is not whole */
  parts(valueId: ValueId, indexes: readonly number[]): readonly Part[] {
    const entry = this.#entries.get(valueId);
    if (entry?.value === undefined) return [];
    entry.parts ??= split(entry.value, entry.manifest.partBytes, this.#hasher).parts;
    const { parts } = entry;
    return indexes.flatMap((index) => parts[index] ?? []);
  }
}

/** @returns the value when it may travel with its manifest */
export function inline({ value, manifest }: KnownValue): Uint8Array | undefined {
  return partCountOf(manifest) === 1 ? value : undefined;
}
