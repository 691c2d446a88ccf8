import type { Update } from "../outbox/update.ts";
import type { StreamReading } from "./view.ts";

const STREAMS_MAX = 2_000;
const TEXT_BYTES_MAX = 256;

interface Recent {
  update: Update;
  count: number;
}

/** The newest reading of each stream, in memory; of more than 2,000 streams the longest silent go. */
export class RecentReadings {
  readonly #byStream = new Map<string, Recent>();

  note(update: Update): void {
    const known = this.#byStream.get(update.stream);
    if (known !== undefined) {
      known.update = update;
      known.count++;
      return;
    }
    if (this.#byStream.size >= STREAMS_MAX) this.#dropSilent();
    this.#byStream.set(update.stream, { update, count: 1 });
  }

  /** Newest first. */
  list(options: { limit: number; offset: number; prefix?: string }): {
    readings: readonly StreamReading[];
    total: number;
  } {
    const { limit, offset, prefix = "" } = options;
    const matching = [...this.#byStream.values()]
      .filter(({ update }) => update.stream.startsWith(prefix))
      .sort((a, b) => b.update.ordinal - a.update.ordinal);
    return {
      readings: matching.slice(offset, offset + limit).map(toReading),
      total: matching.length,
    };
  }

  /** A tenth at a time, so that a flood of new streams does not sort at every message. */
  #dropSilent(): void {
    const silent = [...this.#byStream]
      .sort(([, a], [, b]) => a.update.ordinal - b.update.ordinal)
      .slice(0, STREAMS_MAX / 10);
    for (const [stream] of silent) this.#byStream.delete(stream);
  }
}

function toReading({ update, count }: Recent): StreamReading {
  const { stream, payload, contentType, sequence, observedAtMs, observedAtTrusted } = update;
  const text = previewText(payload);
  return {
    stream,
    topic: stream,
    ...(text === undefined ? {} : { text }),
    bytes: payload.length,
    contentType,
    sequence,
    observedAtMs,
    observedAtTrusted,
    count,
  };
}

/** @returns the payload's beginning as text, or undefined when it is not UTF-8. */
function previewText(payload: Uint8Array): string | undefined {
  const head = payload.subarray(0, TEXT_BYTES_MAX);
  try {
    // A character that the cut goes through is no fault of the payload: `stream` leaves it out.
    return new TextDecoder("utf-8", { fatal: true }).decode(head, {
      stream: payload.length > TEXT_BYTES_MAX,
    });
  } catch {
    return undefined;
  }
}
