const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;
const OTHER_PRIME = 0x85ebca6b;
/** Events from one checkpoint to the next. */
export const CHECKPOINT_EVENTS = 4_096;

/** What happened: its kind, whom it happened to, and numbers that say what exactly. */
export interface TraceEvent {
  readonly index: number;
  readonly atMs: number;
  readonly kind: string;
  readonly who: number;
  readonly detail: readonly number[];
}

/**
 * A running hash over everything that happens in a simulated world, in order: two runs are the same if their hashes are.
 * Checkpoints on the way let two runs that differ be compared without keeping either.
 */
export class Trace {
  #low = OFFSET;
  #high = OFFSET ^ 0x5bd1e995;
  #events = 0;
  readonly #checkpoints: string[] = [];
  readonly #kinds = new Map<string, number>();
  readonly #window: { readonly from: number; readonly to: number } | undefined;
  readonly recorded: TraceEvent[] = [];

  /** @param window events by index, the last not included, to be kept word for word */
  constructor(window?: { readonly from: number; readonly to: number }) {
    this.#window = window;
  }

  get events(): number {
    return this.#events;
  }

  /** The hash after every {@link CHECKPOINT_EVENTS} events. */
  get checkpoints(): readonly string[] {
    return this.#checkpoints;
  }

  /** 64 bits, as 16 hexadecimal digits. */
  get hash(): string {
    return [this.#high, this.#low]
      .map((word) => (word >>> 0).toString(16).padStart(8, "0"))
      .join("");
  }

  /** @param who index of an agent; -1: the world */
  note(kind: string, atMs: number, who: number, ...detail: readonly number[]): void {
    this.#mix(this.#kind(kind));
    this.#mixNumber(atMs);
    this.#mix(who);
    for (const number of detail) this.#mixNumber(number);
    const index = this.#events++;
    if (this.#events % CHECKPOINT_EVENTS === 0) this.#checkpoints.push(this.hash);
    if (this.#window !== undefined && index >= this.#window.from && index < this.#window.to)
      this.recorded.push({ index, atMs, kind, who, detail });
  }

  #kind(kind: string): number {
    let code = this.#kinds.get(kind);
    if (code === undefined) {
      code = hashText(kind);
      this.#kinds.set(kind, code);
    }
    return code;
  }

  /** Both halves of the double, so that no two numbers count as one. */
  #mixNumber(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
      this.#mix(value);
      return;
    }
    WORDS.setFloat64(0, value);
    this.#mix(WORDS.getInt32(0));
    this.#mix(WORDS.getInt32(4));
  }

  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, PRIME);
    this.#low ^= this.#low >>> 15;
    this.#high = Math.imul(this.#high ^ word ^ this.#low, OTHER_PRIME);
    this.#high ^= this.#high >>> 13;
  }
}

const WORDS = new DataView(new ArrayBuffer(8));

/** FNV-1a, 32 bits. */
export function hashText(text: string): number {
  let hash = OFFSET;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
  return hash;
}

/** FNV-1a, 32 bits. */
export function hashBytes(bytes: Uint8Array): number {
  let hash = OFFSET;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, PRIME);
  return hash;
}

/** @returns the first event of either that the other does not have; undefined while they are the same */
export function firstDifference(
  one: readonly TraceEvent[],
  other: readonly TraceEvent[],
): { readonly one?: TraceEvent; readonly other?: TraceEvent } | undefined {
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const [a, b] = [one[at], other[at]];
    if (a !== undefined && b !== undefined && describeEvent(a) === describeEvent(b)) continue;
    return { ...(a !== undefined && { one: a }), ...(b !== undefined && { other: b }) };
  }
  return undefined;
}

/** @returns one line: `event 17 at 1200 ms: timer of agent 3 (12, 4)` */
export function describeEvent({ index, atMs, kind, who, detail }: TraceEvent): string {
  const whose = who < 0 ? "" : ` of agent ${who}`;
  const numbers = detail.length === 0 ? "" : ` (${detail.join(", ")})`;
  return `event ${index} at ${atMs} ms: ${kind}${whose}${numbers}`;
}
