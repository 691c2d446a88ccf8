/** Field names under which sensors usually put their one number. */
const USUAL_FIELDS = ["value", "val", "v", "state", "reading"] as const;

function asNumber(value: unknown): number | undefined {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "string" && value.trim() !== "") {
    const parsed = Number(value);
    if (Number.isFinite(parsed)) return parsed;
  }
  return undefined;
}

/**
 * The number worth plotting in a payload: the payload itself, a JSON object's `value`, or its only number.
 * Undefined where there is none or more than one to choose from.
 */
export function numericValue(payload: string | undefined): number | undefined {
  if (payload === undefined) return undefined;
  const plain = asNumber(payload);
  if (plain !== undefined) return plain;
  if (!payload.startsWith("{")) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const fields = new Map(Object.entries(parsed));
  for (const name of USUAL_FIELDS) {
    const value = asNumber(fields.get(name));
    if (value !== undefined) return value;
  }
  const numbers = [...fields.values()].filter((value) => typeof value === "number");
  return numbers.length === 1 ? asNumber(numbers[0]) : undefined;
}

/** The last few numeric values of each stream, for sparklines; bounded in streams and in values. */
export class RecentValues {
  private readonly streams = new Map<string, { sequence: number; values: number[] }>();
  private readonly streamsMax: number;
  private readonly valuesMax: number;

  constructor(limits: { streamsMax: number; valuesMax: number }) {
    this.streamsMax = limits.streamsMax;
    this.valuesMax = limits.valuesMax;
  }

  /** Takes note of a stream's newest reading; the same sequence twice counts once. */
  note(stream: string, sequence: number, payload: string | undefined): void {
    const known = this.streams.get(stream);
    if (known?.sequence === sequence) return;
    const value = numericValue(payload);
    if (value === undefined) return;
    const values = [...(known?.values ?? []), value].slice(-this.valuesMax);
    // Deleting first moves the stream to the end: the map's order is then oldest-touched first.
    this.streams.delete(stream);
    this.streams.set(stream, { sequence, values });
    const oldest = this.streams.keys().next();
    if (this.streams.size > this.streamsMax && !oldest.done) this.streams.delete(oldest.value);
  }

  of(stream: string): readonly number[] {
    return this.streams.get(stream)?.values ?? [];
  }
}
