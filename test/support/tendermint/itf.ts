/** Traces in the Informal Trace Format (Apalache, ADR 15). */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** A set, in the order of the file. */
export class ItfSet {
  readonly members: readonly Itf[];

  constructor(members: readonly Itf[]) {
    this.members = members;
  }
}

/** A map, in the order of the file. */
export class ItfMap {
  readonly entries: readonly (readonly [Itf, Itf])[];

  constructor(entries: readonly (readonly [Itf, Itf])[]) {
    this.entries = entries;
  }

  get(key: string | number): Itf {
    const entry = this.entries.find(([one]) => one === key);
    if (entry === undefined) throw new Error(`the trace has no ${key}`);
    return entry[1];
  }
}

/** A value of a trace. Tuples and lists are arrays; a variant is a record with `tag` and `value`. */
export type Itf = string | number | boolean | ItfSet | ItfMap | readonly Itf[] | ItfRecord;

export interface ItfRecord {
  readonly [field: string]: Itf;
}

export interface ItfTrace {
  readonly vars: readonly string[];
  readonly states: readonly ItfRecord[];
}

export function readTrace(path: string): ItfTrace {
  const document: unknown = JSON.parse(gunzipSync(readFileSync(path)).toString("utf8"));
  const { vars, states } = decode(document) as { vars: string[]; states: ItfRecord[] };
  return { vars, states };
}

function decode(value: unknown): Itf {
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  if (typeof value !== "object" || value === null)
    throw new Error(`a ${typeof value} is no value of a trace`);
  const record = value as Record<string, unknown>;
  if ("#bigint" in record) return Number(record["#bigint"]);
  if ("#tup" in record) return (record["#tup"] as unknown[]).map(decode);
  if ("#set" in record) return new ItfSet((record["#set"] as unknown[]).map(decode));
  if ("#map" in record)
    return new ItfMap(
      (record["#map"] as [unknown, unknown][]).map(([key, one]) => [decode(key), decode(one)]),
    );
  return Object.fromEntries(
    Object.entries(record)
      .filter(([field]) => field !== "#meta")
      .map(([field, one]) => [field, decode(one)]),
  );
}

/** A form in which equal values are equal texts: sets and maps in one order. */
export function canonical(value: Itf): string {
  if (value instanceof ItfSet) return `{${value.members.map(canonical).sort().join(",")}}`;
  if (value instanceof ItfMap)
    return `<${value.entries
      .map(([key, one]) => `${canonical(key)}:${canonical(one)}`)
      .sort()
      .join(",")}>`;
  if (Array.isArray(value)) return `[${value.map((one: Itf) => canonical(one)).join(",")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `(${Object.entries(value as ItfRecord)
    .map(([field, one]) => `${field}=${canonical(one)}`)
    .sort()
    .join(",")})`;
}

export function asRecord(value: Itf | undefined): ItfRecord {
  if (typeof value !== "object" || Array.isArray(value) || value instanceof ItfSet)
    throw new Error("the trace has no record there");
  return value as ItfRecord;
}

export function asList(value: Itf | undefined): readonly Itf[] {
  if (value instanceof ItfSet) return value.members;
  if (!Array.isArray(value)) throw new Error("the trace has no list there");
  return value as readonly Itf[];
}

export function asMap(value: Itf | undefined): ItfMap {
  if (!(value instanceof ItfMap)) throw new Error("the trace has no map there");
  return value;
}

export function asText(value: Itf | undefined): string {
  if (typeof value !== "string") throw new Error("the trace has no text there");
  return value;
}
