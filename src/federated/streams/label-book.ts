import { DataError } from "../data/data-error.ts";

/** The most labels of a book; with more the oldest entries go. */
export const LABELS_MAX = 1_024;
const TEXT_MAX = 256;
const CLASS_MAX = 999;
const BYTES_MAX = 1024 * 1024;
const FORMAT = 1;

/** What somebody said of a time: from and to belong to it. */
export interface Label {
  readonly fromMs: number;
  readonly toMs: number;
  /** With detectors: 0 all was well, above 0 something was not. */
  readonly class: number;
  readonly who: string;
  readonly note?: string;
}

/** A label in a book. */
export interface BookedLabel extends Label {
  /** Ascending, never given twice. */
  readonly id: number;
}

/**
 * Labels by hand. What is said later counts where two of them cover a moment, so that a mistake is mended by saying it again.
 * Pure; whoever keeps it writes {@link encode} down.
 */
export class LabelBook {
  #labels: readonly BookedLabel[] = [];
  #next = 1;

  /** @returns the book as it was written down @throws DataError `data.format` for what is none */
  static decode(bytes: Uint8Array): LabelBook {
    const book = new LabelBook();
    const { format, next, labels } = parsed(bytes);
    if (format !== FORMAT || !Array.isArray(labels) || labels.length > LABELS_MAX)
      throw broken("its form is another");
    const booked = labels as readonly BookedLabel[];
    for (const label of booked) {
      const fault = typeof label === "object" && label !== null ? faultOf(label) : "no label";
      if (fault !== undefined) throw broken(fault);
      if (!Number.isSafeInteger(label.id) || label.id < 1) throw broken("an id is none");
    }
    book.#labels = booked;
    book.#next = Math.max(Number(next) || 1, ...booked.map(({ id }) => id + 1));
    return book;
  }

  /** Oldest entry first. */
  get labels(): readonly BookedLabel[] {
    return this.#labels;
  }

  /** @throws DataError `data.setting` naming what is wrong with it */
  add(label: Label): BookedLabel {
    const fault = faultOf(label);
    if (fault !== undefined) throw new DataError("data.setting", fault);
    const { fromMs, toMs, class: what, who, note } = label;
    const booked = {
      id: this.#next++,
      fromMs,
      toMs,
      class: what,
      who,
      ...(note !== undefined && { note }),
    };
    this.#labels = [...this.#labels, booked].slice(-LABELS_MAX);
    return booked;
  }

  /** @returns false when there is none of that id */
  remove(id: number): boolean {
    const before = this.#labels.length;
    this.#labels = this.#labels.filter((label) => label.id !== id);
    return this.#labels.length < before;
  }

  /** @returns the class of that moment, undefined where nobody said anything */
  classAt(atMs: number): number | undefined {
    return this.#labels.findLast(({ fromMs, toMs }) => fromMs <= atMs && atMs <= toMs)?.class;
  }

  /** @returns JSON */
  encode(): Uint8Array {
    const text = JSON.stringify({ format: FORMAT, next: this.#next, labels: this.#labels });
    return new TextEncoder().encode(text);
  }
}

function faultOf({ fromMs, toMs, class: what, who, note }: Label): string | undefined {
  if (!Number.isFinite(fromMs) || fromMs < 0)
    return `fromMs: milliseconds since 1970, not ${fromMs}`;
  if (!Number.isFinite(toMs) || toMs < fromMs) return `toMs: fromMs or later, not ${toMs}`;
  if (!Number.isInteger(what) || what < 0 || what > CLASS_MAX)
    return `class: a whole number from 0 to ${CLASS_MAX}, not ${what}`;
  if (typeof who !== "string" || who.length < 1 || who.length > TEXT_MAX)
    return `who: a text of 1 to ${TEXT_MAX} characters`;
  if (note !== undefined && (typeof note !== "string" || note.length > TEXT_MAX))
    return `note: a text of ${TEXT_MAX} characters at most`;
  return undefined;
}

function parsed(bytes: Uint8Array): Partial<Record<string, unknown>> {
  if (bytes.length > BYTES_MAX) throw broken(`${bytes.length} bytes, ${BYTES_MAX} at most`);
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null ? value : {};
  } catch (error) {
    throw broken("it is no JSON", error);
  }
}

function broken(why: string, cause?: unknown): DataError {
  return new DataError("data.format", `this is no book of labels: ${why}`, { cause });
}
