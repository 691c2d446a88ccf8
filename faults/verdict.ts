import type { Arrival } from "../test/support/road-observer.ts";
import { type Publisher, payloadOf } from "./parts/publisher.ts";

/** What a receiver that looks at ids has at the end of a run, beside what was acknowledged. */
export interface Verdict {
  readonly acknowledged: number;
  /** Acknowledged, and not there. */
  readonly lost: readonly number[];
  /** Ids that stood for more than one reading, and readings there more often than they were sent. */
  readonly duplicates: readonly string[];
  /** Payloads that nobody sent. */
  readonly wrong: readonly string[];
  /** First arrivals whose sequence does not follow the one before in their stream. */
  readonly disordered: readonly string[];
  /** Readings of a stream that came before an earlier one of it. */
  readonly overtaken: readonly string[];
  /** Arrivals of ids that had arrived already. */
  readonly repeated: number;
}

/**
 * Judges one run.
 * @param told `gaps`: the agent said that it lost something, so sequences may jump; `refusals`: it may have refused
 *   readings, which MQTT 3.1.1 can not tell
 */
export function judge(
  publisher: Publisher,
  arrivals: readonly Arrival[],
  told: { readonly gaps: boolean; readonly refusals: boolean },
): Verdict {
  const byId = new Map<string, Arrival>();
  const ids = new Map<number, Set<string>>();
  const duplicates = new Set<string>();
  const wrong: string[] = [];
  const disordered: string[] = [];
  const overtaken: string[] = [];
  const lastSequence = new Map<string, number>();
  const lastNumber = new Map<string, number>();
  let repeated = 0;
  for (const arrival of arrivals) {
    const { id, stream, sequence, payload } = arrival;
    const number = Number.parseInt(payload, 10);
    if (payload !== payloadOf(number, publisher.traffic)) wrong.push(id);
    const known = byId.get(id);
    if (known !== undefined) {
      repeated++;
      if (known.payload !== payload) duplicates.add(id);
      continue;
    }
    byId.set(id, arrival);
    const last = lastSequence.get(stream) ?? 0;
    if (told.gaps ? sequence <= last : sequence !== last + 1) disordered.push(id);
    lastSequence.set(stream, Math.max(last, sequence));
    const same = ids.get(number) ?? new Set();
    // What the agent refused at first is sent again later, behind others.
    const late = same.size === 0 && number < (lastNumber.get(stream) ?? -1);
    if (late && (!told.refusals || publisher.sends.get(number) === 1)) overtaken.push(id);
    lastNumber.set(stream, Math.max(number, lastNumber.get(stream) ?? -1));
    ids.set(number, same.add(id));
    if (same.size > (publisher.sends.get(number) ?? 0)) duplicates.add(id);
  }
  return {
    acknowledged: publisher.acknowledged.size,
    lost: [...publisher.acknowledged].filter((number) => !ids.has(number)),
    duplicates: [...duplicates],
    wrong,
    disordered,
    overtaken,
    repeated,
  };
}
