import { SEQUENCES_PER_GENERATION } from "../../outbox/ledger.ts";
import type { Marks, OutboundUpdate, StreamMarks } from "../../platform/uplink-connection.ts";
import type { Violations } from "./violation.ts";

/** What is known of one stream of one agent, from outside. */
interface StreamBook {
  /** Numbers of readings that were acknowledged to their sensor and have not arrived. */
  readonly owed: Set<number>;
  /** Of updates that arrived, the reading's number by the update's sequence. */
  readonly arrived: Map<number, number>;
  /** Numbers of readings that arrived. */
  readonly delivered: Set<number>;
  /** Every update up to this one arrived. */
  through: number;
  sequenceMax: number;
  /** The same, of the numbers that were given out between two repairs of the agent's disk. */
  readonly sequenceMaxes: Map<number, number>;
}

const PAYLOAD = /^r(\d+) [ -~]*$/;
const PRINTABLE = 94;

/**
 * Keeps account of every reading from outside the agents: an acknowledged one arrives, once for a receiver that looks at
 * ids, in the order of its stream; no id is given to two readings, and none is left out.
 */
export class ReadingLedger {
  readonly #violations: Violations;
  readonly #streams = new Map<string, StreamBook>();
  /** Agents that lost part of their disk, or are gone with it: what they owe can not be asked for. */
  readonly #excused = new Set<string>();
  /** Updates that an agent said it had to let go of. */
  readonly #shed = new Map<string, number>();
  acknowledged = 0;
  refused = 0;
  arrivedOnce = 0;
  repeats = 0;

  constructor(violations: Violations) {
    this.#violations = violations;
  }

  /** @returns the payload of a reading, of at least that many bytes that no compression makes fewer */
  static payload(number: number, bytes: number): Buffer {
    const head = `r${number} `;
    const payload = Buffer.alloc(Math.max(bytes, head.length));
    payload.write(head, "latin1");
    let noise = number;
    for (let at = head.length; at < payload.length; at++) {
      // The generator of Lehmer, as Park and Miller (1988) have it.
      noise = (noise * 48_271) % 2_147_483_647;
      payload[at] = 33 + (noise % PRINTABLE);
    }
    return payload;
  }

  /** The sensor was told that it is kept. */
  tookReading(agentId: string, stream: string, number: number): void {
    this.acknowledged++;
    const book = this.#book(agentId, stream);
    if (!book.delivered.has(number)) book.owed.add(number);
  }

