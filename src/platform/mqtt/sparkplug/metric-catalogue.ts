import type { PayloadScalar } from "../payload-values.ts";
import { DataType, type DataTypeNumber } from "./payload.ts";

/** A metric as it is remembered across restarts: whose it is, its name, its type. */
export interface MetricDeclaration {
  /** Undefined for metrics of the node itself. */
  readonly device: string | undefined;
  readonly name: string;
  readonly type: DataTypeNumber;
  readonly alias: number;
}

/** A metric with its newest value. */
export interface KnownMetric extends MetricDeclaration {
  type: DataTypeNumber;
  value: PayloadScalar;
  /** When the value was observed; undefined while there has been none. */
  observedAtMs: number | undefined;
  quality: number | undefined;
  /** False while there has been nothing but null, which fits any type. */
  typed: boolean;
}

/** Longer values are not kept for birth certificates: ten thousand of them would fill a small device. */
const VALUE_BYTES_MAX = 4_096;

/**
 * Every metric that this node has ever reported, with its type and newest value: what birth certificates are
 * made of. A metric that turns out to carry several types gets the one that holds them all, once and for all
 * (number or boolean, then string, then bytes), so that a sensor that wavers does not cause births without end.
 */
export class MetricCatalogue {
  readonly #max: number;
  readonly #byOwner = new Map<string | undefined, Map<string, KnownMetric>>();
  readonly #byAlias = new Map<number, KnownMetric>();
  #lastAlias = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get full(): boolean {
    return this.#byAlias.size >= this.#max;
  }

  /** Takes back what was remembered. */
  restore(declaration: MetricDeclaration): void {
    if (!this.full) this.#add({ ...declaration, ...NOTHING_YET, typed: true });
  }

  /** @returns devices that have metrics, in order of appearance. */
  devices(): readonly string[] {
    return [...this.#byOwner.keys()].filter((device) => device !== undefined);
  }

  /** @returns metrics of a device, or of the node itself, in order of appearance. */
  of(device: string | undefined): Iterable<KnownMetric> {
    return this.#byOwner.get(device)?.values() ?? [];
  }

  find(device: string | undefined, name: string): KnownMetric | undefined {
    return this.#byOwner.get(device)?.get(name);
  }

  byAlias(alias: number): KnownMetric | undefined {
    return this.#byAlias.get(alias);
  }

  /**
   * Makes sure that a metric can carry this value.
   * @returns the metric and whether it has to be declared in a birth first; undefined when there are too many
   */
  admit(
    device: string | undefined,
    name: string,
    value: PayloadScalar,
  ): { metric: KnownMetric; changed: boolean } | undefined {
    const known = this.find(device, name);
    if (known === undefined) {
      if (this.full) return undefined;
      const alias = this.#lastAlias + 1;
      const type = typeOf(value);
      const declaration = { device, name, type: type ?? DataType.String, alias };
      const typed = type !== undefined;
      return { metric: this.#add({ ...declaration, ...NOTHING_YET, typed }), changed: true };
    }
    const type = widened(known, value);
    known.typed ||= value !== null;
    if (type === known.type) return { metric: known, changed: false };
    known.type = type;
    known.value = asType(type, known.value);
    return { metric: known, changed: true };
  }

  #add(metric: KnownMetric): KnownMetric {
    this.#lastAlias = Math.max(this.#lastAlias, metric.alias);
    this.#byAlias.set(metric.alias, metric);
    const owned = this.#byOwner.get(metric.device) ?? new Map<string, KnownMetric>();
    this.#byOwner.set(metric.device, owned);
    owned.set(metric.name, metric);
    return metric;
  }
}

const NOTHING_YET = { value: null, observedAtMs: undefined, quality: undefined } as const;

/** Keeps a value that went out, unless a newer one is known already. */
export function noteValue(
  metric: KnownMetric,
  value: PayloadScalar,
  observedAtMs: number,
  quality: number | undefined,
): void {
  if (metric.observedAtMs !== undefined && observedAtMs < metric.observedAtMs) return;
  const long =
    (typeof value === "string" || value instanceof Uint8Array) && value.length > VALUE_BYTES_MAX;
  metric.value = long ? null : value;
  metric.observedAtMs = observedAtMs;
  metric.quality = quality;
}

/** @returns the value in the form that a metric of this type carries. */
export function asType(type: DataTypeNumber, value: PayloadScalar): PayloadScalar {
  if (value === null) return null;
  if (type === DataType.Bytes)
    return value instanceof Uint8Array ? value : Buffer.from(String(value));
  return type === DataType.String ? String(value) : value;
}

function widened(known: KnownMetric, value: PayloadScalar): DataTypeNumber {
  const type = typeOf(value);
  if (type === undefined || type === known.type || known.type === DataType.Bytes) return known.type;
  return type === DataType.Bytes || !known.typed ? type : DataType.String;
}

function typeOf(value: PayloadScalar): DataTypeNumber | undefined {
  if (value === null) return undefined;
  if (typeof value === "number") return DataType.Double;
  if (typeof value === "boolean") return DataType.Boolean;
  return typeof value === "string" ? DataType.String : DataType.Bytes;
}