  /** An update came to the receiver. */
  received(atMs: number, { id, agentId, stream, sequence, payload }: OutboundUpdate): void {
    const number = Number(PAYLOAD.exec(Buffer.from(payload).toString("latin1"))?.[1] ?? Number.NaN);
    if (Number.isNaN(number)) return;
    if (id !== `${agentId}/${stream}/${sequence}`)
      this.#violations.add(atMs, "id-changed", `${id} came as ${agentId}/${stream}/${sequence}`);
    const book = this.#book(agentId, stream);
    const before = book.arrived.get(sequence);
    if (before !== undefined) {
      this.repeats++;
      if (before !== number)
        this.#violations.add(
          atMs,
          "id-reused",
          `${id} was given to readings ${before} and ${number}`,
        );
      return;
    }
    book.arrived.set(sequence, number);
    this.arrivedOnce++;
    if (book.delivered.has(number))
      this.#violations.add(atMs, "reading-twice", `reading ${number} came again as ${id}`);
    book.delivered.add(number);
    book.owed.delete(number);
    this.#inOrder(atMs, book, { id, agentId, sequence });
    while (book.arrived.has(book.through + 1)) book.through++;
  }

  /** @returns what the receiver has of the agent's streams, as it would tell it */
  marks(agentId: string, streams: readonly string[]): Marks {
    const marks = new Map<string, StreamMarks>();
    for (const stream of streams) {
      const book = this.#streams.get(`${agentId}/${stream}`);
      if (book !== undefined) marks.set(stream, marksOf(book));
    }
    return marks;
  }

  /** The agent lost part of what it had stored, or is gone for good. */
  excuse(agentId: string): void {
    this.#excused.add(agentId);
  }

  /** The agent said that it let updates go: its quota, or what its disk lost. */
  shed(agentId: string, updates: number): void {
    this.#shed.set(agentId, (this.#shed.get(agentId) ?? 0) + updates);
  }

  /** Readings that are owed by agents of which they can be asked for. */
  get owed(): number {
    let owed = 0;
    for (const [name, { owed: numbers }] of this.#streams)
      if (!this.#excused.has(agentOf(name))) owed += numbers.size;
    for (const [agentId, updates] of this.#shed) if (!this.#excused.has(agentId)) owed -= updates;
    return Math.max(0, owed);
  }

  /** Nothing more is on its way: what is owed is lost, and a number that did not come was skipped. */
  close(atMs: number): void {
    for (const [name, { through, sequenceMax }] of this.#streams) {
      const agentId = agentOf(name);
      if (through === sequenceMax || this.#excused.has(agentId) || this.#shed.has(agentId))
        continue;
      this.#violations.add(
        atMs,
        "sequence-gap",
        `${name}/${through + 1} never came, and ${sequenceMax} did`,
      );
    }
    const missing = new Map<string, { count: number; first: string }>();
    for (const [name, { owed }] of this.#streams) {
      const agentId = agentOf(name);
      if (this.#excused.has(agentId) || owed.size === 0) continue;
      const [first] = owed;
      const { count = 0, first: before } = missing.get(agentId) ?? {};
      missing.set(agentId, {
        count: count + owed.size,
        first: before ?? `${name} reading ${first}`,
      });
    }
    for (const [agentId, { count, first }] of missing) {
      const untold = count - (this.#shed.get(agentId) ?? 0);
      if (untold > 0)
        this.#violations.add(
          atMs,
          "reading-lost",
          `${untold} acknowledged readings of ${agentId} never arrived, ${first} for one`,
        );
    }
  }

  /**
   * A neighbour may hold what the agent's own disk has lost since, and deliver it after what the agent sent later by
   * another way: late is better than never. Among themselves those arrive in order as well.
   */
  #inOrder(
    atMs: number,
    book: StreamBook,
    { id, agentId, sequence }: Pick<OutboundUpdate, "id" | "agentId" | "sequence">,
  ): void {
    const generation = Math.floor(sequence / SEQUENCES_PER_GENERATION);
    const before = book.sequenceMaxes.get(generation) ?? 0;
    const last = this.#excused.has(agentId) ? before : book.sequenceMax;
    if (sequence < last) this.#violations.add(atMs, "out-of-order", `${id} came after ${last}`);
    book.sequenceMaxes.set(generation, Math.max(before, sequence));
    book.sequenceMax = Math.max(book.sequenceMax, sequence);
  }

  #book(agentId: string, stream: string): StreamBook {
    const name = `${agentId}/${stream}`;
    let book = this.#streams.get(name);
    if (book === undefined) {
      book = {
        owed: new Set(),
        arrived: new Map(),
        delivered: new Set(),
        through: 0,
        sequenceMax: 0,
        sequenceMaxes: new Map(),
      };
      this.#streams.set(name, book);
    }
    return book;
  }
}

function marksOf({ arrived, through }: StreamBook): StreamMarks {
  const ranges: [number, number][] = [];
  // By what arrived, not by number: after a damage of its disk an agent skips a great many.
  const above = [...arrived.keys()].filter((sequence) => sequence > through);
  for (const sequence of above.sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === sequence - 1) last[1] = sequence;
    else ranges.push([sequence, sequence]);
  }
  return { through, ranges };
}

function agentOf(name: string): string {
  return name.slice(0, name.indexOf("/"));
}
